"""Networks that write into their input, repeat layers, are compiled, or compute parts again."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from analysis.engine import run as engine_run
from analysis.engine.forward import ForwardSettings, make_noisy_batch, run_network
from analysis.engine.hooks import Activations
from analysis.engine.observer import OUTPUT, Batch, Watch
from analysis.srga.observer import FEATURES, DeepFeatures
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.networks.external import wrap
from mtd.noise import specs as noise_specs
from mtd.utils.errors import BadInput
from tests.analysis.engine.test_run import Outputs
from tests.helpers.networks import tiny_network

NOISE = noise_specs.parse("gaussian:15")


class Two(nn.Module):
    """x minus `b` of `a`."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x - self.b(F.relu(self.a(x)))


class Centered(Two):
    def forward(self, x):
        mean = x.mean((1, 2, 3), keepdim=True)
        return super().forward(x - mean) + mean


class InPlace(Two):
    """`Centered`, written into the input."""

    def forward(self, x):
        mean = x.mean((1, 2, 3), keepdim=True)
        x.sub_(mean)
        x.sub_(self.b(F.relu(self.a(x))))
        return x.add_(mean)


class Activated(Two):
    """An activation in place, on the input itself."""

    def forward(self, x):
        return super().forward(F.relu(x.sub_(0.5), inplace=True))


class Conditional(Two):
    def forward(self, x, sigma):
        return super().forward(x) + sigma.mul_(2)


class Repeated(Two):
    def forward(self, x):
        for _ in range(3):
            x = super().forward(x)
        return x


class Checkpointed(Two):
    reentrant = False

    def forward(self, x):
        inner = checkpoint(lambda y: F.relu(self.a(y)), x, use_reentrant=self.reentrant)
        return x - self.b(inner)


class Reentrant(Checkpointed):
    reentrant = True


def batch(crops: int = 4) -> Batch:
    return Batch(0, list(data_crops.crops(photographs.photographs(), 16, crops)))


def seeded(kind: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return kind()


@pytest.mark.parametrize("kind", [InPlace, Activated, Conditional])
@pytest.mark.parametrize("hidden", [0.0, 0.5])
@pytest.mark.parametrize("tile", ["off", 32])
def test_the_noisy_batch_is_after_each_call_what_it_was(kind, hidden, tile):
    network = wrap(seeded(kind), sigma=kind is Conditional)
    settings = ForwardSettings(input_mask=hidden)
    crops = list(data_crops.crops(photographs.photographs(), 48, 2))
    noisy = make_noisy_batch(NOISE, Batch(0, crops), settings)
    before, level = noisy.noisy.clone(), noisy.level.clone()
    if kind is Conditional:
        network.input_format = replace(network.input_format, sigma="oracle")
    observer = Outputs({"": network})
    first, second = (
        run_network(network, noisy, [observer], settings, tile)[0][OUTPUT].clone() for _ in "ab"
    )
    assert torch.equal(noisy.noisy, before) and torch.equal(noisy.level, level)
    assert torch.equal(first, second)


def test_a_network_that_writes_into_its_input_scores_as_one_that_does_not():
    networks = {
        "plain": wrap(seeded(Centered)),
        "in place": wrap(seeded(InPlace)),
        "after": tiny_network(),
    }
    alone = {"after": networks["after"]}
    together, apart = Outputs(networks), Outputs(alone)
    for models, observer in ((networks, together), (alone, apart)):
        list(engine_run.run_batches(models, [NOISE], [batch()], [Watch(observer)]))
    outputs = {view.model: value for view, value in together.outputs.items()}
    assert (outputs["in place"] - outputs["plain"]).abs().max() < 1e-6
    (value,) = apart.outputs.values()
    assert torch.equal(outputs["after"], value)


def test_deep_features_of_a_repeated_layer_are_those_of_its_last_call():
    network = wrap(seeded(Repeated))
    observer = DeepFeatures({"": "input:b"}, 2**20)
    noisy = make_noisy_batch(NOISE, batch(), ForwardSettings())
    (tensors,) = run_network(network, noisy, [observer], ForwardSettings(), "off")
    x, module = noisy.noisy, network.whole
    with torch.no_grad():
        for _ in range(2):
            x = Two.forward(module, x)
        expected = F.relu(module.a(x)).flatten(1)
    assert torch.equal(tensors[FEATURES], expected)


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("how", ["wrapped", "in place", "a part"])
def test_compiled_networks_are_recorded_as_they_were_written(how, warm):
    if not hasattr(torch.compiler, "set_stance"):
        pytest.skip("PyTorch before 2.6")
    x, plain = torch.rand(2, 3, 8, 8), seeded(Two)
    model = seeded(Two)
    if how == "wrapped":
        model = torch.compile(model, backend="eager")
    elif how == "in place":
        model.compile(backend="eager")
    else:
        model.a = torch.compile(model.a, backend="eager")
    with torch.no_grad():
        if warm:
            model(x)
        with Activations(model) as activations:
            output = model(x)
        with Activations(plain) as expected:
            plain(x)
        assert torch.equal(output, plain(x)) and torch.equal(model(x), output)
    names = [name.replace("._orig_mod", "") for name, _ in activations.items()]
    assert names == ["a", "b"]
    for (_, value), name in zip(activations.items(), names, strict=True):
        assert torch.equal(value, expected[name])
    torch.compiler.reset()


class CompiledFunction(Two):
    def __init__(self) -> None:
        super().__init__()
        self.plain = Two()
        self.compiled = torch.compile(self.plain.forward, backend="eager")

    def forward(self, x):
        return self.compiled(x)


@pytest.mark.parametrize("warm", [False, True])
def test_a_compiled_function_in_a_network_is_recorded(warm):
    if not hasattr(torch.compiler, "set_stance"):
        pytest.skip("PyTorch before 2.6")
    model, x = seeded(CompiledFunction), torch.rand(2, 3, 8, 8)
    with torch.no_grad():
        if warm:
            model(x)
        with Activations(model, "plain.*") as activations:
            output = model(x)
        assert torch.equal(output, model.plain(x))
    assert list(activations) == ["plain.a", "plain.b"]
    assert wrap(model).main_layers() == ["plain.a", "plain.b"]
    torch.compiler.reset()


def test_torchscript_is_refused_with_what_to_do():
    x, message = torch.rand(1, 3, 16, 16), r"TorchScript.*give the nn\.Module that it was made from"
    for module in (torch.jit.script(nn.Conv2d(3, 3, 1)), torch.jit.trace(seeded(Two), x)):
        with pytest.raises(BadInput, match=message):
            wrap(module)
        with pytest.raises(BadInput, match=message):
            Activations(module)


def test_a_compiled_network_as_a_denoiser_has_the_layers_of_the_original():
    network = wrap(torch.compile(seeded(Two), backend="eager"))
    assert network.main_layers() == ["a", "b"] and network.last_convolution() == "b"


def test_compiled_networks_are_refused_where_the_original_cannot_be_run(monkeypatch):
    monkeypatch.delattr(torch.compiler, "set_stance", raising=False)
    model = torch.compile(seeded(Two), backend="eager")
    refused = pytest.raises(BadInput, match=r"compiled network.*give the module that was compiled")
    with refused, Activations(model):
        pass


@pytest.mark.parametrize("kind", [Checkpointed, Reentrant])
def test_the_backward_pass_of_checkpointed_modules_records_nothing(kind):
    model = seeded(kind)
    with Activations(model) as activations:
        model(torch.rand(1, 3, 8, 8, requires_grad=True)).sum().backward()
    assert list(activations) == ["a", "b"]
