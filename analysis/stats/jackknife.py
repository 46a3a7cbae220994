"""Confidence intervals from values with one image left out at a time.

The plain bootstrap over images is not valid for CKA: an image drawn twice puts its similarity with
itself off the diagonal. A jackknife leaves images out, and duplicates none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEVEL = 0.95

FEW = 10
"""With fewer scenes, crops count as independent draws; see `draws`."""


class Interval(NamedTuple):
    """Bounds of a confidence interval, elementwise."""

    low: Array
    high: Array


def standard_error(without: Array) -> Array:
    """Jackknife standard error √((n−1)/n Σ (θ₍ᵢ₎ − θ̄)²), θ₍ᵢ₎ being the value without image i.

    Args:
        without: (n, …), the values with each of n images left out.

    Returns:
        (…); NaN for fewer than 3 images.

    Reference: Efron and Stein 1981, Annals of Statistics 9.
    """
    n = len(without)
    if n < 3:
        return np.full(without.shape[1:], np.nan)
    spread: Array = np.square(without - without.mean(0)).sum(0)
    return np.sqrt((n - 1) / n * spread)


def interval(value: Array, without: Array, level: float = LEVEL) -> Interval:
    """value ± t₍ₙ₋₁₎ x `standard_error`, t being Student's quantile for n images.

    Images are taken as independent draws. The bounds are not clamped: near a CKA of 1 the upper
    one may exceed it.

    Args:
        value: (…).
        without: (n, …).
        level: of confidence.
    """
    from scipy.stats import t

    n = len(without)
    half = standard_error(without) * (t.ppf((1 + level) / 2, n - 1) if n > 1 else np.nan)
    return Interval(value - half, value + half)


def draws(scenes: Sequence[str]) -> tuple[NDArray[np.int64], str]:
    """Index of the independent draw that each crop belongs to, and its unit: `scene` or `crop`."""
    places = {scene: i for i, scene in enumerate(dict.fromkeys(scenes))}
    if len(places) >= FEW or len(places) == len(scenes):
        return np.array([places[scene] for scene in scenes]), "scene"
    return np.arange(len(scenes)), "crop"


def log_interval(value: Array, without: Array) -> Interval:
    """As `interval`, of logarithms: for ratios above 0, whose bounds are above 0 too; else NaN."""
    positive = (value > 0) & (without > 0).all(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        bounds = interval(np.log(value), np.log(without))
    low, high = (np.where(positive, np.exp(bound), np.nan) for bound in bounds)
    return Interval(low, high)


def left_out(unit: str, scenes: int) -> str:
    """In words, which units are left out in turn.

    >>> left_out("scene", 24), left_out("crop", 4)
    ('photographs left out in turn', 'crops of these 4 photographs left out in turn')
    """
    group = f"these {scenes} photographs" if scenes > 1 else "this photograph"
    units = "photographs" if unit == "scene" else f"crops of {group}"
    return f"{units} left out in turn"
