"""A value beside its controls, each with the same photographs left out in turn.

See `analysis.engine.controls` for what the controls are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.stats import jackknife, rounding, trainings

Array = NDArray[np.float64]
Bounds = Callable[[float, Array], tuple[float, float]]


class Series(NamedTuple):
    """A value, the same without each photograph, and that of each training.

    Attributes:
        value: of a network, or the mean over several trainings.
        without: (photographs,) the value with each photograph left out.
        trainings: independent samples of trainings, of whose means the value is the sum: one for a
            model with several trainings, two for the difference of two such models, none for single
            networks.
        scale: of a difference, or a relative error, the size of what was compared, which decides
            how much of it may be rounding; 0 of other values. See `analysis.stats.rounding`.
    """

    value: float
    without: Array
    trainings: trainings.Samples = ()
    scale: float = 0.0

    @property
    def size(self) -> float:
        """What the rounding of the value is relative to: its scale, or else itself."""
        return self.scale or abs(self.value)

    def log(self) -> Series:
        """The natural logarithm, of the trainings by the delta method; NaN of what is not above 0.

        With m the mean over trainings, training i is ln m + (xᵢ − m) / m, so that their mean is the
        logarithm of the value, which the mean of ln xᵢ is not. Its scale is the relative one.
        """
        value = float(positive_log(np.asarray(self.value)))
        m = self.value if self.value > 0 else math.nan
        samples = tuple(
            (0.0 if place else value) + (of - of.mean(0)) / m
            for place, of in enumerate(self.trainings)
        )
        without = positive_log(np.asarray(self.without))
        return Series(value, without, samples, max(1.0, self.size / m))


def positive_log(x: Array) -> Array:
    """The natural logarithm; NaN of what is not above 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(x > 0, np.log(x), np.nan)


NOTHING = Series(math.nan, np.zeros(0))


def mean_of(values: Array, draws: NDArray[np.int64], scale: float = 0.0) -> Series:
    """The mean over crops, and without each photograph; `NOTHING` where a crop has no value.

    Args:
        values: (crops,).
        draws: (crops,) the photograph of each; see `jackknife.draws`.
        scale: see `Series`.

    >>> mean_of(np.array([1.0, 2.0, 6.0]), np.array([0, 0, 1]))
    Series(value=3.0, without=array([6. , 1.5]), trainings=(), scale=0.0)
    """
    if not len(values) or np.isnan(values).any():
        return NOTHING
    count = int(draws.max()) + 1
    without = [values[draws != draw].mean() for draw in range(count) if count > 1]
    return Series(float(values.mean()), np.array(without), scale=scale)


def average(series: Sequence[Series]) -> Series:
    """The mean of several values of the same networks; `NOTHING` of none."""
    if not series:
        return NOTHING
    value = float(np.mean([one.value for one in series]))
    of = trainings.mean([one.trainings for one in series])
    scale = float(np.mean([one.scale for one in series]))
    if len({len(one.without) for one in series}) > 1:
        return Series(value, np.zeros(0), of, scale)
    return Series(value, np.mean([one.without for one in series], axis=0), of, scale)


def over_trainings(series: Sequence[Series]) -> Series:
    """The mean over the trainings of a model; that of a single network is itself.

    >>> over_trainings([Series(1.0, np.zeros(2)), Series(2.0, np.ones(2))])
    Series(value=1.5, without=array([0.5, 0.5]), trainings=(array([1., 2.]),), scale=0.0)
    """
    if len(series) == 1:
        return series[0]
    return average(series)._replace(trainings=(np.array([one.value for one in series]),))


def difference(a: Series, b: Series, same_networks: bool = True) -> Series:
    """a − b of the same photographs.

    Args:
        a: a value.
        b: another one; where it has no trainings, it is taken as a constant over those of a.
        same_networks: whether both are of the same trainings, which are then subtracted one by
            one; otherwise those of two models are independent. Where one is a single network, the
            difference has the spread of the other's trainings alone, which says nothing about
            other trainings of the single one.
    """
    value = a.value - b.value
    alike = len(a.without) == len(b.without)
    without = a.without - b.without if alike else np.zeros(0)
    samples = trainings.subtract(a.trainings, b.trainings, same_networks)
    return Series(value, without, samples, max(a.size, b.size))


def deviation(series: Sequence[Series]) -> float:
    """The standard deviation over several values, over n − 1; NaN for fewer than two."""
    values = [one.value for one in series]
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def plain(value: float, without: Array, level: float = jackknife.LEVEL) -> tuple[float, float]:
    """The jackknife interval, one photograph left out at a time."""
    low, high = jackknife.interval(np.array(value), without, level)
    return float(low), float(high)


def interval(
    of: Series, bounds: Bounds = plain, level: float = jackknife.LEVEL
) -> tuple[float, float]:
    """The interval of a value: over photographs, and over trainings where there are three.

    The two are independent sources, so that their half-widths are added as variances. NaN where
    there is no interval over photographs. It includes 0 where the value may be rounding alone.

    Args:
        of: the value.
        bounds: makes the interval over photographs, of the same level.
        level: of confidence.

    >>> interval(Series(1.0, np.array([1.0, 1.0, 1.0]), (np.array([0.0, 1.0, 2.0]),)))
    (-1.4841377117..., 3.4841377117...)
    """
    if not len(of.without):
        return math.nan, math.nan
    photographs = bounds(of.value, of.without)
    half = float(trainings.half_width(of.trainings, level))
    low, high = trainings.both(photographs, of.value, half)
    return rounding.covered(float(low), float(high), of.value, of.scale)


COLUMNS = ("trainings", "low_photographs", "high_photographs", "low_trainings", "high_trainings")
"""Columns of tables with models of several trainings: their number, and the intervals over
photographs and over trainings, both of which are in `low` and `high`."""


def columns(of: Series, bounds: Bounds = plain, prefix: str = "") -> dict[str, Any]:
    """The columns `COLUMNS` of a value; a single network is one training without an interval.

    Args:
        of: the value.
        bounds: makes its interval over photographs.
        prefix: of the bounds' columns, in tables with several values.
    """
    low, high = bounds(of.value, of.without) if len(of.without) else (math.nan, math.nan)
    half = float(trainings.half_width(of.trainings))
    number = min(map(len, of.trainings), default=1)
    photographs = rounding.covered(float(low), float(high), of.value, of.scale)
    others = rounding.covered(of.value - half, of.value + half, of.value, of.scale)
    values = (number, *photographs, *others)
    names = (COLUMNS[0], *(f"{prefix}{name}" for name in COLUMNS[1:]))
    return dict(zip(names, values, strict=True))


def gap(
    a: Series,
    b: Series,
    sd: float = 0.0,
    draws: int | None = None,
    bounds: Bounds = plain,
    same_networks: bool = True,
    level: float = jackknife.LEVEL,
) -> tuple[float, float, float]:
    """a − b with its interval; see `interval`.

    Where b is a mean over draws, the uncertainty of that mean, t₍ᵣ₋₁₎ · sd / √r for r draws, is
    added as a variance; the interval is then symmetric. A single draw has no interval.

    Args:
        a: a value.
        b: another one of the same photographs.
        sd: standard deviation over the draws of which b is the mean.
        draws: their number; None where b is no mean over draws.
        bounds: makes an interval from a value and the values without photographs.
        same_networks: see `difference`.
        level: of confidence; for another than 95%, `bounds` takes it as a keyword.

    Returns:
        The difference and its bounds, NaN where there is none.

    >>> without = np.array([1.0, 2.0, 3.0])
    >>> gap(Series(2.0, without), Series(1.0, without))
    (1.0, 1.0, 1.0)
    """
    of = difference(a, b, same_networks)
    own = bounds if level == jackknife.LEVEL else partial(bounds, level=level)  # type: ignore[call-arg]
    low, high = interval(of, own, level)
    if draws is not None and draws < 2:
        return of.value, math.nan, math.nan
    if draws is not None:
        from scipy.special import stdtrit

        half = float(stdtrit(draws - 1, (1 + level) / 2)) * sd / math.sqrt(draws)
        half = math.hypot(half, (high - low) / 2)
        return of.value, of.value - half, of.value + half
    return of.value, low, high


def ratio_columns(of: Series) -> dict[str, Any]:
    """`columns` of a value above 0, with the intervals of its logarithm."""
    found = columns(of.log())
    return {
        name: value if name == COLUMNS[0] else float(np.exp(value)) for name, value in found.items()
    }


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

    @classmethod
    def over_trainings(cls, controls: Sequence[Controls]) -> Controls:
        """The controls of the mean over the trainings of a model, which share untrained ones."""
        first, *others = controls
        if not others:
            return first
        floor = float(np.mean([one.floor for one in controls]))
        return cls(over_trainings([one.ceiling for one in controls]), floor, first.untrained)

    def columns(self) -> dict[str, float]:
        """The columns of a table beside a value; NaN where there is no control."""
        return {
            "ceiling": self.ceiling.value,
            "floor": self.floor,
            "untrained": average(self.untrained).value,
            "untrained_sd": deviation(self.untrained),
        }

    def gaps(self, of: Series, bounds: Bounds = plain, noises: int = 1) -> dict[str, float]:
        """How far a value is above its ceiling and above untrained networks; see `gap`.

        `_low` and `_high` are the 95% interval, `_band_low` and `_band_high` hold for all noises at
        once (Bonferroni: for N noises, intervals of level 1 − 0.05/N).

        Args:
            of: the value.
            bounds: makes its interval over photographs.
            noises: under which there is such a value.
        """
        mean, sd, count = average(self.untrained), deviation(self.untrained), len(self.untrained)
        found: dict[str, float] = {}
        every = 1 - (1 - jackknife.LEVEL) / max(1, noises)
        for ends, level in (("", jackknife.LEVEL), ("_band", every)):
            above = gap(of, self.ceiling, bounds=bounds, level=level)
            beyond = gap(of, mean, sd, count, bounds, level=level)
            for name, (value, low, high) in (("above_ceiling", above), ("above_untrained", beyond)):
                found |= {} if ends else {name: value}
                found |= {f"{name}{ends}_low": low, f"{name}{ends}_high": high}
        return found


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
