"""Images drawn at random, and a colour profile."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import ImageCms


def profile(space: bytes = b"RGB ") -> bytes:
    """An sRGB profile; with its colour space rewritten, one that claims to be for grey."""
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return made[:16] + space + made[20:]


def noise(channels: int, dtype: Any, height: int = 37, width: int = 41) -> np.ndarray:
    stream = np.random.default_rng(channels)
    shape = (height, width, channels)
    return stream.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)
