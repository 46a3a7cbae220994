"""A value beside its controls: differences with intervals, means over networks, halves."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from analysis.stats.controls import (
    NOTHING,
    Controls,
    Series,
    average,
    deviation,
    gap,
    halves,
    mean_of,
)

RNG = np.random.default_rng(0)
X, Y = RNG.normal(3, size=12), RNG.normal(1, size=12)


def mean(values: np.ndarray) -> Series:
    """A mean, whose jackknife interval is Student's."""
    return Series(values.mean(), np.array([np.delete(values, i).mean() for i in range(12)]))


def test_a_difference_has_the_interval_of_paired_samples():
    found = gap(mean(X), mean(Y))
    low, high = stats.ttest_rel(X, Y).confidence_interval()
    assert found == pytest.approx((X.mean() - Y.mean(), low, high))


def test_the_uncertainty_over_untrained_networks_is_added_as_a_variance():
    networks = [mean(Y), mean(Y + 0.5), mean(Y - 0.2)]
    found = Controls(mean(Y), math.nan, networks).gaps(mean(X))
    _, low, high = gap(mean(X), average(networks))
    over = stats.sem([one.value for one in networks]) * stats.t.ppf(0.975, 2)
    half = math.hypot((high - low) / 2, over)
    assert found["above_untrained_high"] - found["above_untrained"] == pytest.approx(half)
    assert found["above_untrained"] - found["above_untrained_low"] == pytest.approx(half)
    assert found["above_untrained"] == pytest.approx(X.mean() - Y.mean() - 0.1)


def test_what_is_missing_is_blank():
    nothing = Controls(NOTHING, math.nan, ())
    columns = nothing.columns() | nothing.gaps(mean(X))
    assert all(math.isnan(value) for value in columns.values()) and len(columns) == 14
    one = Controls(NOTHING, 0.5, [mean(Y)]).columns()
    assert one["untrained"] == Y.mean() and math.isnan(one["untrained_sd"]) and one["floor"] == 0.5
    value, low, high = gap(mean(X), Series(1.0, np.zeros(0)))
    assert value == X.mean() - 1 and math.isnan(low) and math.isnan(high)
    assert math.isnan(deviation([mean(X)])) and math.isnan(average([]).value)
    assert math.isnan(Series(0.0, np.ones(2)).log().value)


def test_a_single_untrained_network_gives_no_interval():
    found = Controls(NOTHING, math.nan, [mean(Y)]).gaps(mean(X))
    assert found["above_untrained"] == pytest.approx(X.mean() - Y.mean())
    assert math.isnan(found["above_untrained_low"]) and math.isnan(found["above_untrained_high"])


def test_halves_share_no_photograph():
    draws = np.array([0, 0, 1, 2, 2, 3, 1])
    a, b = halves(draws)
    assert sorted([*a, *b]) == list(range(7)) and not {*draws[a]} & {*draws[b]}
    assert halves(np.zeros(5, dtype=np.int64)) == []


def test_bands_hold_for_all_noises_at_once():
    networks = [mean(Y), mean(Y + 0.5), mean(Y - 0.2)]
    controls = Controls(mean(Y), math.nan, networks)
    found, alone = controls.gaps(mean(X), noises=5), controls.gaps(mean(X))
    low, high = stats.ttest_rel(X, Y).confidence_interval(0.99)
    bands = found["above_ceiling_band_low"], found["above_ceiling_band_high"]
    assert bands == pytest.approx((low, high))
    for name in ("above_ceiling", "above_untrained"):
        for end in ("low", "high"):
            assert alone[f"{name}_band_{end}"] == alone[f"{name}_{end}"] == found[f"{name}_{end}"]
    over = stats.sem([one.value for one in networks]) * stats.t.ppf(0.995, 2)
    paired = stats.ttest_rel(X, Y + 0.1).confidence_interval(0.99)
    half = math.hypot((paired.high - paired.low) / 2, over)
    assert found["above_untrained_band_high"] - found["above_untrained"] == pytest.approx(half)


def test_a_mean_over_crops_and_without_each_photograph():
    draws = np.array([0, 0, 0, 1, 1, 2, 3, 3, 3, 3, 4, 4])
    found = mean_of(X, draws, 2.5)
    assert found.value == pytest.approx(X.mean()) and found.scale == 2.5
    assert found.without == pytest.approx([X[draws != i].mean() for i in range(5)])
    assert len(mean_of(X, np.zeros(12, dtype=np.int64)).without) == 0, "there is no other"
    for values in (np.zeros(0), np.array([1.0, math.nan, 2.0])):
        nothing = mean_of(values, np.arange(len(values)))
        assert math.isnan(nothing.value) and len(nothing.without) == 0


def test_logarithms_of_numbers_below_1():
    found = Series(0.25, np.array([0.5, 1.0, 4.0, 0.0, -1.0])).log()
    assert found.value == pytest.approx(-2 * math.log(2))
    assert found.without[:3] == pytest.approx([-math.log(2), 0, 2 * math.log(2)])
    assert np.isnan(found.without[3:]).all()
