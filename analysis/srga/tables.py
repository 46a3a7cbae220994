"""The table of SRGA: a score with its interval for each model and noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.commands.inputs import RunInputs
from analysis.engine.observer import View
from analysis.srga.observer import Deep
from analysis.srga.score import Fit, compare, fit
from analysis.srga.settings import SRGASettings
from analysis.stats import gram_pca
from analysis.stats.generalized_gaussian import Method
from analysis.stats.undefined import Undefined
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


@dataclass(frozen=True)
class Fits:
    """The fits of a model's features under one noise.

    Attributes:
        whole: of all patches; None where there is none.
        parts: of every subset of them; none where one of them has no fit.
        reason: why there is none of all patches, else "".
    """

    whole: Fit | None
    parts: list[Fit]
    reason: str = ""

    @classmethod
    def of(cls, gram: Tensor, remaining: Sequence[Tensor], how: tuple[int, Method, int]) -> Fits:
        """Fits to all patches, and to those that remain in each subset.

        Args:
            gram: (patches, patches), of centered features.
            remaining: indices of the patches of each subset.
            how: components, method and number of features; see `analysis.srga.score.fit`.
        """
        try:
            whole = fit(gram, *how)
        except Undefined as error:
            return cls(None, [], str(error))
        try:
            return cls(whole, [fit(gram_pca.recentered(gram, part), *how) for part in remaining])
        except Undefined:
            return cls(whole, [])


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

    Where features under a noise or its reference are not finite or do not vary, values are NaN, and
    `reason` says why.

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
    first = inputs.noises[0].spec
    rows = []
    for model in inputs.models:
        fits = {
            view.noise: Fits.of(
                of.gram, remaining, (settings.components, settings.fit, of.features)
            )
            for view, of in features.items()
            if view.model == model
        }
        for noise, fitted in fits.items():
            deep = features[View(model, noise)]
            rows.append(
                {
                    "model": model,
                    "noise": noise,
                    "kind": kinds.kind[noise],
                    "level": kinds.level[noise],
                    "reference": first,
                    "layer": layers[model],
                    **numbers(fits[first], fitted, patches),
                    "components": min(settings.components, patches - 1),
                    "outliers": fitted.whole.outliers if fitted.whole else math.nan,
                    "patches": patches,
                    "features": deep.features,
                    "psnr": float(deep.psnr.mean()),
                    "note": kinds.note[noise],
                    "reason": reason(fits[first], fitted, first),
                }
            )
    return pd.DataFrame(rows)


def reason(reference: Fits, test: Fits, noise: str) -> str:
    """Why there is no score, or "".

    Args:
        reference: fits under the reference noise.
        test: fits under another noise, or the reference itself.
        noise: the reference.
    """
    if test.reason:
        return f"its {test.reason}"
    return f"its {reference.reason} under {noise}, the reference" if reference.reason else ""


def numbers(reference: Fits, test: Fits, patches: int) -> dict[str, float]:
    """The score and its interval, and both densities; NaN where there are none.

    Args:
        reference: fits under the reference noise.
        test: fits under another noise; the reference itself has no interval.
        patches: number of patches.
    """
    columns = ("srga", "low", "high", "kl", "sigma", "shape", "reference_sigma", "reference_shape")
    if reference.whole is None or test.whole is None:
        return dict.fromkeys(columns, math.nan)
    score, error = compare(reference.whole, test.whole), math.nan
    if test is not reference and reference.parts and test.parts:
        pairs = zip(reference.parts, test.parts, strict=True)
        values = np.array([compare(*pair).srga for pair in pairs])
        if np.isfinite(values).all():
            error = standard_error(values, patches, patches // SHARE)
    low, high = score.srga - 1.96 * error, score.srga + 1.96 * error
    own = (score.srga, low, high, score.kl, score.sigma, score.shape)
    return dict(zip(columns, (*own, *reference.whole.ggd), strict=True))
