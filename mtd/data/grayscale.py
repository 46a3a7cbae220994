"""Grayscale of color photographs, as OpenCV computes it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mtd.data.image_io import Pixels
from mtd.data.photographs import Photograph

WEIGHTS = (9798, 19235, 3735)
"""Of R, G and B: .299, .587 and .114 in units of 2⁻¹⁵; they add up to 2¹⁵: gray stays gray."""


def grayscale(pixels: Pixels) -> Pixels:
    """The luma of 8-bit RGB, rounded to 8 bits; gray stays as it is.

        Y = ⌊(9798 R + 19235 G + 3735 B) / 2¹⁵ + ½⌋ ≈ 0.299 R + 0.587 G + 0.114 B

    which is `cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)` for every color. (`cv2.imread(path, 0)`
    leaves PNG files to libpng, which rounds down: of half of all colors the luma is one level
    lower.)

    Args:
        pixels: (H, W, 3), or (H, W, 1), which is returned.

    Returns:
        (H, W, 1).

    Reference: ITU-R BT.601.

    >>> grayscale(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [7, 7, 7]]], np.uint8))[..., 0]
    array([[ 76, 150,  29,   7]], dtype=uint8)
    """
    if pixels.shape[2] == 1:
        return pixels
    red, green, blue = (pixels[..., i].astype(np.int32) for i in range(3))
    total = WEIGHTS[0] * red + WEIGHTS[1] * green + WEIGHTS[2] * blue
    luma: Pixels = ((total + 2**14) >> 15).astype(np.uint8)[..., None]
    return luma


def of_channels(photograph: Photograph, channels: int) -> Photograph:
    """A photograph of 3 channels, which it has, or of 1, its luma."""
    if channels == photograph.channels:
        return photograph
    load = photograph.load
    return replace(photograph, load=lambda: grayscale(load()), channels=1)
