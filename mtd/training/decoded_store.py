"""Decoded photographs in one memory-mapped file, which training reads instead of decoding."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtd.data.image_io import Pixels
from mtd.data.photographs import Photograph
from mtd.utils import atomic_write, digests, folder_files
from mtd.utils.errors import BadInput

PIXELS, INDEX = "pixels.bin", "index.json"

SAMPLE = 4096
"""Bytes that are read at each of three positions of a file, to identify it."""


def listing(photographs: Sequence[Photograph]) -> str:
    """SHA-256 of names, sizes, pages and channels, and a sample of each file: of photographs."""
    rows = [
        (
            photo.name,
            photo.height,
            photo.width,
            sample(photo),
            *([photo.page] if photo.page else []),
            *(["gray"] if photo.channels == 1 else []),
        )
        for photo in photographs
    ]
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def sample(photo: Photograph) -> tuple[int, str]:
    """The length of a file, and a digest of its beginning, middle and end; (0, "") for no file.

    Raises:
        BadInput: the file cannot be read.
    """
    if photo.file is None:
        return 0, ""
    digest = hashlib.sha256()
    try:
        length = photo.file.stat().st_size
        with photo.file.open("rb") as file:
            for place in (0, length // 2, max(0, length - SAMPLE)):
                file.seek(place)
                digest.update(file.read(SAMPLE))
    except OSError as error:
        raise BadInput(f"{photo.file}: cannot be read ({error.strerror or error})") from None
    return length, digest.hexdigest()


def build(
    folder: Path, photographs: Sequence[Photograph], progress: Callable[[], object] | None = None
) -> None:
    """Decode all photographs into a folder, unless it holds them already, with no bit changed.

    Args:
        folder: of the store.
        photographs: to decode.
        progress: called after each photograph.

    Raises:
        BadInput: a photograph is damaged, or the folder cannot be written; no store is left then.
    """
    if _read(folder, photographs) is not None:
        return
    entries: list[list[Any]] = []
    total = hashlib.sha256()
    temporary = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # several processes may do this at once; they write the same bytes
        temporary = atomic_write.unused(folder)
        with temporary.open("xb") as file:
            for photo in photographs:
                pixels = np.ascontiguousarray(photo.load())
                entries.append([photo.name, file.tell(), *pixels.shape[:2]])
                file.write(pixels.tobytes())
                total.update(pixels.data)
                if progress:
                    progress()
        (folder / INDEX).unlink(missing_ok=True)  # of other pixels
        temporary.replace(folder / PIXELS)
    except OSError as error:
        raise BadInput(f"{folder}: cannot be written ({error.strerror or error})") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    about = {"listing": listing(photographs), "entries": entries, "pixels": total.hexdigest()}
    index = json.dumps(about | {"sha256": _digest(about)}, allow_nan=False)
    atomic_write.write(folder / INDEX, index)


def stored(
    folder: Path, photographs: Sequence[Photograph], checked: bool = False
) -> list[Photograph]:
    """The same photographs, whose pixels are read from a store.

    Args:
        folder: of the store.
        photographs: that it holds.
        checked: the pixels were compared with their digest by `build`, in this process.

    Raises:
        BadInput: the store holds other photographs, or is damaged.
    """
    entries = _read(folder, photographs, checked)
    if entries is None:
        raise BadInput(f"{folder}: no store of these photographs ({len(photographs)})")
    return list(_photographs(folder / PIXELS, photographs, entries))


def _photographs(
    path: Path, photographs: Sequence[Photograph], entries: Sequence[Sequence[Any]]
) -> Iterator[Photograph]:
    for photo, (_, offset, height, width) in zip(photographs, entries, strict=True):
        shape = (height, width, photo.channels)

        def load(at: int = offset, shape: tuple[int, int, int] = shape) -> Pixels:
            return np.memmap(path, np.uint8, "r", at, shape)

        yield Photograph(photo.name, height, width, load, photo.scene, channels=photo.channels)


def _read(
    folder: Path, photographs: Sequence[Photograph], checked: bool = False
) -> list[Any] | None:
    """The entries of a complete store of these photographs, of which no bit changed; else None."""
    channels = photographs[0].channels
    try:
        about = folder_files.json(folder, INDEX)
        pixels = folder_files.path_of(folder, PIXELS)
        entries: list[Any] = about["entries"]
        whole = (
            folder_files.holds(folder, PIXELS)
            and about.pop("sha256") == _digest(about)
            and about["listing"] == listing(photographs)
            and pixels.stat().st_size == channels * sum(h * w for _, _, h, w in entries)
            and (checked or digests.sha256(pixels) == about["pixels"])
        )
    except (OSError, BadInput, LookupError, TypeError, ValueError, AttributeError):
        return None
    return entries if whole else None


def _digest(about: Any) -> str:
    """SHA-256 of an index."""
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
