"""RNAN: the published outputs, detection from tensors, odd sizes, and attention in parts."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from mtd.networks import rnan
from mtd.networks.dncnn import DnCNN, DnCNNConfig
from mtd.networks.rnan import ARCHITECTURE, RNAN, NonLocal, RNANConfig, detect
from mtd.utils.errors import BadInput
from tests.helpers.golden_files import golden, golden_weights
from tests.helpers.networks import tiny_network

SMALL = RNANConfig(features=8, groups=2, inner=3)


def small(config: RNANConfig = SMALL) -> RNAN:
    network = RNAN(config)
    network.initialize(torch.Generator().manual_seed(0))
    return network.eval()


def test_published_outputs():
    meta, arrays = golden("rnan")
    network = RNAN().double().eval()
    assert sum(p.numel() for p in network.parameters()) == meta["parameters"] == 8_959_555
    shapes = {name: list(value.shape) for name, value in network.state_dict().items()}
    assert shapes == {name: shape for name, shape, _, _ in meta["state_dict"]}
    weights = golden_weights(meta)
    assert detect(weights) == RNANConfig()
    network.load_state_dict(weights)
    x, expected = (torch.from_numpy(arrays[key]) for key in ("input", "output"))
    with torch.no_grad():
        assert (network(x) - expected).abs().max() < 1e-9
        assert (network.float()(x.float()) - expected).abs().max() < 1e-4


def test_the_same_network_on_values_to_255():
    """Only the first and the last convolution see the image's units."""
    one, white = small().double(), small(replace(SMALL, value_range=255.0)).double()
    weights = one.state_dict()
    for key, factor in (("head.0.weight", 1 / 255), ("tail.0.weight", 255), ("tail.0.bias", 255)):
        weights[key] = weights[key] * factor
    white.load_state_dict(weights)
    x = torch.rand(2, 3, 6, 9, dtype=torch.float64)
    assert RNAN.range_unknown and white.input_format.value_range == 255
    with torch.no_grad():
        assert torch.equal(white(x), white.restore(x * 255) / 255)
        torch.testing.assert_close(white(x), one(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "config",
    [SMALL, RNANConfig(in_chans=1, features=4, groups=1, inner=5), RNANConfig(3, 2, 11, 1)],
)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_built_saved_detected_is_the_same(tmp_path, config, prefix):
    config.check()
    network = small(config)
    torch.save({prefix + k: v for k, v in network.state_dict().items()}, tmp_path / "a.pth")
    held = torch.load(tmp_path / "a.pth", weights_only=True)
    (anchor,) = (key for key in held if key.endswith(ARCHITECTURE.anchor))
    assert anchor == prefix + ARCHITECTURE.anchor
    weights = {key.removeprefix(prefix): value for key, value in held.items()}
    assert detect(weights) == config == RNANConfig.from_dict(config.to_dict())
    loaded = ARCHITECTURE.build(config).eval()
    loaded.load_state_dict(weights)
    x = torch.rand(2, config.in_chans, 6, 4)
    with torch.no_grad():
        assert torch.equal(loaded(x), network(x))


def test_other_networks_are_none():
    assert detect({}) is None
    assert detect(DnCNN(DnCNNConfig(features=4, depth=3)).state_dict()) is None
    assert detect(tiny_network().state_dict()) is None


def test_an_incomplete_or_odd_rnan():
    weights = small().state_dict()
    with pytest.raises(BadInput, match=r"incomplete RNAN, 'tail\.0\.weight' is missing"):
        detect({k: v for k, v in weights.items() if not k.startswith("tail")})
    with pytest.raises(BadInput, match="incomplete RNAN"):
        detect(weights | {"head.0.weight": torch.zeros(3)})
    with pytest.raises(BadInput, match="from 3 to 12 channels"):
        detect(weights | {"tail.0.weight": torch.zeros(12, 8, 3, 3)})


@pytest.mark.parametrize("name", ["in_chans", "features", "groups", "inner", "value_range"])
def test_sizes_that_cannot_be_built(name):
    with pytest.raises(BadInput, match=r"RNAN of .*: expected 1 or"):
        RNANConfig(**{name: 0}).check()


def test_attention_sums_to_one_over_queries_whatever_is_held_at_a_time(monkeypatch):
    torch.manual_seed(0)
    block = NonLocal(6, 4).double()
    x = torch.randn(2, 6, 5, 7, dtype=torch.float64)
    whole = block(x)
    theta, phi, g = (part(x).flatten(2) for part in (block.theta, block.phi, block.g))
    matrix = torch.einsum("bcq,bck->bqk", theta, phi).softmax(1)
    gathered = torch.einsum("bqk,bck->bcq", matrix, g).view(2, 4, 5, 7)
    torch.testing.assert_close(whole, block.W(gathered) + x, rtol=0, atol=1e-12)
    for held in (1, 16, 34):
        monkeypatch.setattr(rnan, "KEYS_AT_ONCE", held)
        torch.testing.assert_close(block(x), whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (3, 5), (2, 7), (8, 6)])
def test_sizes_and_layers(size):
    network, fired = small(), {}
    layers = network.main_layers()
    for name in layers:
        network.get_submodule(name).register_forward_hook(
            lambda _, __, output, name=name: fired.update({name: output.shape})
        )
    with torch.no_grad():
        assert network(torch.rand(2, 3, *size)).shape == (2, 3, *size)
    assert list(fired) == layers
    assert layers == (
        ["head.0", "body_nl_low.0", "body.0", "body.1", "body.2", "body_nl_high.0", "tail.0"]
    )
    full = tuple(side + side % 2 for side in size)
    assert all(shape == (2, 3 if name == "tail.0" else 8, *full) for name, shape in fired.items())


def test_odd_sizes_are_mirrored():
    network, x = small(), torch.rand(1, 3, 5, 3)
    with torch.no_grad():
        mirrored = network(F.pad(x, (0, 1, 0, 1), mode="reflect"))
        assert torch.equal(network(x), mirrored[..., :5, :3])


def test_every_pixel_sees_the_whole_image():
    network = small().double()
    x = torch.rand(1, 3, 40, 40, dtype=torch.float64, requires_grad=True)
    network(x)[0, :, 0, 0].sum().backward()
    assert network.reach is None and x.grad[0, :, -1, -1].abs().min() > 0


def test_gradients_reach_every_weight():
    network = small().train()
    network(torch.rand(2, 3, 8, 7)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert network.head[0].weight.grad.abs().min() > 0
