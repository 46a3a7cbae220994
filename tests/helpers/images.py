"""Images drawn at random, and a colour profile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms


def profile(space: bytes = b"RGB ") -> bytes:
    """An sRGB profile; with its colour space rewritten, one that claims to be for grey."""
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return made[:16] + space + made[20:]


def noise(channels: int, dtype: Any, height: int = 37, width: int = 41) -> np.ndarray:
    stream = np.random.default_rng(channels)
    shape = (height, width, channels)
    return stream.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def photos_in(folder: Path) -> np.random.Generator:
    """Make a folder with three small photographs; the stream that they were drawn from."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        Image.fromarray(rng.integers(0, 255, (24, 30, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    return rng
