"""Hooks: what is recorded, under which name, and that hooks come off."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torch import nn

import analysis
from analysis.engine.hooks import Activations
from analysis.engine.layers import blocks, choose, default_layers
from mtd.masking import MaskedInference
from mtd.utils.errors import BadInput
from tests.helpers.networks import MASKED, tiny_network

BLOCKS = [f"layers.{g}.residual_group.blocks.{b}" for g in (0, 1) for b in (0, 1)]


def hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def test_default_layers_of_a_swinir():
    expected = ["conv_first", *BLOCKS, "conv_after_body", "conv_last"]
    assert default_layers(tiny_network()) == expected
    assert blocks(expected) == BLOCKS


def test_default_layers_of_another_network_are_its_convolutions():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Sequential(nn.Conv2d(4, 3, 3)))
    assert default_layers(model) == ["0", "2.0"]


@pytest.mark.parametrize(
    "selector, expected",
    [
        ("conv_*", ["conv_after_body", "conv_first", "conv_last"]),
        ("**.blocks.1", [BLOCKS[1], BLOCKS[3]]),
        ("layers.0.residual_group.blocks.*", BLOCKS[:2]),
        ("layers.?", ["layers.0", "layers.1"]),
        (r"re:layers\.0\.residual_group\.blocks\.\d", BLOCKS[:2]),
        (re.compile(r".*blocks\.0"), [BLOCKS[0], BLOCKS[2]]),
        ("type:SwinBlock", BLOCKS),
        (type(tiny_network().layers[0]), ["layers.0", "layers.1"]),
        (lambda name, module: name == "norm", ["norm"]),
        (["norm", "conv_first"], ["norm", "conv_first"]),
    ],
)
def test_selectors(selector, expected):
    assert sorted(choose(tiny_network(), selector)) == sorted(expected)


@pytest.mark.parametrize(
    "selector, message",
    [
        ("conv_frist", "did you mean conv_first"),
        ("re:conv_(", "not a regular expression"),
        ("type:Conv9d", "matches no module"),
        (nn.LSTM, "matches no module"),
        (["conv_first", "absent"], "'absent'"),
    ],
)
def test_a_selector_that_matches_nothing(selector, message):
    with pytest.raises(BadInput, match=message):
        choose(tiny_network(), selector)


def test_rows_are_in_firing_order_not_definition_order():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.outer = nn.Sequential(nn.Conv2d(3, 3, 1))
            self.last = nn.Conv2d(3, 3, 1)
            self.first = nn.Conv2d(3, 3, 1)

        def forward(self, x):
            return self.last(self.outer(self.first(x)))

    with Activations(model := Backwards(), ["outer", "outer.0", "last", "first"]) as seen:
        model(torch.zeros(1, 3, 2, 2))
    assert list(seen) == ["first", "outer.0", "outer", "last"]


def test_activations_are_copies_before_an_in_place_operation():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(4, 1, 1))
    x = torch.randn(2, 3, 5, 5)
    with Activations(model, ["0", "1"]) as seen:
        model(x)
    assert torch.allclose(seen["0"], model[0](x))
    assert torch.allclose(seen["1"], nn.functional.leaky_relu(model[0](x), 0.2))
    assert not seen["0"].requires_grad
    seen["0"].zero_()
    assert seen["1"].abs().sum() > 0


def test_in_place_activation_of_this_network():
    network, x = tiny_network(), torch.rand(1, 3, 16, 16)
    with Activations(network, ["conv_after_body.0", "conv_after_body.1"]) as seen, torch.no_grad():
        network(x)
    assert seen["conv_after_body.0"].min() < 5 * seen["conv_after_body.1"].min() * 0.99
    assert torch.allclose(
        nn.functional.leaky_relu(seen["conv_after_body.0"], 0.2), seen["conv_after_body.1"]
    )


class Odd(nn.Module):
    """Calls one module twice, puts out a tuple and a dict, and never calls `unused`."""

    def __init__(self) -> None:
        super().__init__()
        self.shared, self.lstm = nn.Linear(4, 4), nn.LSTM(4, 4, batch_first=True)
        self.unused, self.named = nn.Linear(4, 4), Named()

    def forward(self, x):
        y, _ = self.lstm(self.shared(self.shared(x)))
        return self.named(y)["twice"]


class Named(nn.Module):
    def forward(self, x):
        return {"once": x, "twice": 2 * x}


def test_repeated_calls_and_nested_outputs_are_addressed():
    model, x = Odd(), torch.randn(2, 3, 4)
    with Activations(model, ["shared", "lstm", "named"]) as seen:
        output = model(x)
    names = [
        "shared",
        "shared#2",
        "lstm[0]",
        "lstm[1][0]",
        "lstm[1][1]",
        "named[once]",
        "named[twice]",
    ]
    assert list(seen) == names
    assert torch.allclose(seen["shared#2"], model.shared(model.shared(x)))
    assert torch.equal(seen["named[twice]"], output)
    with pytest.raises(KeyError, match="did you mean shared"):
        seen["shard"]


def test_a_module_that_never_fires_is_an_error():
    model = Odd()
    with (
        pytest.raises(BadInput, match="'unused' never fired"),
        Activations(model, ["shared", "unused"]),
    ):
        model(torch.randn(2, 3, 4))
    assert hooks(model) == 0


def test_hooks_come_off_whatever_happens():
    model = Odd()
    with pytest.raises(RuntimeError), Activations(model, ["shared"]):
        assert hooks(model) == 2
        model(torch.randn(2, 3, 5))
    assert hooks(model) == 0


def test_each_forward_pass_starts_afresh():
    model = nn.Sequential(nn.Conv2d(3, 4, 1))
    with Activations(model, ["0"]) as seen:
        for size in (2, 3):
            model(torch.zeros(1, 3, size, size))
    assert list(seen) == ["0"] and seen["0"].shape[-1] == 3


def test_mask_draws_are_averaged_into_one_entry_each():
    network, x = tiny_network(), torch.rand(2, 3, 16, 16)
    network.inference = MaskedInference(MASKED, samples=3)
    keys = ["a", "b"]
    with Activations(network, None) as seen, torch.no_grad():
        network(x, keys)
        singles = []
        averaged = dict(seen.items())
        for draw in network.inference.draws(keys):
            network(x, masks=draw)
            singles.append(dict(seen.items()))
    assert list(averaged) == default_layers(network)
    for name, value in averaged.items():
        assert torch.allclose(value, torch.stack([s[name] for s in singles]).mean(0), atol=1e-6)


def test_extract_records_what_it_returns():
    network, x = tiny_network(), torch.rand(2, 3, 16, 16)
    with Activations(network, "conv_*", extract=lambda name, t: t[:, :1]) as seen:
        network(x)
    assert {value.shape[1] for _, value in seen.items()} == {1}


class WithOutput(nn.Module):
    """A module called `output`, a part that is called by keyword, and one that gives no tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.output = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 3, 1)
        self.silent = Silent()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.silent()
        return x - self.output(input=self.body(x))


class Renamed(nn.Module):
    """The same network, its last module called otherwise."""

    def __init__(self, other: WithOutput) -> None:
        super().__init__()
        self.body, self.tail = other.body, other.output

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - self.tail(self.body(x))


class Silent(nn.Module):
    def forward(self) -> None:
        return None


def test_the_input_of_a_module_that_is_called_by_keyword():
    model, x = WithOutput(), torch.rand(1, 3, 8, 8)
    with Activations(model, "input:output") as activations:
        model(x)
    assert torch.equal(activations["input:output"], model.body(x))


@pytest.mark.parametrize("selector", ["silent", "input:silent"])
def test_a_module_without_a_tensor_is_refused(selector):
    model = WithOutput()
    with (
        pytest.raises(BadInput, match="never fired in the forward pass, or without a tensor"),
        Activations(model, ["body", selector]),
    ):
        model(torch.rand(1, 3, 8, 8))


def test_a_module_called_output_is_a_layer_as_any_other():
    images, options = list(np.random.default_rng(0).random((4, 24, 24, 3))), {"crop": 24}
    torch.manual_seed(0)
    model = WithOutput()
    changes = analysis.sensitivity.measure_sensitivity(
        model, images=images, layers=["output"], progress=False, **options
    ).frames["sensitivity"]
    assert set(changes.layer) == {"noisy image", "output", "denoised image"}
    renamed = Renamed(model)
    expected = analysis.sensitivity.measure_sensitivity(
        renamed, images=images, layers=["tail"], progress=False, **options
    ).frames["sensitivity"]
    assert changes.gain.tolist() == expected.gain.tolist()
    assert expected.layer.tolist() == changes.layer.replace("output", "tail").tolist()
