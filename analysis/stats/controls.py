"""A value beside its controls, each with the same photographs left out in turn.

See `analysis.engine.controls` for what the controls are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.stats import jackknife

Array = NDArray[np.float64]
Bounds = Callable[[float, Array], tuple[float, float]]


class Series(NamedTuple):
    """A value, and the same without each photograph."""

    value: float
    without: Array

    def log(self) -> Series:
        """Their natural logarithms; NaN of what is not above 0."""
        with np.errstate(divide="ignore", invalid="ignore"):
            value, without = (
                np.where(np.greater(x, 0), np.log(x), np.nan) for x in (self.value, self.without)
            )
        return Series(float(value), without)


NOTHING = Series(math.nan, np.zeros(0))


def average(series: Sequence[Series]) -> Series:
    """The mean of several values, and without each photograph; `NOTHING` of none."""
    if not series:
        return NOTHING
    value = float(np.mean([one.value for one in series]))
    if len({len(one.without) for one in series}) > 1:
        return Series(value, np.zeros(0))
    return Series(value, np.mean([one.without for one in series], axis=0))


def deviation(series: Sequence[Series]) -> float:
    """The standard deviation over several values, over n − 1; NaN for fewer than two."""
    values = [one.value for one in series]
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def plain(value: float, without: Array) -> tuple[float, float]:
    """The 95% jackknife interval, one photograph left out at a time."""
    low, high = jackknife.interval(np.array(value), without)
    return float(low), float(high)


def gap(
    a: Series, b: Series, sd: float = 0.0, draws: int | None = None, bounds: Bounds = plain
) -> tuple[float, float, float]:
    """a − b with its 95% interval over photographs.

    Where b is a mean over draws, the uncertainty of that mean, t₍ᵣ₋₁₎ · sd / √r for r draws, is
    added as a variance; the interval is then symmetric. A single draw has no interval.

    Args:
        a: a value.
        b: another one of the same photographs.
        sd: standard deviation over the draws of which b is the mean.
        draws: their number; None where b is no mean over draws.
        bounds: makes an interval from a value and the values without photographs.

    Returns:
        The difference and its bounds, NaN where there is none.

    >>> without = np.array([1.0, 2.0, 3.0])
    >>> gap(Series(2.0, without), Series(1.0, without))
    (1.0, 1.0, 1.0)
    """
    value = a.value - b.value
    if len(a.without) != len(b.without) or not len(a.without):
        return value, math.nan, math.nan
    low, high = bounds(value, a.without - b.without)
    if draws is not None and draws < 2:
        return value, math.nan, math.nan
    if draws is not None:
        from scipy import stats

        half = float(stats.t.ppf((1 + jackknife.LEVEL) / 2, draws - 1)) * sd / math.sqrt(draws)
        half = math.hypot(half, (high - low) / 2)
        return value, value - half, value + half
    return value, low, high


class Controls(NamedTuple):
    """The controls of one value.

    Attributes:
        ceiling: with the reference noise drawn again; `NOTHING` where it has no other draw.
        floor: between different photographs; NaN with fewer than two.
        untrained: of each untrained network; none without.
    """

    ceiling: Series
    floor: float
    untrained: Sequence[Series]

    def columns(self) -> dict[str, float]:
        """The columns of a table beside a value; NaN where there is no control."""
        return {
            "ceiling": self.ceiling.value,
            "floor": self.floor,
            "untrained": average(self.untrained).value,
            "untrained_sd": deviation(self.untrained),
        }

    def gaps(self, of: Series, bounds: Bounds = plain) -> dict[str, float]:
        """How far a value is above its ceiling and above untrained networks; see `gap`."""
        above = gap(of, self.ceiling, bounds=bounds)
        number = len(self.untrained)
        beyond = gap(of, average(self.untrained), deviation(self.untrained), number, bounds)
        return {
            f"{name}{end}": value
            for name, values in (("above_ceiling", above), ("above_untrained", beyond))
            for end, value in zip(("", "_low", "_high"), values, strict=True)
        }


NO_CONTROLS = Controls(NOTHING, math.nan, ())
"""Of a value that has none."""


def halves(draws: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The crops of every other photograph, and those of the rest; none of a single photograph.

    Args:
        draws: (crops,), index of each crop's photograph; see `analysis.stats.jackknife.draws`.

    >>> [side.tolist() for side in halves(np.array([0, 0, 1, 2]))]
    [[0, 1, 3], [2]]
    """
    if not draws.any():
        return []
    return [np.flatnonzero(draws % 2 == side) for side in (0, 1)]
