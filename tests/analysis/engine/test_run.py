"""The engine: every view once per batch whatever is asked, units that are not computed twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from analysis.engine import run as engine_run
from analysis.engine.cache import ActivationCache, CachedActivations
from analysis.engine.observer import OUTPUT, Batch, NoisyBatch, Observer, View
from analysis.engine.run import ForwardSettings
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.masking import MaskedInference, MaskPolicy
from mtd.noise import specs as noise_specs
from mtd.utils import seeds
from mtd.utils.distributed import SINGLE_PROCESS, Ranks
from tests.helpers.networks import tiny_network
from tests.helpers.noises import add_keyed

NOISES = [noise_specs.parse(spec) for spec in ("gaussian:15", "poisson:3")]


class Mean(Observer):
    """An observer as a newcomer would write one: the mean of what layers put out."""

    name = "mean"

    def __init__(self, layers: Mapping[str, list[str]], power: int = 1) -> None:
        self.layers, self.power = layers, power
        self.sums: dict[tuple[View, str], float] = {}
        self.count = 0

    @property
    def key(self) -> dict[str, object]:
        return {"power": self.power}

    def keep(self, layer: str, value: Tensor, shown: NoisyBatch) -> dict[str, Tensor]:
        assert value.dtype == torch.float32 and len(value) == len(shown.batch.crops)
        return {layer: (value**self.power).mean() * len(value)}

    def update(self, batch: Batch, seen: Mapping[View, CachedActivations]) -> None:
        self.count += len(batch.crops)
        for view, unit in seen.items():
            for layer, value in unit.tensors().items():
                self.sums[view, layer] = self.sums.get((view, layer), 0.0) + float(value)

    def merge(self, other: Mean) -> None:
        self.count += other.count
        for place, value in other.sums.items():
            self.sums[place] = self.sums.get(place, 0.0) + value

    def compute(self, ranks: Ranks = SINGLE_PROCESS) -> dict[tuple[View, str], float]:
        return {place: value / self.count for place, value in self.sums.items()}


class Outputs(Mean):
    """The whole output of each view."""

    def __init__(self, models: Mapping[str, object]) -> None:
        super().__init__({name: [OUTPUT] for name in models})
        self.seen: dict[View, Tensor] = {}

    def keep(self, layer: str, value: Tensor, shown: NoisyBatch) -> dict[str, Tensor]:
        return {layer: value}

    def update(self, batch: Batch, seen: Mapping[View, CachedActivations]) -> None:
        for view, unit in seen.items():
            self.seen[view] = unit.tensors()[OUTPUT]


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


def everything(networks, *observers, batches=None, **options):
    return list(engine_run.walk(networks, NOISES, batches or groups(), observers, **options))


def test_each_view_runs_once_and_each_noise_is_made_once_whatever_is_asked(networks, monkeypatch):
    calls, drawn = count(networks), []
    original = engine_run.pair_keyed
    monkeypatch.setattr(
        engine_run, "pair_keyed", lambda n, *a, **k: drawn.append(n.spec) or original(n, *a, **k)
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


def test_merged_observers_are_as_one(networks):
    whole, *parts = (Mean({key: ["norm"] for key in networks}) for _ in range(4))
    everything(networks, whole)
    for part, batch in zip(parts, groups(), strict=True):
        everything(networks, part, batches=[batch])
    for part in parts[1:]:
        parts[0].merge(part)
    merged, expected = parts[0].compute(), whole.compute()
    assert merged.keys() == expected.keys()
    assert all(merged[place] == pytest.approx(expected[place]) for place in merged)


def test_finished_units_are_not_computed_again_unless_anything_in_their_key_changes(
    networks, tmp_path
):
    calls, units = count(networks), ActivationCache(tmp_path)
    layers = {key: ["conv_first"] for key in networks}
    setting = ForwardSettings(identity={"a": "digest a", "b": "digest b"})

    def run(observer: Mean | None = None, how: ForwardSettings = setting, **options) -> int:
        before = sum(calls.values())
        observer = observer or Mean(layers)
        everything(networks, observer, setting=how, units=units, **options)
        results.append(observer.compute())
        return sum(calls.values()) - before

    results: list[object] = []
    assert run() == 12 and run() == 0
    assert results[0] == results[1]
    assert run(how=replace(setting, identity=setting.identity | {"a": "other"})) == 6
    assert run(how=replace(setting, seed=1)) == 12
    assert run(how=replace(setting, quantize=False)) == 12
    assert run(how=replace(setting, pairing="independent")) == 12
    assert run(how=replace(setting, autocast="bf16")) == 12
    assert run(Mean({key: ["norm"] for key in networks})) == 12
    assert run(Mean(layers, power=2)) == 12
    assert run(batches=groups(4)) == 8  # other batches
    newer = Mean(layers)
    newer.version = 2
    assert run(newer) == 12
    assert run() == 0
    # a second observer beside one whose units are there: the views run again, its units stay
    other = Mean(layers, power=3)
    both = Mean(layers)
    everything(networks, both, other, setting=setting, units=units)
    assert both.compute() == results[0]
    next(units.folder.iterdir()).write_bytes(b"damaged")
    assert run() <= 1


def test_independent_masks_and_autocast_reach_the_network(networks):
    networks = {"a": networks["a"]}
    networks["a"].inference = MaskedInference(MaskPolicy(attention_percent=75))
    values = {}
    for name, setting in {
        "shared": ForwardSettings(),
        "independent": ForwardSettings(pairing="independent"),
        "bf16": ForwardSettings(autocast="bf16"),
    }.items():
        observer = Mean({"a": ["norm"]}, 2)
        everything(networks, observer, setting=setting)
        values[name] = observer.compute()[View("a", "poisson:3"), "norm"]
    assert abs(values["independent"] - values["shared"]) > 1e-5
    assert 1e-6 < abs(values["bf16"] - values["shared"]) < 0.05


def test_mask_draws_are_averaged_in_float32_under_autocast(networks):
    network = networks["a"]
    values = {}
    for samples in (1, 16):
        network.inference = MaskedInference(MaskPolicy(attention_percent=75), samples=samples)
        observer = Mean({"a": ["conv_first"]}, 2)
        everything({"a": network}, observer, setting=ForwardSettings(autocast="bf16"))
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
    setting = ForwardSettings(seed=4, input_mask=0.7)
    alone, together = Outputs(networks), Outputs(networks)
    everything(networks, alone, batches=groups(1)[:1], setting=setting)
    everything(networks, together, batches=groups(2)[:1], setting=setting)
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
            assert torch.equal(alone.seen[View(name, made.spec)], output)
            assert torch.allclose(together.seen[View(name, made.spec)][:1], output, atol=1e-6)


def test_units_of_hidden_pixels_are_kept_apart(networks, tmp_path):
    calls, units = count(networks), ActivationCache(tmp_path)
    for ratio in (0.0, 0.5, 0.6, 0.5):
        everything(
            networks, Outputs(networks), units=units, setting=ForwardSettings(input_mask=ratio)
        )
    assert calls == {"a": 18, "b": 18}
