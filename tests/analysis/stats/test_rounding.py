"""An effect of the size of rounding is never shown, a small one beyond it is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from analysis.stats import rounding
from analysis.stats.controls import average, difference, gap, interval, mean_of
from analysis.stats.model_differences import MEAN, of_pairs, table
from analysis.text import verdicts

COUNT = 12
DRAWS = np.arange(COUNT)


def values(seed: int = 0) -> np.ndarray:
    return 30 + np.random.default_rng(seed).normal(size=COUNT)


def rounded(of: np.ndarray, seed: int = 1) -> np.ndarray:
    """The same, off by up to 4e-7 of the values, always to one side."""
    return of * (1 + np.random.default_rng(seed).uniform(2e-7, 4e-7, COUNT))


def excludes_zero(low: float, high: float) -> bool:
    return verdicts.verdict(low, high, COUNT) == "shown"


def test_a_difference_of_the_size_of_rounding_has_an_interval_with_zero():
    x = values()
    a, b = mean_of(rounded(x), DRAWS), mean_of(x, DRAWS)
    assert excludes_zero(*stats.ttest_rel(rounded(x), x).confidence_interval(0.95))
    of = difference(a, b)
    low, high = interval(of)
    assert low < 0 < of.value < high
    # widened by the tolerance, which is of the values, not of their difference
    assert high - of.value > rounding.RELATIVE * x.mean()
    assert gap(a, b)[1] < 0 < gap(a, b)[2]


@pytest.mark.parametrize("size", [1e-3, 1e-4])
def test_a_small_difference_beyond_rounding_keeps_its_interval(size: float):
    x = values()
    y = x * (1 + size) + size * np.random.default_rng(2).normal(size=COUNT)
    found = interval(difference(mean_of(y, DRAWS), mean_of(x, DRAWS)))
    expected = tuple(stats.ttest_rel(y, x).confidence_interval(0.95))
    assert excludes_zero(*found)
    assert found == pytest.approx(expected, rel=1e-9)


def test_tables_of_models_use_the_scale_of_the_values():
    x, y = values(), values(3)
    series = {
        "a": {"x": mean_of(x, DRAWS), "y": mean_of(y, DRAWS)},
        "b": {"x": mean_of(rounded(x), DRAWS), "y": mean_of(rounded(y), DRAWS)},
    }
    for ratio in (False, True):
        frame = table(series, COUNT, ratio=ratio)
        middle = 1.0 if ratio else 0.0
        assert set(frame.noise) == {"x", "y", MEAN}
        for ends in ("", "band_"):
            assert ((frame[f"{ends}low"] < middle) & (middle < frame[f"{ends}high"])).all()
    apart = {**series, "b": {"x": mean_of(1.001 * x, DRAWS), "y": mean_of(1.001 * y, DRAWS)}}
    for ratio in (False, True):
        frame = table(apart, COUNT, ratio=ratio)
        assert (frame.low > (1.0 if ratio else 0.0)).all()


def test_a_value_can_have_a_larger_scale_than_itself():
    """As of relative errors, whose rounding is that of what they are relative to."""
    each = np.random.default_rng(0).uniform(5e-8, 8e-8, COUNT)
    plain, relative = mean_of(each, DRAWS), mean_of(each, DRAWS, scale=1.0)
    assert excludes_zero(*interval(plain)) and not excludes_zero(*interval(relative))
    other = mean_of(2 * each, DRAWS, scale=1.0)
    assert excludes_zero(*interval(difference(mean_of(2 * each, DRAWS), plain)))
    assert not excludes_zero(*interval(difference(other, relative)))
    assert average([relative, other]).scale == 1.0
    pairs = {("a", "b"): {"x": difference(other, relative)}}
    (row,) = of_pairs(pairs, COUNT).itertuples()
    assert row.low < 0 < row.high and row.band_low < 0 < row.band_high


def test_without_an_interval_or_a_finite_scale_nothing_changes():
    assert all(map(math.isnan, rounding.covered(math.nan, math.nan, 1e-9, 1.0)))
    assert rounding.covered(1.0, 2.0, 1.5, math.inf) == (1.0, 2.0)
    assert rounding.covered(1.0, 2.0, 1.5, math.nan) == (1.0, 2.0)
    assert rounding.covered(0.0, 0.0, 0.0, 1.0) == (0.0, 0.0)
    assert rounding.covered(-1e-9, 2e-9, 1e-9, 1.0) == (-1e-9, 2e-9)
