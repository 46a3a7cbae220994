"""Grams in float32 that are as good as float64, images left out, kernels, summing over batches."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist, squareform

from analysis.cka import hsic
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


@pytest.mark.parametrize("form", [by_grams, by_features])
@pytest.mark.parametrize("formula", ["unbiased", "biased"])
@pytest.mark.parametrize("cluster", [1, 3])
def test_left_out_images_are_as_if_they_had_never_been_there(form, formula, cluster):
    images = 9
    sides = layers(images * cluster, 4, 7, 2)
    sums = form(sides, formula, cluster=cluster, leave_out=True)
    assert sums.changes.shape == (images, 3, 3)
    every = sums.cka_without(slice(0, 3), slice(0, 3))
    for image in range(images):
        kept = [i for i in range(len(sides[0])) if i // cluster != image]
        rest = [side[kept].numpy() for side in sides]
        for a, b in itertools.product(range(3), repeat=2):
            expected = oracle(rest[a], rest[b], formula)
            assert float(every[image, a, b]) == pytest.approx(expected, abs=1e-10)
    assert torch.equal(sums.cka_without(slice(0, 2), slice(1, 3)), every[:, :2, 1:])


def test_leaving_out_changes_nothing_else():
    sides = layers(24, 4, 7)
    for form in (by_grams, by_features):
        plain, full = form(sides), form(sides, cluster=3, leave_out=True)
        assert torch.allclose(plain.hsic(), full.hsic(), rtol=1e-12)
        assert torch.allclose(plain.power, full.power)


@pytest.mark.parametrize("form", [by_grams, by_features])
def test_float32_features_left_out_agree_with_float64(form):
    sides = [side.float() for side in layers(120, 20, 30)]
    exact = form([side.double() for side in sides], cluster=10, leave_out=True)
    found = form(sides, cluster=10, leave_out=True)
    block = slice(0, 2), slice(0, 2)
    assert (found.cka_without(*block) - exact.cka_without(*block)).abs().max() < 1e-6


@pytest.mark.parametrize("constant", [0, 10, 100, 1000])
def test_float32_features_with_a_large_mean_agree_with_float64(constant):
    sides = [(side - side.mean(0) + constant).float() for side in layers(120, 20, 30)]
    exact = by_features([side.double() for side in sides])
    assert (by_features(sides).cka() - exact.cka()).abs().max() < 1e-6


def test_an_image_without_which_too_few_are_left_takes_its_batch_with_it():
    first, second = layers(4, 3, 5), layers(8, 3, 5)
    both = by_grams(first, leave_out=True) + by_grams(second, leave_out=True)
    block = slice(0, 2), slice(0, 2)
    assert both.samples == 12 and both.changes.shape == (12, 2, 2)
    assert torch.allclose(both.cka_without(*block)[0], by_grams(second).cka())
    assert torch.allclose(both.cka_without(*block)[3], by_grams(second).cka())


def test_one_broken_layer_leaves_the_others_alone():
    sides = layers(20, 4, 5, 6)
    whole = by_grams(sides, leave_out=True)
    sides[1][3, 2] = torch.nan
    for form in (by_grams, by_features):
        broken = form(sides, leave_out=True)
        left = broken.cka_without(slice(0, 3), slice(0, 3))
        assert left[:, 1].isnan().all() and left[:, :, 1].isnan().all()
        assert torch.allclose(left[:, 0, 2], whole.cka_without(slice(0, 1), slice(2, 3))[:, 0, 0])
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
    linear = hsic.from_grams(grams).cka()[0, 1]
    wide = hsic.rbf(grams, 1e3 * hsic.median_distance(grams))
    narrow = hsic.rbf(grams, hsic.median_distance(grams))
    assert float(hsic.from_grams(wide).cka()[0, 1]) == pytest.approx(float(linear), abs=1e-5)
    assert abs(float(hsic.from_grams(narrow).cka()[0, 1]) - float(linear)) > 1e-3


def test_too_few_samples():
    with pytest.raises(BadInput, match="3 samples: unbiased HSIC needs at least 4"):
        by_grams(layers(3, 4, 5))
    with pytest.raises(BadInput, match="3 samples"):
        by_features(layers(3, 4, 5))
