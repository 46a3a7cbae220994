"""Which views are the controls of which."""

from __future__ import annotations

import torch
from torch import Tensor

from analysis.cka.control_cells import Wanted
from analysis.cka.observer import Representations
from analysis.engine import run as engine_run
from analysis.engine.controls import NONE, Controls
from analysis.engine.observer import View, Watch
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.noise import specs as noise_specs
from tests.helpers.networks import tiny_network

CONTROLS = Controls(
    {"g": "g@1", "p": "p@1"}, {"a": ("u1", "u2", "u3"), "b": ("u1", "u2", "u3"), "c": ("v1",)}
)


def test_another_draw_is_of_the_same_network():
    assert CONTROLS.other_draw(View("a", "g")) == View("a", "g@1")
    assert CONTROLS.other_draw(View("a", "folder:noisy")) is None
    assert NONE.other_draw(View("a", "g")) is None


def test_of_one_model_each_untrained_network_is_under_both_noises():
    pairs = CONTROLS.untrained_pairs(View("a", "g"), View("a", "p"))
    assert pairs == [(View(name, "g"), View(name, "p")) for name in ("u1", "u2", "u3")]
    assert CONTROLS.untrained_pairs(View("d", "g"), View("d", "p")) == []


def test_of_two_models_no_untrained_network_is_compared_with_itself():
    """Nor are two with the same seed, which two architectures of one shape would share."""
    pairs = CONTROLS.untrained_pairs(View("a", "g"), View("b", "g"))
    named = [("u1", "u2"), ("u1", "u3"), ("u2", "u3")]
    assert pairs == [(View(x, "g"), View(y, "g")) for x, y in named]
    others = Controls(untrained={"a": ("a1", "a2"), "b": ("b1", "b2", "b3")})
    assert others.untrained_pairs(View("a", "g"), View("b", "p")) == [
        (View("a1", "g"), View("b2", "p"))
    ]
    assert CONTROLS.untrained_pairs(View("a", "g"), View("c", "g")) == []


def test_the_controls_of_several_views_come_once():
    own = [View(model, noise) for model in ("a", "b") for noise in ("g", "p")]
    found = CONTROLS.views(own)
    draws = {View(model, noise) for model in ("a", "b") for noise in ("g@1", "p@1")}
    untrained = {View(name, noise) for name in ("u1", "u2", "u3") for noise in ("g", "p")}
    assert set(found) == draws | untrained and len(found) == 4 + 6
    assert CONTROLS.views([View("d", "folder:noisy")]) == [] == NONE.views(own)


class Counted(torch.nn.Module):
    """Counts its forward passes."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network, self.calls = network, 0

    def forward(self, x: Tensor, *given: object, **options: object) -> Tensor:
        self.calls += 1
        output: Tensor = self.network(x, *given, **options)
        return output


def test_every_view_and_every_control_takes_one_pass_for_each_batch():
    """No untrained network runs under another draw."""
    noises = [noise_specs.parse(spec) for spec in ("gaussian:15", "poisson:3")]
    draws = {noise.spec: noise.redrawn(1).spec for noise in noises}
    controls = Controls(draws, dict.fromkeys("ab", ("u1", "u2")))
    names = ["a", "b", "u1", "u2"]
    networks = {name: Counted(tiny_network(i)) for i, name in enumerate(names)}
    own = [View(model, noise.spec) for model in "ab" for noise in noises]
    pairs = [(own[0], own[2]), (own[0], own[1]), (own[2], own[3])]
    layers = {name: ["network.conv_first"] for name in names}
    observer = Representations(layers, Wanted(pairs, controls), positions=8)
    watch = Watch(observer, frozenset([*own, *controls.views(own)]))
    batches = engine_run.batches(data_crops.crops(photographs.photographs(), 16, 6), 2)
    every = [*noises, *(noise.redrawn(1) for noise in noises)]
    views = list(engine_run.run_batches(networks, every, batches, [watch]))
    assert {name: network.calls for name, network in networks.items()} == {
        **dict.fromkeys("ab", 3 * 4),
        **dict.fromkeys(("u1", "u2"), 3 * 2),
    }
    assert len(views) == 3 * (4 + 4 + 4)
    comparison = engine_run.compute_result(observer)
    assert len(comparison.rows) == 4 + 4 + 4
