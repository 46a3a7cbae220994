"""Cosine, CCA and soft matching against scipy, scikit-learn and loops; ideal and missing values."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.linalg import eigh, subspace_angles
from scipy.optimize import linprog
from sklearn.cross_decomposition import CCA
from sklearn.decomposition import PCA

from analysis.cka import transport as transports
from analysis.cka.feature_measures import (
    FEATURE_MEASURES,
    matched,
    mean_cosine,
    mean_squared_cca,
    pwcca,
    soft_matching,
    svcca,
)
from analysis.cka.transport import transport
from mtd.utils.errors import BadInput

Array = np.ndarray

FUNCTIONS = {
    "cosine": mean_cosine,
    "cca": mean_squared_cca,
    "svcca": svcca,
    "pwcca": pwcca,
    "soft_matching": soft_matching,
}
BY_CCA = ("cca", "svcca", "pwcca")


def related(n: int, p: int, q: int, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, 2))
    sides = [common @ rng.normal(size=(2, w)) + rng.normal(size=(n, w)) for w in (p, q)]
    return sides[0] * np.linspace(1, 3, p) + p, sides[1] * np.linspace(2, 1, q) + q


def correlations(x: Array, y: Array) -> Array:
    """From the angles between the two column spaces, by another algorithm."""
    angles = subspace_angles(x - x.mean(0), y - y.mean(0))
    return np.sort(np.cos(angles))[::-1]


def mean_square_by_regression(x: Array, y: Array) -> float:
    """The share of the variance of whitened y that a linear regression on x explains."""
    white = PCA(whiten=True, svd_solver="full").fit_transform(y)
    centered = x - x.mean(0)
    fitted = centered @ np.linalg.lstsq(centered, white, rcond=None)[0]
    explained = np.square(fitted).sum(0) / np.square(white).sum(0)
    return explained.sum() / min(x.shape[1], y.shape[1])


def mean_of_kept(x: Array, y: Array) -> float:
    """Of the principal components that scikit-learn keeps for 99% of the variance."""
    kept = [PCA(0.99, svd_solver="full").fit_transform(side) for side in (x, y)]
    return float(correlations(*kept).mean())


def weighted_by_loops(x: Array, y: Array) -> float:
    """Canonical directions of x from a generalized eigenproblem, the weights feature by feature."""
    x, y = x - x.mean(0), y - y.mean(0)
    across = x.T @ y
    inside = across @ np.linalg.solve(y.T @ y, across.T)
    squares, directions = eigh(inside, x.T @ x)
    count = min(x.shape[1], y.shape[1])
    total = weights = 0.0
    for square, direction in list(zip(squares, directions.T, strict=True))[::-1][:count]:
        variate = x @ direction
        variate /= np.linalg.norm(variate)
        weight = sum(abs(float(variate @ feature)) for feature in x.T)
        total += weight * math.sqrt(max(square, 0.0))
        weights += weight
    return total / weights


def cosines_by_loop(x: Array, y: Array) -> float:
    each = [a @ b / math.sqrt(a @ a) / math.sqrt(b @ b) for a, b in zip(x, y, strict=True)]
    return float(np.mean(each))


def best_transport(gain: Array) -> float:
    """A dense linear program over the transport plan."""
    p, q = gain.shape
    equal = []
    for i in range(p):
        equal.append(np.eye(p)[i][:, None] * np.ones(q))
    for j in range(q):
        equal.append(np.ones(p)[:, None] * np.eye(q)[j])
    sums = [1 / p] * p + [1 / q] * q
    found = linprog(-gain.ravel(), A_eq=[one.ravel() for one in equal], b_eq=sums)
    return -float(found.fun)


def best_correlation(x: Array, y: Array) -> float:
    return best_transport(np.corrcoef(x.T, y.T)[: x.shape[1], x.shape[1] :])


ORACLES = {
    "cosine": cosines_by_loop,
    "cca": mean_square_by_regression,
    "svcca": mean_of_kept,
    "pwcca": weighted_by_loops,
    "soft_matching": best_correlation,
}
every_measure = pytest.mark.parametrize("name", FEATURE_MEASURES)


@every_measure
@pytest.mark.parametrize("shape", [(60, 4, 4), (200, 6, 6), (90, 7, 3), (90, 3, 8), (50, 1, 1)])
def test_agrees_with_its_oracle(name, shape):
    x, y = related(*shape)
    if name == "cosine":
        y = np.resize(y, x.shape)
    assert FUNCTIONS[name](x, y) == pytest.approx(ORACLES[name](x, y), abs=1e-8)


def test_scikit_learn_finds_the_same_canonical_correlations():
    x, y = related(300, 3, 3)
    a, b = CCA(3, scale=False, max_iter=20000, tol=1e-12).fit_transform(x, y)
    rho = [np.corrcoef(a[:, i], b[:, i])[0, 1] for i in range(3)]
    assert mean_squared_cca(x, y) == pytest.approx(np.mean(np.square(rho)), abs=1e-5)


@every_measure
def test_identical_features_have_the_ideal_value_and_opposite_ones_as_defined(name):
    x, _ = related(80, 5, 5)
    assert FUNCTIONS[name](x, x) == pytest.approx(1, abs=1e-12)
    opposite = FUNCTIONS[name](x, -x)
    assert opposite == pytest.approx(1 if name in BY_CCA else opposite, abs=1e-12)
    assert name != "cosine" or opposite == pytest.approx(-1)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_soft_matching_of_as_many_features_is_the_best_of_all_permutations(count):
    x, y = related(30, count, count, seed=count)
    gain = np.corrcoef(x.T, y.T)[:count, count:]
    best = max(np.mean([gain[i, j] for i, j in enumerate(p)]) for p in permutations(range(count)))
    assert soft_matching(x, y) == pytest.approx(best)


@pytest.mark.parametrize("shape", [(3, 7), (6, 4), (5, 1), (8, 8)])
def test_transport_by_assignment_and_by_linear_program(shape, monkeypatch):
    gain = np.random.default_rng(0).normal(size=shape)
    expected = best_transport(gain)
    assert transport(gain) == pytest.approx(expected)
    monkeypatch.setattr(transports, "COPIES", 0)
    assert transport(gain) == pytest.approx(expected)


def test_a_feature_twice_shares_its_weight():
    """x has each feature of y twice: half of either copy's weight goes to the feature."""
    y, _ = related(50, 4, 1)
    assert soft_matching(np.repeat(y, 2, axis=1), y) == pytest.approx(1)


def test_the_weights_of_pwcca_are_those_of_the_first_side():
    rng = np.random.default_rng(0)
    common, own, other = rng.normal(size=(3, 400))
    x = np.stack([10 * common, own], 1)
    y = np.stack([common, 10 * other], 1)
    assert pwcca(x, y) > 0.8 > 0.4 > pwcca(y, x)


def test_svcca_does_not_see_directions_of_little_variance():
    rng = np.random.default_rng(0)
    common, own, other = rng.normal(size=(3, 500))
    x, y = np.stack([common, own / 50], 1), np.stack([common, other / 50], 1)
    assert svcca(x, y) == pytest.approx(1, abs=1e-3)
    assert mean_squared_cca(x, y) == pytest.approx(0.5, abs=0.02)


def test_unrelated_features():
    """Mean squared CCA of independent Gaussian data is max(p, q)/(n − 1) in expectation."""
    rng = np.random.default_rng(0)
    pairs = [(rng.normal(size=(60, 5)), rng.normal(size=(60, 8))) for _ in range(200)]
    values = [mean_squared_cca(x, y) for x, y in pairs]
    assert abs(np.mean(values) - 8 / 59) < 4 * np.std(values) / math.sqrt(200)
    alone = [mean_cosine(x, y[:, :5]) for x, y in pairs]
    assert abs(np.mean(alone)) < 4 * np.std(alone) / math.sqrt(200)


@pytest.mark.parametrize("name", BY_CCA)
def test_too_few_samples_give_no_value_and_say_what_to_do(name):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 10, 5))
    assert math.isnan(FUNCTIONS[name](x, y))
    prepared = FEATURE_MEASURES[name].prepare(torch.from_numpy(x))
    assert "10 samples of 5 directions" in prepared.reason
    assert "raise --limit or --positions" in prepared.reason
    assert not math.isnan(FUNCTIONS[name](x[:, :4], y[:, :4]))


@pytest.mark.parametrize("name", BY_CCA)
def test_features_that_repeat_others_count_once(name):
    x, y = related(60, 4, 4)
    mixed = np.random.default_rng(1).normal(size=(4, 7))
    if name == "cca":
        assert FUNCTIONS[name](x @ mixed, y) == pytest.approx(FUNCTIONS[name](x, y), abs=1e-8)
    assert FUNCTIONS[name](x @ mixed, x @ mixed) == pytest.approx(1)


@every_measure
@pytest.mark.parametrize("broken", ["constant", "nan", "inf"])
def test_what_does_not_vary_or_is_not_finite_gives_nan(name, broken):
    x, y = related(40, 5, 5)
    if broken == "constant":
        x = np.zeros_like(x) if name == "cosine" else np.full_like(x, 0.1)
    else:
        x[4, 2] = float(broken)
    assert math.isnan(FUNCTIONS[name](x, y)) and math.isnan(FUNCTIONS[name](y, x))
    why = FEATURE_MEASURES[name].prepare(torch.from_numpy(x)).reason
    word = {"constant": "0 in all" if name == "cosine" else "the same in all"}.get(broken, "finite")
    assert word in why


def test_samples_and_features_without_a_value_are_left_out():
    x, y = related(40, 5, 5)
    dark = x.copy()
    dark[3] = 0
    kept = np.arange(40) != 3
    assert mean_cosine(dark, y) == pytest.approx(mean_cosine(x[kept], y[kept]))
    dead = np.insert(x, 2, 7.5, axis=1)
    assert soft_matching(dead, dead) == pytest.approx(1)
    assert soft_matching(dead, y) == pytest.approx(soft_matching(x, y))


@every_measure
def test_wrong_numbers_are_refused(name):
    with pytest.raises(BadInput, match="5 and 6 samples: expected the same number"):
        FUNCTIONS[name](np.zeros((5, 2)), np.zeros((6, 2)))
    least = FEATURE_MEASURES[name].least
    with pytest.raises(BadInput, match=f"{least} or more"):
        FUNCTIONS[name](np.zeros((0, 2)), np.zeros((0, 2)))


def test_a_cosine_needs_as_many_features_on_both_sides():
    x, y = related(9, 3, 4)
    with pytest.raises(BadInput, match="3 and 4 features have no cosine: expected as many"):
        mean_cosine(x, y)
    cosine = FEATURE_MEASURES["cosine"]
    sides = [cosine.prepare(torch.from_numpy(side)) for side in (x, y)]
    assert math.isnan(cosine.value(*sides)) and "3 and 4" in cosine.reason(*sides)


@every_measure
def test_images_are_flattened_and_any_kind_of_number_is_taken(name):
    rng = np.random.default_rng(0)
    x, y = rng.integers(-9, 9, (40, 2, 3)), rng.normal(size=(40, 6))
    expected = FUNCTIONS[name](x.reshape(40, -1), y)
    assert FUNCTIONS[name](x, y) == FUNCTIONS[name](x.tolist(), y.tolist()) == expected
    assert FUNCTIONS[name](torch.from_numpy(x), torch.from_numpy(y).requires_grad_()) == expected


@every_measure
def test_float32_with_a_large_mean(name):
    sides = [(side + 1000).astype(np.float32) for side in related(60, 5, 5)]
    exact = ORACLES[name](*(side.astype(float) for side in sides))
    assert FUNCTIONS[name](*sides) == pytest.approx(exact, abs=1e-7)


def test_a_correlation_beyond_1_by_rounding_is_1():
    for sign in (1.0, -1.0):
        assert matched(torch.full((1, 1), sign * (1 + 1e-12), dtype=torch.float64)) == sign
