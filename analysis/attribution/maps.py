"""Local attribution maps of crops: where the windows are, and the pass that makes the maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from analysis.attribution import integrated_gradients
from analysis.attribution.integrated_gradients import Window
from analysis.attribution.tables import ENDS, NOISY, VALUES, Maps, windows
from analysis.commands import progress
from analysis.engine import forward as engine_forward
from analysis.engine.cache import ActivationCache
from analysis.engine.observer import Batch, View
from mtd.data.crops import Crop, busiest
from mtd.data.image_io import Pixels
from mtd.data.recorded_noise import Recorded
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from analysis.attribution.settings import AttributionSettings
    from analysis.commands.inputs import RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.commands.run_folder import RunFolder


def place(pixels: Pixels, side: int, corner: tuple[int, int] | None = None) -> Window:
    """The window of a crop: at a given corner, or the busiest one in the middle half of the crop.

    A quarter of the crop is left on every side, so that there is something to use around it.

    Raises:
        BadInput: it does not fit.
    """
    size = min(pixels.shape[:2])
    if corner is not None:
        if max(corner) + side > size:
            raise BadInput(
                f"window of {side} at {corner[0]},{corner[1]}: crops have {size} pixels a side"
            )
        return Window(*corner, side)
    if side > size // 2:
        raise BadInput(
            f"window of {side} in a crop of {size}: expected at most half of it; raise --crop, "
            "lower --side, or give --window"
        )
    margin = size // 4
    rows, columns = busiest(pixels[margin : size - margin, margin : size - margin], side)
    return Window(rows.start + margin, columns.start + margin, side)


def collect(job: AnalysisJob, folder: RunFolder | None = None, *, quiet: bool = False) -> Maps:
    """Every model's map under every noise for every crop; called in every process.

    Args:
        job: planned.
        folder: keeps finished maps until the run is finished; None for memory.
        quiet: no bar and no messages.
    """
    from tqdm.auto import tqdm

    inputs, ranks, settings = job.inputs, job.inputs.ranks, job.settings
    cache = folder.cache if folder is not None else ActivationCache()
    entries = [
        (View(model, noise.spec), i)
        for i in range(len(inputs.crops))
        for noise in inputs.noises
        for model in inputs.models
    ]
    talks = ranks.first and not quiet
    if talks and folder is not None:
        progress.report_models(inputs)
    places = windows(job.manifest)
    own: dict[tuple[View, int], dict[str, Tensor]] = {}
    numbers = ranks.indices_for_rank(len(entries))
    for number in tqdm(numbers, unit="map", disable=None if talks else True):
        view, i = entries[number]
        key = cache_key(inputs, view, inputs.crops[i], places[i], settings, job.analysis.version)
        cached = cache.get(key)
        if cached is None:
            tensors = make(inputs, view, inputs.crops[i], places[i], settings)
            cached = cache.put(key, tensors)
        own[view, i] = cached.tensors()
    gathered: dict[tuple[View, int], dict[str, Tensor]] = {}
    for part in ranks.gather(own):
        gathered |= part
    return {entry: gathered[entry] for entry in entries}


def make(
    inputs: RunInputs, view: View, crop: Crop, window: Window, settings: AttributionSettings
) -> dict[str, Tensor]:
    """The map of a model for a crop under a noise, its objective's ends, and the noisy crop."""
    noise = next(noise for noise in inputs.noises if noise.spec == view.noise)
    batch = engine_forward.make_noisy_batch(noise, Batch(0, [crop]), inputs.forward)
    model, noisy = inputs.models[view.model], batch.noisy[0]
    attribution = integrated_gradients.attribute(
        model,
        noisy,
        window,
        key=engine_forward.mask_keys(batch, inputs.forward)[0],
        sigma=settings.blur,
        steps=settings.steps,
        batch=settings.together,
        noise_level=engine_forward.noise_level(model, batch),
        input_mask=engine_forward.input_mask(batch, inputs.forward),
    )
    ends = torch.tensor([attribution.start, attribution.end], dtype=torch.float64)
    return {VALUES: attribution.values, ENDS: ends, NOISY: noisy.cpu()}


def cache_key(
    inputs: RunInputs,
    view: View,
    crop: Crop,
    window: Window,
    settings: AttributionSettings,
    version: int,
) -> dict[str, Any]:
    """Everything that decides a map."""
    noise = next(noise for noise in inputs.noises if noise.spec == view.noise)
    recorded = noise.digest([crop]) if isinstance(noise, Recorded) else None
    how = inputs.forward
    return {
        "attribution": version,
        "model": [view.model, how.identity.get(view.model)],
        "noise": [view.noise, recorded, how.seed, how.quantize],
        "masks": [how.pairing, how.input_mask] if how.input_mask else how.pairing,
        "run": torch.device(how.device).type,
        "crop": crop.digest,
        "window": list(window),
        "sigma": settings.blur,
        "steps": settings.steps,
        "batch": settings.together,
    }
