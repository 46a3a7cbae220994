"""Spearman's rank correlation, with its interval and p-value."""

from __future__ import annotations

import math
from itertools import permutations
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

LEAST = 4
"""Fewest pairs for an interval."""

EXACT = 8
"""Most pairs for which all orders are tried for a p-value."""


class Correlation(NamedTuple):
    """A rank correlation with its 95% interval and p-value."""

    value: float
    low: float
    high: float
    p: float


def coefficient(x: ArrayLike, y: ArrayLike) -> float:
    """Spearman's ρ alone, without interval and p-value; see `spearman`.

    >>> coefficient([1, 2, 3], [2, 4, 9]), coefficient([1, 2], [3, 3])
    (1.0, nan)
    """
    a, b = (stats.rankdata(side) for side in (x, y))
    if len(a) < 2 or np.isnan([*a, *b]).any() or np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    value = float(np.corrcoef(a, b)[0, 1])
    return float(round(value)) if abs(value) > 1 - 1e-12 else value


def spearman(x: ArrayLike, y: ArrayLike) -> Correlation:
    """Spearman's ρ: Pearson's correlation of ranks, ties sharing theirs.

    The interval is tanh(atanh ρ ± 1.96 √((1 + ρ²/2) / (n − 3))); at |ρ| = 1 there is none. The
    two-sided p-value is the share of all orders of y that give as large a |ρ|, for up to 8 pairs
    (SciPy's `permutation_test` would double the smaller tail); above, SciPy's approximation.

    Args:
        x: (n,).
        y: (n,).

    Returns:
        NaN where one side does not vary, or has a NaN; no interval below 4 pairs, or if ranks agree
        throughout.

    Reference: Bonett and Wright 2000, Psychometrika 65.
    """
    value = coefficient(x, y)
    if math.isnan(value):
        return Correlation(*4 * [math.nan])
    a, b = (stats.rankdata(side) for side in (x, y))
    n = len(a)
    if n <= EXACT:
        orders = np.array(list(permutations(b)))
        coefficients = (orders - b.mean()) @ (a - a.mean()) / (n * a.std() * b.std())
        p = float(np.mean(np.abs(coefficients) >= abs(value) - 1e-9))
    else:
        p = float(stats.spearmanr(a, b).pvalue)
    if n < LEAST or abs(value) == 1:
        return Correlation(value, math.nan, math.nan, p)
    half = 1.96 * math.sqrt((1 + value**2 / 2) / (n - 3))
    low, high = (math.tanh(math.atanh(value) + side * half) for side in (-1, 1))
    return Correlation(value, low, high, p)
