"""Images as matplotlib and image files show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

    from mtd.data.image_io import Pixels


def as_rgb(image: NDArray[Any]) -> NDArray[Any]:
    """An image (H, W, C) as (H, W, 3): grayscale repeated, which else would be drawn in colors.

    >>> as_rgb(np.full((1, 1, 1), 7))
    array([[[7, 7, 7]]])
    """
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image


def as_pillow(pixels: Pixels) -> Image:
    """8-bit pixels (H, W, C) as a Pillow image, RGB or grayscale.

    >>> as_pillow(np.zeros((2, 3, 1), np.uint8)).mode, as_pillow(np.zeros((2, 3, 3), np.uint8)).mode
    ('L', 'RGB')
    """
    from PIL import Image

    return Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels))
