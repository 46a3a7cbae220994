"""Which layers hold features, and which the output, by running a network."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import mtd
from mtd.networks.external import wrap
from mtd.networks.input_format import RESIDUALS, InputFormat
from mtd.networks.layer_roles import determine
from tests.helpers import external_networks
from tests.helpers.architectures import TINY, tiny
from tests.helpers.external_networks import nafnet
from tests.helpers.paths import data_folder


def conv(inputs: int, outputs: int, **how) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, **how)


class Small(nn.Module):
    """Three convolutions: `a`, `b` and `last`."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        self.a, self.b = conv(3, 8, bias=bias), conv(8, 8, bias=bias)
        self.last = conv(8, 3, bias=bias)

    def features(self, x: Tensor) -> Tensor:
        return F.relu(self.b(F.relu(self.a(x), inplace=True)), inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return x - self.last(self.features(x))


class Image(Small):
    def forward(self, x):
        return self.last(self.features(x))


class Clamped(Small):
    def forward(self, x):
        return (x - self.last(self.features(x))).clamp(0, 1)


class Leaky(Small):
    def forward(self, x):
        return F.leaky_relu(self.last(self.features(x)), 0.1, inplace=True)


class Shuffled(Small):
    """FFDNet's ends: half the size, four times the channels."""

    def __init__(self):
        super().__init__()
        self.a, self.last = conv(12, 16), conv(8, 12)
        self.b = conv(16, 8)

    def forward(self, x):
        return F.pixel_shuffle(self.last(self.features(F.pixel_unshuffle(x, 2))), 2)


class Gated(Small):
    """ADNet's ends: the noise, and a 1 x 1 convolution of tanh(image, noise) that weights it."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Conv2d(6, 3, 1)

    def forward(self, x):
        noise = self.last(self.features(x))
        return x - self.mix(torch.tanh(torch.cat([x, noise], 1))) * noise


class Trunk(Small):
    """`b` is added to a trunk of which the output is affine, `last` makes the noise of it."""

    def forward(self, x):
        h = self.a(x)
        return x + self.last(h + self.b(torch.sigmoid(h)))


class Attention(Small):
    """The last features weighted by channel; the weights are a layer of 1 x 1 positions."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Conv2d(8, 8, 1)

    def forward(self, x):
        h = self.features(x)
        return x - self.last(h * torch.sigmoid(self.weight(h.mean((2, 3), keepdim=True))))


class Repeated(Small):
    def forward(self, x):
        for _ in range(3):
            x = super().forward(x)
        return x


class Unused(Small):
    """A second output that is thrown away, as of deep supervision, computed last."""

    def __init__(self):
        super().__init__()
        self.side = conv(8, 3)

    def forward(self, x):
        h = self.features(x)
        out = x - self.last(h)
        self.side(h)
        return out


class AtHalfSize(Small):
    """As many numbers in every layer as in the image."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.last = conv(12, 12), conv(12, 12), conv(12, 12)

    def forward(self, x):
        return F.pixel_shuffle(self.last(self.features(F.pixel_unshuffle(x, 2))), 2)


class ClampedAtHalfSize(AtHalfSize):
    def forward(self, x):
        return super().forward(x).clamp(0.4, 0.6)


class Patches(nn.Module):
    """A transformer's ends: tokens as wide as a patch has numbers, and a linear layer to pixels."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.last = nn.Linear(48, 48), nn.Linear(48, 48), nn.Linear(48, 48)

    def forward(self, x):
        tokens = F.pixel_unshuffle(x, 4)
        shape, tokens = tokens.shape, tokens.flatten(2).mT
        tokens = tokens + self.b(F.gelu(self.a(tokens)))
        return F.pixel_shuffle(self.last(F.gelu(tokens)).mT.reshape(shape), 4)


class GatedByOutput(Small):
    """The predicted noise weighted by channel, by a layer of it that comes last."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        noise = self.last(self.features(x))
        return x - noise * torch.sigmoid(self.gate(noise.mean((2, 3), keepdim=True)))


class Unrolled(nn.Module):
    """Stages of their own weights, each of which subtracts a part of the noise."""

    def __init__(self):
        super().__init__()
        self.stages = nn.ModuleList(Small() for _ in range(3))

    def forward(self, x):
        for stage in self.stages:
            x = stage(x)
        return x


@pytest.mark.parametrize(
    ("kind", "outputs", "image_layer", "predicts"),
    [
        (Small, {"last"}, "last", "noise"),
        (Image, {"last"}, "last", "image"),
        (Clamped, {"last"}, "last", "noise"),
        (Leaky, {"last"}, "last", "image"),
        (Shuffled, {"last"}, "last", "image"),
        (Gated, {"last", "mix"}, "last", "noise"),
        (Trunk, {"last", "b"}, "last", "noise"),
        (Attention, {"last"}, "last", "noise"),
        (Repeated, {"last"}, "last", "noise"),
        (AtHalfSize, {"last"}, "last", "image"),
        (ClampedAtHalfSize, {"last"}, "last", "image"),
        (Patches, {"last"}, "last", "image"),
        (GatedByOutput, {"last"}, "last", "noise"),
        (Unrolled, {"stages.2.last"}, "stages.2.last", "noise"),
        (Unused, {"side", "last"}, "last", "noise"),
    ],
)
def test_roles_of_a_network_that_is_run(kind, outputs, image_layer, predicts):
    torch.manual_seed(0)
    network = wrap(kind())
    roles = determine(network)
    assert (roles.outputs, roles.image_layer) == (outputs, image_layer)
    assert roles.predicts == predicts
    assert network.last_convolution() == image_layer
    assert not any(part._forward_hooks for part in network.modules())


@pytest.mark.parametrize("training", [True, False])
def test_running_a_network_changes_nothing_in_it(training):
    parts = [conv(3, 8), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(), conv(8, 3)]
    network = wrap(nn.Sequential(*parts)).train(training)
    parts[1].eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [part.training for part in (network, *network.whole.modules())]
    assert network.main_layers() == ["0", "4"]
    assert [part.training for part in (network, *network.whole.modules())] == modes
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_bias_free_network_and_batch_normalization():
    torch.manual_seed(0)
    parts = [conv(3, 8, bias=False), nn.ReLU()]
    parts += [conv(8, 8, bias=False), nn.BatchNorm2d(8), nn.ReLU(), conv(8, 3, bias=False)]
    roles = determine(wrap(nn.Sequential(*parts)))
    assert (roles.outputs, roles.image_layer, roles.predicts) == ({"5"}, "5", "image")
    assert list(roles.calls.items()) == [("0", 1), ("2", 1), ("5", 1)]


def test_a_unet_and_spandrels_networks():
    space: dict = {}
    exec(external_networks.SOURCE, space)
    torch.manual_seed(0)
    roles = determine(wrap(space["UNet"]()))
    assert (roles.outputs, roles.image_layer) == ({"_block6.4"}, "_block6.4")
    assert roles.calls == {
        "_block1.0": 1,
        "_block1.2": 1,
        "_block2.0": 4,
        "_block3.0": 1,
        "_block3.2": 1,
        "_block4.0": 1,
        "_block4.2": 1,
        "_block4.4": 1,
        "_block5.0": 3,
        "_block5.2": 3,
        "_block5.4": 3,
        "_block6.0": 1,
        "_block6.2": 1,
        "_block6.4": 1,
    }
    assert list(roles.calls)[-1] == "_block6.4"
    assert roles.strides["_block3.0"] == 32 and roles.strides["_block6.4"] == 1
    network = nafnet()
    with torch.no_grad():  # as built, its blocks add nothing
        for name, value in network.named_parameters():
            if name.endswith(("beta", "gamma")):
                value.fill_(1)
    roles = determine(wrap(network))
    assert (roles.outputs, roles.image_layer) == ({"ending", "decoders.1.0.conv5"}, "ending")
    assert roles.predicts == "noise"


@pytest.mark.parametrize("name", TINY)
def test_what_an_architecture_says_is_what_running_it_gives(name):
    network = tiny(name)
    declared, measured = network.layer_roles(), determine(network)
    assert declared.predicts == measured.predicts
    if name == "IDF":  # its layers give filters, which are no part of the output
        assert not declared.outputs and network.last_convolution() == "block.kernel_predictor"
        return
    assert declared.image_layer in measured.outputs
    inside = tuple(f"{path}." for path in declared.outputs)
    recorded = set(network.main_layers())
    assert declared.outputs <= recorded | {"add_mean"}
    # where the two differ, it is by parts of layers, which are not recorded
    assert measured.outputs & recorded <= declared.outputs
    missing = declared.outputs - measured.outputs
    assert all(any(part.startswith(inside) for part in measured.outputs) for _ in missing)


def test_a_stock_swinir_predicts_the_noise_and_the_papers_the_image():
    assert mtd.load("masked.pth").layer_roles().predicts == "image"
    from mtd.networks.swinir_layers import SwinIRConfig

    config = SwinIRConfig(
        embed_dim=8, depths=(2,), num_heads=(2,), mlp_hidden=6, global_residual=True
    )
    network = tiny("SwinIR", config=config)
    assert network.layer_roles().predicts == determine(network).predicts == "noise"


def test_published_networks():
    folder = data_folder("checkpoints")
    for name, kind, options in (
        ("dncnn_color_blind.pth", "noise", {}),
        ("ffdnet_color.pth", "image", {"sigma": 15}),
    ):
        network = mtd.load(folder / name, **options)
        declared, measured = network.layer_roles(), determine(network)
        assert declared.outputs == measured.outputs == {network.main_layers()[-1]}
        assert declared.predicts == measured.predicts == kind


@pytest.mark.parametrize("residual", RESIDUALS)
@pytest.mark.parametrize("kind", [Small, Image])
def test_what_is_predicted_depends_on_the_use_of_the_output(kind, residual):
    """By definition: whether the output follows the input if the last layer's stays the same."""
    network = wrap(kind())
    network.input_format = InputFormat(residual=residual)
    x, change = torch.rand(2, 1, 3, 16, 16).unbind()
    constant = torch.rand(1, 3, 16, 16)
    network.get_submodule("last").register_forward_hook(lambda *_: constant)
    with torch.no_grad():
        moved = network(x + change) - network(x)
    slope = float((moved * change).sum() / change.square().sum())
    expected = {0: "image", 1: "noise", 2: ""}[round(slope)]
    fresh = wrap(kind())
    fresh.input_format = InputFormat(residual=residual)
    assert fresh.layer_roles().predicts == expected
