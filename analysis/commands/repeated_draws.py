"""Further draws of the noises, and of random attention masks, for analyses that average over them.

They are views beside those of the run, as controls are; see `analysis.engine.controls`.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from analysis.commands import controls
from analysis.commands.controls import ControlInputs
from analysis.commands.trainings import TRAINING_OF
from analysis.engine.controls import NONE

if TYPE_CHECKING:
    from analysis.commands.inputs import RunInputs
    from analysis.commands.settings import Settings
    from mtd.networks.base import Denoiser


def add(inputs: RunInputs, settings: Settings) -> RunInputs:
    """The inputs with the further draws that settings want, or as they are.

    Settings want them by the fields `draws`, draws of each noise; `masks`, draws of random
    attention masks; and `mask_mean`, how many times as many masks as a network uses are averaged in
    one more output, 1 for none.
    Noise that is recorded has no other draw.

    Args:
        inputs: with the controls of the run, or without.
        settings: of an analysis.
    """
    count = getattr(settings, "draws", 1)
    masks, mean = getattr(settings, "masks", 1), getattr(settings, "mask_mean", 1)
    if count == masks == mean == 1:
        return inputs
    drawn = of_noises(inputs, count)
    networks: dict[str, Denoiser] = {}
    names: dict[str, tuple[str, ...]] = {}
    means: dict[str, tuple[str, ...]] = {}
    for name, model in inputs.models.items():
        if not model.inference.active:
            continue
        others = {f"{name}, masks {i + 1}": other_masks(model, i) for i in range(1, masks)}
        names[name] = tuple(others)
        networks |= others
        if mean > 1:
            label = f"{name}, mean over {mean} masks"
            networks[label] = other_masks(model, masks, mean)
            means[name] = (label,)
    identity = {name: identity_of(network) for name, network in networks.items()}
    return replace(
        inputs,
        controls=replace(
            drawn,
            controls=replace(drawn.controls, other_masks=names, mask_means=means),
            models={**drawn.models, **networks},
            identity={**drawn.identity, **identity},
        ),
    )


def of_noises(inputs: RunInputs, count: int) -> ControlInputs:
    """The controls of a run with so many draws of each noise in all."""
    beside = replace(inputs, controls=inputs.controls or ControlInputs(NONE))
    drawn = controls.drawn(beside, dict.fromkeys(inputs.specs, count - 1)).controls
    assert drawn is not None
    return drawn


def other_masks(model: Denoiser, number: int, mean: int = 1) -> Denoiser:
    """A network with other draws of its attention masks, independent of its own.

    Args:
        model: that draws masks at inference.
        number: which of its other draws, from 1.
        mean: over how many times as many draws its outputs are averaged.
    """
    from mtd.utils import seeds

    own = model.inference
    other = copy.deepcopy(model)
    seed = seeds.derive("other masks", own.seed, number)
    other.inference = replace(own, seed=seed, samples=own.samples * mean)
    other.source = {k: value for k, value in model.source.items() if k != TRAINING_OF}
    return other


def identity_of(model: Denoiser) -> list[Any]:
    """Everything that decides the output of a network with other masks."""
    from analysis.commands.networks import identity_of

    how = model.inference
    masks = [how.policy.attention_percent, how.samples, how.seed]
    return ["other masks", identity_of(model), masks]
