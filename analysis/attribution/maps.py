"""Local attribution maps of patches, and their diffusion index."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from analysis.commands import progress as commands_progress
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from torch import Tensor

    from analysis.attribution.integrated_gradients import Window
    from analysis.commands.inputs import RunInputs
    from analysis.commands.run_folder import RunFolder
    from analysis.engine.observer import View
    from mtd.data.crops import Crop
    from mtd.data.image_io import Pixels


VALUES, ENDS, NOISY = "values", "ends", "noisy"


def place(pixels: Pixels, side: int, corner: tuple[int, int] | None = None) -> Window:
    """The window of a crop: at a given corner, or the busiest one in the middle half of the crop.

    A quarter of the crop is left on every side, so that there is something to use around it.

    Raises:
        BadInput: it does not fit.
    """
    from analysis.attribution.integrated_gradients import Window
    from mtd.data.crops import busiest

    size = min(pixels.shape[:2])
    if corner is not None:
        if max(corner) + side > size:
            raise BadInput(f"window of {side} at {corner[0]},{corner[1]}: a crop is {size} a side")
        return Window(*corner, side)
    if side > size // 2:
        raise BadInput(
            f"window of {side} in a crop of {size}: expected at most half of it; raise --crop, "
            "lower --side, or give --window"
        )
    margin = size // 4
    rows, columns = busiest(pixels[margin : size - margin, margin : size - margin], side)
    return Window(rows.start + margin, columns.start + margin, side)


def collect(
    args: argparse.Namespace,
    asked: RunInputs,
    windows: list[Window],
    together: int,
    folder: RunFolder,
) -> dict[tuple[View, int], dict[str, Tensor]]:
    """Every model's map under every noise for every crop, by view and the crop's place."""
    from tqdm import tqdm

    from analysis.engine.observer import View

    jobs = [
        (View(model, noise.spec), i)
        for i in range(len(asked.crops))
        for noise in asked.noises
        for model in asked.models
    ]
    talks = asked.ranks.first and not args.quiet
    if talks:
        commands_progress.tell(asked)
    mine = {}
    places = asked.ranks.indices_for_rank(len(jobs))
    for number in tqdm(places, unit="map", disable=None if talks else True):
        view, i = jobs[number]
        how = {"sigma": args.blur, "steps": args.steps, "batch": together}
        key = _key(asked, view, asked.crops[i], windows[i], how)
        cached = folder.cache.get(key)
        if cached is None:
            cached = folder.cache.put(key, one(asked, view, asked.crops[i], windows[i], how))
        mine[view, i] = cached.tensors()
    found: dict[tuple[View, int], dict[str, Tensor]] = {}
    for part in asked.ranks.gather(mine):
        found |= part
    return {job: found[job] for job in jobs}


def one(
    asked: RunInputs, view: View, crop: Crop, window: Window, how: dict[str, Any]
) -> dict[str, Tensor]:
    """The map of a model for a crop under a noise, its objective's ends, and the noisy crop."""
    import torch

    from analysis.attribution import integrated_gradients
    from analysis.engine import forward as engine_forward
    from analysis.engine import observer as engine_observer

    noise = next(noise for noise in asked.noises if noise.spec == view.noise)
    batch, settings, model = (
        engine_observer.Batch(0, [crop]),
        asked.setting,
        asked.models[view.model],
    )
    noisy = engine_forward.make_noisy_batch(noise, batch, settings)
    attribution = integrated_gradients.attribute(
        model,
        noisy.noisy[0],
        window,
        key=engine_forward.mask_keys(noisy, settings)[0],
        sigma_told=engine_forward.noise_level(model, noisy),
        input_mask=engine_forward.input_mask(noisy, settings),
        **how,
    )
    ends = torch.tensor([attribution.start, attribution.end], dtype=torch.float64)
    return {VALUES: attribution.values, ENDS: ends, NOISY: noisy.noisy[0].cpu()}


def _key(
    asked: RunInputs, view: View, crop: Crop, window: Window, how: dict[str, Any]
) -> dict[str, Any]:
    import torch

    from mtd.data.recorded_noise import Recorded

    noise = next(noise for noise in asked.noises if noise.spec == view.noise)
    recorded = noise.digest([crop]) if isinstance(noise, Recorded) else None
    setting = asked.setting
    return {
        "attribution": 1,
        "model": [view.model, setting.identity.get(view.model)],
        "noise": [view.noise, recorded, setting.seed, setting.quantize],
        "masks": [setting.pairing, setting.input_mask] if setting.input_mask else setting.pairing,
        "run": torch.device(setting.device).type,
        "crop": crop.digest,
        "window": list(window),
        **how,
    }
