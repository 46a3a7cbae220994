"""Procrustes, RSA and nearest neighbors against scipy and loops; invariances, ties, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.distance import pdist
from scipy.stats import ortho_group, pearsonr, spearmanr

from analysis.cka.hsic import gram
from analysis.cka.other_measures import MEASURES, NEIGHBORS, mutual_knn, procrustes, rsa
from mtd.utils.errors import BadInput

Array = np.ndarray


def best_rotation(x: Array, y: Array) -> float:
    """1 − d²/2, d being what the best rotation leaves between centred sides of norm 1."""
    width = max(x[0].size, y[0].size)
    sides = []
    for side in (x, y):
        side = side.reshape(len(side), -1).astype(float)
        side = np.pad(side - side.mean(0), ((0, 0), (0, width - side.shape[1])))
        sides.append(side / np.linalg.norm(side))
    rotation, _ = orthogonal_procrustes(sides[1], sides[0])
    return 1 - np.square(sides[0] - sides[1] @ rotation).sum() / 2


def ranked_distances(x: Array, y: Array) -> float:
    sides = [pdist(side.reshape(len(side), -1), "sqeuclidean") for side in (x, y)]
    return float(spearmanr(*sides).statistic)


def common_neighbors(x: Array, y: Array, k: int = NEIGHBORS) -> float:
    n = len(x)
    k = min(k, n - 2)

    def nearest(side: Array, i: int) -> set[int]:
        def distance(j: int) -> float:
            return float(np.square(side[i] - side[j]).sum())

        return set(sorted((j for j in range(n) if j != i), key=distance)[:k])

    return float(np.mean([len(nearest(x, i) & nearest(y, i)) / k for i in range(n)]))


FUNCTIONS = {"procrustes": procrustes, "rsa": rsa, "knn": mutual_knn}
ORACLES = {"procrustes": best_rotation, "rsa": ranked_distances, "knn": common_neighbors}
every_measure = pytest.mark.parametrize("name", MEASURES)


def from_grams(name: str, x: torch.Tensor, y: torch.Tensor) -> float:
    measure = MEASURES[name]
    return measure.compare(*(measure.prepare(gram(side.flatten(1))) for side in (x, y)))


def related(n: int, p: int, q: int, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, 2))
    return tuple(common @ rng.normal(size=(2, w)) + rng.normal(size=(n, w)) + w for w in (p, q))


shapes = st.tuples(st.integers(3, 25), st.integers(1, 9), st.integers(1, 9))
seeds = st.integers(0, 2**32 - 1)


@every_measure
@pytest.mark.parametrize("shape", [(12, 3, 5), (7, 40, 2), (40, 6, 6), (13, 1, 1), (3, 4, 4)])
def test_agrees_with_its_oracle(name, shape):
    x, y = related(*shape)
    expected = ORACLES[name](x, y)
    assert FUNCTIONS[name](x, y) == pytest.approx(expected, abs=1e-7)
    assert from_grams(name, *map(torch.from_numpy, (x, y))) == pytest.approx(expected, abs=1e-7)


@every_measure
def test_images_are_flattened_and_any_kind_of_number_is_taken(name):
    rng = np.random.default_rng(0)
    x, y = rng.integers(-9, 9, (8, 3, 4, 2)), rng.normal(size=(8, 5))
    expected = FUNCTIONS[name](x.reshape(8, -1), y)
    assert FUNCTIONS[name](x, y) == FUNCTIONS[name](x.tolist(), y.tolist()) == expected
    tensors = torch.from_numpy(x), torch.from_numpy(y).requires_grad_()
    assert FUNCTIONS[name](*tensors) == expected


@every_measure
@given(shapes, seeds)
def test_invariances_symmetry_range_and_self(name, shape, seed):
    x, y = related(*shape, seed)
    rng, measure = np.random.default_rng(seed), FUNCTIONS[name]
    value = measure(x, y)
    assert (-1 if name == "rsa" else 0) - 1e-6 <= value <= 1 + 1e-6
    assert measure(y, x) == pytest.approx(value, abs=1e-6)
    assert measure(x, x) == pytest.approx(1, abs=1e-6)
    assert name != "procrustes" or measure(x, x) <= 1
    turn = ortho_group.rvs(x.shape[1], random_state=rng) if x.shape[1] > 1 else -np.ones((1, 1))
    assert measure(7 * x @ turn - 30, y / 50 + 2) == pytest.approx(value, abs=1e-6)
    order = rng.permutation(len(x))
    assert measure(x[order], y[order]) == pytest.approx(value, abs=1e-6)


@given(seeds)
def test_procrustes_of_single_columns_is_the_absolute_correlation(seed):
    x, y = related(9, 1, 1, seed)
    expected = abs(pearsonr(x[:, 0], y[:, 0]).statistic)
    assert procrustes(x, y) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("kept", [1, 2, 5])
def test_procrustes_with_some_of_equal_directions_left(kept):
    """‖XᵀY‖_* = k, ‖X‖ = √8 and ‖Y‖ = √k for X of 8 orthonormal columns and Y of k of them."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 8))
    x, _ = np.linalg.qr(x - x.mean(0))
    assert procrustes(x, x[:, :kept]) == pytest.approx(math.sqrt(kept / 8), abs=1e-7)


@pytest.mark.parametrize("n", [5, 12, 33])
def test_rsa_gives_equal_distances_their_mean_rank(n):
    rng = np.random.default_rng(n)
    x, y = rng.integers(0, 4, size=(2, n, 3))
    assert rsa(x, y) == pytest.approx(ranked_distances(x, y), abs=1e-12)
    assert rsa(x / 3 + 0.1, y) == pytest.approx(ranked_distances(x, y), abs=1e-12)


def test_rsa_of_equal_distances_is_nan():
    assert math.isnan(rsa(0.3 * np.eye(7), related(7, 2, 2)[0]))
    assert math.isnan(rsa([[0, 0], [1, 0], [0.5, math.sqrt(0.75)]], [1, 2, 4]))


@pytest.mark.parametrize(
    "x, k", [([0, 1, 2, 3, 4], 1), ([0, 1, 2, 3, 6], 1), ([0, 1, 3, 4, 6], 3), ([1, 1, 1, 2, 2], 2)]
)
def test_of_neighbors_equally_far_away_the_earlier_is_nearer(x, k):
    for y in ([1, 2, 4, 8, 16], [3, 1, 4, 1, 5], [2, 7, 1, 8, 2]):
        sides = [np.array(side)[:, None] for side in (x, y)]
        assert mutual_knn(x, y, k) == pytest.approx(common_neighbors(*sides, k))


@pytest.mark.parametrize("n", [6, 15])
def test_number_of_neighbors(n):
    x, y = related(n, 3, 4)
    for k in range(1, n - 1):
        assert mutual_knn(x, y, k) == pytest.approx(common_neighbors(x, y, k))
    assert mutual_knn(x, y, n + 20) == mutual_knn(x, y, n - 2)
    assert mutual_knn(x, y) == mutual_knn(x, y, NEIGHBORS)


def test_unrelated_sides_score_as_chance_has_it():
    rng = np.random.default_rng(0)
    sides = rng.normal(size=(150, 2, 30, 3))
    shared = [mutual_knn(x, y, 5) for x, y in sides]
    ranked = [rsa(x, y) for x, y in sides]
    for values, chance in ((shared, 5 / 29), (ranked, 0)):
        assert abs(np.mean(values) - chance) < 4 * np.std(values) / math.sqrt(150)


@every_measure
@pytest.mark.parametrize("broken", ["constant", "nan", "inf"])
def test_what_does_not_vary_or_is_not_finite_gives_nan(name, broken):
    x, y = related(12, 5, 3)
    if broken == "constant":
        x = np.repeat(x[:1], 12, axis=0)
    else:
        x[4, 2] = float(broken)
    assert math.isnan(FUNCTIONS[name](x, y)) and math.isnan(FUNCTIONS[name](y, x))
    assert math.isnan(FUNCTIONS[name](x, x))
    for kind in (torch.float32, torch.float64):
        sides = [torch.from_numpy(side).to(kind) for side in (x, y)]
        assert math.isnan(from_grams(name, *sides)) and math.isnan(from_grams(name, *sides[::-1]))


@every_measure
def test_wrong_numbers_of_samples_are_refused(name):
    least = MEASURES[name].least
    assert least == (2 if name == "procrustes" else 3)
    with pytest.raises(BadInput, match=f"5 and 6 samples: expected the same number, {least}"):
        FUNCTIONS[name](np.zeros((5, 2)), np.zeros((6, 2)))
    few = np.arange(least - 1)
    with pytest.raises(BadInput, match=f"{least - 1} and {least - 1} samples"):
        FUNCTIONS[name](few, few)
    enough = np.arange(least)
    assert FUNCTIONS[name](enough, enough) == pytest.approx(1)


@pytest.mark.parametrize("name", ["rsa", "knn"])
@pytest.mark.parametrize("far", [1e3, 1e5])
def test_a_sample_far_away_leaves_the_others_distances(name, far):
    x, y = related(40, 20, 30)
    x[7] *= far
    assert FUNCTIONS[name](x, y) == pytest.approx(ORACLES[name](x, y), abs=1e-4)


@pytest.mark.parametrize("name", ["rsa", "knn"])
@pytest.mark.parametrize("share", [0.8, 0.9, 0.97])
def test_ties_of_samples_that_are_mostly_the_same(name, share):
    rng = np.random.default_rng(1)
    x, y = (rng.choice([0, 0.1], size=(400, 16)) for _ in range(2))
    same = rng.random(400) < share
    x[same] = y[same] = 0
    assert FUNCTIONS[name](x, y) == pytest.approx(ORACLES[name](x, y), abs=1e-12)


@every_measure
def test_float32_with_a_large_mean(name):
    sides = [torch.from_numpy(side).float() + 1000 for side in related(30, 200, 80)]
    expected = ORACLES[name](*(side.double().numpy() for side in sides))
    assert FUNCTIONS[name](*sides) == pytest.approx(expected, abs=1e-7)
    # distances that are close may change places, each of which moves a sample's neighbors by 1/10
    near = {"procrustes": 1e-5, "rsa": 1e-4, "knn": 3 / 300}[name]
    assert from_grams(name, *sides) == pytest.approx(expected, abs=near)
