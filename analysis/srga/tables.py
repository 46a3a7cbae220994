"""The table of SRGA: a score with its interval for each model and noise."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.commands.inputs import RunInputs
from analysis.engine.observer import View
from analysis.srga.observer import Deep
from analysis.srga.score import compare, fit
from analysis.srga.settings import SRGASettings
from analysis.stats import gram_pca
from analysis.text.noise_labels import describe
from mtd.utils import seeds

SUBSETS = 60
"""How many times patches are left out for an interval."""

SHARE = 5
"""One patch in so many is left out at a time."""

LEAST = 20
"""Fewest patches for an interval."""

Array = NDArray[np.float64]


def subsets(patches: int, seed: int) -> list[Tensor]:
    """Indices of the patches that stay, each time another random four fifths."""
    left_out = patches // SHARE
    remaining = []
    for index in range(SUBSETS):
        stream = seeds.generator("left out", seed, index)
        order = torch.randperm(patches, generator=stream)
        remaining.append(order[left_out:].sort().values)
    return remaining


def standard_error(values: Array, patches: int, left_out: int) -> float:
    """Delete-d jackknife: √((n − d)/d · mean (θ₍ₛ₎ − θ̄)²), θ₍ₛ₎ being the value without subset s.

    Reference: Shao and Wu 1989, Annals of Statistics 17.
    """
    spread = float(np.square(values - values.mean()).mean())
    return math.sqrt((patches - left_out) / left_out * spread)


def scores(
    features: Mapping[View, Deep],
    inputs: RunInputs,
    layers: Mapping[str, str],
    settings: SRGASettings,
) -> pd.DataFrame:
    """One row for each model and noise, the reference first.

    Intervals are the score ± 1.96 standard errors over patches (see `standard_error`); the same
    patches are left out under every noise and for every model. Each subset has principal
    components of its own. They are too wide rather than too narrow: in a simulation
    (`pytest -m slow -s tests/analysis/srga/test_score.py`) 1.4 times, covering 99%.

    Args:
        features: of every view.
        inputs: models, noises and patches.
        layers: the layer of each model.
        settings: components, fit, intervals and seed.
    """
    patches = len(inputs.crops)
    with_intervals = settings.intervals and patches >= LEAST
    remaining = subsets(patches, settings.seed) if with_intervals else []
    kinds = describe(inputs.noises).set_index("noise")
    how = (settings.components, settings.fit)
    rows = []
    for model in inputs.models:
        first = View(model, inputs.noises[0].spec)
        whole = {view: fit(of.gram, *how) for view, of in features.items() if view.model == model}
        parts = {
            view: [fit(gram_pca.recentered(features[view].gram, part), *how) for part in remaining]
            for view in whole
        }
        for view, fitted in whole.items():
            score = compare(whole[first], fitted)
            values = np.array(
                [compare(*pair).srga for pair in zip(parts[first], parts[view], strict=True)]
            )
            error = math.nan
            if len(values) and view != first:
                error = standard_error(values, patches, patches // SHARE)
            rows.append(
                {
                    "model": model,
                    "noise": view.noise,
                    "kind": kinds.kind[view.noise],
                    "level": kinds.level[view.noise],
                    "reference": first.noise,
                    "layer": layers[model],
                    "srga": score.srga,
                    "low": score.srga - 1.96 * error,
                    "high": score.srga + 1.96 * error,
                    "kl": score.kl,
                    "sigma": score.sigma,
                    "shape": score.shape,
                    "reference_sigma": whole[first].ggd.sigma,
                    "reference_shape": whole[first].ggd.shape,
                    "components": fitted.components,
                    "outliers": fitted.outliers,
                    "patches": patches,
                    "features": features[view].features,
                    "psnr": float(features[view].psnr.mean()),
                    "note": kinds.note[view.noise],
                }
            )
    return pd.DataFrame(rows)
