"""Tone maps: from the linear RGB of a renderer to 8-bit values of photographs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtd.utils.errors import one_of

Linear = NDArray[np.float64]

DEFAULT = "srgb"
AS_STORED = "as stored"
"""The tone map of files that hold 8 or 16 bits per channel already: none."""


def srgb(x: Linear) -> Linear:
    """sRGB: 12.92 x up to x = 0.0031308, 1.055 x^(1/2.4) − 0.055 above, x clipped to [0, 1].

    Reference: IEC 61966-2-1.
    """
    x = np.clip(x, 0, 1)
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)


def gamma(x: Linear) -> Linear:
    """Gamma: x^(1/2.2), x clipped to [0, 1]."""
    return np.clip(x, 0, 1) ** (1 / 2.2)


def reinhard(x: Linear) -> Linear:
    """Reinhard: `srgb` of x / (1 + x), per channel, x clipped to [0, ∞]; highlights never clip.

    Reference: Reinhard et al. 2002, the simplest operator.
    """
    return srgb(1 - 1 / (1 + np.maximum(x, 0)))  # the same as x / (1 + x), and 1 for infinity


TONE_MAPS: dict[str, Callable[[Linear], Linear]] = {
    "srgb": srgb,
    "gamma2.2": gamma,
    "reinhard": reinhard,
}


AT_ONCE = 2**20
"""Values that are in float64 at the same time."""


def find(name: str) -> Callable[[Linear], Linear]:
    """The tone map of a name.

    Raises:
        BadInput: an unknown name.
    """
    one_of("tone map", name, TONE_MAPS)
    return TONE_MAPS[name]


def to_8_bits(linear: ArrayLike, name: str = DEFAULT) -> NDArray[np.uint8]:
    """Linear values through a named tone map, times 255, rounded (halves to even), in float64.

    Args:
        linear: any shape; 1 is white. Negative values and NaN, which renderers sometimes write,
            become 0.
        name: one of `TONE_MAPS`.

    Returns:
        8-bit values of the same shape.

    Raises:
        BadInput: an unknown tone map.

    >>> to_8_bits([0, 0.18, 0.5, 1])
    array([  0, 118, 188, 255], dtype=uint8)
    """
    values, tone_map = np.asarray(linear), find(name)
    levels = np.empty(values.shape, np.uint8)
    flat, rounded = values.reshape(-1), levels.reshape(-1)
    for start in range(0, len(flat), AT_ONCE):
        with np.errstate(invalid="ignore"):  # NaN with other bits than NumPy's
            x = flat[start : start + AT_ONCE].astype(np.float64)
        mapped = tone_map(np.where(np.isnan(x), 0, x))
        rounded[start : start + AT_ONCE] = np.rint(255 * mapped)
    return levels
