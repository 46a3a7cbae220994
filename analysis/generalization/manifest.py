"""The manifest of a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from analysis.commands import training_noises
from analysis.generalization import metrics, references
from analysis.text import noise_labels
from mtd.data.crops import Crop, place
from mtd.data.recorded_noise import Recorded
from mtd.inference import tiling

if TYPE_CHECKING:
    from analysis.generalization.inputs import BenchmarkInputs, PairedCrops
    from analysis.generalization.settings import GeneralizationSettings


def manifest(inputs: BenchmarkInputs, settings: GeneralizationSettings) -> dict[str, Any]:
    """What decides the results beside the settings that every analysis shares."""
    kinds = noise_labels.describe(inputs.all_noises)
    protocol = inputs.protocol
    recorded = {
        noise.spec: noise.digest(inputs.crops)
        for noise in inputs.noises
        if isinstance(noise, Recorded)
    }
    return {
        "tiled": tiled(inputs),
        "images": (list(inputs.sources) or "bundled") if inputs.noises else None,
        "suite": inputs.suite.name if inputs.suite else None,
        "suite_version": inputs.suite.version if inputs.suite else None,
        "deviations": list(inputs.deviations),
        "testsets": list(inputs.located.there),
        "testsets_missing": list(inputs.located.missing),
        "notes": sorted(set(kinds.note) - {""}),
        "in_distribution": training_noises.entry(inputs.trained),
        **training_noises.given_entry(inputs.models, settings.in_distribution, inputs.specs),
        **assumed_entry(inputs, settings),
        "recorded": {pair.images.recorded.spec: described(pair) for pair in inputs.paired}
        | recorded,
        "protocol": protocol.name,
        "border": protocol.border,
        "channel": protocol.channel,
        "quantize": protocol.drawing.quantize,
        "evaluation": protocol.entry(),
        "lpips": inputs.chosen.lpips,
        "lpips_requested": settings.lpips,
        "lpips_channels": settings.lpips_channels if settings.lpips else None,
        **metrics.entries(inputs.chosen, metrics.sizes_of(inputs.all_crops), protocol.border),
        **references.entry(inputs.models, inputs.references),
        "tile": settings.tile,
        "memory": settings.memory,
    }


def assumed_entry(inputs: BenchmarkInputs, settings: GeneralizationSettings) -> dict[str, Any]:
    """Of which models the suite says what they were trained on; empty for none."""
    otherwise = inputs.suite.in_distribution if inputs.suite else ()
    own = references.networks(inputs.models)
    names = training_noises.assumed(own, settings.in_distribution, inputs.specs, otherwise)
    about = {"models": names, "noises": list(otherwise)}
    return {training_noises.ASSUMED: about} if names else {}


def described(pair: PairedCrops) -> dict[str, Any]:
    """Paired images, for the manifest."""
    images = pair.images
    return {
        "source": images.source,
        "tone_map": images.tone_map,
        "images": len(images.photographs),
        "crops": [
            place(crop) | {"noisy": images.recorded.digest([crop])} for crop in ordered(pair.crops)
        ],
    }


def ordered(crops: Sequence[Crop]) -> list[Crop]:
    """Crops in the order of their batches: those of one size together."""
    sizes = list(dict.fromkeys(crop.pixels.shape for crop in crops))
    return sorted(crops, key=lambda crop: sizes.index(crop.pixels.shape))


def tiled(inputs: BenchmarkInputs) -> list[str]:
    """Models that see whole images, and are given tiles to save memory."""
    forward, names = inputs.forward, []
    sizes = {crop.pixels.shape[:2] for crop in inputs.all_crops}
    for name, (first, *_) in inputs.trainings.items():
        model = inputs.models[first]
        if not model.source or model.reach is not None:
            continue
        shapes = {(1, *size) for size in sizes}
        if any(tiling.plan(model, s, forward.tile, None, forward.memory) for s in shapes):
            names.append(name)
    return names
