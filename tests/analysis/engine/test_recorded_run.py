"""Runs with replaced features against the same computed by hand, and as a whole."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import mtd
from analysis.engine import recorded_run
from analysis.engine.network_input import NetworkInput
from analysis.engine.recorded_run import Replacement, Spot, record, run_with
from mtd.networks import external
from mtd.utils.errors import BadInput
from tests.helpers.architectures import tiny
from tests.helpers.external_networks import SOURCE
from tests.helpers.networks import tiny_network


def given(seed: int = 0, side: int = 16, images: int = 2) -> NetworkInput:
    stream = torch.Generator().manual_seed(seed)
    noisy, target = torch.rand(2, images, 3, side, side, generator=stream)
    return NetworkInput(noisy, target, [str(i) for i in range(images)])


class Shared(nn.Module):
    """A block that calls a convolution which the network calls once more, and a tail in place."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.shared = nn.Conv2d(3, 3, 3, padding=1)
        self.block = nn.Sequential(self.shared, nn.Tanh(), nn.Conv2d(3, 3, 3, padding=1))
        self.tail, self.unused = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(x)
        x = self.shared(x).relu_()
        return self.tail(x).mul_(2)


@torch.no_grad()
def test_a_run_is_recorded_call_by_call_in_order_of_time():
    network, a = Shared(), given()
    run = record(network, a, [("shared", "output"), ("tail", "input"), ("block.2", "output")])
    first, second = run.values["shared", "output"]
    assert torch.equal(first, network.shared(a.noisy))
    assert torch.equal(
        second, network.shared(network.block[2](first.tanh()))
    )  # before it was changed
    assert torch.equal(run.output, 2 * network.tail(second.relu()))
    (into,) = run.values["tail", "input"]
    assert torch.equal(into, second.relu())
    assert run.starts["shared"] < run.starts["block.2"] < run.ends["block.2"] < run.ends["shared"]
    assert run.calls["shared"] == 2 and run.bytes == 4 * into.nbytes


@torch.no_grad()
@pytest.mark.parametrize("around", [False, True])
def test_a_layer_that_is_called_inside_and_outside_of_a_block_is_computed_again(around):
    network, a = Shared(), given()
    run = record(
        network, a, [("shared", "output"), ("block.2", "output"), ("tail", "output")], around
    )
    assert set(run.before([("tail", "output")])) == (
        {"block.2", "block"} if around else {"block.2"}
    )
    value = torch.rand(2, 3, 16, 16)
    found = run_with(network, a, {("tail", "output"): Replacement([value])}, run)
    assert torch.equal(found, 2 * value)
    into = {("tail", "input"): Replacement([value], lambda own, new: own + new)}
    expected = 2 * network.tail(network.shared(network.block(a.noisy)).relu() + value)
    for base in (None, run):
        assert torch.equal(run_with(network, a, into, base), expected)
    assert not any("forward" in vars(module) for module in network.modules())


def test_what_comes_before_is_not_computed_again():
    network, a = tiny_network(), given()
    names = ["conv_first", *network.block_paths(), "conv_last"]
    spots: list[Spot] = [(name, "output") for name in names]
    run = record(network, a, spots, around=True)
    entered: list[str] = []
    for path, module in network.named_modules():
        if isinstance(module, nn.Linear):
            module.register_forward_hook(lambda *_, path=path: entered.append(path))
    last = {spots[-2]: Replacement([2 * value for value in run.values[spots[-2]]])}
    part = run_with(network, a, last, run)
    assert not entered  # the last block is replaced, and all others come before it
    assert torch.equal(run_with(network, a, last), part) and entered


def unet() -> nn.Module:
    space: dict[str, type[nn.Module]] = {}
    exec(SOURCE, space)
    return external.wrap(space["UNet"]())


NETWORKS = {
    "SwinIR": tiny_network,
    "DnCNN": lambda: tiny("DnCNN"),
    "UNet": unet,
    "Restormer": lambda: tiny("Restormer"),
    "baseline": lambda: mtd.load("baseline.pth"),
    "masked": lambda: mtd.load("masked.pth"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_rest_of_a_network_gives_the_output_of_the_whole(name):
    network = NETWORKS[name]()
    a, b = given(0), given(1)
    layers = [
        path
        for path, part in network.named_modules()
        if isinstance(part, nn.Conv2d | nn.Linear | nn.LayerNorm)
    ]
    spots: list[Spot] = [(path, "output") for path in layers]
    other, base = record(network, a, spots), record(network, b, spots, around=True)
    for spot in spots[:: max(1, len(spots) // 10)]:
        own = {spot: Replacement(base.values[spot])}
        assert torch.equal(run_with(network, b, own, base), base.output)
        change = {spot: Replacement(other.values[spot])}
        whole = run_with(network, b, change)
        assert torch.equal(run_with(network, b, change, base), whole)
        assert not torch.equal(whole, base.output)
    assert not any("forward" in vars(module) for module in network.modules())


def test_layers_that_never_fire_and_other_numbers_of_calls_are_errors():
    network, a = Shared(), given()
    with pytest.raises(BadInput, match=r"'unused' never fired .*1 of 2 chosen"):
        record(network, a, [("tail", "output"), ("unused", "output")])
    unused = {("unused", "output"): Replacement([a.noisy])}
    with pytest.raises(BadInput, match="'unused' was called 0 times with its output replaced"):
        run_with(network, a, unused)
    once = {("shared", "input"): Replacement([a.noisy], lambda own, _: own)}
    with pytest.raises(BadInput, match="called 2 times with its input replaced, expected 1"):
        run_with(network, a, once)
    assert not any("forward" in vars(module) for module in network.modules())
    with pytest.raises(BadInput, match="TorchScript"):
        record(torch.jit.script(nn.Conv2d(3, 3, 1)), a, [("", "output")])


def test_values_that_are_no_tensors_are_named():
    class Twice(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return x, x

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pair, self.last = Twice(), nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.pair(x=x)[0])

    spots: list[Spot] = [("pair", "output"), ("pair", "input"), ("last", "output")]
    run = record(Network(), given(), spots)
    assert run.refused == {("pair", "output"): "tuple", ("pair", "input"): "NoneType"}
    assert list(run.values) == [("last", "output")]


def test_a_forward_of_its_own_is_put_back():
    module = nn.Conv2d(3, 3, 1)
    module.forward = own = lambda x: x + 1
    with recorded_run.returning(module, lambda x: x):
        assert module(1) == 1
    assert module.forward is own and module(1) == 2


class InPlace(nn.Module):
    """A block whose first part changes a tensor that is used once more."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Conv2d(3, 4, 3, padding=1)
        self.u = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(4, 4, 3, padding=1))
        self.v, self.tail = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(x)
        y = self.u(x)
        return self.tail(x + self.v(y))


@torch.no_grad()
def test_modules_that_change_their_input_in_place_are_computed_again():
    network, a, b = InPlace(), given(0), given(1)
    spots: list[Spot] = [("u", "output"), ("u.1", "output"), ("v", "output")]
    base, other = (record(network, batch, spots, around=True) for batch in (a, b))
    assert base.writing == {"u"}
    x = network.head(a.noisy).relu()
    for spot in spots:
        own = {spot: Replacement(base.values[spot])}
        assert torch.equal(run_with(network, a, own, base), base.output)
        y, last = other.values[spot][0], spot[0] == "v"
        expected = network.tail(x + (y if last else network.v(y)))
        for run in (None, base):
            found = run_with(network, a, {spot: Replacement([y])}, run)
            assert torch.allclose(found, expected, atol=1e-6)
