"""Paired tests: Wilcoxon's signed-rank test, and Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEVEL = 0.05
"""Of a test: the p-value below which it decides."""

EXACT = 50
"""The largest number of differences for which Wilcoxon's p-value is exact."""


def wilcoxon(differences: Array) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test that paired differences are centered on 0.

    Zeros are left out, as Wilcoxon did, and ties share their mean rank. For up to 50 differences
    other than 0 it is exact: twice the share of all 2ⁿ choices of signs for which the sum of the
    positive ranks is at most the smaller of the sums of positive and of negative ranks. Of more it
    is the normal approximation without correction for continuity (SciPy). 1 if all are zero, NaN if
    any is not finite.

    Args:
        differences: (n,).

    Reference: Wilcoxon 1945, Biometrics Bulletin 1.
    """
    from scipy import stats

    if not np.isfinite(differences).all():
        return float("nan")
    if not differences.any():
        return 1.0
    nonzero = differences[differences != 0]
    if len(nonzero) > EXACT:
        return float(stats.wilcoxon(nonzero, method="asymptotic").pvalue)
    doubled = np.rint(2 * stats.rankdata(np.abs(nonzero))).astype(int)  # mean ranks are halves
    choices = np.zeros(doubled.sum() + 1)  # of signs, by the sum of the positive ranks
    choices[0] = 1
    for rank in doubled:
        choices[rank:] += choices[:-rank].copy()
    positive = int(doubled[nonzero > 0].sum())
    smaller = min(positive, len(choices) - 1 - positive)
    return min(1.0, 2 * float(choices[: smaller + 1].sum()) / 2.0 ** len(nonzero))


def least_p(draws: int, tests: int = 1) -> float:
    """The smallest p-value that Wilcoxon's test can give, corrected by Holm: m · 2^(1 − n), or 1.

    That of n differences which all have one sign, where none of the m tests has a smaller p-value.

    Args:
        draws: n.
        tests: m.

    >>> least_p(7), least_p(7, 39)
    (0.015625, 0.609375)
    """
    return min(1.0, tests * 2.0 ** (1 - draws))


def draws_needed(tests: int, level: float) -> int:
    """The smallest number of differences with which one of m tests can fall below a level.

    >>> draws_needed(1, 0.05), draws_needed(39, 0.05)
    (6, 11)
    """
    return next(n for n in count(1) if least_p(n, tests) < level)


def holm(p: Sequence[float]) -> Array:
    """p-values corrected for their number by Holm's step-down rule; NaN stays and does not count.

    The k-th smallest of m is multiplied by m − k + 1, none is below the one before it or above 1.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]

    Reference: Holm 1979, Scandinavian Journal of Statistics 6.
    """
    values = np.asarray(p, dtype=float)
    corrected = np.full_like(values, np.nan)
    order = [i for i in np.argsort(values, kind="stable") if not np.isnan(values[i])]
    highest = 0.0
    for place, index in enumerate(order):
        highest = max(highest, min(1.0, float(values[index]) * (len(order) - place)))
        corrected[index] = highest
    return corrected
