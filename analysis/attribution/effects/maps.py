"""The pass that makes causal effect maps of crops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from analysis.attribution.effects import effects
from analysis.attribution.integrated_gradients import Window
from analysis.attribution.tables import ENDS, NOISY, VALUES, Maps, windows
from analysis.commands import units
from analysis.engine import forward as engine_forward
from analysis.engine.observer import Batch, View
from mtd.data.crops import Crop
from mtd.inference.forward import denoise
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from analysis.attribution.settings import AttributionSettings
    from analysis.commands.inputs import RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.commands.run_folder import RunFolder
    from analysis.engine.observer import NoisyBatch


def others(crops: list[Crop], crop: Crop) -> list[Crop]:
    """The crops of other photographs, whose noisy patches replace the blocks of a crop.

    Raises:
        BadInput: there is none.
    """
    own = crop.scene or crop.image
    found = [other for other in crops if (other.scene or other.image) != own]
    if not found:
        raise BadInput(
            f"all crops are of one photograph, {own}: blocks are replaced by patches of other "
            "photographs; give two or more (--images, --limit)"
        )
    return found


def collect(job: AnalysisJob, folder: RunFolder | None = None) -> Maps:
    """Every model's map under every noise for every crop; called in every process.

    Args:
        job: planned.
        folder: keeps finished maps until the run is finished; None for memory.
    """
    inputs, settings = job.inputs, job.settings
    crops = list(inputs.crops)
    entries = [
        (View(model, noise.spec), i)
        for i in range(len(crops))
        for noise in inputs.noises
        for model in inputs.models
    ]
    places = windows(job.manifest)
    known: dict[str, NoisyBatch] = {}

    def noisy(spec: str) -> NoisyBatch:
        if spec not in known:
            noise = next(noise for noise in inputs.noises if noise.spec == spec)
            known[spec] = engine_forward.make_noisy_batch(noise, Batch(0, crops), inputs.forward)
        return known[spec]

    def key(entry: tuple[View, int]) -> dict[str, Any]:
        view, i = entry
        return {
            **units.key_of(inputs, view, [crops[i]]),
            "others": [crop.digest for crop in others(crops, crops[i])],
            "window": list(places[i]),
            "blocks": [settings.block, settings.coarse, settings.patches, settings.least],
            "batch": settings.together,
        }

    def map_of(entry: tuple[View, int]) -> dict[str, Tensor]:
        view, i = entry
        return make(inputs, view, i, noisy(view.noise), places[i], settings)

    return units.collect(job, entries, key, map_of, folder, name="map")


def make(
    inputs: RunInputs,
    view: View,
    i: int,
    noisy: NoisyBatch,
    window: Window,
    settings: AttributionSettings,
) -> dict[str, Tensor]:
    """The map of a model for a crop, its window's PSNR and refined blocks, and the noisy crop.

    Args:
        inputs: of the run.
        view: the model under the noise.
        i: the crop's place.
        noisy: all crops of the run under the noise.
        window: of the crop.
        settings: of the run.
    """
    crops, model, how = list(inputs.crops), inputs.models[view.model], inputs.forward
    crop, image = crops[i], noisy.noisy[i]
    pool = noisy.noisy[[crops.index(other) for other in others(crops, crop)]]
    level, mask = engine_forward.noise_level(model, noisy), engine_forward.input_mask(noisy, how)
    mask_key = engine_forward.mask_keys(noisy, how)[i]

    def call(images: Tensor) -> Tensor:
        count = len(images)
        return denoise(
            model,
            images,
            keys=[mask_key] * count,
            tile="off",
            input_mask=None if mask is None else mask[i : i + 1].expand(count, -1, -1, -1),
            sigma=None if level is None else level[i : i + 1].expand(count),
        )

    grid = effects.blocks(crop.pixels.shape[:2], window, settings.block)
    drawn = [
        effects.patches(pool, block, settings.block, settings.patches, how.seed, crop.digest)
        for block in grid
    ]
    found = effects.effects(
        call,
        image,
        noisy.target[i],
        window,
        list(zip(grid, drawn, strict=True)),
        coarse=settings.coarse,
        least=settings.least,
        batch=settings.together,
    )
    ends = torch.tensor([found.psnr, found.refined], dtype=torch.float64)
    return {VALUES: found.values, ENDS: ends, NOISY: image.cpu()}
