"""SRGA of arrays: the published values, and invariances that its definition has."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from analysis.srga.score import fit, score, srga
from analysis.stats import gram_pca
from analysis.stats.undefined import Undefined
from mtd.utils.errors import BadInput
from tests.helpers.paths import GOLDEN

META = json.loads((GOLDEN / "srga.json").read_text())
with np.load(GOLDEN / "srga.npz") as arrays:
    SETS = dict(arrays)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_published_values(name, kind):
    expected = META["results"][name]
    found = srga(kind(SETS["reference"]), kind(SETS[name]), META["n_components"])
    assert found.sigma == pytest.approx(expected["sigma"], abs=1e-6)
    assert found.shape == pytest.approx(expected["shape"], abs=1e-6)
    assert found.kl == pytest.approx(expected["kl_reference_to_this"], abs=1e-6)
    assert found.srga == pytest.approx(expected["srga"], abs=1e-6)
    assert found.test.outliers == expected["outliers_removed"] and found.test.components == 40


def test_scores_are_those_of_a_singular_value_decomposition():
    features = SETS["test_far"].astype(np.float64)
    u, s, _ = np.linalg.svd(features - features.mean(0), full_matrices=False)
    found = gram_pca.scores(gram_pca.gram(torch.from_numpy(features)), 40).numpy()
    assert np.abs(found) == pytest.approx(np.abs(u[:, :40] * s[:40]), abs=1e-9)


@pytest.mark.parametrize("numbers", [1, 600, 12_345, 2**22])
def test_the_gram_does_not_depend_on_chunks_or_parts(numbers):
    features = torch.from_numpy(SETS["reference"])
    whole = gram_pca.gram(features)
    parts = gram_pca.chunks([features[:50], features[50:51], features[51:]], numbers)
    assert (gram_pca.gram_of(parts) - whole).abs().max() < 1e-9 * whole.abs().max()


def test_large_means_do_not_spoil_the_gram():
    features = torch.from_numpy(SETS["reference"]).double()
    shifted = gram_pca.gram(features + 1e4)
    assert (shifted - gram_pca.gram(features)).abs().max() < 1e-6


def test_a_part_of_the_samples_has_the_gram_of_its_own_features():
    features = torch.from_numpy(SETS["reference"])
    chosen = torch.arange(0, 120, 3)
    part = gram_pca.recentered(gram_pca.gram(features), chosen)
    assert (part - gram_pca.gram(features[chosen])).abs().max() < 1e-9 * part.abs().max()


def test_rotations_of_features_change_nothing_and_scales_only_sigma():
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(600, 600)))[0]
    features = SETS["test_near"].astype(np.float64)
    plain, turned = (srga(SETS["reference"], f, 40) for f in (features, features @ rotation))
    assert turned.srga == pytest.approx(plain.srga, abs=1e-9)
    scaled = srga(SETS["reference"], 3 * features, 40)
    assert scaled.sigma == pytest.approx(3 * plain.sigma) and scaled.shape == plain.shape


def test_components_are_at_most_the_rank():
    assert srga(SETS["reference"], SETS["test_near"]).test.components == 119
    with pytest.raises(BadInput, match="expected 1 to 119"):
        gram_pca.scores(gram_pca.gram(torch.from_numpy(SETS["reference"])), 120)


def test_components_are_at_most_the_features():
    features = np.random.default_rng(0).normal(size=(40, 5))
    few, many = (srga(features, features[::-1] ** 3, count) for count in (5, 30))
    assert many == few and many.test.components == 5


def test_patches_that_are_the_same_do_not_vary_whatever_the_others_are_like():
    features = torch.full((6, 50), 0.1, dtype=torch.float64)
    features[5] += torch.linspace(0, 3, 50, dtype=torch.float64)
    whole = gram_pca.gram(features)
    assert not gram_pca.recentered(whole, torch.arange(5)).any()
    with pytest.raises(Undefined, match="do not vary"):
        fit(gram_pca.recentered(whole, torch.arange(5)))
    assert fit(gram_pca.recentered(whole, torch.arange(1, 6))).ggd.sigma > 0


def test_what_has_no_score():
    with pytest.raises(BadInput, match="components need 2 samples"):
        srga(np.zeros((1, 5)), np.zeros((4, 5)))
    with pytest.raises(BadInput, match="do not vary"):
        srga(np.ones((4, 5)), np.ones((4, 5)))
    with pytest.raises(BadInput, match="not finite"):
        srga(np.full((4, 5), np.nan), np.ones((4, 5)))
    with pytest.raises(BadInput, match="0 components"):
        fit(torch.eye(5), 0)


def test_two_samples_and_one_component_are_enough():
    features = np.random.default_rng(0).normal(size=(2, 6))
    assert fit(gram_pca.gram(torch.from_numpy(features)), 1).ggd.sigma > 0
    with pytest.raises(BadInput, match="1 sample:"):
        fit(torch.eye(1), 1)


def test_scores_of_divergences_of_any_size():
    divergences = (0, 1 - 1e-5, 10 - 1e-5, 1e4 - 1e-5)
    assert [score(kl) for kl in divergences] == pytest.approx([0, 5, 6, 9], abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("photographs, patches", [(10, 8), (24, 4), (97, 1)])
@pytest.mark.parametrize("correlation", [0.2, 0.5])
def test_intervals_cover_the_mean_score_over_sets_of_photographs(photographs, patches, correlation):
    """Patches of 300 features whose content and scale are alike within a photograph."""
    from analysis.srga import fits as srga_fits

    rng = np.random.default_rng(0)
    spread = np.exp(rng.normal(size=300))
    of = np.repeat(np.arange(photographs), patches)
    keep = [
        torch.from_numpy(np.flatnonzero(~np.isin(of, out)))
        for out in srga_fits.subsets(photographs, 0)
    ]

    def drawn(width: int) -> np.ndarray:
        shared = rng.normal(size=(photographs, width))[of]
        own = rng.normal(size=(len(of), width))
        return np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own

    found = []
    for _ in range(150):
        clean = np.exp(0.5 * drawn(1)) * spread * drawn(300)
        noisy = 1.3 * clean + 0.8 * rng.normal(size=clean.shape)
        grams = [gram_pca.gram(torch.from_numpy(side)) for side in (clean, noisy)]
        fits = [srga_fits.Fits.of(gram, keep, (300, "grid", 300)) for gram in grams]
        value, without = fits[0].to(fits[1])
        found.append([value, *srga_fits.interval(value, without, photographs)])
    score, low, high = np.array(found).T
    covered = np.mean((low <= score.mean()) & (score.mean() <= high))
    ratio = np.mean(high - low) / (2 * 1.96 * score.std())
    print(f"{photographs} x {patches}: covered {covered:.3f}, {ratio:.2f} times as wide as needed")
    assert covered >= 0.92 and ratio < 2


def test_one_component_is_the_largest():
    features = SETS["test_far"].astype(np.float64)
    u, s, _ = np.linalg.svd(features - features.mean(0), full_matrices=False)
    found = gram_pca.scores(gram_pca.gram(torch.from_numpy(features)), 1).numpy()
    assert found.shape == (len(features), 1)
    assert np.abs(found[:, 0]) == pytest.approx(np.abs(u[:, 0] * s[0]), abs=1e-9)


def test_features_along_one_line_have_one_component():
    along = torch.tensor([0.0, 1.0, 3.0, 7.0, 2.0, 10.0], dtype=torch.float64)
    features = along[:, None] * torch.tensor([[0.6, 0.8, 0.0]], dtype=torch.float64) + 5
    own, others = gram_pca.projected(gram_pca.gram(features), [0, 1, 2, 3], [4, 5], 3)
    assert own.shape == (4, 1) and others.shape == (2, 1)
    centered = (along - along[:4].mean())[:, None]
    sign = float(torch.sign(own[3, 0]))
    assert torch.allclose(sign * torch.cat([own, others]), centered, atol=1e-8)


@pytest.mark.parametrize("size", [1e-7, 1e7])
def test_components_do_not_depend_on_the_unit_of_the_features(size):
    features = torch.from_numpy(SETS["test_far"][:30].astype(np.float64))
    train, test = list(range(20)), list(range(20, 30))
    plain = gram_pca.projected(gram_pca.gram(features), train, test, 5)
    scaled = gram_pca.projected(gram_pca.gram(features * size), train, test, 5)
    for one, other in zip(plain, scaled, strict=True):
        assert one.shape == other.shape and one.shape[1] == 5
        assert (other / size).abs() == pytest.approx(one.abs(), rel=1e-6, abs=1e-9)
