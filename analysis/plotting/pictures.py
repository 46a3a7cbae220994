"""Images as matplotlib shows them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def as_rgb(image: NDArray[Any]) -> NDArray[Any]:
    """An image (H, W, C) as (H, W, 3): grayscale repeated, which else would be drawn in colors.

    >>> as_rgb(np.full((1, 1, 1), 7))
    array([[[7, 7, 7]]])
    """
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
