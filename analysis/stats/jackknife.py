"""Confidence intervals from values with one photograph left out at a time.

Crops of one photograph, and photographs of one scene, are alike, so that they leave together:
otherwise intervals are too narrow. The plain bootstrap over images is not valid for CKA: an image
drawn twice puts its similarity with itself off the diagonal. A jackknife leaves images out, and
duplicates none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

LEVEL = 0.95

LEAST = 3
"""Fewest photographs for an interval."""

ENOUGH = 10
"""Fewest photographs for inference: with fewer, intervals are rough and there are no p-values."""


class Interval(NamedTuple):
    """Bounds of a confidence interval, elementwise."""

    low: Array
    high: Array


def standard_error(without: Array) -> Array:
    """Jackknife standard error √((n−1)/n Σ (θ₍ᵢ₎ − θ̄)²), θ₍ᵢ₎ being the value without draw i.

    Args:
        without: (n, …), the values with each of n draws left out, as a rule all crops of a
            photograph; see `draws`.

    Returns:
        (…); NaN for fewer than `LEAST` draws.

    Reference: Efron and Stein 1981, Annals of Statistics 9.
    """
    n = len(without)
    if n < LEAST:
        return np.full(without.shape[1:], np.nan)
    spread: Array = np.square(without - without.mean(0)).sum(0)
    return np.sqrt((n - 1) / n * spread)


def interval(value: Array, without: Array, level: float = LEVEL) -> Interval:
    """value ± t₍ₙ₋₁₎ x `standard_error`, t being Student's quantile for n draws.

    The draws are taken as independent. The bounds are not clamped: near a CKA of 1 the upper one
    may exceed it.

    Args:
        value: (…).
        without: (n, …).
        level: of confidence.
    """
    from scipy.special import stdtrit

    n = len(without)
    half = standard_error(without) * (stdtrit(n - 1, (1 + level) / 2) if n > 1 else np.nan)
    return Interval(value - half, value + half)


def draws(scenes: Sequence[str]) -> NDArray[np.int64]:
    """Index of the photograph, an independent draw, that each crop is of.

    Args:
        scenes: (crops,) the photograph of each crop, or the scene that several of them show.

    Returns:
        (crops,), from 0 in the order in which photographs first come.

    >>> draws(["b", "b", "a"]).tolist()
    [0, 0, 1]
    """
    places = {scene: i for i, scene in enumerate(dict.fromkeys(scenes))}
    return np.array([places[scene] for scene in scenes], dtype=np.int64)


class Mean(NamedTuple):
    """A mean over crops with its 95% interval over photographs; NaN where there is none."""

    value: float
    low: float
    high: float


def mean(values: ArrayLike, scenes: Sequence[str]) -> Mean:
    """The mean over crops, and its 95% interval, all crops of a photograph left out together.

    Args:
        values: (crops,).
        scenes: (crops,) the photograph of each; see `draws`.

    >>> mean([1.0, 2.0, 6.0], ["a", "b", "b"])
    Mean(value=3.0, low=nan, high=nan)
    """
    of, numbers = draws(scenes), np.asarray(values, dtype=np.float64)
    if not len(numbers):
        return Mean(np.nan, np.nan, np.nan)
    whole, count = numbers.mean(), int(of.max()) + 1
    without = [numbers[of != draw].mean() for draw in range(count) if count > 1]
    low, high = interval(whole, np.array(without))
    return Mean(float(whole), float(low), float(high))


def log_interval(value: Array, without: Array) -> Interval:
    """As `interval`, of logarithms: for ratios above 0, whose bounds are above 0 too; else NaN."""
    positive = (value > 0) & (without > 0).all(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        bounds = interval(np.log(value), np.log(without))
    low, high = (np.where(positive, np.exp(bound), np.nan) for bound in bounds)
    return Interval(low, high)
