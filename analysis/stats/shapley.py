"""A difference in decibels, divided among the parts of the errors that it is of."""

from __future__ import annotations

from itertools import permutations
from math import factorial

import numpy as np
from numpy.typing import ArrayLike, NDArray


def decibel_parts(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """How much each part of an error contributes to 10 log₁₀(Σ b / Σ a), in dB.

    The parts of error a are replaced by those of error b one after the other; a part's
    contribution is the change by its replacement, in the mean over all orders (its Shapley value),
    so that contributions add up to the whole.

    Args:
        a: (parts, …) of one error, whose sum is above 0; single parts may be below.
        b: (parts, …) of another one.

    Returns:
        (parts, …) contributions; NaN where a sum on the way is not above 0.

    Reference: Shapley 1953, *A value for n-person games*.

    >>> decibel_parts([1.0, 1.0], [10.0, 10.0]).round(6).tolist()
    [5.0, 5.0]
    """
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    found = np.zeros_like(first)
    for order in permutations(range(len(first))):
        total = first.sum(0)
        for part in order:
            after = total + second[part] - first[part]
            with np.errstate(divide="ignore", invalid="ignore"):
                change = np.where((total > 0) & (after > 0), 10 * np.log10(after / total), np.nan)
            found[part] += change
            total = after
    return found / factorial(len(first))
