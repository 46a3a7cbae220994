"""Tone maps: linear colour of a renderer to the 8 bits that a denoiser of photographs takes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtd.utils.errors import BadInput, nearest

Colour = NDArray[np.float64]

DEFAULT = "srgb"
AS_STORED = "as stored"
"""Of files that hold 8 or 16 bits per channel already: nothing is mapped."""


def srgb(x: Colour) -> Colour:
    """12.92 x up to x = 0.0031308, 1.055 x^(1/2.4) − 0.055 above, x being clipped to [0, 1].

    Reference: IEC 61966-2-1.
    """
    x = np.clip(x, 0, 1)
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)


def gamma(x: Colour) -> Colour:
    """x^(1/2.2), x being clipped to [0, 1]."""
    return np.clip(x, 0, 1) ** (1 / 2.2)


def reinhard(x: Colour) -> Colour:
    """`srgb` of x / (1 + x), per channel, x being clipped to [0, ∞]: no highlight burns out.

    Reference: Reinhard et al. 2002, their simplest operator.
    """
    return srgb(1 - 1 / (1 + np.maximum(x, 0)))  # the same as x / (1 + x), and 1 for infinity


TONE_MAPS: dict[str, Callable[[Colour], Colour]] = {
    "srgb": srgb,
    "gamma2.2": gamma,
    "reinhard": reinhard,
}


def find(name: str) -> Callable[[Colour], Colour]:
    """The tone map of a name.

    Raises:
        BadInput: there is no such one.
    """
    if name not in TONE_MAPS:
        raise BadInput(f"tone map {name!r}: {nearest(name, TONE_MAPS)}")
    return TONE_MAPS[name]


def to_8_bits(linear: ArrayLike, name: str = DEFAULT) -> NDArray[np.uint8]:
    """Linear colour through a named tone map, times 255, rounded (halves to even).

    Args:
        linear: any shape; 1 is white. Negative values become 0, and so do NaNs, which renderers
            leave here and there.
        name: one of `TONE_MAPS`.

    Returns:
        The same shape, 8 bits. Computed in float64.

    Raises:
        BadInput: there is no such tone map.
    """
    x = np.asarray(linear, dtype=np.float64)
    mapped = find(name)(np.where(np.isnan(x), 0, x))
    return np.asarray(np.rint(255 * mapped), dtype=np.uint8)
