"""Photographs: finding and reading files, the bundled ones, and crops by a stated rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mtd.data.image_io import Pixels, find, read_rgb
from mtd.utils.errors import BadInput

BUNDLED = ("astronaut", "chelsea", "coffee", "rocket")
"""The colour photographs that scikit-image carries in its package."""


@dataclass(frozen=True)
class Photograph:
    """An image that is read only when its pixels are needed.

    `scene` is the same for images that show the same thing, which are then no independent draws;
    "" if it is the image's alone. `file` is where it lies, if it is a file of its own.
    """

    name: str
    height: int
    width: int
    load: Callable[[], Pixels]
    scene: str = ""
    file: Path | None = None


def photographs(*folders: str | Path) -> list[Photograph]:
    """The images of one or several folders, or the bundled photographs if none is given.

    From one folder an image is named as its file; from several, as its file under its folder.
    """
    if not folders:
        return [_bundled(name) for name in BUNDLED]
    if len(folders) == 1:
        return [_from_file(path, path.name) for path in find(folders[0])]
    names = [Path(folder).resolve().name for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    return [
        _from_file(path, f"{name}/{path.name}")
        for folder, name in zip(folders, names, strict=True)
        for path in find(folder)
    ]


def _bundled(name: str) -> Photograph:
    import skimage.data

    pixels = np.ascontiguousarray(getattr(skimage.data, name)()[..., :3])
    return Photograph(name, pixels.shape[0], pixels.shape[1], lambda: pixels)


def photograph(path: Path) -> Photograph:
    """One image file, named as it is.

    Raises:
        BadInput: it cannot be read.
    """
    return _from_file(path, path.name)


def _from_file(path: Path, name: str) -> Photograph:
    try:
        with Image.open(path) as image:
            width, height = image.size
    except (OSError, SyntaxError, Image.DecompressionBombError):
        read_rgb(path)  # says what is wrong with it
        raise BadInput(f"{path}: not an image that can be read") from None
    return Photograph(name, height, width, lambda: read_rgb(path), file=path)
