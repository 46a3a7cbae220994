"""Correlations of a difference with its parts, which share them, and with the mean."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.causal.faig.coupling import by_chance, with_mean

COUNT = 3000


def independent(spread: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.lognormal(0, 0.5, COUNT) * spread, rng.lognormal(0, 0.5, COUNT)


def test_independent_values_of_one_spread_are_not_coupled_with_their_mean():
    a, b = independent(1.0)
    assert stats.spearmanr(a - b, b).statistic < -0.6  # by coupling alone
    assert abs(with_mean(a, b)) < 3 / np.sqrt(COUNT)
    assert with_mean(a, b) == pytest.approx(stats.spearmanr(a - b, (a + b) / 2).statistic)


@pytest.mark.parametrize("spread", [0.5, 1.0, 3.0])
def test_chance_is_the_value_of_independent_ones(spread: float):
    a, b = independent(spread)
    assert by_chance(a, b, 0) == pytest.approx(with_mean(a, b), abs=0.06)
    assert by_chance(a, b, 0) == by_chance(a, b, 0) != by_chance(a, b, 1)


def test_a_common_factor_is_above_chance():
    a, b = independent(1.0)
    common = np.random.default_rng(1).lognormal(0, 1, COUNT)
    assert with_mean(2 * common * a, common * b) > by_chance(2 * common * a, common * b, 0) + 0.05


def test_there_is_none_where_nothing_varies():
    ones = np.ones(10)
    assert np.isnan(with_mean(ones, ones)) and np.isnan(by_chance(ones, ones, 0))
