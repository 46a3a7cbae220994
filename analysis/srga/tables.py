"""The tables of SRGA: scores with intervals and controls, and differences between models."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from analysis.commands.inputs import RunInputs
from analysis.engine.observer import View
from analysis.srga.controls import controls
from analysis.srga.fits import AllFits, Fits
from analysis.srga.score import compare
from analysis.stats import model_differences
from analysis.stats.controls import NO_CONTROLS, NOTHING, Series
from analysis.text.noise_labels import describe


def scores(fits: AllFits, inputs: RunInputs, layers: Mapping[str, str]) -> pd.DataFrame:
    """One row for each model and noise, the reference first.

    Intervals are over photographs, all patches of one being left out together (see
    `analysis.srga.fits.subsets` and `interval`); the same are left out under every noise and for
    every model. The patches that remain have principal components of their own. Intervals are too
    wide rather than too narrow: see the simulation in
    `pytest -m slow -s tests/analysis/srga/test_score.py`.

    Beside each score stand its controls, see `analysis.srga.controls`, and how far it is above
    them; without controls these columns are left out.

    Where features under a noise or its reference are not finite or do not vary, values are NaN, and
    `reason` says why.

    Args:
        fits: of every view.
        inputs: models, noises and patches.
        layers: the layer of each model.
    """
    kinds = describe(inputs.noises).set_index("noise")
    first, more = inputs.noises[0].spec, inputs.controls
    rows = []
    for model in inputs.models:
        beside = {} if more is None else controls(fits, more.controls, model, first)
        for noise in inputs.specs:
            deep, fitted = fits.features[View(model, noise)], fits[View(model, noise)]
            reference = fits[View(model, first)]
            of = NOTHING if noise == first else reference.to(fitted)
            values = numbers(reference, fitted, fits, of)
            if more is not None:
                control = beside.get(noise, NO_CONTROLS)
                values |= control.columns() | control.gaps(of, fits.bounds)
            rows.append(
                {
                    "model": model,
                    "noise": noise,
                    "kind": kinds.kind[noise],
                    "level": kinds.level[noise],
                    "reference": first,
                    "layer": layers[model],
                    **values,
                    "components": components(fits, View(model, noise)),
                    "outliers": fitted.whole.outliers if fitted.whole else math.nan,
                    "patches": len(fits.draws),
                    "photographs": fits.photographs,
                    "features": deep.features,
                    "psnr": float(deep.psnr.mean()),
                    "note": kinds.note[noise],
                    "reason": reason(reference, fitted, first),
                }
            )
    return pd.DataFrame(rows)


def differences(fits: AllFits, inputs: RunInputs) -> pd.DataFrame:
    """Scores of every two models under every noise, b minus a; see `model_differences.table`.

    Intervals are those of `scores`, of the difference with the same photographs left out.

    Args:
        fits: of every view.
        inputs: models and noises.
    """
    first, *others = inputs.specs
    values: dict[str, dict[str, Series]] = {}
    for model in inputs.models:
        reference = fits[View(model, first)]
        values[model] = {noise: reference.to(fits[View(model, noise)]) for noise in others}
    return model_differences.table(values, fits.photographs, fits.bounds)


def components(fits: AllFits, view: View) -> int:
    """How many components the scores of a view are of: no more than patches or features allow."""
    fitted = fits[view].whole
    if fitted is not None:
        return fitted.components
    wanted, _, features = fits.how(view)
    return min(wanted, len(fits.draws) - 1, features)


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


def numbers(reference: Fits, test: Fits, fits: AllFits, of: Series) -> dict[str, float]:
    """The score and its interval, and both densities; NaN where there are none.

    Args:
        reference: fits under the reference noise.
        test: fits under another noise; the reference itself has no interval.
        fits: of all views, which make the interval.
        of: the score, and without photographs; `NOTHING` for the reference.
    """
    columns = ("srga", "low", "high", "kl", "sigma", "shape", "reference_sigma", "reference_shape")
    if reference.whole is None or test.whole is None:
        return dict.fromkeys(columns, math.nan)
    score, bounds = compare(reference.whole, test.whole), fits.bounds(of.value, of.without)
    own = (score.srga, *bounds, score.kl, score.sigma, score.shape)
    return dict(zip(columns, (*own, *reference.whole.ggd), strict=True))
