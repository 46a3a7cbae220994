"""Crops of photographs: where they are taken, and their digests."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, cast, get_args

import numpy as np
import torch
from torch import Tensor

from mtd.data.image_io import Pixels
from mtd.data.photographs import Photograph
from mtd.utils import seeds
from mtd.utils.errors import BadInput, one_of


@dataclass(frozen=True)
class Crop:
    """A crop of a photograph, or the whole of it.

    Attributes:
        image: name of the photograph.
        top: first row.
        left: first column.
        pixels: (H, W, 3), or (H, W, 1) of grayscale, 8 bits.
        scene: see `mtd.data.photographs.Photograph`.
    """

    image: str
    top: int
    left: int
    pixels: Pixels
    scene: str = ""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the pixels and their shape; the crop's key for noise, masks and results."""
        shape = repr(self.pixels.shape).encode()
        return hashlib.sha256(shape + np.ascontiguousarray(self.pixels).tobytes()).hexdigest()


def to_tensor(pixels: Sequence[Pixels]) -> Tensor:
    """8-bit images (H, W, C) of one size as float32 (B, C, H, W) in [0, 1].

    >>> to_tensor([np.full((1, 2, 3), 51, np.uint8)])[0, 0]
    tensor([[0.2000, 0.2000]])
    """
    stacked = torch.from_numpy(np.stack(pixels))
    return stacked.permute(0, 3, 1, 2).to(torch.float32).div(255).contiguous()


Rule = Literal["grid", "center", "random"]

SPELLINGS = {"centre": "center"}
"""Older names of crop rules, which command lines and manifests may still have."""


def crops(
    images: Sequence[Photograph],
    size: int,
    count: int,
    rule: Rule | Literal["centre"] = "grid",
    seed: int = 0,
) -> list[Crop]:
    """At most `count` crops of `size` x `size`, by a rule; images are never resized.

    With more images than crops, evenly spaced images give one crop each.

    Args:
        images: to crop.
        size: side of a crop in pixels.
        count: of crops, at most.
        rule: `grid`: distributed evenly over the images and over each image. Every image gives
            the same number of crops, or one more, as long as they fit without overlap; the
            remainder goes to the others. The crops of an image are centered in the cells of a
            grid. `center`: the center of each image. `random`: the same number from each image, or
            one more, at positions that depend on (seed, name of the image, index of the crop)
            only; they may overlap.
        seed: of the rule `random`.

    Raises:
        BadInput: an image is smaller than the crop, an unknown rule, or a size or count below 1.

    >>> from mtd.data.photographs import photographs
    >>> [(crop.image, crop.top, crop.left) for crop in crops(photographs(), 128, 2, "center")]
    [('chelsea', 86, 161), ('rocket', 149, 256)]
    """
    if min(size, count) < 1:
        raise BadInput(f"{count} crops of {size} x {size}: expected 1 or more of 1 x 1 or more")
    rule = cast(Rule, SPELLINGS.get(rule, rule))
    one_of("crop rule", rule, get_args(Rule))
    for image in images:
        if min(image.height, image.width) < size:
            raise BadInput(
                f"{image.name} is {image.height} x {image.width}, smaller than the crop {size}: "
                "use a smaller --crop or leave the image out"
            )
    if len(images) > count:
        images = spaced(images, count)
    cropped = []
    counts = _counts(images, size, count)
    for index, (image, number) in enumerate(zip(images, counts, strict=True)):
        pixels = image.load()
        if rule == "grid":
            corners = _grid_corners(image.height, image.width, size, number)
        elif rule == "center":
            corners = [((image.height - size) // 2, (image.width - size) // 2)]
        else:
            number = count // len(images) + (index < count % len(images))
            corners = [_random_corner(image, size, seed, i) for i in range(number)]
        for top, left in corners:
            part = np.ascontiguousarray(pixels[top : top + size, left : left + size])
            cropped.append(Crop(image.name, top, left, part, image.scene))
    return cropped


def whole(images: Sequence[Photograph], count: int | None = None) -> list[Crop]:
    """Whole photographs as crops: all of them, or `count` evenly spaced ones."""
    if count is not None and len(images) > count:
        images = spaced(images, count)
    return [Crop(image.name, 0, 0, image.load(), image.scene) for image in images]


def spaced(images: Sequence[Photograph], count: int) -> list[Photograph]:
    """`count` evenly spaced images of a sequence."""
    return [images[(2 * i + 1) * len(images) // (2 * count)] for i in range(count)]


def _random_corner(image: Photograph, size: int, seed: int, index: int) -> tuple[int, int]:
    stream = seeds.generator("crop", seed, image.name, index)
    top, left = (
        int(torch.randint(side - size + 1, (1,), generator=stream))
        for side in (image.height, image.width)
    )
    return top, left


def _counts(images: Sequence[Photograph], size: int, count: int) -> list[int]:
    """The number of crops of each image, as long as they fit without overlap."""
    capacity = [(image.height // size) * (image.width // size) for image in images]
    counts, left = [0] * len(images), min(count, sum(capacity))
    while left:
        for i in range(len(images)):
            if counts[i] < capacity[i] and left:
                counts[i] += 1
                left -= 1
    return counts


def _grid_corners(height: int, width: int, size: int, count: int) -> list[tuple[int, int]]:
    """Corners of `count` crops that do not overlap, centered in the cells of a grid."""
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


def place(crop: Crop) -> dict[str, Any]:
    """The columns that identify a crop in a table."""
    height, width = crop.pixels.shape[:2]
    return {
        "image": crop.image,
        "scene": crop.scene or crop.image,
        "top": crop.top,
        "left": crop.left,
        "height": height,
        "width": width,
        "sha256": crop.digest,
    }


def busiest(pixels: Pixels, side: int) -> tuple[slice, slice]:
    """The square with the strongest edges: the sum of absolute differences of gray neighbors.

    It depends on the clean image only, so that it is the same for every noise and model.

    Args:
        pixels: (H, W, C).
        side: of the square in pixels; a smaller image is taken whole.

    Returns:
        Rows and columns.
    """
    height, width = pixels.shape[:2]
    rows, columns = min(side, height), min(side, width)
    gray = pixels.sum(2, dtype=np.int64)
    edges = np.zeros_like(gray)
    edges[:, 1:] += np.abs(np.diff(gray, axis=1))
    edges[1:] += np.abs(np.diff(gray, axis=0))
    total = np.pad(edges.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sums = total[rows:, columns:] - total[:-rows, columns:]
    sums = sums - total[rows:, :-columns] + total[:-rows, :-columns]
    top, left = divmod(int(sums.argmax()), sums.shape[1])
    return slice(top, top + rows), slice(left, left + columns)
