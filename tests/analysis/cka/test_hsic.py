"""Grams in float32 as good as float64, photographs left out, kernels, sums over batches."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist, squareform

from analysis.cka import hsic
from analysis.cka.cells import Cells, deranged
from analysis.cka.hsic_from_grams import from_grams
from mtd.utils.errors import BadInput
from tests.helpers.cka_forms import by_features, by_grams, oracle

RNG = np.random.default_rng(5)


def layers(n: int, *widths: int) -> list[torch.Tensor]:
    """Related representations of n samples, with means of their own."""
    common = RNG.normal(size=(n, 3))
    return [
        torch.from_numpy(common @ RNG.normal(size=(3, w)) + RNG.normal(size=(n, w)) + 5 * w)
        for w in widths
    ]


PHOTOGRAPHS = [[0, 3, 4], [1], [2, 5, 8], [6, 7]]
"""The crops of each photograph: in different batches, of different numbers."""


def rows(crops: list[int], cluster: int) -> np.ndarray:
    return (np.array(crops, dtype=int)[:, None] * cluster + np.arange(cluster)).ravel()


@pytest.mark.parametrize("form", [by_grams, by_features])
@pytest.mark.parametrize("formula", ["unbiased", "biased"])
@pytest.mark.parametrize("cluster", [1, 3])
def test_left_out_photographs_are_as_if_they_had_never_been_there(form, formula, cluster):
    sides = layers(9 * cluster, 4, 7, 2)
    sums = form(sides, formula, cluster=cluster, photographs=PHOTOGRAPHS)
    every = sums.block(0)
    assert every.without.shape == (4, 3, 3)
    for photograph, crops in enumerate(PHOTOGRAPHS):
        rest = [np.delete(side.numpy(), rows(crops, cluster), axis=0) for side in sides]
        for a, b in itertools.product(range(3), repeat=2):
            expected = oracle(rest[a], rest[b], formula)
            assert float(every.without[photograph, a, b]) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("form", [by_grams, by_features])
@pytest.mark.parametrize("formula", ["unbiased", "biased"])
def test_only_the_cells_that_are_wanted(form, formula):
    sides = layers(24, 4, 7, 2, 4)
    every = form(sides, formula, photographs=[[0, 1], [2]])
    blocks, pairs = [(slice(0, 1), slice(1, 4)), (slice(0, 2), slice(2, 4))], [(3, 1), (0, 3)]
    some = form(sides, formula, cells=Cells(4, blocks, pairs), photographs=[[0, 1], [2]])
    for index, (a, b) in enumerate(blocks):
        assert torch.allclose(some.block(index).value, every.block(0).value[a, b], rtol=1e-12)
        assert torch.allclose(some.block(index).without, every.block(0).without[:, a, b])
    for index, (i, j) in enumerate(pairs):
        assert torch.allclose(some.pairs().value[index], every.block(0).value[i, j])
        assert torch.allclose(some.pairs().without[:, index], every.block(0).without[:, i, j])
    assert torch.allclose(some.own(), every.own(), rtol=1e-12)
    assert torch.allclose(some.power, every.power)
    first, second = some.cells.ends()
    assert first.tolist() == [0, 1, 2, 3, 0, 0, 0, 0, 0, 1, 1, 3, 0]
    assert second.tolist() == [0, 1, 2, 3, 1, 2, 3, 2, 3, 2, 3, 1, 3]


def one_hsic(x: np.ndarray, y: np.ndarray, formula: str) -> float:
    """HSIC by its definition; see `oracle`. Means do not change it, but its rounding."""
    x, y = x - x.mean(0), y - y.mean(0)
    n = len(x)
    k, ell = x @ x.T, y @ y.T
    if formula == "biased":
        h = np.eye(n) - 1 / n
        return float(np.trace(k @ h @ ell @ h) / (n - 1) ** 2)
    np.fill_diagonal(k, 0)
    np.fill_diagonal(ell, 0)
    terms = np.trace(k @ ell) + k.sum() * ell.sum() / ((n - 1) * (n - 2))
    return float((terms - 2 / (n - 2) * (k.sum(0) @ ell.sum(0))) / (n * (n - 3)))


@pytest.mark.parametrize("form", [by_grams, by_features])
@pytest.mark.parametrize("formula", ["unbiased", "biased"])
@pytest.mark.parametrize("cluster", [1, 3])
def test_pairs_across_photographs(form, formula, cluster):
    """Against HSIC of rows that are really put beside those of another photograph."""
    sides = layers(9 * cluster, 4, 7)
    photograph = {crop: i for i, crops in enumerate(PHOTOGRAPHS) for crop in crops}
    first, second = deranged([photograph[crop] for crop in range(9)])
    cells = Cells(2, across=[(0, 1), (1, 1)])
    found = form(
        sides,
        formula,
        cluster=cluster,
        cells=cells,
        photographs=PHOTOGRAPHS,
        across=(first, second),
    ).across_photographs()

    def expected(gone: list[int], i: int, j: int) -> float:
        kept = [k for k in range(len(first)) if not {int(first[k]), int(second[k])} & set(gone)]
        x = sides[i].numpy()[rows(first[kept].tolist(), cluster)]
        y = sides[j].numpy()[rows(second[kept].tolist(), cluster)]
        stay = [np.delete(sides[k].numpy(), rows(gone, cluster), axis=0) for k in (i, j)]
        own = [one_hsic(side, side, formula) for side in stay]
        return one_hsic(x, y, formula) / np.sqrt(own[0] * own[1])

    for place, (i, j) in enumerate(cells.across):
        assert float(found.value[place]) == pytest.approx(expected([], i, j), abs=1e-10)
        for index, crops in enumerate(PHOTOGRAPHS):
            if cluster == 3 or index in (1, 3):  # enough samples are left
                value = expected(crops, i, j)
                assert float(found.without[index, place]) == pytest.approx(value, abs=1e-9)


def test_deranged_crops_are_of_different_photographs():
    for names in ("aabbcc", "abcabcabd", "aaab", "aabcd", "ab", "aaaabbbb"):
        first, second = deranged(list(names))
        assert len(first) and all(names[i] != names[j] for i, j in zip(first, second, strict=True))
        assert sorted(first.tolist()) == sorted(second.tolist()) == sorted(set(first.tolist()))
        most = max(names.count(name) for name in names)
        assert len(first) == min(len(names), 2 * (len(names) - most))
    assert [len(side) for side in deranged("aaaa")] == [0, 0]


@pytest.mark.parametrize("form", [by_grams, by_features])
def test_float32_features_left_out_agree_with_float64(form):
    sides = [side.float() for side in layers(120, 20, 30)]
    photographs = [[0, 1], [5], [7, 11]]
    exact = form([side.double() for side in sides], cluster=10, photographs=photographs)
    found = form(sides, cluster=10, photographs=photographs)
    assert (found.block(0).without - exact.block(0).without).abs().max() < 1e-6


@pytest.mark.parametrize("constant", [0, 10, 100, 1000])
def test_float32_features_with_a_large_mean_agree_with_float64(constant):
    sides = [(side - side.mean(0) + constant).float() for side in layers(120, 20, 30)]
    exact = by_features([side.double() for side in sides], photographs=[[3, 4]])
    found = by_features(sides, photographs=[[3, 4]])
    assert (found.block(0).value - exact.block(0).value).abs().max() < 1e-6
    assert (found.block(0).without - exact.block(0).without).abs().max() < 1e-6


def test_a_photograph_without_which_too_few_are_left_takes_its_batch_with_it():
    first, second = layers(4, 3, 5), layers(8, 3, 5)
    both = by_grams(first, photographs=[[0], [1], []]) + by_grams(
        second, photographs=[[], [0, 1], [4]]
    )
    assert both.samples == 12
    without = both.block(0).without
    assert torch.allclose(without[0], by_grams(second).block(0).value)
    rest = [np.delete(side.numpy(), [0, 1], axis=0) for side in second]
    assert float(without[1, 0, 1]) == pytest.approx(oracle(*rest))
    alone = by_grams(first, photographs=[[0]]).block(0)
    assert alone.without.isnan().all() and not alone.value.isnan().any()


def test_one_broken_layer_leaves_the_others_alone():
    sides = layers(20, 4, 5, 6)
    photographs = [[0], [1, 2]]
    whole = by_grams(sides, photographs=photographs).block(0)
    sides[1][3, 2] = torch.nan
    for form in (by_grams, by_features):
        broken = form(sides, photographs=photographs)
        left = broken.block(0)
        assert left.without[:, 1].isnan().all() and left.without[:, :, 1].isnan().all()
        assert left.value[1].isnan().all()
        assert torch.allclose(left.without[:, 0, 2], whole.without[:, 0, 2])
        assert torch.allclose(left.value[0, 2], whole.value[0, 2])
        assert list(broken.degenerate()) == [1]


@pytest.mark.parametrize("mean", [0, 1, 3, 10, 100, 1000])
@pytest.mark.parametrize("features", [1, 100, 512, 5000])
def test_gram_of_float32_features_is_that_of_float64(mean, features):
    x = torch.randn(16, features, generator=torch.Generator().manual_seed(1)) + mean
    exact = x.double() - x.double().mean(0)
    exact = exact @ exact.mT
    assert (hsic.gram(x) - exact).abs().max() < 2e-6 * exact.trace() / 16
    assert hsic.gram(x).dtype == torch.float64
    half = hsic.gram(x.bfloat16())
    assert torch.allclose(half, hsic.gram(x.bfloat16().float()))


def test_gram_of_constant_features_is_exactly_0():
    assert hsic.gram(torch.full((6, 700), 0.1)).abs().max() == 0


def test_median_distance_and_rbf_against_scipy():
    (x,) = layers(15, 4)
    k = hsic.gram(x)[None]
    distances = pdist(x.numpy())
    sigma = hsic.median_distance(k)
    # of an even number of distances torch takes the lower of the two in the middle
    assert float(sigma) == pytest.approx(np.sort(distances)[(len(distances) - 1) // 2])
    expected = np.exp(-(squareform(distances) ** 2) / (2 * 1.7**2))
    found = hsic.rbf(k, torch.tensor([1.7], dtype=torch.float64))[0]
    assert np.allclose(found.numpy(), expected, atol=1e-12)


def test_rbf_cka_tends_to_linear_cka_for_a_wide_kernel():
    sides = layers(30, 4, 6)
    grams = torch.stack([hsic.gram(side) for side in sides])
    linear = from_grams(grams).block(0).value[0, 1]
    wide = hsic.rbf(grams, 1e3 * hsic.median_distance(grams))
    narrow = hsic.rbf(grams, hsic.median_distance(grams))
    assert float(from_grams(wide).block(0).value[0, 1]) == pytest.approx(float(linear), abs=1e-5)
    assert abs(float(from_grams(narrow).block(0).value[0, 1]) - float(linear)) > 1e-3


def test_too_few_samples():
    with pytest.raises(BadInput, match="3 samples: unbiased HSIC needs at least 4"):
        by_grams(layers(3, 4, 5))
    with pytest.raises(BadInput, match="3 samples"):
        by_features(layers(3, 4, 5))


def test_without_samples_in_pairs_there_is_nothing_across_photographs():
    grams = torch.stack([hsic.gram(side) for side in layers(9, 3, 4)])
    cells = Cells(2, across=[(0, 1)])
    few = torch.tensor([0, 1, 2]), torch.tensor([3, 4, 5])
    for across in (None, few):
        sums = from_grams(grams, cells, photographs=[torch.tensor([0])], across=across)
        assert sums.across.weight == 0 and sums.across.numerator.tolist() == [0]
        assert sums.across_photographs().value.isnan().all()
