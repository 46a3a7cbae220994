"""Which pixels of a crop have their filters shown: one flat, one on an edge, one in texture."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtd.data.image_io import Pixels

KINDS = ("flat", "edge", "texture")

BOX = 5
"""Side of the window over which gradients are averaged, in pixels."""


class Place(NamedTuple):
    """A pixel of a crop, and what it shows."""

    kind: str
    top: int
    left: int


def places(pixels: Pixels) -> tuple[Place, ...]:
    """A flat pixel, an edge and texture in the middle half of a clean crop.

    From the structure tensor of the gray image (central differences, averaged over 5 x 5 pixels)
    with eigenvalues λ₁ ≥ λ₂: least λ₁ + λ₂, largest λ₁ − λ₂, largest λ₂; the first in reading
    order of equal ones.

    Args:
        pixels: (H, W, 3).

    >>> step = np.zeros((16, 16, 3), np.uint8)
    >>> step[:, 9:] = 255
    >>> [place.kind for place in places(step)], places(step)[0].left < 7, places(step)[1].left
    (['flat', 'edge', 'texture'], True, 7)
    """
    gray = pixels.astype(np.float64).mean(2)
    down, across = np.gradient(gray)
    a, b, c = (smooth(product) for product in (across**2, across * down, down**2))
    spread = np.sqrt((a - c) ** 2 + 4 * b**2)
    least = (a + c - spread) / 2
    height, width = gray.shape
    rows, columns = slice(height // 4, height - height // 4), slice(width // 4, width - width // 4)
    found = []
    for kind, score in zip(KINDS, (-(a + c), spread, least), strict=True):
        inside = np.round(score[rows, columns], 9)
        top, left = np.unravel_index(int(inside.argmax()), inside.shape)
        found.append(Place(kind, int(top) + rows.start, int(left) + columns.start))
    return tuple(found)


def smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over `BOX` x `BOX` pixels, the border repeated."""
    from scipy.ndimage import uniform_filter

    averaged: NDArray[np.float64] = uniform_filter(values, BOX, mode="nearest")
    return averaged
