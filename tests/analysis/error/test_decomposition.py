"""Parts of the error and their shares in PSNR: closed forms, known variances, Shapley values."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from analysis.error.decomposition import after_averaging, parts, psnr, shapley


def gram(errors: np.ndarray) -> np.ndarray:
    """Of (draws, masks, pixels)."""
    flat = errors.reshape(-1, errors.shape[-1])
    return flat @ flat.T / flat.shape[-1]


def by_pairs(errors: np.ndarray) -> tuple[float, float, float, float]:
    """The definitions, pair by pair."""
    draws, masks, _ = errors.shape
    cells = list(product(range(draws), range(masks)))
    crossed = [(a, b) for a in cells for b in cells if a[0] != b[0]]
    if masks > 1:
        crossed = [(a, b) for a, b in crossed if a[1] != b[1]]
    bias2 = np.mean([np.mean(errors[a] * errors[b]) for a, b in crossed])
    mse = np.mean(errors**2)
    if masks == 1:
        pairs = [(i, j) for i in range(draws) for j in range(i)]
        variance = np.mean([np.mean((errors[i] - errors[j]) ** 2) / 2 for i, j in pairs])
        return mse, bias2, variance, 0.0
    alike = [(a, b) for a in cells for b in cells if a[0] == b[0] and a[1] != b[1]]
    over = np.mean([np.mean(errors[a] * errors[b]) for a, b in alike])
    return mse, bias2, over - bias2, mse - over


@pytest.mark.parametrize("draws, masks", [(2, 1), (4, 1), (2, 2), (3, 4)])
def test_parts_are_the_definitions_pair_by_pair(draws, masks):
    errors = np.random.default_rng(0).normal(1, 2, (draws, masks, 50))
    found = parts(gram(errors), draws, masks)
    assert found == pytest.approx(by_pairs(errors), rel=1e-12)
    assert sum(found[1:]) == pytest.approx(found.mse, rel=1e-14)


def test_parts_of_known_variances():
    rng, pixels = np.random.default_rng(1), 40_000
    bias, noise = rng.normal(0, 3, pixels), rng.normal(0, 2, (4, 1, pixels))
    mask, both = rng.normal(0, 1, (1, 3, pixels)), rng.normal(0, 0.5, (4, 3, pixels))
    found = parts(gram(bias + noise + mask + both), 4, 3)
    assert found.bias2 == pytest.approx(9, rel=0.02)
    assert found.variance == pytest.approx(4, rel=0.02)
    assert found.mask_variance == pytest.approx(1.25, rel=0.03)


def test_a_mean_over_masks_has_the_error_that_is_predicted():
    rng, pixels = np.random.default_rng(2), 20_000
    fixed, mask = rng.normal(0, 2, (2, 1, pixels)), rng.normal(0, 1, (2, 10, pixels))
    errors = fixed + mask
    found = parts(gram(errors[:, :2]), 2, 2)
    measured = np.mean(errors[:, 2:].mean(1) ** 2)
    assert after_averaging(found, 8) == pytest.approx(measured, rel=0.03)


def test_estimates_are_unbiased():
    rng = np.random.default_rng(3)
    errors = 0.3 + rng.normal(0, 1, (20_000, 2, 1, 4))
    grams = np.stack([gram(one) for one in errors])
    found = parts(grams, 2)
    for of, expected in ((found.bias2, 0.09), (found.variance, 1.0)):
        assert abs(of.mean() - expected) < 4 * of.std() / math.sqrt(len(of))
    assert (found.bias2 < 0).any()


def test_one_draw_has_no_parts():
    found = parts(np.array([[4.0]]), 1)
    assert found.mse == 4 and np.isnan(found[1:]).all()


def test_psnr_of_what_is_not_above_0_is_blank():
    assert psnr(255.0**2) == 0 and psnr(100.0) == pytest.approx(28.1308, abs=1e-4)
    assert np.isnan(psnr(np.array([0.0, -1.0]))).all()


def test_shares_of_a_difference_add_up_and_are_means_over_both_orders():
    rng = np.random.default_rng(4)
    da, la, db, lb = rng.uniform(0.1, 100, (4, 30))
    found = shapley(da, la, db, lb)
    assert found.damage + found.leak == pytest.approx(found.psnr, abs=1e-12)

    def level(damage: np.ndarray, leak: np.ndarray) -> np.ndarray:
        return 10 * np.log10(255**2 / (damage + leak))

    first, last = level(db, la) - level(da, la), level(db, lb) - level(da, lb)
    assert found.damage == pytest.approx((first + last) / 2, abs=1e-12)
    back = shapley(db, lb, da, la)
    assert back.damage == pytest.approx(-found.damage, abs=1e-12)
    assert shapley(1.0, 9.0, 1.0, 9.0).damage == 0
