"""FFDNet: real photographs with the published network, detection from tensors, and what it sees."""

from __future__ import annotations

import pytest
import torch

from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.loading import checkpoint_file
from mtd.metrics.psnr_ssim import psnr
from mtd.networks.dncnn import DnCNN, DnCNNConfig
from mtd.networks.ffdnet import ARCHITECTURE, FFDNet, FFDNetConfig, detect
from mtd.noise import specs as noise_specs
from mtd.utils.errors import BadInput
from tests.helpers.networks import tiny_network
from tests.helpers.noises import add_keyed
from tests.helpers.paths import data_folder

SMALL = FFDNetConfig(features=8, depth=3)


def small(config=SMALL, seed=0):
    """A small network in double precision."""
    network = FFDNet(config).double().eval()
    network.initialize(torch.Generator().manual_seed(seed))
    return network


def rand(*shape, seed=0):
    """Uniform numbers in double precision."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def published():
    """The published colour network."""
    weights = checkpoint_file.read(data_folder("checkpoints") / "ffdnet_color.pth").own.tensors
    network = FFDNet(detect(weights)).eval()
    network.load_state_dict(weights)
    return network


def test_published_checkpoint_by_detection():
    network = published()
    assert network.config == FFDNetConfig()
    assert sum(p.numel() for p in network.parameters()) == 852_108


def on_kodak(network, level, count=24, side=None):
    """PSNR of the first photographs under noise of 25, and of what the network makes of them.

    Args:
        side: of what is taken of each, from its corner; all of it by default.
    """
    made, before, after = noise_specs.parse("gaussian:25"), [], []
    for crop in data_crops.whole(photographs.photographs(data_folder("kodak24"))[:count]):
        clean = data_crops.to_tensor([crop.pixels[:side, :side]])
        noisy = add_keyed(made, clean, [crop.digest], quantize=False)
        with torch.no_grad():
            output = network(noisy, sigma=torch.full((1,), level / 255))
        before.append(float(psnr(noisy, clean)))
        after.append(float(psnr(output, clean)))
    return torch.tensor(before), torch.tensor(after)


def test_photographs_by_the_noise_level_that_is_told():
    network = published()
    before, right = on_kodak(network, 25, 3, 256)
    _, wrong = on_kodak(network, 5, 3, 256)
    assert right.mean() > 31 and (right - before).min() > 8 and (right - wrong).min() > 3


@pytest.mark.slow
def test_published_mean_on_kodak24():
    _, after = on_kodak(published(), 25)
    assert len(after) == 24 and float(after.mean()) == pytest.approx(32.13, abs=0.006)


CONFIGS = [
    FFDNetConfig(),
    FFDNetConfig(in_chans=1, features=64, depth=15),
    FFDNetConfig(in_chans=4, features=5, depth=4, bias=False),
    FFDNetConfig(features=12, depth=2),
]


@pytest.mark.parametrize("config", CONFIGS)
def test_detection_of_what_was_built(config):
    config.check()
    weights = FFDNet(config).state_dict()
    assert detect(weights) == config
    assert [key for key in weights if key.endswith(ARCHITECTURE.anchor)] == [ARCHITECTURE.anchor]
    assert all(key in weights for key in ARCHITECTURE.keys)
    assert FFDNetConfig.from_dict(config.to_dict()) == config


def changed(**new):
    """An FFDNet's weights with some replaced, or left out where None."""
    weights = {**FFDNet(SMALL).state_dict(), **{k.replace("_", "."): v for k, v in new.items()}}
    return {key: value for key, value in weights.items() if value is not None}


@pytest.mark.parametrize(
    "weights",
    [
        {},
        tiny_network().state_dict(),
        DnCNN(DnCNNConfig(in_chans=12, features=8, depth=4)).state_dict(),
        DnCNN(DnCNNConfig(features=8, depth=4, batch_norm=True)).state_dict(),
        changed(model_0_weight=torch.zeros(8, 15, 3, 3)),
        changed(model_0_weight=torch.zeros(8, 13, 5, 5)),
        changed(model_0_weight=torch.zeros(8)),
        changed(model_2_weight=torch.zeros(8, 9, 3, 3)),
        changed(model_2_weight=None),
        changed(model_2_bias=None),
        changed(model_1_running_mean=torch.zeros(8)),
        changed(model_0_weight=torch.zeros(8, 4, 3, 3), model_4_weight=torch.zeros(3, 8, 3, 3)),
    ],
)
def test_nothing_else_is_an_ffdnet(weights):
    assert detect(weights) is None


@pytest.mark.parametrize("height, width", [(1, 1), (3, 5), (37, 45), (8, 6)])
def test_any_size(height, width):
    with torch.no_grad():
        assert small()(rand(2, 3, height, width), sigma=torch.full((2,), 0.1)).shape == (
            *(2, 3, height, width),
        )


def test_an_odd_side_is_made_even_by_repeating_the_last_pixels():
    network, level, x = small(), torch.full((1,), 0.1), rand(1, 3, 5, 7)
    larger = torch.cat([x, x[:, :, -1:]], 2)
    larger = torch.cat([larger, larger[..., -1:]], 3)
    with torch.no_grad():
        assert torch.equal(network(x, sigma=level), network(larger, sigma=level)[..., :5, :7])


def test_each_image_by_itself_and_by_its_own_noise_level():
    network, x, levels = small(), rand(2, 3, 9, 8), torch.tensor([0.05, 0.3])
    with torch.no_grad():
        both = network(x, sigma=levels)
        other = network(torch.stack([x[0], 1 - x[1]]), sigma=torch.tensor([0.05, 0.0]))
        alone = network(x[1:], sigma=levels[1:])
    assert (both[0] - other[0]).abs().max() < 1e-12 and (both[1] - alone[0]).abs().max() < 1e-12
    assert (both[1] - other[1]).abs().max() > 1e-6


def test_the_noise_level_is_needed():
    with pytest.raises(BadInput, match="is noise-conditional"):
        small()(rand(1, 3, 8, 8))


@pytest.mark.parametrize("place", [20, 21])
def test_reach_is_exact(place):
    network = small()
    x = rand(1, 3, 42, 42).requires_grad_()
    network(x, sigma=torch.full((1,), 0.1))[0, :, place, place].sum().backward()
    reached = (x.grad[0].abs().sum(0).nonzero() - place).abs().max()
    assert network.reach == 7 and reached == 7


def test_gradients_flow_to_every_weight():
    network = small().train()
    network(rand(1, 3, 7, 8), sigma=torch.full((1,), 0.1)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_main_layers_fire_once_in_order():
    network, fired = small(), []
    for name in network.main_layers():
        network.get_submodule(name).register_forward_hook(
            lambda _, __, output, name=name: fired.append((name, tuple(output.shape)))
        )
    with torch.no_grad():
        network(rand(2, 3, 7, 8), sigma=torch.full((2,), 0.1))
    folded = {"model.0": 8, "model.2": 8, "model.4": 12}
    assert fired == [(name, (2, width, 4, 4)) for name, width in folded.items()]


def test_no_size_below_the_least():
    with pytest.raises(BadInput, match="depth 1: expected 1, 1 and 2 or more"):
        FFDNetConfig(depth=1).check()
