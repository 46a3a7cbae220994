"""`analysis.stitch.matching` against independent float64 NumPy code and `analysis.cka`."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analysis.cka.functional import cka
from analysis.stats.undefined import Undefined
from analysis.stitch import fit
from analysis.stitch.matching import Moments, Stitch, linear_cka, solve
from mtd.utils.errors import BadInput


def features(samples: int = 500, p: int = 5, q: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of correlated features with means far from 0."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, p)) @ rng.normal(size=(p, p)) + rng.normal(size=p) * 10
    y = x @ rng.normal(size=(p, q)) + rng.normal(size=(samples, q)) - 3
    return x, y


def test_the_map_is_that_of_least_squares():
    x, y = features()
    stitch = fit(x, y, ridge=1e-14)
    full, *_ = np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), y, rcond=None)
    assert stitch.weight.numpy() == pytest.approx(full[:-1].T, rel=1e-8)
    assert stitch.bias.numpy() == pytest.approx(full[-1], rel=1e-8)


@pytest.mark.parametrize("ridge", [1e-3, 0.5])
def test_the_penalty_is_a_share_of_the_mean_variance_and_leaves_the_bias_free(ridge):
    x, y = features()
    penalty = ridge * np.var(x, axis=0).mean()
    rows = np.sqrt(len(x) * penalty) * np.eye(x.shape[1])
    centered, target = x - x.mean(0), y - y.mean(0)
    augmented = np.vstack([centered, rows]), np.vstack([target, np.zeros((5, 4))])
    expected = np.linalg.lstsq(*augmented, rcond=None)[0].T
    stitch = fit(x, y, ridge=ridge)
    assert stitch.weight.numpy() == pytest.approx(expected, rel=1e-8)
    assert stitch.bias.numpy() == pytest.approx(y.mean(0) - expected @ x.mean(0), rel=1e-8)


def test_moments_of_parts_add_up_and_give_the_error_on_other_samples():
    x, y = features()
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    stitch = solve(Moments.of(x[:200], y[:200]) + Moments.of(x[200:300], y[200:300]))
    whole = fit(x[:300], y[:300])
    assert torch.allclose(stitch.weight, whole.weight, rtol=1e-9)
    error, total = stitch.error(Moments.of(x[300:], y[300:]))
    rest = y[300:]
    assert error == pytest.approx(float((stitch(x[300:]) - rest).square().sum()))
    assert total == pytest.approx(float((rest - rest.mean(0)).square().sum()))


def test_feature_maps_are_samples_at_every_position():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 3, 6, 5)), rng.normal(size=(2, 2, 6, 5))
    flat = [np.moveaxis(maps, 1, -1).reshape(-1, maps.shape[1]) for maps in (a, b)]
    stitch = fit(a, b)
    assert torch.allclose(stitch.weight, fit(*flat).weight)
    mapped = stitch(torch.from_numpy(a))
    assert mapped.shape == (2, 2, 6, 5)
    by_hand = (
        np.einsum("oc,bchw->bohw", stitch.weight.numpy(), a) + stitch.bias.numpy()[:, None, None]
    )
    assert mapped.numpy() == pytest.approx(by_hand)


def test_cka_is_that_of_the_analysis_of_cka():
    x, y = features()
    moments = Moments.of(torch.from_numpy(x), torch.from_numpy(y))
    assert linear_cka(moments) == pytest.approx(cka(x, y, "biased"), rel=1e-9)
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(5, 5)))[0]
    same = Moments.of(torch.from_numpy(x), torch.from_numpy(3 * x @ rotation + 1))
    assert linear_cka(same) == pytest.approx(1)


def test_a_rotation_is_found():
    x, _ = features()
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(5, 5)))[0]
    stitch = fit(x, x @ rotation.T, ridge=1e-13)
    assert stitch.weight.numpy() == pytest.approx(rotation, abs=1e-6)
    assert isinstance(stitch, Stitch) and stitch.bias.numpy() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    "a, b, message",
    [
        (np.zeros((4, 2)), np.zeros((3, 2)), "the same samples"),
        (np.zeros((4, 2, 3)), np.zeros((4, 2)), r"expected \(n, C\)"),
        (np.zeros((2, 1, 4, 4)), np.zeros((2, 1, 2, 8)), "the same samples"),
        (np.full((4, 2), 7.3), np.ones((4, 2)), "do not vary"),
        (np.full((4, 2), np.nan), np.ones((4, 2)), "not finite"),
    ],
)
def test_what_cannot_be_matched_is_one_line(a, b, message):
    with pytest.raises(BadInput, match=message) as caught:
        fit(a, b)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, Undefined) == message.startswith(("do", "not"))
