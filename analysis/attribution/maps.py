"""Local attribution maps of crops: where the windows are, and the pass that makes the maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from analysis.attribution import integrated_gradients
from analysis.attribution.integrated_gradients import Window
from analysis.attribution.tables import ENDS, NOISY, VALUES, Maps, windows
from analysis.commands import units
from analysis.engine import forward as engine_forward
from analysis.engine.observer import Batch, View
from mtd.data.crops import Crop, busiest
from mtd.data.image_io import Pixels
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


def collect(job: AnalysisJob, folder: RunFolder | None = None) -> Maps:
    """Every model's map under every noise for every crop; called in every process.

    Args:
        job: planned.
        folder: keeps finished maps until the run is finished; None for memory.
    """
    inputs, settings = job.inputs, job.settings
    entries = [
        (View(model, noise.spec), i)
        for i in range(len(inputs.crops))
        for noise in inputs.noises
        for model in inputs.models
    ]
    places = windows(job.manifest)

    def key(entry: tuple[View, int]) -> dict[str, Any]:
        view, i = entry
        return cache_key(inputs, view, inputs.crops[i], places[i], settings)

    def map_of(entry: tuple[View, int]) -> dict[str, Tensor]:
        view, i = entry
        return make(inputs, view, inputs.crops[i], places[i], settings)

    return units.collect(job, entries, key, map_of, folder, name="map")


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
    inputs: RunInputs, view: View, crop: Crop, window: Window, settings: AttributionSettings
) -> dict[str, Any]:
    """Everything that decides a map."""
    return {
        **units.key_of(inputs, view, [crop]),
        "window": list(window),
        "sigma": settings.blur,
        "steps": settings.steps,
        "batch": settings.together,
    }
