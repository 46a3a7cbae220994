"""Intervals over several trainings of one network, which differ in their seed.

A model that was trained several times is the mean over its trainings. These are independent draws,
so that the mean has a standard error s / √R and Student's interval with R − 1 degrees of freedom;
the difference of two models has Welch's. An interval over photographs says what other photographs
would give with these networks, one over trainings what other seeds would give on these photographs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.stats.jackknife import LEVEL

Array = NDArray[np.float64]

Samples = tuple[Array, ...]
"""Independent samples of trainings, (trainings, …) each, whose means are added up."""

LEAST = 3
"""Fewest trainings for an interval over them."""


def half_width(samples: Samples, level: float = LEVEL) -> Array:
    """Half the width of the interval over trainings: t · √(Σ s²ₖ / Rₖ).

    s²ₖ is the variance of the Rₖ trainings of sample k over Rₖ − 1; t is Student's quantile with
    Rₖ − 1 degrees of freedom for one sample, and those of Welch and Satterthwaite for several.

    Args:
        samples: (Rₖ, …) each.
        level: of confidence.

    Returns:
        (…); NaN without samples, or with fewer than `LEAST` trainings in one of them.

    Reference: Welch 1947, Biometrika 34.
    """
    from scipy.special import stdtrit

    if not samples or min(map(len, samples)) < LEAST:
        return np.full(samples[0].shape[1:] if samples else (), np.nan)
    parts = np.array([of.var(0, ddof=1) / len(of) for of in samples])
    weights = np.array([1 / (len(of) - 1) for of in samples]).reshape(-1, *[1] * (parts.ndim - 1))
    total = parts.sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = np.where(total > 0, total**2 / (parts**2 * weights).sum(0), 1.0)
    half: Array = stdtrit(freedom, (1 + level) / 2) * np.sqrt(total)
    return half


def both(
    photographs: tuple[ArrayLike, ArrayLike], value: ArrayLike, half: ArrayLike
) -> tuple[Array, Array]:
    """An interval over photographs widened by one over trainings, as variances.

    Args:
        photographs: bounds of the interval over photographs.
        value: on which that over trainings is centered.
        half: half the width of that; where it is NaN, the interval is that over photographs.
    """
    low, high, middle, wider = (np.asarray(x, np.float64) for x in (*photographs, value, half))
    below, above = np.hypot(middle - low, wider), np.hypot(high - middle, wider)
    none = np.isnan(wider)
    return np.where(none, low, middle - below), np.where(none, high, middle + above)


def mean(samples: Sequence[Samples]) -> Samples:
    """The mean of several values of the same trainings; none where the trainings differ."""
    if len({tuple(len(part) for part in one) for one in samples}) != 1:
        return ()
    return tuple(np.mean(parts, axis=0) for parts in zip(*samples, strict=True))


def subtract(a: Samples, b: Samples, same_networks: bool) -> Samples:
    """The samples of a difference; see `analysis.stats.controls.difference`."""
    if not same_networks:
        return (*a, *(-part for part in b))
    if not b:
        return a
    if [len(part) for part in a] != [len(part) for part in b]:
        return ()
    return tuple(x - y for x, y in zip(a, b, strict=True))
