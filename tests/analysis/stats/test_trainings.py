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
    ratio_columns,
)
from analysis.stats.model_differences import compared

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


@pytest.mark.parametrize("sign", [1, -1])
def test_against_a_single_network_the_spread_of_the_one_side_counts(sign: int) -> None:
    single, mean = model(4)
    other = series()
    low, high = plain(mean.value - other.value, mean.without - other.without)
    # by hand: t with 3 degrees of freedom × s / √4, added to the other half-width as a variance
    half = 3.182446305284263 * np.std([one.value for one in single], ddof=1) / 2
    half = math.hypot(half, (high - low) / 2)
    a, b = (mean, other)[::sign]
    value = sign * (mean.value - other.value)
    expected = (value, value - half, value + half)
    assert gap(a, b, same_networks=False) == pytest.approx(expected)
    assert np.isfinite(list(columns(difference(a, b, same_networks=False)).values())).all()


def test_logarithms_of_trainings_are_centered_on_that_of_their_mean() -> None:
    """By hand for 1, 10, 100, of mean 37 and standard deviation √2997: s / m / √3 · t₂."""
    without = np.linspace(36, 38, PHOTOGRAPHS)
    of = over_trainings([Series(x, without) for x in (1.0, 10.0, 100.0)])
    log = of.log()
    assert log.value == pytest.approx(math.log(37))
    assert log.trainings[0].mean() == pytest.approx(math.log(37))
    half = 4.302652729911275 * math.sqrt(2997) / 37 / math.sqrt(3)
    bounds = columns(log)
    assert bounds["low_trainings"] == pytest.approx(math.log(37) - half)
    assert bounds["high_trainings"] == pytest.approx(math.log(37) + half)
    assert math.isnan(Series(-1.0, without, of.trainings).log().value)
    ratio = ratio_columns(of)
    assert ratio["low_trainings"] < 37 < ratio["high_trainings"]


def test_a_ratio_of_models_of_large_spread_lies_in_its_interval() -> None:
    a = over_trainings([Series(x, np.full(PHOTOGRAPHS, 37.0)) for x in (1.0, 10.0, 100.0)])
    b = over_trainings([Series(x, np.full(PHOTOGRAPHS, 7.0)) for x in (1.0, 1.0, 19.0)])
    value, low, high = compared((a, b), plain, 0.95, ratio=True)
    assert value == pytest.approx(37 / 7) and low < value < high
    of = difference(a.log(), b.log(), same_networks=False)
    centers = [float(one.mean()) for one in of.trainings]
    assert sum(centers) == pytest.approx(math.log(37 / 7))
    assert low * high == pytest.approx(value**2)


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
