"""Intervals of statistics of a benchmark, over photographs and over trainings.

They treat photographs as independent draws: all crops of one, and all photographs that are known to
show one scene, count as one (`analysis.stats.jackknife.draws`). Bounds are not clamped: an SSIM's
may exceed 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from analysis.generalization.conditions import Array, Table
from analysis.stats import jackknife
from analysis.stats.controls import COLUMNS
from analysis.stats.jackknife import LEVEL
from analysis.stats.trainings import Samples, both, half_width

Statistic = Callable[[list[Array]], Array]
"""From the mean of every condition, (models,) each, to one number for each model."""


def means(table: Table, values: Sequence[Array] | None = None) -> list[Array]:
    """The plain mean over crops of every condition."""
    return [v.mean(0) for v in (values or [c.values for c in table.conditions])]


def interval(
    table: Table,
    statistic: Statistic,
    values: Sequence[Array] | None = None,
    counts: Sequence[bool] | None = None,
    level: float = LEVEL,
) -> tuple[Array, Array, Array]:
    """A statistic of the conditions' means, with its interval over photographs.

    Each population's photographs are left out in turn (jackknife); variances of different
    populations add up: Var = Σ_s v_s, v_s = (n_s − 1)/n_s Σ_i (θ₍ᵢ₎ − θ̄)². The half width is the
    root times Student's quantile for Satterthwaite's degrees of freedom, Var² / Σ_s (v_s² /
    (n_s − 1)). For a plain mean it is the usual t interval.

    Args:
        table: the conditions.
        statistic: see `Statistic`.
        values: other values than the metric's, (crops, k) for each condition.
        counts: which conditions the statistic depends on; all by default.
        level: of confidence.

    Returns:
        value, low, high, (k,) each; NaN bounds where a population that counts has fewer than 3
        photographs.

    Reference: Efron and Stein 1981; Satterthwaite 1946, Biometrics Bulletin 2.
    """
    from scipy.stats import t

    arrays = list(values) if values is not None else [c.values for c in table.conditions]
    marks = counts if counts is not None else [True] * len(table.conditions)
    used = sorted({c.population for c, mark in zip(table.conditions, marks, strict=True) if mark})
    with np.errstate(invalid="ignore"):  # infinite values have no interval
        value = statistic([v.mean(0) for v in arrays])
        none = np.full_like(value, np.nan)
        if not used or min(table.photographs[p] for p in used) < jackknife.LEAST:
            return value, none, none.copy()
        parts = {p: jackknifed(table, statistic, arrays, p) for p in used}
        variance: Array = np.sum(list(parts.values()), axis=0)
        freedom = sum(v**2 / (table.photographs[p] - 1) for p, v in parts.items())
        least = min(table.photographs[p] for p in used) - 1
        degrees = np.where(variance > 0, variance**2 / np.where(variance > 0, freedom, 1), least)
        half = np.sqrt(variance) * t.ppf((1 + level) / 2, degrees)
        return value, value - half, value + half


def jackknifed(
    table: Table, statistic: Statistic, values: Sequence[Array], population: int
) -> Array:
    """Jackknife variance of a statistic over one population's photographs, (k,)."""
    n, without = table.photographs[population], []
    for left in range(n):
        without.append(
            statistic(
                [
                    v[c.units != left].mean(0) if c.population == population else v.mean(0)
                    for c, v in zip(table.conditions, values, strict=True)
                ]
            )
        )
    change = np.stack(without)
    variance: Array = (n - 1) / n * np.square(change - change.mean(0)).sum(0)
    return variance


class Estimate(NamedTuple):
    """A statistic with its intervals.

    Attributes:
        value: (k,), of one or several models or differences.
        low: (k,) of the interval over photographs.
        high: (k,) of the interval over photographs.
        half: (k,) half the width of that over trainings; NaN where there is none.
    """

    value: Array
    low: Array
    high: Array
    half: Array

    def bounds(self) -> tuple[Array, Array]:
        """Of the interval over photographs, and over trainings where there are three of a model."""
        return both((self.low, self.high), self.value, self.half)

    def columns(self, prefix: str = "") -> dict[str, Array]:
        """Both intervals apart, as the columns `analysis.stats.controls.COLUMNS`."""
        ends = (self.low, self.high, self.value - self.half, self.value + self.half)
        return {f"{prefix}{name}": end for name, end in zip(COLUMNS[1:], ends, strict=True)}


def estimate(
    table: Table,
    statistic: Statistic,
    samples: Sequence[Samples],
    values: Sequence[Array] | None = None,
    counts: Sequence[bool] | None = None,
    level: float = LEVEL,
) -> Estimate:
    """As `interval`, also over trainings.

    Args:
        table: the conditions.
        statistic: see `interval`.
        samples: (k,) of each value those of its trainings, see `analysis.stats.trainings`.
        values: see `interval`.
        counts: see `interval`.
        level: of confidence.
    """
    with np.errstate(invalid="ignore"):  # infinite values have no interval
        half = np.array([float(half_width(one, level)) for one in samples])
    return Estimate(*interval(table, statistic, values, counts, level), half)
