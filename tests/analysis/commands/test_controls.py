"""The networks and noises of controls: what is drawn anew, what is shared, what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import mtd
from analysis.cka.command import ANALYSIS
from analysis.cka.settings import CKASettings
from analysis.commands import controls
from analysis.commands.command import compute
from analysis.commands.inputs import RunInputs, load_inputs
from analysis.commands.job import AnalysisJob, plan
from analysis.commands.settings import Settings
from analysis.engine import run as engine_run
from analysis.engine.observer import View
from mtd.loading import checkpoint_file
from mtd.masking import MaskPolicy
from mtd.networks.untrained import untrained
from mtd.noise.base import Noise
from tests.helpers.networks import MASKED, TINY, tiny_network

SMALL = {"limit": 4, "crop": 16, "positions": 8}


@pytest.fixture
def folder(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(pair)
    return pair


def inputs_of(models: Any, **settings: Any) -> RunInputs:
    chosen = CKASettings(**SMALL | settings)
    return controls.add(load_inputs(models, chosen), chosen)


def of(inputs: RunInputs) -> controls.ControlInputs:
    assert inputs.controls is not None
    return inputs.controls


def checkpoint(path: str, seed: int, policy: MaskPolicy, config: Any = TINY) -> str:
    weights = tiny_network(seed, config).state_dict()
    checkpoint_file.save(path, weights, network=config, mask=policy)
    return path


def test_every_noise_is_drawn_once_more():
    found = of(inputs_of(nn.Identity(), noises=("gaussian:15", "poisson:3@4", "mixture:3")))
    assert found.controls.other_draws == {
        "gaussian:15": "gaussian:15@1",
        "poisson:3@4": "poisson:3@5",
        "mixture:3": "mixture:3@1",
    }
    assert [noise.spec for noise in found.noises] == ["gaussian:15@1", "poisson:3@5", "mixture:3@1"]


def test_a_draw_that_is_a_noise_of_the_run_is_its_control_and_not_run_twice(folder):
    inputs = inputs_of("plain.pth", noises=("gaussian:15", "gaussian:15@1"))
    found = of(inputs)
    draws = {"gaussian:15": "gaussian:15@1", "gaussian:15@1": "gaussian:15@2"}
    assert found.controls.other_draws == draws
    assert [noise.spec for noise in found.noises] == ["gaussian:15@2"]
    specs = ["gaussian:15", "gaussian:15@1", "gaussian:15@2"]
    assert inputs.of_pass(found).specs == specs and inputs.specs == specs[:2]
    settings = CKASettings(**SMALL, noises=tuple(specs[:2]), untrained=0)
    seen = passes(plan(ANALYSIS, load_inputs("plain.pth", settings), settings))
    assert seen == {View("plain", spec): 1 for spec in specs}


def test_noise_of_matched_strength_is_drawn_with_the_noise_that_it_matches():
    found = of(inputs_of(nn.Identity(), noises=("gaussian:=poisson:3",)))
    assert found.controls.other_draws == {"gaussian:=poisson:3": "gaussian:=poisson:3@1"}


@dataclass(frozen=True)
class Own(Noise):
    """A kind without draws."""

    level: float | None = None
    name = "own"

    @classmethod
    def from_parts(cls, spec: str, level: str | None, options: Mapping[str, str]) -> Own:  # noqa: ARG003
        return cls()

    @property
    def spec(self) -> str:
        return "own"

    def sample(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        return 1 - clean


def test_recorded_noise_and_kinds_without_draws_have_no_other_one(folder):
    for side in ("clean", "noisy"):
        (folder / side).mkdir()
        for i in range(2):
            pixels = np.random.default_rng(i).integers(0, 255, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / side / f"{i}.png")
    noises = ("gaussian:15", "folder:noisy")
    inputs = inputs_of("plain.pth", images=("clean",), noises=noises)
    assert of(inputs).controls.other_draws == {"gaussian:15": "gaussian:15@1"}
    inputs.noises[0] = Own()
    assert controls.other_draws(inputs) == ({}, [])


def test_models_of_one_architecture_and_mask_policy_share_their_untrained_networks(folder):
    plain, hidden = "untrained {} of plain", "untrained {} of hidden"
    deeper = type(TINY)(**(TINY.to_dict() | {"depths": (2, 3)}))
    fills = MaskPolicy(MASKED.input_percent, "zero", MASKED.attention_percent, "always")
    models = [
        "plain.pth",
        "hidden.pth",
        checkpoint("second.pth", 7, MaskPolicy()),
        checkpoint("third.pth", 8, MASKED),
        checkpoint("deeper.pth", 9, MaskPolicy(), deeper),
        checkpoint("fills.pth", 9, fills),
    ]
    found = of(inputs_of(models, untrained=2))

    def names(label: str) -> tuple[str, ...]:
        return tuple(label.format(i) for i in (1, 2))

    assert found.controls.untrained == {
        "plain": names(plain),
        "second": names(plain),
        "hidden": names(hidden),
        "third": names(hidden),
        "deeper": names("untrained {} of deeper"),
        "fills": names("untrained {} of fills"),
    }
    assert list(found.models) == [*names(plain), *names(hidden)] + [
        name for own in ("deeper", "fills") for name in names(f"untrained {{}} of {own}")
    ]
    assert not found.messages


def test_networks_that_are_called_in_another_way_do_not_share(folder):
    """A noise level, or a number of mask draws, changes what a network puts out."""
    models = {
        "few": mtd.load("hidden.pth"),
        "many": mtd.load("hidden.pth", mask_samples=3),
        "off": mtd.load("hidden.pth", attention_mask="off"),
        "again": mtd.load("hidden.pth"),
    }
    names = of(inputs_of(models, untrained=1)).controls.untrained
    assert names["few"] == names["again"] and len(set(names.values())) == 3


def test_modules_from_python_share_them_too():
    names = of(inputs_of({"a": tiny_network(0), "b": tiny_network(1)})).controls.untrained
    assert names["a"] == names["b"]


def test_an_untrained_network_is_called_and_masked_like_the_model(folder):
    inputs = inputs_of(["hidden.pth"], untrained=2, seed=5)
    found = of(inputs)
    model = inputs.models["hidden"]
    for index, network in enumerate(found.models.values()):
        assert network.inference == model.inference
        assert network.input_format == model.input_format
        expected = untrained(model, 5 + index).network.state_dict()
        state = network.state_dict()
        assert all(torch.equal(state[name], expected[name]) for name in expected)
    one, other = (value for _, value in sorted(found.identity.items()))
    assert one != other and one[0] == other[0] == "untrained"


@pytest.mark.parametrize(
    "settings, given",
    [
        ({}, (["untrained 1 of plain", "untrained 2 of plain", "untrained 3 of plain"], True)),
        ({"untrained": 1}, (["untrained 1 of plain"], True)),
        ({"untrained": 0}, ([], True)),
        ({"controls": False}, ([], False)),
    ],
)
def test_settings_decide_which_there_are(folder, settings, given):
    inputs = inputs_of("plain.pth", **settings)
    names, present = given
    assert (inputs.controls is not None) == present
    if present:
        assert list(of(inputs).models) == names
        again = controls.add(inputs, CKASettings(**SMALL))  # they are kept
        assert again.controls is inputs.controls
    assert controls.add(inputs, Settings()).controls is None  # of an analysis without controls


def test_a_network_without_weights_has_no_untrained_one():
    found = of(inputs_of(nn.Identity()))
    assert not found.controls.untrained and not found.models and not found.messages


class Bare(nn.Module):
    """Its weights are its own, and it has no `reset_parameters`."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.linspace(0.5, 1, 3).view(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class Partly(Bare):
    """A part of it has `reset_parameters`."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.gain = nn.Conv2d(3, 3, 3, padding=1), Bare()

    def forward(self, x: Tensor) -> Tensor:
        return self.gain(super().forward(self.first(x)))


def test_what_cannot_be_drawn_anew_is_said():
    found = of(inputs_of({"bare": Bare(), "plain": nn.Conv2d(3, 3, 3, padding=1)}, untrained=1))
    assert found.controls.untrained == {"plain": ("untrained 1 of plain",)}
    (message,) = found.messages
    assert message.startswith("no untrained control of bare: ") and "Bare" in message
    inputs = inputs_of({"partly": Partly()}, untrained=1)
    (message,) = of(inputs).messages
    assert message == (
        "untrained control of partly: trained weights stay in Partly and 1 more, which no "
        "reset_parameters draws anew"
    )
    assert message in inputs.messages


def test_the_controls_of_some_models_and_noises(folder):
    inputs = inputs_of(["plain.pth", "hidden.pth"], untrained=2)
    some = of(inputs.subset(models=["hidden"], noises=["poisson:3.5"]))
    labels = ("untrained 1 of hidden", "untrained 2 of hidden")
    assert some.controls.untrained == {"hidden": labels}
    assert tuple(some.models) == labels == tuple(some.identity)
    assert some.controls.other_draws == {"poisson:3.5": "poisson:3.5@1"}
    assert [noise.spec for noise in some.noises] == ["poisson:3.5@1"]
    whole = of(inputs.subset(crops=inputs.crops[:2]))
    assert whole.controls == of(inputs).controls


def test_a_shared_untrained_network_stays_with_any_of_its_models(folder):
    models = ["plain.pth", checkpoint("second.pth", 7, MaskPolicy())]
    second = of(inputs_of(models, untrained=1).subset(models=["second"]))
    assert second.controls.untrained == {"second": ("untrained 1 of plain",)}
    assert list(second.models) == ["untrained 1 of plain"]


def test_the_controls_of_several_analyses_together(folder):
    inputs = inputs_of(["plain.pth", "hidden.pth"], untrained=1)
    parts = [
        of(inputs.subset(models=["plain"], noises=["gaussian:15"])),
        None,
        of(inputs.subset(models=["hidden"])),
    ]
    both = controls.together(parts)
    assert both is not None and both.controls == of(inputs).controls
    assert set(both.models) == set(of(inputs).models) and both.identity == of(inputs).identity
    assert [noise.spec for noise in both.noises] == ["gaussian:15@1", "poisson:3.5@1"]
    assert controls.together([None]) is None


def test_the_manifest_has_what_decides_them(folder):
    settings = CKASettings(**SMALL, untrained=2)
    job = plan(ANALYSIS, load_inputs(["plain.pth", "hidden.pth"], settings), settings)
    about = job.manifest["controls"]
    assert about["other_draws"] == {
        "gaussian:15": "gaussian:15@1",
        "poisson:3.5": "poisson:3.5@1",
    }
    names = {model: [f"untrained {i} of {model}" for i in (1, 2)] for model in ("plain", "hidden")}
    assert about["untrained"] == names
    weights = about["untrained_weights"]
    assert set(weights) == {name for group in names.values() for name in group}
    # by seed, the same for equal architectures
    assert weights["untrained 1 of plain"] == weights["untrained 1 of hidden"]
    assert weights["untrained 1 of plain"] != weights["untrained 2 of plain"]
    without = CKASettings(**SMALL, controls=False)
    assert "controls" not in plan(ANALYSIS, load_inputs("plain.pth", without), without).manifest


def passes(job: AnalysisJob) -> dict[View, int]:
    """How often each network was run under each noise, over all batches."""
    seen: dict[View, int] = {}
    original = engine_run.run_network

    def counted(model: nn.Module, noisy: Any, *rest: Any) -> Any:
        seen[noisy.view] = seen.get(noisy.view, 0) + 1
        return original(model, noisy, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_run, "run_network", counted)
        compute(job, quiet=True)
    return seen


@pytest.mark.parametrize("batches", [1, 2])
def test_a_run_takes_one_pass_for_each_view_and_control(folder, batches):
    settings = CKASettings(**SMALL | {"limit": 4}, untrained=2, batch_size=4 // batches)
    job = plan(ANALYSIS, load_inputs(["plain.pth", "hidden.pth"], settings), settings)
    noises, draws = ("gaussian:15", "poisson:3.5"), ("gaussian:15@1", "poisson:3.5@1")
    expected = {View(m, n): batches for m in ("plain", "hidden") for n in (*noises, *draws)}
    labels = [f"untrained {i} of {m}" for i in (1, 2) for m in ("plain", "hidden")]
    expected |= {View(name, noise): batches for name in labels for noise in noises}
    assert passes(job) == expected
    assert set(job.views) == set(expected)


def test_without_controls_only_the_views_are_run(folder):
    settings = CKASettings(**SMALL, controls=False)
    job = plan(ANALYSIS, load_inputs(["plain.pth", "hidden.pth"], settings), settings)
    noises = ("gaussian:15", "poisson:3.5")
    assert passes(job) == {View(m, n): 1 for m in ("plain", "hidden") for n in noises}


@pytest.mark.parametrize(
    "given, needed",
    [
        ({"compare": "self"}, set()),
        ({"compare": "cross-model"}, {"gaussian:15", "poisson:3.5"}),
        ({"noises": ("gaussian:15",)}, {"gaussian:15"}),
    ],
)
def test_only_controls_that_stand_beside_a_value_are_run(folder, given, needed):
    """A view against itself has none."""
    settings = CKASettings(**SMALL | given, untrained=2)
    job = plan(ANALYSIS, load_inputs(["plain.pth", "hidden.pth"], settings), settings)
    seen = passes(job)
    more = {view for view in seen if view.model.startswith("untrained") or "@" in view.noise}
    assert {view.noise.partition("@")[0] for view in more} == needed
