"""Networks that run side by side give what each gives alone."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import numpy as np
import pytest
import torch
from torch import nn

import mtd
from analysis.engine import side_by_side
from analysis.engine.forward import ForwardSettings
from analysis.engine.observer import Batch, Observer, View, Watch
from analysis.engine.run import batches, run_batches
from mtd.data.crops import Crop
from mtd.networks.base import Unchanged
from mtd.networks.compiled import eager
from mtd.noise import parse
from tests.helpers.networks import tiny_network


class Kept(Observer):
    """Keeps what it is given, and the thread that each layer was extracted in."""

    name = "kept"

    def __init__(self, layers: dict[str, list[str]]) -> None:
        super().__init__()
        self.layers = layers
        self.found: dict[View, dict[str, torch.Tensor]] = {}
        self.threads: set[str] = set()

    @property
    def key(self):
        return {}

    def extract(self, layer, value, noisy):
        self.threads.add(threading.current_thread().name)
        return {layer: value.clone()}

    def update(self, batch, activations):
        self.found |= {view: dict(cached.tensors()) for view, cached in activations.items()}

    def compute(self):
        return self.found


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "own_cores", lambda: 2)
    torch.set_num_threads(2)


def crops() -> list[Batch]:
    random = np.random.default_rng(0)
    pixels = [random.integers(0, 256, (16, 16, 3), dtype=np.uint8) for _ in range(2)]
    return batches([Crop(f"{i}", 0, 0, image, "") for i, image in enumerate(pixels)], 2)


def run(models: dict[str, nn.Module], settings: ForwardSettings | None = None) -> Kept:
    layers = {name: ["conv_first", "layers.0.residual_group.blocks.1"] for name in models}
    kept = Kept(layers)
    noises = [parse("gaussian:15"), parse("poisson:3")]
    views = frozenset(View(model, noise.spec) for noise in noises for model in models)
    groups = crops()
    watch = Watch(kept, views, frozenset(group.index for group in groups), 1)
    done = list(run_batches(models, noises, groups, [watch], settings))
    assert done == [View(model, noise.spec) for noise in noises for model in models]
    return kept


@pytest.mark.usefixtures("two_cores")
def test_each_network_gives_what_it_gives_alone() -> None:
    models: dict[str, nn.Module] = {f"m{i}": tiny_network(i) for i in range(5)}
    together = run(models)
    assert any(name.startswith("network") for name in together.threads)
    assert torch.get_num_threads() == 2
    for name, model in models.items():
        alone = run({name: model})
        assert alone.threads == {"MainThread"}
        for view, tensors in alone.found.items():
            for layer, value in tensors.items():
                torch.testing.assert_close(together.found[view][layer], value, rtol=0, atol=0)


@pytest.mark.usefixtures("two_cores")
def test_networks_that_share_modules_run_one_after_the_other() -> None:
    network = tiny_network()
    assert run({"a": network, "b": network}).threads == {"MainThread"}


class Foreign(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv_first = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        return self.conv_first(x)


def test_other_networks_are_not_run_in_threads() -> None:
    assert side_by_side.independent({"a": tiny_network(), "b": tiny_network(1)})
    beside = {"noisy input": Unchanged(), "blur": mtd.load("classical:blur:0.9")}
    assert side_by_side.independent({"a": tiny_network(), **beside})
    assert not side_by_side.independent({"a": tiny_network(), "b": Foreign()})


@pytest.mark.usefixtures("two_cores")
def test_memory_limits_how_many_run_at_a_time() -> None:
    batch, models = crops()[0], [tiny_network(), tiny_network(1)]
    assert side_by_side.at_a_time(models, batch, ForwardSettings()) >= 2
    assert side_by_side.at_a_time(models, batch, ForwardSettings(memory=1)) == 1
    little = run({"a": models[0], "b": models[1]}, ForwardSettings(memory=2**18, tile="off"))
    assert little.threads == {"MainThread"}


@pytest.mark.usefixtures("two_cores")
def test_an_error_of_one_network_ends_the_run() -> None:
    class Broken(Kept):
        def extract(self, layer, value, noisy):
            if noisy.model == "b":
                raise ValueError("broken")
            return super().extract(layer, value, noisy)

    models: dict[str, nn.Module] = {name: tiny_network(i) for i, name in enumerate("abc")}
    kept = Broken({name: ["conv_first"] for name in models})
    views = frozenset(View(model, "gaussian:15") for model in models)
    watch = Watch(kept, views, frozenset([0]), 1)
    with pytest.raises(ValueError, match="broken"):
        list(run_batches(models, [parse("gaussian:15")], crops(), [watch]))
    assert torch.get_num_threads() == 2


def test_processes_on_one_machine_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    every = side_by_side.own_cores()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(2 * every))
    assert side_by_side.own_cores() == 1
    with side_by_side.workers({"a": tiny_network(), "b": tiny_network(1)}, "cpu") as workers:
        assert workers.pool is None


def test_contexts_of_several_threads_leave_compiled_functions_as_they_were() -> None:
    network, zero = tiny_network(), torch.zeros(1)
    torch._dynamo.reset()
    compiled = torch.compile(is_compiled_now, backend="eager", fullgraph=True)
    with ExitStack() as first:
        first.enter_context(eager(network))
        second = ExitStack()
        thread = threading.Thread(target=lambda: second.enter_context(eager(network)))
        thread.start()
        thread.join()
        first.close()
        assert compiled(zero) == 0
        second.close()
    assert compiled(zero) == 1
    torch._dynamo.reset()


def is_compiled_now(x: torch.Tensor) -> torch.Tensor:
    return x + 1 if torch.compiler.is_compiling() else x + 0
