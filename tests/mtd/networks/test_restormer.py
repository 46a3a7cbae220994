"""Restormer: the published outputs, detection from tensors, sizes, and what analyses record."""

from __future__ import annotations

import pytest
import torch

from mtd.networks.dncnn import DnCNN, DnCNNConfig
from mtd.networks.restormer import (
    ARCHITECTURE,
    Restormer,
    RestormerConfig,
    detect,
    ffn_factor,
)
from mtd.utils.errors import BadInput
from tests.helpers.golden_files import golden, golden_weights
from tests.helpers.networks import tiny_network

GOLDEN = {
    "restormer_gaussian_color": (RestormerConfig(), 26_111_668),
    "restormer_real_denoising": (RestormerConfig(norm_bias=True), 26_126_644),
}
SMALL = RestormerConfig(dim=4, num_blocks=(1, 2, 1, 1), refinement_blocks=1, heads=(1, 2, 2, 4))
OTHERS = [
    SMALL,
    RestormerConfig(1, 6, (2, 1, 1, 3), 2, (3, 1, 2, 4), 2.0, bias=True, norm_bias=True),
    RestormerConfig(4, 10, (1, 1, 2, 1), 0, (2, 2, 5, 8), 1.7, norm_bias=True),
]


def small(config=SMALL):
    """A small network in double precision whose weights are all far from their first values."""
    torch.manual_seed(0)
    network = Restormer(config).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return network


def rand(*shape, seed=0):
    """Uniform numbers in double precision."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    "name",
    [
        "restormer_gaussian_color",
        pytest.param("restormer_real_denoising", marks=pytest.mark.slow),
    ],
)
def test_published_outputs(name):
    meta, arrays = golden(name)
    config, parameters = GOLDEN[name]
    weights = golden_weights(meta)
    assert detect(weights) == config
    network = Restormer(config).double().eval()
    assert sum(p.numel() for p in network.parameters()) == parameters == meta["parameters"]
    assert list(network.state_dict()) == [key for key, *_ in meta["state_dict"]]
    network.load_state_dict(weights)
    x, expected = (torch.from_numpy(arrays[key]) for key in ("input", "output"))
    with torch.no_grad():
        assert (network(x) - expected).abs().max() < 1e-9
        assert (network.float()(x.float()) - expected).abs().max() < 1e-4
    assert len(network.main_layers()) == 46


@pytest.mark.parametrize("config", OTHERS)
def test_detection_of_what_was_built(config):
    config.check()
    weights = Restormer(config).state_dict()
    assert detect(weights) == config
    assert [key for key in weights if key.endswith(ARCHITECTURE.anchor)] == [ARCHITECTURE.anchor]
    assert all(key in weights for key in ARCHITECTURE.keys)
    assert RestormerConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    "weights",
    [{}, tiny_network().state_dict(), DnCNN(DnCNNConfig(features=8, depth=4)).state_dict()],
)
def test_nothing_else_is_a_restormer(weights):
    assert detect(weights) is None


@pytest.mark.parametrize(
    "key, value, message",
    [
        ("patch_embed.proj.weight", torch.zeros(4, 6, 3, 3), "dual-pixel defocus"),
        ("skip_conv.weight", torch.zeros(8, 4, 1, 1), "dual-pixel defocus"),
        ("patch_embed.proj.weight", torch.zeros(4, 1, 3, 3), "from 1 to 3 channels"),
        ("output.weight", None, "'output.weight' is missing or misshapen"),
        ("latent.0.attn.temperature", torch.tensor(1.0), "missing or misshapen"),
        ("latent.0.ffn.project_out.weight", torch.zeros(32, 10, 1, 1), r"hidden widths \[10, 21"),
    ],
)
def test_what_cannot_be_run_is_refused(key, value, message):
    weights = {**Restormer(SMALL).state_dict(), key: value}
    weights = {k: v for k, v in weights.items() if v is not None}
    with pytest.raises(BadInput, match=message):
        detect(weights)


@pytest.mark.parametrize("dim", [2, 16, 36, 48, 64])
@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0, 2.6, 2.66, 2.6667, 3.99, 4.35])
def test_a_factor_that_gives_the_widths(dim, factor):
    widths = [int((dim << level) * factor) for level in range(4)]
    found = ffn_factor(dim, widths)
    assert [int((dim << level) * found) for level in range(4)] == widths
    assert len(str(found)) <= len(str(factor)) or found == 2.66


@pytest.mark.parametrize("height, width", [(1, 1), (3, 5), (37, 45), (8, 4)])
def test_any_size(height, width):
    with torch.no_grad():
        output = small()(rand(2, 3, height, width))
    assert output.shape == (2, 3, height, width) and output.isfinite().all()


def test_an_image_does_not_depend_on_its_companions():
    network, x = small(), rand(3, 3, 16, 8)
    with torch.no_grad():
        together = network(x)
        other = network(torch.cat([x[:1], 1 - x[1:]]))
        alone = network(x[:1])
    assert (together[0] - other[0]).abs().max() < 1e-12
    assert (together[0] - alone[0]).abs().max() < 1e-12


def test_every_pixel_sees_the_whole_image():
    network, x = small(), rand(1, 3, 64, 64).requires_grad_()
    network(x)[0, :, 0, 0].sum().backward()
    assert network.reach is None and x.grad[0, :, -8:, -8:].abs().sum() > 0


@pytest.mark.parametrize("config", OTHERS)
def test_gradients_flow_to_every_weight(config):
    network = small(config).train()
    network(rand(2, config.in_chans, 13, 24)).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert all(p.grad.abs().sum() > 0 for p in network.parameters())


def test_main_layers_fire_once_in_order():
    network, fired = small(), []
    names = network.main_layers()
    for name in names:
        network.get_submodule(name).register_forward_hook(
            lambda _, __, output, name=name: fired.append((name, tuple(output.shape)))
        )
    with torch.no_grad():
        network(rand(2, 3, 15, 24))
    assert [name for name, _ in fired] == names
    shapes = dict(fired)
    assert len(names) == 12 and names[0] == "patch_embed" and names[-1] == "output"
    assert shapes["patch_embed"] == (2, 4, 16, 24) and shapes["output"] == (2, 3, 16, 24)
    assert shapes["latent.0"] == (2, 32, 2, 3) and shapes["refinement.0"] == (2, 8, 16, 24)


@pytest.mark.parametrize(
    "config, message",
    [
        (RestormerConfig(num_blocks=(4, 6, 6)), "each of 4 levels"),
        (RestormerConfig(heads=(1, 2, 4, 0)), "each of 4 levels"),
        (RestormerConfig(dim=7), "dim 7 with"),
        (RestormerConfig(heads=(5, 2, 4, 8)), r"dim 48 with \[5, 2, 4, 8\] heads"),
        (RestormerConfig(ffn_factor=0.01), "ffn_factor 0.01: expected at least"),
        (RestormerConfig(ffn_factor=float("nan")), "ffn_factor nan"),
        (RestormerConfig(in_chans=0), "in_chans is 1 or more"),
        (RestormerConfig(refinement_blocks=-1), "refinement_blocks 0 or more"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(config, message):
    with pytest.raises(BadInput, match=message):
        config.check()
