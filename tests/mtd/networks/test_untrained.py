"""Networks with random weights: drawn as before a training, and nothing of a trained one left."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from torch import Tensor, nn

from mtd.masking import MaskedInference
from mtd.networks import external, registry
from mtd.networks.base import Denoiser
from mtd.networks.untrained import registered, untrained
from mtd.utils import seeds
from mtd.utils.errors import BadInput
from tests.helpers.architectures import TINY, output, tiny
from tests.helpers.external_networks import nafnet, scunet
from tests.helpers.networks import MASKED, tiny_network


def parameters(network: nn.Module) -> dict[str, Tensor]:
    return dict(network.named_parameters())


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(params=TINY)
def network(request: pytest.FixtureRequest) -> Denoiser:
    """A network of each architecture, all of whose weights and running averages differ."""
    trained = tiny(request.param)
    for module in trained.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.num_batches_tracked is not None
            module.running_mean += 1
            module.num_batches_tracked += 7
    with torch.no_grad():  # which start as constants
        for name, value in trained.named_parameters():
            if "mean." in name:
                value += 0.01 * torch.randn(value.shape, generator=torch.Generator())
    return trained


def test_weights_are_those_that_a_training_starts_from(network):
    start = registry.build(network.config)
    start.initialize(seeds.generator("weights", "untrained", 4))
    drawn = untrained(network, 4)
    assert not drawn.kept and registered(network)
    expected, by_initialize = parameters(start), initialized(network)
    for name, value in parameters(drawn.network).items():
        if name in by_initialize:
            assert torch.equal(value, expected[name]), name
        else:  # drawn by the constructor, or constant
            assert value.shape == expected[name].shape and value.isfinite().all()


def initialized(network: Denoiser) -> set[str]:
    """The parameters that `initialize` draws: the others keep what they had."""
    probe = copy.deepcopy(network)
    with torch.no_grad():
        for value in probe.parameters():
            value.fill_(torch.nan)
    probe.initialize(torch.Generator().manual_seed(0))
    return {name for name, value in probe.named_parameters() if not value.isnan().any()}


def test_nothing_of_the_trained_weights_is_left(network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fresh = untrained(network, 0).network
    for name, value in parameters(fresh).items():
        assert not torch.equal(value, before[name]), name
        assert not (value == before[name]).any(), name
    assert same(network.state_dict(), before)  # the original is untouched


def test_running_averages_start_anew_and_other_buffers_stay(network):
    fresh = untrained(network, 0).network
    state, before = fresh.state_dict(), network.state_dict()
    running = {
        f"{path}.{name}"
        for path, module in network.named_modules()
        if isinstance(module, nn.BatchNorm2d)
        for name, _ in module.named_buffers()
    }
    for name, value in fresh.named_buffers():
        if name in running:
            expected = torch.ones_like(value) if name.endswith("var") else torch.zeros_like(value)
            assert torch.equal(value, expected), name
        elif name in state:
            assert torch.equal(value, before[name]), name
    assert bool(running) == (type(network).__name__ in ("DnCNN", "RIDNet", "BFDnCNN"))


def test_the_seed_decides_and_other_random_numbers_are_left_alone(network):
    state = torch.get_rng_state()
    first, again, other = (parameters(untrained(network, seed).network) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert same(first, again)
    drawn = [name for name in first if first[name].unique().numel() > 1 and "mean." not in name]
    assert drawn and all(not torch.equal(first[name], other[name]) for name in drawn)
    another = untrained(tiny(type(network).__name__, seed=9), 1).network
    assert same(parameters(another), first)  # whatever the trained weights


def test_its_output_is_finite_and_its_own(network):
    fresh = untrained(network, 0).network
    assert not fresh.training
    image = output(fresh)
    assert image.isfinite().all() and not torch.equal(image, output(network))
    assert torch.equal(image, output(untrained(network, 0).network))


def test_it_is_called_and_masked_like_the_trained_one():
    network = tiny_network()
    network.inference = MaskedInference(MASKED, "on", 3, 7)
    network.input_format = dataclasses.replace(network.input_format, value_range=255.0)
    network.source = {"path": "a.pth"}
    fresh = untrained(network, 0).network
    assert fresh.inference == network.inference and fresh.input_format == network.input_format
    assert not fresh.source and network.source == {"path": "a.pth"}
    x = torch.rand(2, 3, 16, 16)
    with torch.no_grad():  # masks of the same images, not of the network
        assert torch.equal(fresh(x, ["a", "b"]), fresh(x, ["a", "b"]))
        assert not torch.equal(fresh(x, ["a", "b"]), fresh(x, ["c", "d"]))


class Own(nn.Module):
    """A network of a user, with convolutions, normalization and a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.PReLU(), nn.Conv2d(4, 3, 1)
        )
        self.register_buffer("shift", torch.full((1, 3, 1, 1), 0.25))

    def forward(self, x: Tensor) -> Tensor:
        return x - self.body(x) + self.shift


def trained(module: nn.Module) -> nn.Module:
    """The module with weights and running averages that no initialization gives."""
    stream = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in (*module.parameters(), *module.buffers()):
            if value.is_floating_point():
                value += 0.1 + 0.1 * torch.rand(value.shape, generator=stream)
    return module


def test_a_module_of_a_user_gets_what_reset_parameters_draws():
    own = trained(Own())
    network = external.wrap(own)
    before = {name: value.clone() for name, value in own.state_dict().items()}
    drawn = untrained(network, 3)
    assert not drawn.kept and not registered(network)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.derive("untrained", 3))
        expected = Own().body  # whose constructors draw in the same order
    state = drawn.network.state_dict()
    for name, value in expected.state_dict().items():
        assert torch.equal(state[f"body.{name}"], value), name
    assert torch.equal(state["shift"], before["shift"])
    assert same(dict(own.state_dict()), before)
    again, other = (untrained(network, seed).network.state_dict() for seed in (3, 4))
    assert same(dict(again), dict(state)) and not torch.equal(
        other["body.0.weight"], state["body.0.weight"]
    )
    x = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        values = drawn.network(x)
    assert values.isfinite().all() and not torch.equal(values, network(x))


def test_a_module_that_is_a_single_layer():
    layer = trained(nn.Conv2d(3, 3, 3, padding=1))
    drawn = untrained(external.wrap(layer), 3)
    assert not drawn.kept
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.derive("untrained", 3))
        expected = nn.Conv2d(3, 3, 3, padding=1).state_dict()
    assert same(dict(drawn.network.state_dict()), dict(expected))


class Scaled(nn.Module):
    """Its own weights have no `reset_parameters`."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.linspace(0.5, 1, 3).view(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


def test_modules_whose_weights_stay_are_named():
    network = external.wrap(nn.Sequential(nn.Conv2d(3, 3, 1), Scaled(), Scaled()))
    drawn = untrained(network, 0)
    assert drawn.kept == ("1", "2")
    before = network.state_dict()
    state = drawn.network.state_dict()
    assert torch.equal(state["1.scale"], before["1.scale"])
    assert not torch.equal(state["0.weight"], before["0.weight"])


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_weights_that_are_made_of_others_are_named():
    """Weight normalization: `reset_parameters` sets a weight that is computed anew."""
    old = nn.Conv2d(3, 3, 3, padding=1)
    nn.utils.weight_norm(old)
    new = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 3, 3, padding=1))
    network = external.wrap(nn.Sequential(nn.Conv2d(3, 3, 1), old, new))
    assert untrained(network, 0).kept == ("1", "2.parametrizations.weight")


@pytest.mark.parametrize("module", [Scaled(), nn.Sequential(Scaled(), nn.ReLU())])
def test_a_network_of_which_nothing_can_be_drawn_anew_is_refused(module):
    kind = type(module).__name__
    with pytest.raises(BadInput, match=f"no module of {kind} has reset_parameters that"):
        untrained(external.wrap(module), 0)


class Unique(nn.Conv2d):
    """A network that cannot be copied."""

    def __deepcopy__(self, memo: object) -> Unique:
        raise TypeError("there is one only")


def test_a_network_that_cannot_be_copied_is_refused():
    network = external.wrap(Unique(3, 3, 1))
    with pytest.raises(BadInput, match=r"Unique cannot be copied \(TypeError: there is one only\)"):
        untrained(network, 0)


def test_a_network_without_weights_stays_what_it_is():
    fresh = untrained(external.wrap(nn.Identity()), 0)
    x = torch.rand(1, 3, 8, 8)
    assert not fresh.kept and torch.equal(fresh.network(x), x)


@pytest.mark.parametrize("make", [nafnet, scunet])
def test_networks_that_spandrel_knows(make):
    """Weights without `reset_parameters` are theirs: scales of blocks, biases of positions."""
    network = external.wrap(trained(make()))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    drawn = untrained(network, 0)
    modules, state = dict(network.named_modules()), drawn.network.state_dict()
    for path, module in modules.items():
        for name, _ in module.named_parameters(recurse=False):
            full = f"{path}.{name}" if path else name
            assert torch.equal(state[full], before[full]) == (path in drawn.kept), full
    assert not any(isinstance(modules[path], nn.Conv2d | nn.Linear) for path in drawn.kept)
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert drawn.network(x).isfinite().all()


def test_a_network_that_was_never_trained_does_not_get_its_own_weights_back():
    """Whatever the seed that it was made with."""
    for seed in range(3):
        torch.manual_seed(seed)
        module = nn.Conv2d(3, 3, 3, padding=1)
        drawn = untrained(external.wrap(module), seed)
        assert not drawn.kept
        assert not (drawn.network.state_dict()["weight"] == module.weight).any()
