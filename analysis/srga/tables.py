"""The table of SRGA: a score with its interval for each model and noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

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
from analysis.stats import gram_pca, jackknife
from analysis.stats.generalized_gaussian import Method
from analysis.stats.jackknife import LEVEL
from analysis.stats.undefined import Undefined
from analysis.text.noise_labels import describe
from mtd.utils import seeds

SUBSETS = 60
"""At most how many times photographs are left out for an interval."""

SHARE = 5
"""One photograph in so many is left out at a time; of fewer than twice as many, one."""

Array = NDArray[np.float64]


def subsets(photographs: int, seed: int) -> list[tuple[int, ...]]:
    """Which photographs are left out each time: all choices of a fifth of them, or 60 at random.

    Of fewer than ten photographs each one by itself. Of more a fifth, since leaving out one patch
    takes a whole principal component away: in a simulation of 97 photographs with a patch each the
    standard error was then 3.6 times too large, with a fifth 1.5 times.

    Args:
        photographs: number of them.
        seed: of the choices.
    """
    count = left_out(photographs)
    if math.comb(photographs, count) <= SUBSETS:
        return list(combinations(range(photographs), count))
    chosen = []
    for index in range(SUBSETS):
        stream = seeds.generator("left out", seed, index)
        order = torch.randperm(photographs, generator=stream)
        chosen.append(tuple(order[:count].sort().values.tolist()))
    return chosen


def left_out(photographs: int) -> int:
    """How many photographs are left out at a time."""
    return max(1, photographs // SHARE)


def interval(value: float, without: Array, photographs: int) -> tuple[float, float]:
    """value ± t₍ₙ₋₁₎ √((n − d)/d · mean (θ₍ₛ₎ − θ̄)²), θ₍ₛ₎ being the value without subset s.

    The delete-d jackknife of n photographs; with d = 1 that of `analysis.stats.jackknife`.

    Args:
        value: of all photographs.
        without: (subsets,).
        photographs: n.

    Reference: Shao and Wu 1989, Annals of Statistics 17.
    """
    from scipy.stats import t

    count = left_out(photographs)
    spread = float(np.square(without - without.mean()).mean())
    error = math.sqrt((photographs - count) / count * spread)
    half = float(t.ppf((1 + LEVEL) / 2, photographs - 1)) * error
    return value - half, value + half


@dataclass(frozen=True)
class Fits:
    """The fits of a model's features under one noise.

    Attributes:
        whole: of all patches; None where there is none.
        parts: without every subset of photographs; none where one of them has no fit.
        reason: why there is none of all patches, else "".
    """

    whole: Fit | None
    parts: list[Fit]
    reason: str = ""

    @classmethod
    def of(cls, gram: Tensor, remaining: Sequence[Tensor], how: tuple[int, Method, int]) -> Fits:
        """Fits to all patches, and to those that remain without each subset of photographs.

        Args:
            gram: (patches, patches), of centered features.
            remaining: indices of the patches that remain each time.
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

    Intervals are over photographs, all patches of one being left out together (see `subsets` and
    `interval`); the same are left out under every noise and for every model. The patches that
    remain have principal components of their own. Intervals are too wide rather than too narrow:
    see the simulation in `pytest -m slow -s tests/analysis/srga/test_score.py`.

    Where features under a noise or its reference are not finite or do not vary, values are NaN, and
    `reason` says why.

    Args:
        features: of every view.
        inputs: models, noises and patches.
        layers: the layer of each model.
        settings: components, fit, intervals and seed.
    """
    draws = jackknife.draws([crop.scene or crop.image for crop in inputs.crops])
    patches, photographs = len(draws), int(draws.max()) + 1
    remaining = []
    if settings.intervals and photographs >= jackknife.LEAST:
        chosen = subsets(photographs, settings.seed)
        remaining = [torch.from_numpy(np.flatnonzero(~np.isin(draws, out))) for out in chosen]
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
                    **numbers(fits[first], fitted, photographs),
                    "components": min(settings.components, patches - 1),
                    "outliers": fitted.whole.outliers if fitted.whole else math.nan,
                    "patches": patches,
                    "photographs": photographs,
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


def numbers(reference: Fits, test: Fits, photographs: int) -> dict[str, float]:
    """The score and its interval, and both densities; NaN where there are none.

    Args:
        reference: fits under the reference noise.
        test: fits under another noise; the reference itself has no interval.
        photographs: number of them.
    """
    columns = ("srga", "low", "high", "kl", "sigma", "shape", "reference_sigma", "reference_shape")
    if reference.whole is None or test.whole is None:
        return dict.fromkeys(columns, math.nan)
    score, bounds = compare(reference.whole, test.whole), (math.nan, math.nan)
    if test is not reference and reference.parts and test.parts:
        pairs = zip(reference.parts, test.parts, strict=True)
        values = np.array([compare(*pair).srga for pair in pairs])
        if np.isfinite(values).all():
            bounds = interval(score.srga, values, photographs)
    own = (score.srga, *bounds, score.kl, score.sigma, score.shape)
    return dict(zip(columns, (*own, *reference.whole.ggd), strict=True))
