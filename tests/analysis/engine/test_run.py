"""The engine: every view runs once per batch, whatever is observed, and never again if cached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from analysis.engine import run as engine_run
from analysis.engine.cache import ActivationCache, CachedActivations
from analysis.engine.forward import ForwardSettings
from analysis.engine.observer import OUTPUT, Batch, NoisyBatch, Observer, View, Watch
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.masking import MaskedInference, MaskPolicy
from mtd.noise import drawing
from mtd.noise import specs as noise_specs
from mtd.noise.drawing import Drawing
from mtd.utils import seeds
from mtd.utils.distributed import SINGLE_PROCESS, Ranks
from tests.helpers.networks import tiny_network
from tests.helpers.noises import add_keyed
from tests.helpers.thread_ranks import in_threads

NOISES = [noise_specs.parse(spec) for spec in ("gaussian:15", "poisson:3")]


class Mean(Observer):
    """An observer as a newcomer would write one: the mean of each layer's activations."""

    name = "mean"

    def __init__(self, layers: Mapping[str, list[str]], power: int = 1) -> None:
        super().__init__()
        self.layers, self.power = layers, power
        self.add_state("sums", {}, reduce="gather")
        self.add_state("count", torch.zeros(()), reduce="sum")

    @property
    def key(self) -> dict[str, object]:
        return {"power": self.power}

    def extract(self, layer: str, value: Tensor, noisy: NoisyBatch) -> dict[str, Tensor]:
        assert value.dtype == torch.float32 and len(value) == len(noisy.batch.crops)
        return {layer: (value**self.power).mean() * len(value)}

    def update(self, batch: Batch, activations: Mapping[View, CachedActivations]) -> None:
        self.count += len(batch.crops)
        self.sums[batch.index] = {
            (view, layer): float(value)
            for view, cached in activations.items()
            for layer, value in cached.tensors().items()
        }

    def compute(self) -> dict[tuple[View, str], float]:
        total: dict[tuple[View, str], float] = {}
        for index in sorted(self.sums):
            for place, value in self.sums[index].items():
                total[place] = total.get(place, 0.0) + value
        return {place: value / float(self.count) for place, value in total.items()}


class Outputs(Mean):
    """The whole output of each view."""

    def __init__(self, models: Mapping[str, object]) -> None:
        super().__init__({name: [OUTPUT] for name in models})
        self.outputs: dict[View, Tensor] = {}

    def extract(self, layer: str, value: Tensor, noisy: NoisyBatch) -> dict[str, Tensor]:
        return {layer: value}

    def update(self, batch: Batch, activations: Mapping[View, CachedActivations]) -> None:
        for view, cached in activations.items():
            self.outputs[view] = cached.tensors()[OUTPUT]


@pytest.fixture
def networks():
    return {"a": tiny_network(0), "b": tiny_network(1)}


def count(networks) -> dict[str, int]:
    """Counts every network's forward passes."""
    calls = dict.fromkeys(networks, 0)
    for name, network in networks.items():
        network.register_forward_hook(lambda *_, n=name: calls.update({n: calls[n] + 1}))
    return calls


def groups(size: int = 3, crops: int = 8) -> list[Batch]:
    return engine_run.batches(data_crops.crops(photographs.photographs(), 16, crops), size)


def everything(networks, *observers, batches=None, version=1, **options):
    watches = [Watch(observer, version=version) for observer in observers]
    return list(engine_run.run_batches(networks, NOISES, batches or groups(), watches, **options))


def test_each_view_runs_once_and_each_noise_is_made_once_whatever_is_asked(networks, monkeypatch):
    calls, drawn = count(networks), []
    original = drawing.noisy_images
    monkeypatch.setattr(
        drawing,
        "noisy_images",
        lambda n, *a, **k: drawn.append(n.spec) or original(n, *a, **k),
    )
    observers = [
        Mean({key: ["conv_first", "norm"] for key in networks}),
        Mean({"a": ["norm", "conv_last"]}, 2),
        Mean({key: [OUTPUT] for key in networks}),
    ]
    views = everything(networks, *observers)
    assert [len(batch.crops) for batch in groups()] == [2, 3, 3]
    assert calls == {"a": 6, "b": 6}
    assert drawn == ["gaussian:15", "poisson:3"] * 3
    assert views[:4] == [
        ("a", "gaussian:15"),
        ("b", "gaussian:15"),
        ("a", "poisson:3"),
        ("b", "poisson:3"),
    ]
    first, second, third = (observer.compute() for observer in observers)
    assert {layer for _, layer in first} == {"conv_first", "norm"} and len(first) == 8
    assert len(second) == 4  # network b was not asked about
    # the numbers, again by hand
    batch = groups(8)[0]
    noisy = add_keyed(NOISES[1], batch.clean, batch.digests)
    with torch.no_grad():
        output = networks["b"](noisy, batch.digests)
    assert third[View("b", "poisson:3"), OUTPUT] == pytest.approx(float(output.mean()), rel=1e-5)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_several_processes_find_what_one_finds(networks, size):
    layers = {key: ["norm"] for key in networks}

    def result(ranks: Ranks) -> dict[tuple[View, str], float]:
        observer = Mean(layers)
        # networks of its own, as a process has
        everything({"a": tiny_network(0), "b": tiny_network(1)}, observer, ranks=ranks)
        return engine_run.compute_result(observer, ranks)

    whole = result(SINGLE_PROCESS)
    assert all(part == whole for part in in_threads(result, size))


def test_states_are_declared_with_their_reduction():
    default: dict[int, object] = {}
    observer = Mean({})
    observer.add_state("rows", default, reduce="gather")
    observer.rows[0] = "row"
    assert not default  # each observer starts from a copy
    with pytest.raises(ValueError, match="did you mean sum"):
        observer.add_state("total", torch.zeros(1), reduce="summ")
    with pytest.raises(ValueError, match="state 'total' of dict: expected a Tensor"):
        observer.add_state("total", {}, reduce="sum")
    with pytest.raises(ValueError, match="state 'total' of Tensor: expected a dict"):
        observer.add_state("total", torch.zeros(1), reduce="gather")
    observer.reduce_states(SINGLE_PROCESS)
    with pytest.raises(RuntimeError, match="reduced already"):
        observer.reduce_states(SINGLE_PROCESS)


def test_cached_results_are_not_computed_again_unless_anything_in_their_key_changes(
    networks, tmp_path
):
    calls, cache = count(networks), ActivationCache(tmp_path)
    layers = {key: ["conv_first"] for key in networks}
    settings = ForwardSettings(identity={"a": "digest a", "b": "digest b"})

    def run(observer: Mean | None = None, how: ForwardSettings = settings, **options) -> int:
        before = sum(calls.values())
        observer = observer or Mean(layers)
        everything(networks, observer, settings=how, cache=cache, **options)
        results.append(observer.compute())
        return sum(calls.values()) - before

    results: list[object] = []
    assert run() == 12 and run() == 0
    assert results[0] == results[1]
    assert run(how=replace(settings, identity=settings.identity | {"a": "other"})) == 6
    assert run(how=replace(settings, seed=1)) == 12
    assert run(how=replace(settings, drawing=Drawing.stored(False))) == 12
    assert run(how=replace(settings, pairing="independent")) == 12
    assert run(how=replace(settings, autocast="bf16")) == 12
    assert run(Mean({key: ["norm"] for key in networks})) == 12
    assert run(Mean(layers, power=2)) == 12
    assert run(batches=groups(4)) == 8  # other batches
    assert run(version=2) == 12
    assert run() == 0
    # a second observer beside one that is cached: the views run again, its results stay
    other = Mean(layers, power=3)
    both = Mean(layers)
    everything(networks, both, other, settings=settings, cache=cache)
    assert both.compute() == results[0]
    next(cache.folder.iterdir()).write_bytes(b"damaged")
    assert run() <= 1


def test_independent_masks_and_autocast_reach_the_network(networks):
    networks = {"a": networks["a"]}
    networks["a"].inference = MaskedInference(MaskPolicy(attention_percent=75))
    values = {}
    for name, settings in {
        "shared": ForwardSettings(),
        "independent": ForwardSettings(pairing="independent"),
        "bf16": ForwardSettings(autocast="bf16"),
    }.items():
        observer = Mean({"a": ["norm"]}, 2)
        everything(networks, observer, settings=settings)
        values[name] = observer.compute()[View("a", "poisson:3"), "norm"]
    assert abs(values["independent"] - values["shared"]) > 1e-5
    assert 1e-6 < abs(values["bf16"] - values["shared"]) < 0.05


def test_mask_draws_are_averaged_in_float32_under_autocast(networks):
    network = networks["a"]
    values = {}
    for samples in (1, 16):
        network.inference = MaskedInference(MaskPolicy(attention_percent=75), samples=samples)
        observer = Mean({"a": ["conv_first"]}, 2)
        everything({"a": network}, observer, settings=ForwardSettings(autocast="bf16"))
        values[samples] = observer.compute()[View("a", "poisson:3"), "conv_first"]
    # the first convolution sees no mask: 16 equal draws, whose mean is what one of them is
    assert values[16] == pytest.approx(values[1], rel=1e-6)


def test_hooks_come_off_and_nothing_tracks_gradients(networks):
    everything(networks, Mean({key: ["conv_first"] for key in networks}))
    for network in networks.values():
        assert not any(module._forward_hooks for module in network.modules())


def test_batches_leave_no_remainder_too_small():
    for total in range(4, 40):
        for size in range(1, 20):
            sizes = [len(b.crops) for b in engine_run.batches(list(range(total)), size, 4)]  # type: ignore[arg-type]
            assert sum(sizes) == total and min(sizes) >= 4
            assert max(sizes) <= max(size, 7)


def test_hidden_pixels_are_those_of_the_crop_whatever_the_noise_the_batch_and_the_network(networks):
    networks["b"].inference = MaskedInference(MaskPolicy((80, 80), "zero", 0))
    settings = ForwardSettings(seed=4, input_mask=0.7)
    alone, together = Outputs(networks), Outputs(networks)
    everything(networks, alone, batches=groups(1)[:1], settings=settings)
    everything(networks, together, batches=groups(2)[:1], settings=settings)
    (batch,) = groups(1)[:1]
    stream = seeds.generator("input mask", 4, batch.digests[0])
    kept = torch.rand(1, 1, 16, 16, generator=stream) >= 0.7
    for made in NOISES:
        noisy = add_keyed(made, batch.clean, batch.digests, seed=4)
        with torch.no_grad():  # one was trained with an input mask, the other sees black
            expected = {
                "a": networks["a"](noisy * kept, batch.digests),
                "b": networks["b"](noisy, batch.digests, input_mask=kept),
            }
        for name, output in expected.items():
            assert torch.equal(alone.outputs[View(name, made.spec)], output)
            assert torch.allclose(together.outputs[View(name, made.spec)][:1], output, atol=1e-6)


def test_results_of_different_input_masks_are_cached_apart(networks, tmp_path):
    calls, cache = count(networks), ActivationCache(tmp_path)
    for ratio in (0.0, 0.5, 0.6, 0.5):
        everything(
            networks, Outputs(networks), cache=cache, settings=ForwardSettings(input_mask=ratio)
        )
    assert calls == {"a": 18, "b": 18}


def test_a_watch_observes_only_its_views_and_batches(networks):
    first, *others = groups()
    calls = count(networks)
    observer, other = Outputs(networks), Outputs(networks)
    view = View("a", "poisson:3")
    watches = [Watch(observer, batches={first.index}), Watch(other, views={view})]
    views = list(engine_run.run_batches(networks, NOISES, [first, *others], watches))
    assert len(views) == 4 + len(others) and set(views[4:]) == {view}
    assert calls == {"a": 2 + len(others), "b": 2}
    assert set(observer.outputs) == {View(name, n.spec) for n in NOISES for name in networks}
    assert set(other.outputs) == {view}


def test_a_watch_observes_no_network_without_layers(networks):
    """Also where a view of it is named."""
    observer = Outputs({"a": networks["a"]})
    watch = Watch(observer, views={View("a", "poisson:3"), View("b", "poisson:3")})
    assert list(engine_run.run_batches(networks, NOISES, groups(8), [watch])) == [
        View("a", "poisson:3")
    ]


def test_outputs_in_tiles_and_whole_ones_are_cached_apart(networks, tmp_path):
    network, cache = {"a": networks["a"]}, ActivationCache(tmp_path)
    crops = data_crops.crops(photographs.photographs(), 96, 2)
    calls = count(network)
    tiled = ForwardSettings(tile=48)

    def outputs(settings: ForwardSettings, *layers: str) -> tuple[dict[View, Tensor], int]:
        before, observer = calls["a"], Outputs(network)
        observers = [observer, *(Mean({"a": [layer]}) for layer in layers)]
        batches = [Batch(0, crops)]
        everything(network, *observers, batches=batches, settings=settings, cache=cache)
        return observer.outputs, calls["a"] - before

    whole, passes = outputs(ForwardSettings())
    assert passes == 2
    in_tiles, passes = outputs(tiled)
    assert passes > 2
    assert not torch.equal(in_tiles[View("a", "poisson:3")], whole[View("a", "poisson:3")])
    # with layers observed too, images are whole: those outputs are cached, the layers are not
    beside_layers, passes = outputs(tiled, "norm")
    assert passes == 2
    for settings in (tiled, ForwardSettings(), ForwardSettings(tile="off")):
        again, passes = outputs(settings)
        assert passes == 0
        expected = in_tiles if settings is tiled else whole
        assert all(torch.equal(again[view], expected[view]) for view in expected)
    assert all(torch.equal(beside_layers[view], whole[view]) for view in whole)


def test_images_smaller_than_the_network_takes_are_padded_with_and_without_layers(networks):
    network = {"a": networks["a"]}
    batches = [Batch(0, data_crops.crops(photographs.photographs(), 6, 2))]
    alone, beside = Outputs(network), Outputs(network)
    everything(network, alone, batches=batches)
    everything(network, beside, Mean({"a": ["conv_first"]}), batches=batches)
    assert all(torch.equal(alone.outputs[view], beside.outputs[view]) for view in alone.outputs)
