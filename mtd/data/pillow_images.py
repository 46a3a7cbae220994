"""Images of 8 bits by Pillow."""

from __future__ import annotations

import io
import os
import re
import struct
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mtd.utils import input_files, library_messages, limits

FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "JPEG2000")
MODES = ("1", "L", "LA", "P", "RGB", "RGBA")
"""Kinds of pixels that are read."""

EXIF = b"Exif\0\0"
"""How an EXIF block begins."""

ORIENTATION, ICC = 0x0112, 34675
MP_ENTRIES = 0xB002
WHOLE_NUMBERS = {1: "B", 3: "H", 4: "L"}
"""Types of tags by their number, as `struct` has them."""


STRIP = 256
"""Rows that are copied at once."""


class _PillowLimit:
    """Pillow's own limit of pixels, replaced by ours while any thread has a file open.

    Its error calls a large image an attack, and its warning looks like that of a defect of the
    file. `mtd.data.image_headers` checks sizes before pixels are decoded, and says how to raise the
    limit; Pillow checks those of `CANVAS`, which it allocates earlier, or which later frames
    change.
    """

    CANVAS = (b"GIF8", b"RIFF")
    """How GIF and WebP begin."""

    def __init__(self) -> None:
        self.lock, self.limit = threading.Lock(), Image.MAX_IMAGE_PIXELS
        self.users = {True: 0, False: 0}

    @contextmanager
    def opened(self, file: IO[bytes]) -> Iterator[Image.Image]:
        checked = file.read(4) in self.CANVAS
        file.seek(0)
        limit = int(min(limits.MEGAPIXELS.value * 1e6, 2**62))
        self._count(checked, 1, limit)
        try:
            with Image.open(file, formats=FORMATS) as image:
                yield image
        except Image.DecompressionBombError as error:
            pixels = int(re.findall(r"\d+", str(error))[0])
            limits.MEGAPIXELS.check(pixels / 1e6, "an image or a frame of it")
            raise
        finally:
            self._count(checked, -1, limit)

    def _count(self, checked: bool, change: int, limit: int) -> None:
        with self.lock:
            if not any(self.users.values()):
                self.limit = Image.MAX_IMAGE_PIXELS
            self.users[checked] += change
            warnings.filterwarnings("ignore", module=r"PIL\.")  # about damage that it reads over
            if self.users[True]:  # Pillow warns above its limit, and raises above twice of it
                Image.MAX_IMAGE_PIXELS = limit
                said = f".*exceeds limit of {limit} pixels"
                warnings.filterwarnings("ignore", said, Image.DecompressionBombWarning)
            else:
                Image.MAX_IMAGE_PIXELS = None if self.users[False] else self.limit


PILLOW_LIMIT = _PillowLimit()


BUFFER = io.DEFAULT_BUFFER_SIZE
_read = io.BufferedReader.read


class _Bounded(io.BufferedReader):
    """A file of which no more is read, and allocated, than there is."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > BUFFER:
            size = max(0, min(size, os.fstat(self.fileno()).st_size - self.tell()))
        return _read(self, size)  # as quick as can be: some formats are read byte by byte


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """An image whose pixels are read later.

    Raises:
        BadInput: not a regular file, or a frame that is larger than the limit.
    """
    with (
        input_files.opened(path) as file,
        _Bounded(io.FileIO(file.fileno(), closefd=False)) as bounded,
        PILLOW_LIMIT.opened(bounded) as image,
        library_messages.dropped(),
    ):
        yield image


def frames(image: Image.Image) -> Sequence[int]:
    """Which frames of a file are pictures of their own.

    All, but for MPO: a photograph, followed by thumbnails or maps of it, which are none, or by
    other views.
    """
    if image.format != "MPO":
        return range(getattr(image, "n_frames", 1))
    entries = image.mpinfo[MP_ENTRIES]  # type: ignore[attr-defined]
    kinds = [entry["Attribute"]["MPType"] for entry in entries]
    return [i for i, kind in enumerate(kinds) if not i or kind.startswith("Multi-Frame")]


def orientation(exif: bytes | None) -> int:
    """1 to 8, from an EXIF block; 1 if it is not recorded.

    Of the block nothing else is read: in one that is cut short, or has damaged tags, Pillow drops
    the orientation with them.
    """
    block = (exif or b"").removeprefix(EXIF).removeprefix(EXIF)  # some programs write it twice
    if block[:4] not in (b"II*\0", b"MM\0*") or len(block) < 8:
        return 1
    order = "<" if block.startswith(b"I") else ">"
    (start,) = struct.unpack_from(f"{order}L", block, 4)
    count = int.from_bytes(block[start : start + 2], "little" if order == "<" else "big")
    for place in range(start + 2, start + 2 + 12 * count, 12):
        if place + 12 > len(block):
            break
        tag, kind, _ = struct.unpack_from(f"{order}HHL", block, place)
        if tag == ORIENTATION and kind in WHOLE_NUMBERS:
            (value,) = struct.unpack_from(f"{order}{WHOLE_NUMBERS[kind]}", block, place + 8)
            return int(value) if value in range(1, 9) else 1
    return 1


def pixels(path: Path, page: int) -> tuple[NDArray[np.uint8], bytes | None]:
    """(H, W, 1 to 4) as stored, and the color profile, if any.

    Args:
        path: of the file.
        page: index of the page or frame; a frame is shown on those before it.
    """
    with opened(path) as image:
        image.seek(page)
        if image.format == "TIFF":
            image.getexif()[ORIENTATION] = 1  # or Pillow may turn it by what its XMP block says
        image.load()
        stored = _values(_plain(image))
        return stored, _profile(image, stored.shape[2])


def _values(image: Any) -> NDArray[np.uint8]:
    """(H, W, C) of an image or of its pixels, copied in strips: as a whole, there would be three
    copies in memory for a moment."""
    if isinstance(image, np.ndarray):
        return image
    values = np.empty((image.height, image.width, len(image.getbands())), np.uint8)
    for top in range(0, image.height, STRIP):
        strip = values[top : top + STRIP]
        part = image.crop((0, top, image.width, top + len(strip)))
        strip[...] = np.asarray(part).reshape(strip.shape)
    return values


def _profile(image: Image.Image, channels: int) -> bytes | None:
    """The color profile; PNG forbids one that is not for its channels."""
    profile: bytes | None = image.info.get("icc_profile") or None
    if image.format == "TIFF":  # `info` may still have that of an earlier page
        profile = image.tag_v2.get(ICC)  # type: ignore[attr-defined]
    fits = b"GRAY" if channels < 3 else b"RGB "
    return None if image.format == "PNG" and profile and profile[16:20] != fits else profile


def _plain(image: Image.Image) -> Any:
    """An image in one of the modes L, LA, RGB, RGBA; or its pixels."""
    transparent = "transparency" in image.info
    if image.mode == "P":
        palette = np.asarray(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        converted = image.convert("RGBA" if transparent else "RGB")
        if image.format == "TIFF" and (palette == palette[:, :1]).all():
            return np.asarray(converted)[..., [0, 3] if transparent else [0]]
        return converted
    if image.mode == "1" and not transparent:
        return image.convert("L")
    if transparent and image.mode in ("1", "L", "RGB"):
        return image.convert("RGBA" if image.mode == "RGB" else "LA")
    return image
