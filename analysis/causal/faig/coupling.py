"""Whether a difference of attributions ranks filters by how large both of them are.

F(x_A) − F(x_B) has a negative correlation with F(x_B), and a positive one with F(x_A), even where
the two have nothing in common, since it contains them. It is therefore compared with their mean,
with which it is uncorrelated where both have the same spread (Bland and Altman 1986, Lancet 327).
As the spreads differ, the same of pairs at random is shown beside it: F(x_A) of each filter with
F(x_B) of another.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from analysis.stats.rank_correlation import coefficient
from mtd.utils import seeds

Array = NDArray[np.float64]

PAIRINGS = 100
"""Random pairings over which the value by chance is averaged."""


def with_mean(a: Array, b: Array) -> float:
    """Spearman's correlation of a − b with (a + b) / 2; NaN where one of them does not vary.

    >>> a = np.array([1.0, 2.0, 3.0])
    >>> with_mean(a, 3 * a), with_mean(3 * a, a)
    (-1.0, 1.0)
    """
    return coefficient(a - b, (a + b) / 2)


def by_chance(a: Array, b: Array, seed: int) -> float:
    """The mean of `with_mean` over `PAIRINGS` pairings of a with b at random.

    Args:
        a: (filters,).
        b: (filters,).
        seed: of the run.
    """
    stream = seeds.generator("pairing of attributions", seed)
    found = []
    for _ in range(PAIRINGS):
        order = torch.randperm(len(a), generator=stream).numpy()
        found.append(with_mean(a[order], b))
    known = [value for value in found if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan
