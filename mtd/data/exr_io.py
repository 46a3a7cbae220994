"""OpenEXR files: linear colour in floating point, as renderers write it."""

from __future__ import annotations

import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtd.utils import atomic_write
from mtd.utils.errors import BadInput

SUFFIX = ".exr"
MAGIC = bytes([0x76, 0x2F, 0x31, 0x01])

Linear = NDArray[np.float32]


def size(path: str | Path) -> tuple[int, int]:
    """Height and width of an EXR file, from its header.

    Raises:
        BadInput: missing, damaged, or no EXR file; or the OpenEXR package is not there.
    """
    (left, top), (right, bottom) = _open(path, header_only=True).header()["dataWindow"]
    return int(bottom - top) + 1, int(right - left) + 1


def read(path: str | Path) -> Linear:
    """The channels R, G and B of an EXR file as float32 (H, W, 3); half floats are widened.

    Alpha and every other channel, such as a renderer's albedo, are left out.

    Raises:
        BadInput: missing, damaged, no EXR file, or without R, G and B of one size.
    """
    channels = _open(path).channels()
    if not {"R", "G", "B"} <= set(channels):
        raise BadInput(
            f"{path}: channels {', '.join(sorted(channels)) or 'none'}; expected R, G and B"
        )
    planes = [np.asarray(channels[name].pixels) for name in "RGB"]
    if len({plane.shape for plane in planes}) > 1 or planes[0].dtype.kind != "f":
        raise BadInput(f"{path}: R, G and B must be half or float, and of one size")
    return np.stack(planes, axis=2).astype(np.float32)


def write(path: str | Path, pixels: ArrayLike) -> None:
    """Write linear colour, (H, W, 3), as float32 R, G and B; the file is there whole or not at all.

    Raises:
        BadInput: the place cannot be written, or the OpenEXR package is not there.
        ValueError: pixels of another shape.
    """
    colour = np.ascontiguousarray(pixels, dtype=np.float32)
    if colour.ndim != 3 or colour.shape[2] != 3:
        raise ValueError(f"pixels of shape {colour.shape}: expected (H, W, 3)")
    library = _library()
    header = {"compression": library.ZIP_COMPRESSION, "type": library.scanlineimage}
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.exr"
        library.File(header, {"RGB": colour}).write(str(whole))
        atomic_write.write(path, whole.read_bytes())


def check() -> None:
    """See that EXR files can be read and written.

    Raises:
        BadInput: the OpenEXR package is not there.
    """
    _library()


def _library() -> Any:
    try:
        return import_module("OpenEXR")
    except ImportError:
        raise BadInput("EXR files need the OpenEXR package: pip install openexr") from None


def _open(path: str | Path, header_only: bool = False) -> Any:
    # The library prints lines of its own about what it cannot open: keep such files from it.
    try:
        with Path(path).open("rb") as stream:
            magic = stream.read(len(MAGIC))
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file") from None
    if magic != MAGIC:
        raise BadInput(f"{path}: not an EXR file")
    library = _library()
    try:
        opened = library.File(str(path), separate_channels=True, header_only=header_only)
        _ = opened.header() if header_only else opened.channels()  # where damage is noticed
    except (RuntimeError, ValueError) as error:
        raise BadInput(f"{path}: damaged EXR file ({error})") from None
    return opened
