"""Generalized Gaussians: the published divergences, fits of known densities, an integral."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from analysis.stats.generalized_gaussian import GGD, density, fit_ggd, kl_ggd, ratio, shape_of
from mtd.utils.errors import BadInput

GOLDEN = {
    (1, 2, 2, 2): (0.318147, 4.502642),
    (2, 2, 1, 2): (0.806853, 4.906800),
    (1, 2, 1, 1): (0.056014, 3.748376),
    (1, 1, 1, 2): (0.072365, 3.859588),
    (0.05, 0.7, 0.09, 0.55): (0.0565617, 3.752599),
    (1, 0.2, 1.5, 0.25): (0.112981, 4.053043),
}
number = st.floats(0.3, 5)


@pytest.mark.parametrize("given", GOLDEN)
def test_published_divergences(given):
    kl, score = GOLDEN[given]
    found = kl_ggd(*given)
    assert found == pytest.approx(kl, abs=6e-7)
    assert math.log10(found + 1e-5) + 5 == pytest.approx(score, abs=6e-7)


@pytest.mark.parametrize("first", [(1, 1), (0.4, 2), (2, 0.8), (1, 4)])
@pytest.mark.parametrize("second", [(1, 1), (1.5, 2), (0.7, 0.5), (1, 3)])
def test_divergence_is_the_integral(first, second):
    def log_density(x: float, sigma: float, shape: float) -> float:
        alpha = sigma * math.sqrt(math.gamma(1 / shape) / math.gamma(3 / shape))
        height = math.log(shape / (2 * alpha * math.gamma(1 / shape)))
        return height - (abs(x) / alpha) ** shape

    def inner(x: float) -> float:
        p = log_density(x, *first)
        return math.exp(p) * (p - log_density(x, *second))

    points = [first[0] * f for f in (0.01, 0.1, 1, 3, 10)]
    value = 2 * integrate.quad(inner, 0, 80 * first[0], points=points, limit=500)[0]
    assert kl_ggd(*first, *second) == pytest.approx(value, rel=1e-6, abs=1e-8)


@given(number, number, number, number)
def test_divergence_is_0_for_equal_ones_and_never_below(sigma1, shape1, sigma2, shape2):
    assert kl_ggd(sigma1, shape1, sigma2, shape2) >= 0
    assert kl_ggd(sigma1, shape1, sigma1, shape1) == pytest.approx(0, abs=1e-12)


def test_divergence_beyond_double_precision_is_infinite():
    assert kl_ggd(1, 2, 1e-160, 3) == math.inf and kl_ggd(1, 2, 1e-60, 3) < math.inf


@pytest.mark.parametrize("shape", [0.5, 1.0, 2.0, 5.0])
def test_density_is_scipys(shape):
    sigma = 1.7
    alpha = sigma * math.sqrt(math.gamma(1 / shape) / math.gamma(3 / shape))
    x = np.linspace(-4, 4, 31)
    expected = stats.gennorm.pdf(x, shape, scale=alpha)
    assert density(x, sigma, shape) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("shape", [0.5, 0.858, 1.0, 2.0, 4.0])
def test_a_fit_finds_the_density_of_a_sample(shape):
    alpha = math.sqrt(math.gamma(1 / shape) / math.gamma(3 / shape))
    values = stats.gennorm.rvs(shape, scale=3 * alpha, size=400_000, random_state=1)
    for method in ("grid", "root"):
        found = fit_ggd(values, method)
        assert found.sigma == pytest.approx(3, rel=0.02)
        assert found.shape == pytest.approx(shape, rel=0.02)


def test_grid_and_root_differ_by_half_a_step_at_most():
    rng = np.random.default_rng(0)
    for _ in range(50):
        values = rng.standard_t(rng.uniform(2.5, 30), 500)
        grid, root = fit_ggd(values), fit_ggd(values, "root")
        assert abs(grid.shape - root.shape) <= 0.0006
        moments = np.mean(values**2) / np.mean(np.abs(values)) ** 2
        assert float(ratio(root.shape)) == pytest.approx(moments, rel=1e-9)


def test_signs_do_not_matter():
    rng = np.random.default_rng(1)
    values = rng.laplace(size=1000) + 0.3
    assert fit_ggd(values) == fit_ggd(values * rng.choice([-1, 1], 1000))


@pytest.mark.parametrize("method", ["grid", "root"])
def test_shapes_stay_within_the_published_range(method):
    heavy = np.zeros(10_000)
    heavy[0] = 1
    assert fit_ggd(heavy, method) == GGD(0.01, pytest.approx(0.2))
    assert fit_ggd([-1.0, 1.0], method).shape == pytest.approx(9.999)


def test_what_cannot_be_fitted():
    with pytest.raises(BadInput, match="no values to fit"):
        fit_ggd([])
    with pytest.raises(BadInput, match="all values are 0"):
        fit_ggd([0.0, 0.0])
    with pytest.raises(BadInput, match="not finite"):
        fit_ggd([1.0, math.nan])
    with pytest.raises(BadInput, match="did you mean root"):
        fit_ggd([1.0], "roots")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="above 0"):
        kl_ggd(1, 0, 1, 1)


@pytest.mark.parametrize("shape", [0.2004, 0.5, 2.0, 9.9985])
def test_shapes_up_to_the_ends_of_the_range_are_found_exactly(shape):
    moments = math.gamma(1 / shape) * math.gamma(3 / shape) / math.gamma(2 / shape) ** 2
    assert shape_of(moments, "root") == pytest.approx(shape, rel=1e-7)
    assert shape_of(moments, "grid") == pytest.approx(shape, abs=0.000501)


@pytest.mark.parametrize("method", ["grid", "root"])
def test_shapes_beyond_the_range_are_at_its_ends(method):
    assert shape_of(1e6, method) == 0.2 and shape_of(1.0, method) == pytest.approx(9.999)
