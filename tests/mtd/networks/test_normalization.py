"""The wrapper `normalize`: equivariant by construction, whole images' statistics, hooks inside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import jvp

import mtd
from mtd.inference.forward import denoise, forward
from mtd.inference.self_test import self_test
from mtd.masking import MaskedInference, MaskPolicy
from mtd.networks import external, profile
from mtd.networks.base import Denoiser, Unchanged
from mtd.networks.dncnn import DnCNN, DnCNNConfig
from mtd.networks.input_format import InputFormat
from mtd.networks.normalization import Normalization
from mtd.networks.untrained import untrained
from mtd.utils.errors import BadInput
from tests.helpers.architectures import TINY, X, tiny
from tests.helpers.networks import MASKED, tiny_network

A, B = 0.6, 0.15


def wrapped(network: Denoiser, **usage) -> Denoiser:
    network.input_format = replace(network.input_format, wrap="normalize", **usage)
    return network


@torch.no_grad()
def errors(call, image: Tensor) -> tuple[float, float]:
    """Relative scale and brightness error."""
    output, scaled, shifted = call(image), call(A * image), call(A * image + B)
    scale = (scaled - A * output).norm() / (A * output).norm()
    return float(scale), float((shifted - A * output - B).norm() / (A * output + B).norm())


@pytest.mark.parametrize("name", sorted(TINY))
def test_scale_and_brightness_make_no_difference(name):
    network = tiny(name)
    if network.takes_sigma:  # the oracle's level follows the scale
        network.input_format = replace(network.input_format, sigma="oracle")

    def call(image: Tensor) -> Tensor:
        level = 0.1 * image.std((1, 2, 3)) if network.takes_sigma else None
        return network(image, sigma=level)

    scaled, brighter = errors(call, X)
    assert brighter > 1e-4 and (scaled > 1e-4) == (not name.startswith("BF"))  # bias-free
    wrapped(network)
    assert max(errors(call, X)) < 1e-5


def test_the_formula():
    """Against float64 NumPy: f̃(y) = s (f((y − m) / s + 0.5) − 0.5) + m, s = std(y) / 0.25."""
    network = tiny("DnCNN").double()
    with torch.no_grad():
        image = X.double()
        found = wrapped(tiny("DnCNN").double())(image).numpy()
        for y, own in zip(image.numpy(), found, strict=True):
            m, s = y.mean(), y.std() / 0.25
            z = torch.from_numpy((y - m) / s + 0.5)[None]
            expected = s * (network(z)[0].numpy() - 0.5) + m
            assert np.abs(own - expected).max() < 1e-12
            assert z.mean().item() == pytest.approx(0.5) and np.std(z.numpy()) == pytest.approx(
                0.25
            )


def test_the_identity_stays_the_identity():
    assert (wrapped(Unchanged())(X) - X).abs().max() < 1e-6


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_a_constant_image_comes_out_as_it_is(value):
    network = wrapped(tiny("FFDNet"), sigma=25.0)
    image = torch.full((1, 3, 12, 12), value).requires_grad_()
    output = network(image)
    assert (output - value).abs().max() < 1e-6
    (gradient,) = torch.autograd.grad(output.sum(), image)
    assert gradient.isfinite().all()


def test_formats_are_inside_the_wrapper():
    """Value range, order of channels and residual are what the network itself takes."""
    gray = DnCNN(DnCNNConfig(in_chans=1, features=6, depth=3)).eval()
    gray.initialize(torch.Generator().manual_seed(0))
    for network, usage in (
        (gray, {"per_channel": True}),
        (tiny("DnCNN"), {"bgr": True, "value_range": 255.0, "residual": "minus"}),
        (tiny("DnCNN"), {"residual": "plus"}),
        (tiny("DnCNN"), {"residual": "flip"}),
    ):
        assert max(errors(wrapped(network, **usage), X)) < 1e-5
    with torch.no_grad():
        of = Normalization.of(X)
        plain = tiny("DnCNN")
        plain.input_format = InputFormat(residual="minus")
        expected = of.undo(plain(of.apply(X)))
        assert torch.equal(wrapped(tiny("DnCNN"), residual="minus")(X), expected)


def test_a_noise_level_is_scaled_with_the_image():
    seen = []

    class Told(nn.Module):
        def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
            seen.append(sigma.flatten())
            return x

    network = wrapped(external.wrap(Told()), sigma=25.0, value_range=255.0)
    network(X)
    network.input_format = replace(network.input_format, sigma="oracle")
    network(X, sigma=torch.tensor([0.1, 0.2]))
    deviations = X.double().numpy().std((1, 2, 3))
    assert torch.allclose(seen[-2].double(), torch.from_numpy(25 * 0.25 / deviations))
    expected = 255 * np.array([0.1, 0.2]) * 0.25 / deviations
    assert torch.allclose(seen[-1].double(), torch.from_numpy(expected))


def test_tiles_have_the_statistics_of_the_image():
    network = DnCNN(DnCNNConfig(features=4, depth=3)).eval()
    network.initialize(torch.Generator().manual_seed(0))
    stream = torch.Generator().manual_seed(1)
    ramp = torch.linspace(0, 0.7, 96)
    image = ramp * torch.rand(2, 3, 96, 96, generator=stream)
    whole = denoise(wrapped(network), image, tile="off")
    tiles = denoise(network, image, tile=40)
    assert (whole - tiles).abs().max() < 1e-5
    small = denoise(network, image[..., :5, :5])  # padded, but of its own mean and deviation
    assert torch.isfinite(small).all()
    part = network(image[..., :40, :40])
    assert (part - whole[..., :40, :40]).abs()[..., :30, :30].max() > 1e-3


@pytest.mark.parametrize("fills", [True, False])
def test_masked_pixels_do_not_count(fills):
    """Neither their values nor their number change the output."""
    network = tiny_network()
    policy = MASKED if fills else MaskPolicy()
    network.inference = MaskedInference(policy, "off", 1, 0)
    assert network.fills_input_mask == fills
    wrapped(network)
    image = X[..., :16].repeat(1, 1, 2, 1)[:, :, :16]
    mask = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(2)) < 0.7

    def call(y: Tensor) -> Tensor:
        return forward(network, y, [0, 1], mask)

    assert max(errors(call, image)) < 1e-5
    with torch.no_grad():
        other = torch.where(mask, image, 0.9)
        assert torch.allclose(call(image), call(other), atol=1e-6)
        visible = image[0].numpy().astype(float)[:, mask[0, 0].numpy()]
    of = Normalization.of(image, mask)
    assert of.mean[0].item() == pytest.approx(visible.mean())
    assert of.scale[0].item() == pytest.approx(visible.std() / 0.25)
    assert Normalization.of(image, torch.zeros_like(mask)).scale.eq(0).all()


def test_masked_pixels_are_black_to_a_network_that_does_not_fill_them():
    seen = []
    network = tiny("DnCNN")
    first = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
    first.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    mask = torch.rand(2, 1, 12, 17, generator=torch.Generator().manual_seed(2)) < 0.7
    with torch.no_grad():
        forward(wrapped(network), X, None, mask)
    hidden = ~mask.expand_as(X)
    assert seen[0][hidden].abs().max() < 1e-6 and seen[0][~hidden].abs().max() > 0.1


def test_paths_layers_and_controls_are_those_of_the_network():
    plain, network = tiny("SwinIR"), wrapped(tiny("SwinIR"))
    names = [name for name, _ in plain.named_modules()]
    assert [name for name, _ in network.named_modules()] == names
    assert network.main_layers() == plain.main_layers()
    assert network.block_paths() == plain.block_paths()
    assert network.layer_roles() == plain.layer_roles()
    assert untrained(network, 0).network.normalizes
    for name in ("DnCNN", "FFDNet"):
        plain, network = tiny(name), wrapped(tiny(name))
        assert profile.receptive_field(network, 24) == profile.receptive_field(plain, 24)
        assert profile.macs_per_pixel(network, 24) == profile.macs_per_pixel(plain, 24)


def test_gradients_go_through_mean_and_deviation():
    """Euler: f̃(a y) = a f̃(y) for all a > 0, so that the Jacobian times y is f̃(y)."""
    network = wrapped(tiny("DnCNN").double())
    image = X.double()
    output, product = jvp(network, (image,), (image,))
    assert torch.allclose(output, product, atol=1e-10)
    _, shifted = jvp(network, (image,), (torch.ones_like(image),))
    assert torch.allclose(shifted, torch.ones_like(image), atol=1e-10)


def test_loaded_models_say_that_they_are_wrapped():
    plain, network = mtd.load("baseline.pth"), mtd.load("baseline.pth", wrap="normalize")
    assert network.source["usage"] == plain.source["usage"] | {"wrap": "normalize"}
    assert profile.describe(network, 16)["wrap"] == "normalize"
    tests = [self_test(model, 1e9) for model in (plain, network)]
    assert tests[0].to_dict() == tests[1].to_dict()  # of the network itself
    blur = mtd.load("classical:blur:0.9", wrap="normalize")
    assert blur.source["usage"] == {"wrap": "normalize"}
    assert torch.allclose(blur(X), mtd.load("classical:blur:0.9")(X), atol=1e-6)
    level = mtd.load("classical:wavelet", wrap="normalize")
    assert max(errors(level, X)) < 1e-5
    with pytest.raises(BadInput, match=r"^wrap 'norm': did you mean normalize.$"):
        InputFormat(wrap="norm")
