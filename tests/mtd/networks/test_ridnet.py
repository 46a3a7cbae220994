"""RIDNet: the published outputs, detection from tensors, and both value ranges."""

from __future__ import annotations

import pytest
import torch

from mtd.networks.dncnn import DnCNN, DnCNNConfig
from mtd.networks.ridnet import ARCHITECTURE, RIDNet, RIDNetConfig, detect
from mtd.utils.errors import BadInput
from tests.helpers.golden_files import golden, golden_weights
from tests.helpers.networks import tiny_network

SMALL = RIDNetConfig(features=8, blocks=2, reduction=4)


def small(config: RIDNetConfig = SMALL, seed: int = 0) -> RIDNet:
    network = RIDNet(config)
    network.initialize(torch.Generator().manual_seed(seed))
    return network.eval()


def test_published_outputs():
    meta, arrays = golden("ridnet")
    network = RIDNet().double().eval()
    assert sum(p.numel() for p in network.parameters()) == meta["parameters"] == 1_499_515
    shapes = {name: list(value.shape) for name, value in network.state_dict().items()}
    assert shapes == {name: shape for name, shape, _, _ in meta["state_dict"]}
    network.load_state_dict(golden_weights(meta))
    x, expected = (torch.from_numpy(arrays[key]) for key in ("input", "output"))
    with torch.no_grad():
        assert (network(x) - expected).abs().max() < 1e-9
        assert (network.float()(x.float()) - expected).abs().max() < 1e-4


def test_the_same_network_on_values_to_255():
    """Images, means and biases in units of the image 255 times as large, nothing else changed."""
    meta, arrays = golden("ridnet")
    weights = golden_weights(meta)
    for key in ("sub_mean.bias", "add_mean.bias", "tail.weight", "tail.bias"):
        weights[key] = weights[key] * 255
    weights["head.0.weight"] = weights["head.0.weight"] / 255
    config = detect(weights)
    assert config == RIDNetConfig(value_range=255)
    network = RIDNet(config).double().eval()
    assert network.input_format.value_range == 255
    network.load_state_dict(weights)
    x, expected = (torch.from_numpy(arrays[key]) for key in ("input", "output"))
    with torch.no_grad():
        assert (network(x) - expected).abs().max() < 1e-9
        assert torch.equal(network(x), network.restore(x * 255) / 255)


@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        RIDNetConfig(),
        RIDNetConfig(features=6, blocks=1, reduction=1, value_range=255),
        RIDNetConfig(features=6, blocks=11, reduction=6),
    ],
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
    assert detect(weights) == config == RIDNetConfig.from_dict(config.to_dict())
    loaded = ARCHITECTURE.build(config).eval()
    loaded.load_state_dict(weights)
    x = torch.rand(2, 3, 5, 7)
    with torch.no_grad():
        assert torch.equal(loaded(x), network(x))


def test_other_networks_are_none():
    assert detect({}) is None
    assert detect(DnCNN(DnCNNConfig(features=4, depth=3)).state_dict()) is None
    assert detect(tiny_network().state_dict()) is None


@pytest.mark.parametrize("means", [0.0, 0.05, 7.0, float("nan"), 1e4])
def test_means_that_do_not_tell_the_range(means):
    weights = small().state_dict() | {"sub_mean.bias": torch.full((3,), means)}
    with pytest.raises(BadInput, match="does not tell whether it takes values up to 1"):
        detect(weights)


def test_an_incomplete_or_odd_ridnet():
    weights = small().state_dict()
    with pytest.raises(BadInput, match=r"incomplete RIDNet, 'head\.0\.weight' is missing"):
        detect({k: v for k, v in weights.items() if not k.startswith("head")})
    with pytest.raises(BadInput, match="incomplete RIDNet"):
        detect(weights | {"head.0.weight": torch.zeros(3)})
    with pytest.raises(BadInput, match="narrows 8 channels to 3"):
        detect(weights | {"b1.ca.c1.0.weight": torch.zeros(3, 8, 1, 1)})


@pytest.mark.parametrize(
    "config, message",
    [
        (RIDNetConfig(in_chans=1), "1 channels: expected 3"),
        (RIDNetConfig(features=0), "0 features"),
        (RIDNetConfig(blocks=0), "0 blocks"),
        (RIDNetConfig(reduction=0), "reduction 0"),
        (RIDNetConfig(features=64, reduction=7), "a divisor of the features"),
        (RIDNetConfig(value_range=100), "expected 1 or 255"),
        (RIDNetConfig(value_range=float("nan")), "expected 1 or 255"),
    ],
)
def test_sizes_that_cannot_be_built(config, message):
    with pytest.raises(BadInput, match=message):
        config.check()


@pytest.mark.parametrize("value_range", [1.0, 255.0])
def test_fresh_mean_shifts_are_those_of_rgb(value_range):
    network = small(RIDNetConfig(features=8, blocks=1, reduction=4, value_range=value_range))
    assert network.sub_mean.bias.tolist() == pytest.approx(
        [-value_range * mean for mean in (0.4488, 0.4371, 0.4040)]
    )
    assert torch.equal(network.add_mean.bias, -network.sub_mean.bias)
    for shift in (network.sub_mean, network.add_mean):
        assert torch.equal(shift.weight[..., 0, 0], torch.eye(3)) and shift.weight.requires_grad


def test_initialised_by_its_stream_alone():
    a, b, c = (small(seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not torch.equal(a["b1.r1.body1.0.weight"], c["b1.r1.body1.0.weight"])


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (17, 2)])
def test_sizes_and_layers(size):
    network, fired = small(), {}
    layers = network.main_layers()
    for name in layers:
        network.get_submodule(name).register_forward_hook(
            lambda _, __, output, name=name: fired.update({name: output.shape})
        )
    with torch.no_grad():
        assert network(torch.rand(2, 3, *size)).shape == (2, 3, *size)
    assert list(fired) == layers == ["head", *layers[1:-1], "tail"] and len(layers) == 10
    assert all(shape == (2, 3 if name == "tail" else 8, *size) for name, shape in fired.items())


def test_every_pixel_sees_the_whole_image():
    network = small().double()
    x = torch.rand(1, 3, 64, 64, dtype=torch.float64, requires_grad=True)
    network(x)[0, :, 0, 0].sum().backward()
    assert network.reach is None and x.grad[0, :, -1, -1].abs().min() > 0


def test_gradients_reach_every_weight():
    network = small().train()
    network(torch.rand(3, 3, 8, 8)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    assert network.sub_mean.bias.grad.abs().min() > 0
    with pytest.raises(BadInput, match="a batch of 1 image"):
        network(torch.rand(1, 3, 8, 8))
