"""Differences between models under the same noise, the same photographs left out on both sides."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from itertools import combinations
from typing import Protocol

import numpy as np
import pandas as pd

from analysis.stats import jackknife
from analysis.stats.controls import Array, Series, average, difference, interval, plain


class Bounds(Protocol):
    """Makes an interval over photographs from a value and the values without each of them."""

    def __call__(self, value: float, without: Array, level: float) -> tuple[float, float]:
        """The bounds, of a level of confidence."""


MEAN = "mean over noises"
"""Stands for a noise where a row is of the means over noises."""

COLUMNS = (
    *("model_a", "model_b", "noise", "value", "low", "high", "band_low", "band_high"),
    "photographs",
)


def table(
    values: Mapping[str, Mapping[str, Series]],
    photographs: int,
    bounds: Bounds = plain,
    ratio: bool = False,
) -> pd.DataFrame:
    """Every two models under every noise, and in the mean over noises: model b minus model a.

    `low` and `high` are the 95% interval of the difference; `band_low` and `band_high` hold for all
    noises of two models at once (Bonferroni: for N noises, intervals of level 1 − 0.05/N). The row
    `mean over noises` is of the noises under which every model has a value; its band is its
    interval. Where both models have three trainings or more, intervals are over these, too.

    Args:
        values: by model and noise, each with the same photographs left out.
        photographs: their number.
        bounds: makes the intervals over photographs.
        ratio: model b over model a instead, with intervals of logarithms; NaN where a value is not
            above 0.

    >>> left_out = np.arange(4.0)
    >>> frame = table(
    ...     {"a": {"x": Series(1.0, left_out)}, "b": {"x": Series(3.0, left_out + 2)}}, 4
    ... )
    >>> frame[["model_a", "model_b", "noise", "value", "low", "high"]].values.tolist()
    [['a', 'b', 'x', 2.0, 2.0, 2.0]]
    """
    of = {model: with_mean(by_noise, shared(values)) for model, by_noise in values.items()}
    rows = []
    for a, b in combinations(of, 2):
        noises = [noise for noise in of[a] if noise in of[b]]
        known = sum(finite(of[a][noise], of[b][noise]) for noise in noises if noise != MEAN)
        for noise in noises:
            level = jackknife.LEVEL
            every = 1 - (1 - level) / (1 if noise == MEAN else max(1, known))
            pair = of[b][noise], of[a][noise]
            numbers = compared(pair, bounds, level, ratio)
            band = compared(pair, bounds, every, ratio)[1:]
            rows.append((a, b, noise, *numbers, *band, photographs))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def of_pairs(
    pairs: Mapping[tuple[str, str], Mapping[str, Series]], photographs: int
) -> pd.DataFrame:
    """As `table`, of differences that are no differences of one value of each model.

    Args:
        pairs: by models a and b, the difference under each noise, with the same photographs left
            out; the row `mean over noises` is of those under which every pair has one.
        photographs: their number.
    """
    named = {str(place): of for place, of in enumerate(pairs.values())}
    rows = []
    for (a, b), own in zip(pairs, named.values(), strict=True):
        of = with_mean(own, shared(named))
        known = sum(finite(one) for noise, one in of.items() if noise != MEAN)
        for noise, one in of.items():
            level = 1 - (1 - jackknife.LEVEL) / (1 if noise == MEAN else max(1, known))
            band = interval(one, partial(plain, level=level), level)
            rows.append((a, b, noise, one.value, *interval(one), *band, photographs))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def finite(*series: Series) -> bool:
    """Whether all values are finite."""
    return all(math.isfinite(one.value) for one in series)


def shared(values: Mapping[str, Mapping[str, Series]]) -> list[str]:
    """The noises under which every model has a value, of the models that have any."""
    known = [
        {noise for noise, one in of.items() if not math.isnan(one.value)} for of in values.values()
    ]
    known = [noises for noises in known if noises]
    order = dict.fromkeys(noise for of in values.values() for noise in of)
    return [noise for noise in order if known and all(noise in noises for noises in known)]


def averaged(frame: pd.DataFrame) -> int:
    """The number of noises that a table's means over noises are over; see `shared`.

    >>> of = [("a", "b", "x", 1.0), ("a", "b", "y", math.nan), ("a", "b", MEAN, 1.0)]
    >>> averaged(pd.DataFrame(of, columns=["model_a", "model_b", "noise", "value"]))
    1
    """
    known = frame[(frame.noise != MEAN) & frame.value.notna()]
    pairs = known.groupby("noise").size()
    return int((pairs == len(known.drop_duplicates(["model_a", "model_b"]))).sum())


def with_mean(values: Mapping[str, Series], noises: list[str]) -> dict[str, Series]:
    """A model's values, and of several their mean over some noises."""
    own = [values[noise] for noise in noises if noise in values]
    mean = {MEAN: average(own)} if len(values) > 1 and noises and len(own) == len(noises) else {}
    return {**values, **mean}


def compared(
    pair: tuple[Series, Series], bounds: Bounds, level: float, ratio: bool
) -> tuple[float, float, float]:
    """The difference of two values, or their ratio, with its interval.

    Args:
        pair: the values.
        bounds: makes the interval.
        level: of confidence.
        ratio: the first over the second, rather than minus it.
    """
    first, second = (one.log() if ratio else one for one in pair)
    with np.errstate(invalid="ignore"):  # the difference of infinite values is no number
        of = difference(first, second, same_networks=False)
        numbers = (of.value, *interval(of, partial(bounds, level=level), level))
    value, low, high = (float(np.exp(end)) if ratio else end for end in numbers)
    return value, low, high
