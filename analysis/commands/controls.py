"""The networks and noises of the controls of a run; see `analysis.engine.controls`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from analysis.commands.model_names import ORIGIN
from analysis.engine.controls import NONE, Controls
from analysis.text.noise_names import CLEAN
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from analysis.commands.inputs import RunInputs
    from analysis.commands.settings import Settings
    from mtd.networks.base import Denoiser
    from mtd.noise.base import Noise


@dataclass(frozen=True)
class ControlInputs:
    """Networks and noises beside those of a run.

    Attributes:
        controls: which are the controls of which.
        models: untrained networks by name.
        noises: other draws of the noises.
        identity: everything that decides each untrained network's output, by name.
        messages: what could not be drawn anew, a line each.
    """

    controls: Controls = field(default_factory=Controls)
    models: Mapping[str, Denoiser] = field(default_factory=dict)
    noises: Sequence[Noise] = ()
    identity: Mapping[str, Any] = field(default_factory=dict)
    messages: tuple[str, ...] = ()

    def subset(self, models: Iterable[str], noises: Iterable[str]) -> ControlInputs:
        """The controls of some of the models and noises."""
        untrained = {k: v for k, v in self.controls.untrained.items() if k in set(models)}
        draws = {k: v for k, v in self.controls.other_draws.items() if k in set(noises)}
        names = {name for group in untrained.values() for name in group}
        specs = {*draws.values(), self.controls.clean}
        return replace(
            self,
            controls=replace(self.controls, other_draws=draws, untrained=untrained),
            models={name: network for name, network in self.models.items() if name in names},
            noises=[noise for noise in self.noises if noise.spec in specs],
            identity={name: value for name, value in self.identity.items() if name in names},
        )

    def manifest(self) -> dict[str, Any]:
        """What decides the controls, for the manifest."""
        return {
            "untrained": {model: list(names) for model, names in self.controls.untrained.items()},
            "untrained_weights": {
                name: self.identity[name][1]
                for names in self.controls.untrained.values()
                for name in names
            },
            "other_draws": dict(self.controls.other_draws),
            "clean": self.controls.clean,
            **({"messages": list(self.messages)} if self.messages else {}),
            **(
                {"further_draws": {k: list(v) for k, v in self.controls.further_draws.items()}}
                if self.controls.further_draws
                else {}
            ),
            **(
                {"other_masks": {k: list(v) for k, v in self.controls.other_masks.items()}}
                if self.controls.other_masks
                else {}
            ),
            **(
                {"mask_means": {k: list(v) for k, v in self.controls.mask_means.items()}}
                if self.controls.mask_means
                else {}
            ),
        }


def add(inputs: RunInputs, settings: Settings) -> RunInputs:
    """The inputs with the controls that settings want, or with none.

    Args:
        inputs: loaded and checked; controls that they have are kept.
        settings: of an analysis; without fields `controls` and `untrained` there are no controls.
    """
    from mtd.noise import parse

    wanted, clean = getattr(settings, "controls", False), getattr(settings, "needs_clean", False)
    found = inputs.controls if wanted else None
    if wanted and found is None:
        draws, noises = other_draws(inputs)
        untrained, models, identity, messages = untrained_networks(
            inputs.models, getattr(settings, "untrained", 0), settings.seed
        )
        found = ControlInputs(Controls(draws, untrained), models, noises, identity, messages)
    if clean:
        found = found or ControlInputs(NONE)
        noise = [] if CLEAN in inputs.specs else [parse(CLEAN)]
        found = replace(
            found,
            controls=replace(found.controls, clean=CLEAN),
            noises=[*found.noises, *noise],
        )
    return replace(inputs, controls=found)


def other_draws(inputs: RunInputs) -> tuple[dict[str, str], list[Noise]]:
    """By noise, the same with another draw; and those draws that are not noises of the run."""
    from mtd.noise.base import Noise

    draws: dict[str, str] = {}
    noises: dict[str, Noise] = {}
    for noise in inputs.noises:
        if isinstance(noise, Noise):
            try:
                other = noise.redrawn(noise.draw + 1)
            except BadInput:
                continue  # a kind without draws
            draws[noise.spec] = other.spec
            noises[other.spec] = other
    return draws, [noise for spec, noise in noises.items() if spec not in inputs.specs]


def drawn(inputs: RunInputs, counts: Mapping[str, int]) -> RunInputs:
    """The inputs with a number of other draws of each noise among their controls.

    Args:
        inputs: with controls, or without any: then nothing is changed.
        counts: by noise; none of noises that are not named.
    """
    from mtd.noise.base import Noise

    if inputs.controls is None:
        return inputs
    draws: dict[str, tuple[str, ...]] = {}
    noises: dict[str, Noise] = {}
    for noise in inputs.noises:
        if not isinstance(noise, Noise):
            continue
        try:
            others = [noise.redrawn(noise.draw + 1 + k) for k in range(counts.get(noise.spec, 0))]
        except BadInput:
            continue  # a kind without draws
        draws[noise.spec] = tuple(other.spec for other in others)
        noises |= {other.spec: other for other in others if other.spec not in inputs.specs}
    own = replace(
        inputs.controls.controls,
        other_draws={spec: specs[0] for spec, specs in draws.items() if specs},
        further_draws={spec: specs[1:] for spec, specs in draws.items() if specs[1:]},
    )
    clean = [noise for noise in inputs.controls.noises if noise.spec == own.clean]
    controls = replace(inputs.controls, controls=own, noises=[*noises.values(), *clean])
    return replace(inputs, controls=controls)


def untrained_networks(
    models: Mapping[str, Denoiser], count: int, seed: int
) -> tuple[dict[str, tuple[str, ...]], dict[str, Denoiser], dict[str, Any], tuple[str, ...]]:
    """Networks with random weights, shared by all models of one architecture and mask policy.

    Args:
        models: those of the run.
        count: of untrained networks for each architecture.
        seed: of the random weights.

    Returns:
        Their names by model; the networks; what decides their outputs; what could not be drawn
        anew, a line each.
    """
    from mtd.networks.untrained import untrained
    from mtd.networks.weights import weights_digest

    groups: dict[str, list[str]] = {}
    for name, model in models.items():
        if any(True for _ in model.parameters()):
            groups.setdefault(architecture_key(model), []).append(name)
    names: dict[str, tuple[str, ...]] = {}
    networks: dict[str, Denoiser] = {}
    identity: dict[str, Any] = {}
    messages = []
    for members in groups.values() if count else ():
        first = members[0]
        try:
            drawn = [untrained(models[first], seed + index) for index in range(count)]
        except BadInput as error:
            messages.append(f"no untrained control of {first}: {error}")
            continue
        if kept := drawn[0].kept:
            rest = f" and {len(kept) - 1} more" if len(kept) > 1 else ""
            messages.append(
                f"untrained control of {first}: trained weights stay in {kept[0]}{rest}, which no "
                "reset_parameters draws anew"
            )
        labels = tuple(f"untrained {index + 1} of {first}" for index in range(count))
        names |= dict.fromkeys(members, labels)
        for label, one in zip(labels, drawn, strict=True):
            how = one.network.inference
            masks = [how.policy.attention_percent, how.samples, how.seed] if how.active else None
            networks[label] = one.network
            usage = one.network.input_format.to_dict()
            identity[label] = ["untrained", weights_digest(one.network.state_dict()), masks, usage]
    return names, networks, identity, tuple(messages)


def architecture_key(model: Denoiser) -> str:
    """What two models share if they have the same untrained networks: all but their weights."""
    from mtd.networks.untrained import registered

    # the digest of a module has its weights in it; of our own, hyper-parameters say all else
    module = "" if registered(model) else str(model.source.get("module_sha256"))
    return network_key(model) + module


def network_key(model: Denoiser) -> str:
    """What trainings of one network share, as far as it can be read off: all but their weights."""
    source, how = model.source, model.inference
    weights = {"weights_sha256", "module_sha256"}
    origin = [source.get(name) for name in ORIGIN if name not in weights]
    shapes = [(name, tuple(value.shape)) for name, value in model.named_parameters()]
    masks = [how.policy.attention_percent, how.samples, how.seed] if how.active else None
    fills = [how.policy.masks_input, how.policy.fill] if model.takes_masks else None
    called = [model.input_format.to_dict(), masks, fills]
    values = [type(model).__name__, model.config.to_dict(), *called]
    return json.dumps([*values, origin, shapes], sort_keys=True, default=str)


def together(parts: Iterable[ControlInputs | None]) -> ControlInputs | None:
    """The controls of several analyses that share a pass; None where none has any."""
    given = [part for part in parts if part is not None]
    if not given:
        return None
    draws: dict[str, str] = {}
    untrained: dict[str, tuple[str, ...]] = {}
    models: dict[str, Denoiser] = {}
    identity: dict[str, Any] = {}
    noises: dict[str, Noise] = {}
    for part in given:
        draws |= part.controls.other_draws
        untrained |= part.controls.untrained
        models |= part.models
        identity |= part.identity
        noises |= {noise.spec: noise for noise in part.noises}
    messages = tuple(dict.fromkeys(text for part in given for text in part.messages))
    clean = next((one.controls.clean for one in given if one.controls.clean is not None), None)
    controls = Controls(draws, untrained, any(one.controls.floor for one in given), clean)
    return ControlInputs(controls, models, list(noises.values()), identity, messages)
