"""What is told of networks, against counts by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import mtd
from mtd.masking import MaskedInference
from mtd.networks import external
from mtd.networks import profile as networks_profile
from mtd.networks.base import Denoiser
from mtd.networks.dncnn import DnCNN, DnCNNConfig
from mtd.networks.ffdnet import FFDNet
from mtd.networks.input_format import InputFormat
from mtd.networks.profile import Field, macs_per_pixel, parameters, receptive_field
from mtd.networks.restormer import Restormer, RestormerConfig
from mtd.networks.ridnet import RIDNet, RIDNetConfig
from mtd.networks.rnan import RNAN, RNANConfig
from mtd.networks.swinir_layers import SwinIRConfig
from mtd.utils.errors import BadInput
from tests.helpers.networks import MASKED, TINY, tiny_network


class Module(nn.Module):
    """A module without parts."""

    def __init__(self, compute: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.compute = compute

    def forward(self, x: Tensor) -> Tensor:
        return self.compute(x)


def dncnn(depth: int = 4, channels: int = 3) -> DnCNN:
    torch.manual_seed(0)
    return DnCNN(DnCNNConfig(in_chans=channels, features=8, depth=depth)).eval()


def swinir(config: SwinIRConfig) -> float:
    """Multiply-adds of a SwinIR by hand, for each pixel of whole windows."""
    c, tokens, hidden = config.embed_dim, config.window_size**2, config.mlp_hidden
    scores = values = tokens * c  # q · k and the weighted sum of v, all heads together
    block = 3 * c * c + scores + values + c * c + 2 * c * hidden
    closing = 9 * c * (c // 4) + (c // 4) ** 2 + 9 * (c // 4) * c
    groups = sum(config.depths) * block + len(config.depths) * closing
    return 3 * c + groups + closing + 9 * c * 3


def restormer(config: RestormerConfig) -> float:
    """Multiply-adds of a Restormer by hand, for each pixel of a multiple of 8."""
    d = config.dim

    def stage(level: int, channels: int, count: int | None = None) -> float:
        hidden, c = int(channels * config.ffn_factor), channels
        scores = mixing = c * c / config.heads[level]
        attention = 3 * c * c + 9 * 3 * c + scores + mixing + c * c
        block = attention + 2 * c * hidden + 9 * 2 * hidden + hidden * c
        return (config.num_blocks[level] if count is None else count) * block / 4**level

    down = sum(9 * c * c // 2 / 4**level for level, c in enumerate((d, 2 * d, 4 * d)))
    up = sum(9 * c * 2 * c / 4**level for level, c in ((1, 2 * d), (2, 4 * d), (3, 8 * d)))
    halve = 4 * d * 2 * d / 4 + 8 * d * 4 * d / 16
    encoder = sum(stage(level, d << level) for level in range(4))
    decoder = stage(2, 4 * d) + stage(1, 2 * d) + stage(0, 2 * d)
    refinement = stage(0, 2 * d, config.refinement_blocks)
    return 27 * d + encoder + down + up + halve + decoder + refinement + 27 * 2 * d


def rnan(config: RNANConfig, pixels: int) -> float:
    """Multiply-adds of an RNAN by hand, for each of an even number of pixels to a side."""
    f, inner = config.features, config.inner
    block = 2 * 9 * f * f
    branch = block + 9 * f * f / 4 + 2 * block / 4 + 36 * f * f / 4 + block + f * f
    group = block + 2 * block + 2 * block + branch + 9 * f * f
    non_local = 4 * f * inner + 2 * inner * pixels
    return 27 * f + (config.groups + 2) * group + 2 * non_local + 9 * f * f + 27 * f


def test_the_published_dncnn() -> None:
    network = DnCNN().eval()
    assert macs_per_pixel(network, 16) == 9 * (3 * 64 + 18 * 64 * 64 + 64 * 3)
    assert parameters(network) == 9 * (3 * 64 + 18 * 64 * 64 + 64 * 3) + 19 * 64 + 3


def test_window_attention_is_counted() -> None:
    network = tiny_network()
    assert macs_per_pixel(network, 64) == swinir(TINY)
    assert macs_per_pixel(network, 20) == pytest.approx(swinir(TINY) * (24 / 20) ** 2)
    assert macs_per_pixel(mtd.load("baseline.pth"), 16) == swinir(
        SwinIRConfig(embed_dim=48, depths=(4, 4), num_heads=(3, 3), mlp_hidden=96)
    )


def test_every_mask_draw_is_counted() -> None:
    network = tiny_network()
    network.inference = MaskedInference(MASKED, samples=3)
    assert macs_per_pixel(network, 16) == 3 * swinir(TINY)


def test_channel_attention_is_counted() -> None:
    config = RestormerConfig(
        dim=4, num_blocks=(1, 2, 1, 1), refinement_blocks=2, heads=(1, 2, 1, 4), ffn_factor=2.0
    )
    network = Restormer(config).eval()
    assert macs_per_pixel(network, 16) == restormer(config)
    assert macs_per_pixel(network, 12) == pytest.approx(restormer(config) * (16 / 12) ** 2)


def test_non_local_attention_is_counted() -> None:
    config = RNANConfig(features=4, groups=1, inner=2)
    for size in (16, 32):
        assert macs_per_pixel(RNAN(config).eval(), size) == rnan(config, size**2)


def test_the_published_ffdnet_is_told_a_noise_level() -> None:
    network = FFDNet().eval()
    count = 9 * (13 * 96 + 10 * 96 * 96 + 96 * 12) / 4
    assert macs_per_pixel(network, 16) == count
    for sigma in (25.0, "oracle"):
        network.input_format = InputFormat(sigma=sigma)
        told = networks_profile.describe(network, 16)
        assert told["takes_noise_level"] and told["noise_level"] == sigma
        assert told["macs_per_pixel"] == count and told["receptive_field"]["reach"] == 25


def test_a_transformer_of_pytorch_s_own_is_counted() -> None:
    """In eval mode its layers run in one fused kernel."""

    class Pixels(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.TransformerEncoderLayer(6, 2, 10, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            tokens = nn.functional.pixel_unshuffle(x, 8).flatten(2).mT
            mixed = self.layer(tokens.unflatten(2, (-1, 6)).flatten(1, 2))
            image = mixed.reshape(tokens.shape).mT.unflatten(2, (x.shape[2] // 8, -1))
            return nn.functional.pixel_shuffle(image, 8)

    network, before = external.wrap(Pixels()), torch.backends.mha.get_fastpath_enabled()
    tokens = 16 * 16 // 2
    assert macs_per_pixel(network, 16) == (4 * 36 + 2 * 60 + 2 * tokens * 6) / 2
    assert torch.backends.mha.get_fastpath_enabled() == before


def test_networks_for_grey() -> None:
    network = dncnn(4, channels=1)
    told, count = networks_profile.describe(network, 16), 9 * (8 + 2 * 64 + 8)
    assert (told["channel_order"], told["macs_per_pixel"]) == ("grayscale", count)
    network.input_format = replace(network.input_format, per_channel=True)
    told = networks_profile.describe(network, 16)
    assert "each channel" in told["channel_order"] and told["macs_per_pixel"] == 3 * count


@pytest.mark.parametrize("depth", [2, 4, 7])
def test_a_field_that_is_measured(depth: int) -> None:
    network = external.wrap(dncnn(depth))
    assert network.reach is None
    field = receptive_field(network, 48)
    assert field == Field(depth, side=48) and "pixels to each side (measured" in str(field)
    assert all(value.grad is None for value in network.parameters())
    assert receptive_field(dncnn(depth)) == Field(depth)
    assert str(Field(1)) == "sees 1 pixel to each side"


def test_a_field_that_differs_between_pixels() -> None:
    """Blocks of 4 pixels, of which the last sees only its own, and the first all of them."""

    def sums(x: Tensor) -> Tensor:
        return x.unflatten(2, (-1, 4)).flip(3).cumsum(3).flip(3).flatten(2, 3)

    network = external.wrap(Module(sums))
    assert network.config.multiple == 4
    assert receptive_field(network) == Field(3, side=96)


@pytest.mark.parametrize(
    "network",
    [
        Restormer(RestormerConfig(dim=4, num_blocks=(1, 1, 1, 1), refinement_blocks=0)),
        RNAN(RNANConfig(features=4, groups=1, inner=2)),
        RIDNet(RIDNetConfig(features=8, blocks=1, reduction=4, value_range=255.0)),
    ],
    ids=lambda network: type(network).__name__,
)
def test_networks_that_see_the_whole_image(network: Denoiser) -> None:
    network.initialize(torch.Generator().manual_seed(0))
    field = receptive_field(network.eval(), 32)
    assert field.whole and field.reach is None and "the whole image" in str(field)


def test_units_that_are_off_are_connected_all_the_same() -> None:
    network = dncnn(4)
    for name, value in network.named_parameters():
        value.data -= 10 * name.endswith("bias")
    assert receptive_field(external.wrap(network), 32) == Field(4, side=32)


def test_fields_that_cannot_be_measured() -> None:
    assert "does not depend" in str(receptive_field(external.wrap(Module(lambda x: 0 * x))))
    field = receptive_field(external.wrap(Module(lambda x: x.detach().clone())))
    assert field.reach is None and not field.whole and str(field).startswith("not known (")


def test_a_network_that_changes_its_input() -> None:
    network = external.wrap(Module(lambda x: x.mul_(0.5)))
    assert receptive_field(network) == Field(0, side=96)


def test_sizes_that_cannot_be_measured() -> None:
    with pytest.raises(BadInput, match="8 x 8 or more"):
        macs_per_pixel(tiny_network(), 7)

    def picky(x: Tensor) -> Tensor:
        if x.shape[-1] > 80:
            raise RuntimeError("too large\nfor me")
        return x * 1

    network = external.wrap(Module(picky))
    with pytest.raises(BadInput, match=r"fails on \(1, 3, 88, 88\): RuntimeError: too large$"):
        macs_per_pixel(network, 88)
    assert "too large" in receptive_field(network).why


def test_a_bundled_file() -> None:
    network = mtd.load("masked.pth")
    told = json.loads(json.dumps(networks_profile.describe(network, 16)))
    assert told["architecture"] == "SwinIR" and len(told["sha256"]) == 64
    assert told["hyper_parameters"]["depths"] == [4, 4]
    assert "attention mask 75%" in told["mask_policy"] and told["mask_source"] == "the checkpoint"
    assert told["attention_mask_drawn"]
    assert told["layers"] == 11 and told["first_layer"] == "conv_first"
    assert told["receptive_field"]["reach"] == network.reach
    assert told["training"]["steps"] == 19000
    assert told["parameters"] == sum(p.numel() for p in network.parameters())


def test_value_range_and_channel_order() -> None:
    network: Denoiser = RIDNet(RIDNetConfig(features=4, reduction=4, value_range=255.0)).eval()
    network.input_format = replace(network.input_format, bgr=True)
    told = networks_profile.describe(network, 8)
    assert told["value_range"] == 255 and told["channel_order"] == "BGR"
    two = DnCNN(DnCNNConfig(in_chans=2, features=2, depth=2)).eval()
    assert networks_profile.describe(two, 8)["channel_order"] == "2 channels"
