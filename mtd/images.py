"""Photographs: finding and reading files, the bundled ones, and crops by a stated rule."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from mtd.utils import seeds
from mtd.utils.errors import BadInput, nearest

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")
BUNDLED = ("astronaut", "chelsea", "coffee", "rocket")
"""The colour photographs that scikit-image carries in its package."""

Pixels = NDArray[np.uint8]


def find(folder: str | Path) -> list[Path]:
    """The image files of a folder (not of its sub-folders), sorted by name.

    Raises:
        BadInput: no such folder, a file, or no image in it.
    """
    folder = Path(folder)
    if folder.is_file():
        raise BadInput(f"{folder} is a file: expected a folder of images")
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder")
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    if not files:
        raise BadInput(f"{folder}: no image in it; expected files ending in {', '.join(SUFFIXES)}")
    return files


def read_rgb(path: str | Path) -> Pixels:
    """An image file as (H, W, 3), 8 bits; grey is repeated, transparency dropped.

    Raises:
        BadInput: missing, damaged, or no image of 8 or 16 bits.
    """
    try:
        with Image.open(path) as image:
            if image.mode.startswith("I;16"):
                grey = (np.asarray(image, dtype=np.float64) / 257).round().astype(np.uint8)
                return np.repeat(grey[..., None], 3, axis=2)
            if any(";16" in str(tile[3]) for tile in image.tile if len(tile) > 3):
                return _deep(path)
            if image.mode in ("I", "F"):
                raise BadInput(f"{path}: {image.mode} pixels; convert it to 8 or 16 bits first")
            return np.asarray(image.convert("RGB"), dtype=np.uint8)
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file") from None
    except UnidentifiedImageError:
        raise BadInput(f"{path}: not an image that can be read") from None
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadInput(f"{path}: damaged image ({error})") from None


def _deep(path: str | Path) -> Pixels:
    """A colour image of 16 bits, rounded to 8, which Pillow would cut off."""
    from mtd import imagefile

    pixels = imagefile.read_image(path).pixels
    if pixels.dtype == np.uint16:
        pixels = (pixels / 257).round().astype(np.uint8)
    colours = pixels[..., :3] if pixels.shape[2] >= 3 else pixels[..., :1].repeat(3, axis=2)
    return np.ascontiguousarray(colours, dtype=np.uint8)


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


@dataclass(frozen=True)
class Crop:
    """A part of a photograph, or all of it, 8 bits, with where it was cut."""

    image: str
    top: int
    left: int
    pixels: Pixels
    scene: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of the pixels and their shape; the crop's key for noise, masks and results."""
        shape = repr(self.pixels.shape).encode()
        return hashlib.sha256(shape + np.ascontiguousarray(self.pixels).tobytes()).hexdigest()


def to_tensor(pixels: Sequence[Pixels]) -> Tensor:
    """Equal-sized (H, W, 3) 8-bit images as float32 (B, 3, H, W) in [0, 1]."""
    stacked = torch.from_numpy(np.stack(pixels))
    return stacked.permute(0, 3, 1, 2).to(torch.float32).div(255).contiguous()


Rule = Literal["grid", "centre", "random"]


def crops(
    images: Sequence[Photograph], size: int, count: int, rule: Rule = "grid", seed: int = 0
) -> list[Crop]:
    """At most `count` crops of `size` x `size`, by a rule; nothing is ever resized.

    `grid`: shared out evenly over the images and over each image. Every image gives the same
    number of crops, or one more, as far as that many fit without overlap; what does not fit goes
    to the others. The crops of an image sit at the centres of an even grid. `centre`: the middle
    of each image. `random`: the same number from each image, or one more, at places that depend on
    (seed, name of the image, which of its crops) only; they may overlap. With more images than
    crops, evenly spaced ones give one each.

    Raises:
        BadInput: an image is smaller than the crop, or there is no such rule.
    """
    if rule not in get_args(Rule):
        raise BadInput(f"crop rule {rule!r}: {nearest(str(rule), get_args(Rule))}")
    for image in images:
        if min(image.height, image.width) < size:
            raise BadInput(
                f"{image.name} is {image.height} x {image.width}, smaller than the crop {size}: "
                "use a smaller --crop or leave the image out"
            )
    if len(images) > count:
        images = spaced(images, count)
    cut = []
    for place, (image, share) in enumerate(zip(images, _shares(images, size, count), strict=True)):
        pixels = image.load()
        if rule == "grid":
            corners = _centres(image.height, image.width, size, share)
        elif rule == "centre":
            corners = [((image.height - size) // 2, (image.width - size) // 2)]
        else:
            share = count // len(images) + (place < count % len(images))
            corners = [_corner(image, size, seed, i) for i in range(share)]
        for top, left in corners:
            part = np.ascontiguousarray(pixels[top : top + size, left : left + size])
            cut.append(Crop(image.name, top, left, part, image.scene))
    return cut


def whole(images: Sequence[Photograph], count: int | None = None) -> list[Crop]:
    """Whole photographs, all of them or `count` evenly spaced ones."""
    if count is not None and len(images) > count:
        images = spaced(images, count)
    return [Crop(image.name, 0, 0, image.load(), image.scene) for image in images]


def spaced(images: Sequence[Photograph], count: int) -> list[Photograph]:
    """`count` of the images, evenly spaced."""
    return [images[(2 * i + 1) * len(images) // (2 * count)] for i in range(count)]


def _corner(image: Photograph, size: int, seed: int, index: int) -> tuple[int, int]:
    stream = seeds.generator("crop", seed, image.name, index)
    top, left = (
        int(torch.randint(side - size + 1, (1,), generator=stream))
        for side in (image.height, image.width)
    )
    return top, left


def _shares(images: Sequence[Photograph], size: int, count: int) -> list[int]:
    """How many crops each image gives, as far as they fit without overlap."""
    room = [(image.height // size) * (image.width // size) for image in images]
    shares = [0] * len(images)
    while sum(shares) < count and shares != room:
        for i in range(len(images)):
            if shares[i] < room[i] and sum(shares) < count:
                shares[i] += 1
    return shares


def _centres(height: int, width: int, size: int, count: int) -> list[tuple[int, int]]:
    """Corners of `count` crops that do not overlap, centred in the cells of a grid."""
    rows, columns = min(
        (
            (r, c)
            for r in range(1, height // size + 1)
            for c in range(1, width // size + 1)
            if r * c >= count
        ),
        key=lambda grid: (
            grid[0] * grid[1] - count + 4 * abs(math.log(height * grid[1] / (grid[0] * width)))
        ),
    )
    tops = [int((2 * r + 1) * height / (2 * rows) - size / 2) for r in range(rows)]
    lefts = [int((2 * c + 1) * width / (2 * columns) - size / 2) for c in range(columns)]
    cells = [(top, left) for top in tops for left in lefts]
    return [cells[i * len(cells) // count] for i in range(count)]
