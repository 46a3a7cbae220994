"""Spearman's coefficient, p-value and interval against SciPy, enumeration and the formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from analysis.stats.rank_correlation import spearman


def test_spearman_is_scipys_and_its_p_value_that_of_all_orders():
    rng = np.random.default_rng(0)
    for n in (4, 6, 7, 20):
        x, y = rng.normal(size=(2, n))
        found = spearman(x, y)
        assert found.value == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
        assert found.low < found.value < found.high and 0 < found.p <= 1
    x = [1.0, 2, 3, 4, 5]
    assert spearman(x, x).p == pytest.approx(2 / math.factorial(5))
    assert spearman(x, x).value == 1 and math.isnan(spearman(x, x).low)
    assert all(math.isnan(v) for v in spearman(x, 5 * [1.0]))
    assert all(math.isnan(v) for v in spearman(x, [*x[:4], math.nan]))
    tied = spearman([1, 1, 2, 3], [1, 2, 2, 4])
    assert tied.value == pytest.approx(stats.spearmanr([1, 1, 2, 3], [1, 2, 2, 4]).statistic)


def test_intervals_cover_the_true_correlation():
    rng, hits = np.random.default_rng(1), 0
    truth = 6 / math.pi * math.asin(0.6 / 2)  # Spearman's of a Gaussian pair with rho 0.6
    for _ in range(400):
        x = rng.normal(size=25)
        y = 0.6 * x + 0.8 * rng.normal(size=25)
        found = spearman(x, y)
        hits += found.low <= truth <= found.high
    assert 360 <= hits <= 396


@pytest.mark.parametrize("n", [5, 20])
def test_the_interval_is_that_of_the_transformed_coefficient(n):
    x, y = np.random.default_rng(n).normal(size=(2, n))
    found = spearman(x, y)
    middle = 0.5 * math.log((1 + found.value) / (1 - found.value))
    half = 1.96 * math.sqrt((1 + found.value**2 / 2) / (n - 3))
    ends = [(math.exp(2 * z) - 1) / (math.exp(2 * z) + 1) for z in (middle - half, middle + half)]
    assert (found.low, found.high) == pytest.approx(tuple(ends), abs=1e-12)
