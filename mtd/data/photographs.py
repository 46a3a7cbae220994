"""Photographs: image files of folders, and the bundled ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mtd.data.image_io import Pixels, find, read_rgb
from mtd.utils.errors import BadInput

BUNDLED = ("astronaut", "chelsea", "coffee", "rocket")
"""The color photographs in the package of scikit-image."""


@dataclass(frozen=True)
class Photograph:
    """A photograph whose pixels are read when they are needed.

    Attributes:
        name: in tables.
        height: in pixels.
        width: in pixels.
        load: reads the pixels, (H, W, 3), 8 bits.
        scene: equal for photographs of the same scene, which are not independent samples; empty if
            no other one shows it.
        file: its path, if it is a file.
    """

    name: str
    height: int
    width: int
    load: Callable[[], Pixels]
    scene: str = ""
    file: Path | None = None


def photographs(*folders: str | Path) -> list[Photograph]:
    """The photographs of folders, or the bundled ones without any.

    Photographs of one folder are named by file, those of several by folder and file.

    Args:
        folders: of image files; subfolders are ignored.

    Raises:
        BadInput: no such folder, a folder without images, or a file that cannot be read.

    >>> [(photo.name, photo.height, photo.width) for photo in photographs()][:2]
    [('astronaut', 512, 512), ('chelsea', 300, 451)]
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
    """The photograph of one image file, named by file.

    Raises:
        BadInput: it cannot be read.
    """
    return _from_file(path, path.name)


def _from_file(path: Path, name: str) -> Photograph:
    try:
        with Image.open(path) as image:
            width, height = image.size
    except (OSError, SyntaxError, Image.DecompressionBombError):
        read_rgb(path)  # raises with the reason
        raise BadInput(f"{path}: not an image that can be read") from None
    return Photograph(name, height, width, lambda: read_rgb(path), file=path)
