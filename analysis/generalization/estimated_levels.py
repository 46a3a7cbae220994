"""The noise level that classical denoisers estimate of each noisy image, beside the results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.commands.inputs import RunInputs
from analysis.engine.forward import make_noisy_batch
from analysis.engine.observer import Batch
from mtd.data.crops import place
from mtd.networks.classical import Classical, noise_level

FILE = "estimated_levels.csv"


def tables(inputs: RunInputs, batches: Sequence[Batch]) -> dict[str, Any]:
    """The table by file name, where a model estimates levels (`nlm`, `tv`, `wavelet`); else none.

    A row for each noise and image; `estimated`: see `mtd.networks.classical.noise_level`, of the
    whole noisy image, in 8-bit levels. The noisy images are made again, which needs no network.
    """
    models = inputs.models.values()
    if not any(isinstance(model, Classical) and model.estimates_noise for model in models):
        return {}
    rows = []
    for batch in batches:
        for noise in inputs.noises if batch.noises is None else batch.noises:
            noisy = make_noisy_batch(noise, batch, inputs.forward).noisy
            images = noisy.cpu().double().permute(0, 2, 3, 1).numpy()
            for crop, image in zip(batch.crops, images, strict=True):
                level = 255 * noise_level(image)
                rows.append({"noise": noise.spec, **place(crop), "estimated": level})
    return {FILE: pd.DataFrame(rows)}
