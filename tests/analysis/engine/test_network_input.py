"""Networks on a batch: the same as `denoise`, with gradients, whatever they are given."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

import mtd
from analysis.engine import forward
from analysis.engine.forward import ForwardSettings
from analysis.engine.network_input import NetworkInput
from analysis.engine.observer import Batch
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.inference.forward import denoise
from mtd.noise import specs as noise_specs
from tests.helpers.architectures import tiny

SIDE = 9
"""Less than the smallest input of some networks."""


def noisy(settings: ForwardSettings):
    batch = Batch(0, data_crops.crops(photographs.photographs(), SIDE, 2))
    return forward.make_noisy_batch(noise_specs.parse("gaussian:30"), batch, settings)


@pytest.mark.parametrize("name", ["masked.pth", "FFDNet", "Restormer"])
@pytest.mark.parametrize("masked", [0.0, 0.5])
@pytest.mark.parametrize("wrap", ["none", "normalize"])
def test_it_is_denoised_with_gradients(name, masked, wrap):
    model = mtd.load(name) if "." in name else tiny(name)
    sigma = "oracle" if name == "FFDNet" else None
    model.input_format = replace(model.input_format, wrap=wrap, sigma=sigma)
    settings = ForwardSettings(input_mask=masked)
    batch = noisy(settings)
    given = NetworkInput.of(model, batch, settings)
    with torch.no_grad():
        expected = denoise(
            model,
            batch.noisy,
            keys=batch.batch.digests,
            input_mask=forward.input_mask(batch, settings),
            tile="off",
            sigma=forward.noise_level(model, batch),
        )
    image = batch.noisy.clone().requires_grad_()
    output = given.run(model, image)
    assert torch.equal(output.detach(), expected) and output.shape == image.shape
    (slope,) = torch.autograd.grad(output.square().sum(), image)
    assert slope.isfinite().all() and slope.any()
    assert torch.equal(given.run(model).detach(), expected)


def test_errors_are_squared_8_bit_levels_of_each_image():
    settings = ForwardSettings()
    given = NetworkInput.of(nn.Identity(), noisy(settings), settings)
    by_hand = ((given.noisy.numpy().astype(float) - given.target.numpy()) * 255) ** 2
    assert given.errors(given.noisy).numpy() == pytest.approx(by_hand.mean((1, 2, 3)), rel=1e-12)
    assert given.level is None
