"""Photographs: image files of folders, and the bundled ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np

from mtd.data.image_io import Pixels, find, header, is_file, read_rgb
from mtd.utils.errors import BadInput
from mtd.utils.user_folders import expanded

BUNDLED = ("astronaut", "chelsea", "coffee", "rocket")
"""The color photographs in the package of scikit-image."""


@dataclass(frozen=True)
class Photograph:
    """A photograph whose pixels are read when they are needed.

    Attributes:
        name: in tables.
        height: in pixels.
        width: in pixels.
        load: reads the pixels, (H, W, C), 8 bits.
        scene: equal for photographs of the same scene, which are not independent samples; empty if
            no other one shows it.
        file: its path, if it is a file.
        page: of that file, from 1; None for its only one.
        channels: C, 3, or 1 of its luma; see `mtd.data.grayscale`.
    """

    name: str
    height: int
    width: int
    load: Callable[[], Pixels]
    scene: str = ""
    file: Path | None = None
    page: int | None = None
    channels: int = 3


def photographs(*folders: str | Path, page: int | None = None) -> list[Photograph]:
    """The photographs of folders and files, or the bundled ones without any.

    Photographs of one folder are named by file, those of several by folder and file. Files that are
    given are named by file, or by their paths if two have one name.

    Args:
        folders: of image files; subfolders are ignored. Or image files themselves.
        page: of every file, for files with several pages or frames, from 1.

    Raises:
        BadInput: no such folder, a folder without images, or a file that cannot be read.

    >>> [(photo.name, photo.height, photo.width) for photo in photographs()][:2]
    [('astronaut', 512, 512), ('chelsea', 300, 451)]
    """
    if not folders:
        return [_bundled(name) for name in BUNDLED]
    places = [Path(expanded(str(folder))) for folder in folders]
    if len(places) == 1 and not is_file(places[0]):
        return [photograph(path, page) for path in find(places[0])]
    names = [place.resolve().name for place in places]
    if len(set(names)) < len(names):
        names = list(map(str, places))
    found: list[Photograph] = []
    for place, name in zip(places, names, strict=True):
        if is_file(place):
            found.append(photograph(place, page, name=name))
        else:
            found += [photograph(path, page, name=f"{name}/{path.name}") for path in find(place)]
    return found


@cache
def _bundled(name: str) -> Photograph:
    """A bundled photograph, which is decoded once; whoever reads it gets pixels of their own."""
    import skimage.data

    pixels = np.ascontiguousarray(getattr(skimage.data, name)()[..., :3])
    return Photograph(name, pixels.shape[0], pixels.shape[1], pixels.copy)


def photograph(path: str | Path, page: int | None = None, *, name: str = "") -> Photograph:
    """The photograph of one image file.

    Args:
        path: of the file.
        page: of a file with several pages or frames, from 1; None for files with one.
        name: of the photograph; by default that of the file.

    Raises:
        BadInput: it cannot be read.
    """
    path = Path(path)
    head = header(path, page)
    load = partial(_listed, path, page, (head.height, head.width))
    return Photograph(name or path.name, head.height, head.width, load, file=path, page=page)


def _listed(path: Path, page: int | None, size: tuple[int, int]) -> Pixels:
    """The pixels of a file that had a certain height and width when it was listed.

    Raises:
        BadInput: it has another one by now, or cannot be read.
    """
    pixels = read_rgb(path, page)
    if pixels.shape[:2] != size:
        (height, width), (now_high, now_wide) = size, pixels.shape[:2]
        raise BadInput(
            f"{path}: {now_high} x {now_wide}, and {height} x {width} when the command began; "
            "leave images alone while it runs, and start anew"
        )
    return pixels
