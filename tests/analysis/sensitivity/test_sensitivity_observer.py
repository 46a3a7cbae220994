"""Sensitivity over depth: sums in closed form, and what they do not depend on."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from analysis.sensitivity.change import change, gain
from analysis.sensitivity.observer import LayerChanges, Sums, by_position, joined
from analysis.text.noise_labels import CLEAN
from mtd.data import crops as data_crops
from mtd.noise import base as noise_base
from mtd.noise import specs as noise_specs
from mtd.utils.errors import BadInput


def of(clean: Tensor, noisy: Tensor) -> Sums:
    """Sums of (images, positions, channels)."""
    clean, noisy = clean.double(), noisy.double()
    moved = (noisy - clean).square().sum((1, 2))
    return Sums(moved, clean.sum(1), clean.square().sum(1), clean.shape[1])


def features(seed: int = 0) -> tuple[Tensor, Tensor]:
    stream = torch.Generator().manual_seed(seed)
    clean = torch.randn(6, 20, 5, generator=stream, dtype=torch.float64) + 3
    return clean, clean + 0.3 * torch.randn(clean.shape, generator=stream, dtype=torch.float64)


def direct(clean: Tensor, noisy: Tensor) -> float:
    centred = clean - clean.mean((0, 1))
    return math.sqrt(float((noisy - clean).square().sum() / centred.square().sum()))


def test_change_is_the_formula_with_each_image_left_out():
    clean, noisy = features()
    value, without = change(of(clean, noisy))
    assert value == pytest.approx(direct(clean, noisy), rel=1e-12)
    for i in range(6):
        kept = torch.arange(6) != i
        assert without[i] == pytest.approx(direct(clean[kept], noisy[kept]), rel=1e-12)


def test_scale_and_channel_constants_change_nothing():
    clean, noisy = features()
    shift = torch.arange(5) * 10.0
    value, _ = change(of(clean, noisy))
    assert change(of(-7 * clean + shift, -7 * noisy + shift))[0] == pytest.approx(value, rel=1e-9)


def test_another_content_moves_a_layer_by_the_root_of_two():
    one, other = (torch.randn(50, 400, 4, dtype=torch.float64) for _ in range(2))
    assert change(of(one, other))[0] == pytest.approx(math.sqrt(2), rel=0.01)


def test_batches_decide_nothing():
    clean, noisy = features()
    parts = [of(clean[a:b], noisy[a:b]) for a, b in ((0, 1), (1, 4), (4, 6))]
    whole, split = change(of(clean, noisy)), change(joined(parts))
    assert split[0] == pytest.approx(whole[0], rel=1e-12)
    assert split[1] == pytest.approx(whole[1], rel=1e-12)
    with pytest.raises(BadInput, match="one size"):
        joined([of(clean, noisy), of(clean[:, :3], noisy[:, :3])])


def test_a_linear_layer_has_the_gain_of_its_matrix():
    clean, noisy = features()
    image = change(of(clean, noisy))
    assert gain(image, image)[0] == 1
    rotation = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64))[0]
    rotated = change(of(clean @ rotation, noisy @ rotation))
    assert gain(rotated, image)[0] == pytest.approx(1, rel=1e-9)
    smooth = change(of(clean, clean + (noisy - clean) / 4))
    assert gain(smooth, image)[0] == pytest.approx(0.25, rel=1e-12)


def test_a_layer_without_variation_has_no_change():
    constant = torch.full((4, 6, 2), 0.1)
    value, without = change(of(constant, constant + 1))
    assert math.isnan(value) and np.isnan(without).all()
    clean, _ = features()
    assert change(of(clean, clean))[0] == 0
    assert math.isnan(gain(change(of(clean, clean)), change(of(clean, clean)))[0])


@pytest.mark.parametrize("quantize", [True, False])
def test_a_gaussian_of_level_0_is_the_clean_image(quantize):
    pixels = torch.arange(256).repeat(3, 1).reshape(3, 16, 16).permute(1, 2, 0).byte().numpy()
    clean = data_crops.to_tensor([pixels])
    shown, target = noise_base.pair_keyed(
        noise_specs.parse(CLEAN), clean, ["key"], quantize=quantize
    )
    assert torch.equal(shown, clean) and torch.equal(target, clean)


def test_maps_and_tokens_are_laid_out_alike():
    maps = torch.randn(2, 5, 3, 4)
    tokens = maps.flatten(2).mT
    for same in (tokens, maps.permute(0, 2, 3, 1)):
        assert torch.equal(by_position("a", maps, 2, 3, 4), by_position("a", same, 2, 3, 4))
    for other in (maps[:1], maps[..., 0, 0], tokens.repeat(2, 1, 1)):
        with pytest.raises(BadInput, match="leave it out of --layers"):
            by_position("a", other, 2, 3, 4)


def test_an_observer_of_nothing_finds_nothing():
    assert LayerChanges({}).compute() == {}


def test_images_of_one_draw_are_left_out_together():
    clean, noisy = features()
    draws = [0, 0, 1, 2, 2, 2]
    value, without = change(of(clean, noisy), draws)
    assert value == pytest.approx(direct(clean, noisy), rel=1e-12) and len(without) == 3
    for draw in range(3):
        kept = torch.tensor([d != draw for d in draws])
        assert without[draw] == pytest.approx(direct(clean[kept], noisy[kept]), rel=1e-12)
