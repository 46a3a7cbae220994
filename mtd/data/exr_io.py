"""OpenEXR files: linear RGB in floating point, as renderers write it."""

from __future__ import annotations

import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtd.data import exr_header
from mtd.utils import atomic_write, input_files, library_messages
from mtd.utils.errors import BadInput
from mtd.utils.printable import shortened

SUFFIX = ".exr"

Linear = NDArray[np.float32]


def size(path: str | Path) -> tuple[int, int]:
    """Height and width of an EXR file, from its header.

    Raises:
        BadInput: a missing or damaged file, or no EXR file; or OpenEXR is not installed.
    """
    (left, top), (right, bottom) = _open(path, header_only=True).header()["dataWindow"]
    return int(bottom - top) + 1, int(right - left) + 1


def read(path: str | Path) -> Linear:
    """The channels R, G and B of an EXR file as float32 (H, W, 3), linear, 1 is white.

    Half floats are converted; alpha and all other channels, such as albedo, are ignored.

    Raises:
        BadInput: a missing or damaged file, no EXR file, or one without R, G and B of one size.
    """
    channels = _open(path).channels()
    if not {"R", "G", "B"} <= set(channels):
        named = ", ".join(map(shortened, sorted(channels))) or "none"
        raise BadInput(f"{path}: channels {named}; expected R, G and B")
    planes = [np.asarray(channels[name].pixels) for name in "RGB"]
    if len({plane.shape for plane in planes}) > 1 or planes[0].dtype.kind != "f":
        raise BadInput(f"{path}: R, G and B must be half or float, and of one size")
    colors = np.empty((*planes[0].shape, 3), np.float32)
    for index, plane in enumerate(planes):
        colors[..., index] = plane
    return colors


def write(path: str | Path, pixels: ArrayLike) -> None:
    """Write linear RGB (H, W, 3) as float32 channels R, G and B, in one atomic step.

    Raises:
        BadInput: the path cannot be written, or OpenEXR is not installed.
        ValueError: pixels of another shape.
    """
    colors = np.ascontiguousarray(pixels, dtype=np.float32)
    if colors.ndim != 3 or colors.shape[2] != 3:
        raise ValueError(f"pixels of shape {colors.shape}: expected (H, W, 3)")
    library = _library()
    header = {"compression": library.ZIP_COMPRESSION, "type": library.scanlineimage}
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole.exr"
        library.File(header, {"RGB": colors}).write(str(whole))
        atomic_write.write(path, whole.read_bytes())


def check() -> None:
    """Check that EXR files can be read and written.

    Raises:
        BadInput: OpenEXR is not installed.
    """
    _library()


def _library() -> Any:
    try:
        return import_module("OpenEXR")
    except ImportError:
        raise BadInput("EXR files need the OpenEXR package: pip install openexr") from None


def _open(path: str | Path, header_only: bool = False) -> Any:
    # OpenEXR prints messages of its own about files that it cannot open, so they are refused here.
    exr_header.check(Path(path))
    library = _library()
    with input_files.opened(path) as file:
        text = str(path)
        name = text if text.isascii() else f"/dev/fd/{file.fileno()}"  # it takes names in UTF-8
        try:
            with library_messages.dropped():
                opened = library.File(name, separate_channels=True, header_only=header_only)
                _ = opened.header() if header_only else opened.channels()  # where it sees damage
        except (RuntimeError, ValueError, TypeError) as error:
            raise BadInput(f"{path}: damaged EXR file ({error})") from None
    return opened
