"""Intervals over trainings against independent oracles."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from analysis.stats import trainings
from analysis.stats.controls import (
    Series,
    average,
    columns,
    difference,
    gap,
    interval,
    over_trainings,
    plain,
)

RANDOM = np.random.default_rng(5)
PHOTOGRAPHS = 12


def series(offset: float = 0.0) -> Series:
    return Series(offset + RANDOM.normal(), offset + RANDOM.normal(size=PHOTOGRAPHS))


def model(count: int, offset: float = 0.0) -> tuple[list[Series], Series]:
    single = [series(offset) for _ in range(count)]
    return single, over_trainings(single)


def test_the_interval_over_trainings_is_students() -> None:
    single, mean = model(5)
    values = [one.value for one in single]
    low, high = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
    of = columns(mean)
    assert of["trainings"] == 5
    assert (of["low_trainings"], of["high_trainings"]) == pytest.approx((low, high), rel=1e-12)


def test_the_interval_over_photographs_is_that_of_the_mean() -> None:
    single, mean = model(4)
    without = np.mean([one.without for one in single], axis=0)
    low, high = plain(float(np.mean([one.value for one in single])), without)
    of = columns(mean)
    assert (of["low_photographs"], of["high_photographs"]) == pytest.approx((low, high), rel=1e-12)


def test_both_add_as_variances() -> None:
    _, mean = model(4)
    of = columns(mean)
    low, high = interval(mean)
    halves = [mean.value - of["low_photographs"], mean.value - of["low_trainings"]]
    assert mean.value - low == pytest.approx(math.hypot(*halves), rel=1e-12)
    assert high - mean.value == pytest.approx(math.hypot(*halves), rel=1e-12)


@pytest.mark.parametrize("sizes", [(3, 3), (3, 6), (5, 4)])
def test_two_models_differ_by_welchs_interval(sizes: tuple[int, int]) -> None:
    (one, a), (two, b) = model(sizes[0], 1.0), model(sizes[1])
    oracle = stats.ttest_ind(
        [s.value for s in one], [s.value for s in two], equal_var=False
    ).confidence_interval(0.95)
    of = difference(a, b, same_networks=False)
    half = trainings.half_width(of.trainings)
    assert of.value - half == pytest.approx(oracle.low, rel=1e-12)
    assert of.value + half == pytest.approx(oracle.high, rel=1e-12)


def test_values_of_the_same_networks_are_subtracted_one_by_one() -> None:
    (one, a), (two, b) = model(4), model(4)
    paired = [x.value - y.value for x, y in zip(one, two, strict=True)]
    half = trainings.half_width(difference(a, b).trainings)
    low, _ = stats.t.interval(0.95, 3, np.mean(paired), stats.sem(paired))
    assert a.value - b.value - half == pytest.approx(low, rel=1e-12)


def test_fewer_than_three_trainings_give_no_interval_over_them() -> None:
    _, mean = model(2)
    assert interval(mean) == pytest.approx(plain(mean.value, mean.without))
    assert math.isnan(columns(mean)["low_trainings"])
    assert columns(mean)["trainings"] == 2


def test_against_a_single_network_the_trainings_do_not_count() -> None:
    _, mean = model(4)
    other = series()
    expected = plain(mean.value - other.value, mean.without - other.without)
    assert gap(mean, other, same_networks=False)[1:] == pytest.approx(expected)


def test_equal_trainings_have_an_interval_of_width_zero() -> None:
    one = series()
    mean = over_trainings([one, one, one])
    assert interval(mean) == pytest.approx(plain(one.value, one.without))


def test_means_over_layers_keep_the_trainings() -> None:
    (_, a), (_, b) = model(3), model(3)
    (mean,) = average([a, b]).trainings
    assert mean == pytest.approx((a.trainings[0] + b.trainings[0]) / 2)


def test_coverage_with_photographs_and_trainings_as_random_effects() -> None:
    """Mean of a two-way random-effects model, 5 trainings on 12 photographs."""
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        values = (
            random.normal(size=(5, 1)) * 0.3
            + random.normal(size=(1, 12)) * 0.5
            + random.normal(size=(5, 12)) * 0.3
        )
        single = [
            Series(
                float(row.mean()),
                np.array([np.delete(row, i).mean() for i in range(12)]),
            )
            for row in values
        ]
        low, high = interval(over_trainings(single))
        hits += low < 0 < high
    assert 0.92 <= hits / 400 <= 0.99
