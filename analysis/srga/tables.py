"""The tables of SRGA: scores with intervals and controls, and differences between models."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from analysis.commands import trainings
from analysis.commands.inputs import RunInputs
from analysis.engine.observer import View
from analysis.srga.controls import controls
from analysis.srga.fits import AllFits, Fits
from analysis.srga.score import compare
from analysis.stats import controls as stats
from analysis.stats import model_differences
from analysis.stats.controls import NO_CONTROLS, NOTHING, Controls, Series
from analysis.text.noise_labels import describe
from analysis.text.noise_names import noise_words
from mtd.utils import progress

Measured = Mapping[tuple[str, str], tuple[Series, Controls]]
"""Score and controls by network and noise."""


def measured(fits: AllFits, inputs: RunInputs) -> dict[tuple[str, str], tuple[Series, Controls]]:
    """Scores with their controls, by network and noise; `NOTHING` for the reference.

    Args:
        fits: of every view.
        inputs: models and noises.
    """
    first, more = inputs.specs[0], inputs.controls
    found = {}
    for network in inputs.models:
        beside = {} if more is None else controls(fits, more.controls, network, first)
        reference = fits[View(network, first)]
        for noise in inputs.specs:
            of = NOTHING if noise == first else reference.to(fits[View(network, noise)])
            found[network, noise] = of, beside.get(noise, NO_CONTROLS)
    return found


def scores(
    fits: AllFits, inputs: RunInputs, layers: Mapping[str, str], of: Measured
) -> pd.DataFrame:
    """One row for each network and noise, the reference first.

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
        layers: the layer of each network.
        of: the scores, see `measured`.
    """
    kinds = describe(inputs.noises).set_index("noise")
    first, more = inputs.noises[0].spec, inputs.controls
    rows = []
    views = [(model, noise) for model in inputs.models for noise in inputs.specs]
    for model, noise in progress.track(views, len(views), "intervals", "scores"):
        deep, fitted = fits.features[View(model, noise)], fits[View(model, noise)]
        reference = fits[View(model, first)]
        score, control = of[model, noise]
        values = numbers(reference, fitted, fits, score)
        if more is not None:
            values |= control.columns() | control.gaps(score, fits.bounds, len(inputs.specs) - 1)
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


def over_trainings(
    frame: pd.DataFrame, fits: AllFits, inputs: RunInputs, of: Measured
) -> pd.DataFrame:
    """One row for each model and noise, where models have several trainings.

    Scores and controls are means over the trainings, with intervals over photographs and trainings;
    so are the other numbers, without intervals. `COLUMNS` are added.

    Args:
        frame: of networks, see `scores`.
        fits: which make the intervals.
        inputs: models and their trainings.
        of: the scores.
    """
    means = trainings.averaged(frame, inputs.trainings)
    for place, (model, noise) in enumerate(zip(means.model, means.noise, strict=True)):
        own = [of[name, noise] for name in inputs.trainings[model]]
        score = stats.over_trainings([value for value, _ in own])
        values = stats.columns(score, fits.bounds)
        if noise != inputs.specs[0]:
            low, high = stats.interval(score, fits.bounds)
            values |= {"srga": score.value, "low": low, "high": high}
        if inputs.controls is not None:
            control = Controls.over_trainings([one for _, one in own])
            values |= control.columns() | control.gaps(score, fits.bounds, len(inputs.specs) - 1)
        for name, value in values.items():
            means.loc[place, name] = value
    return means


def differences(fits: AllFits, inputs: RunInputs, of: Measured) -> pd.DataFrame:
    """Scores of every two models under every noise, b minus a; see `model_differences.table`.

    Intervals are those of `scores`, of the difference with the same photographs left out.

    Args:
        fits: of every view.
        inputs: models and noises.
        of: the scores, see `measured`.
    """
    _, *others = inputs.specs
    values = {
        model: {
            noise: stats.over_trainings([of[name, noise][0] for name in names]) for noise in others
        }
        for model, names in inputs.trainings.items()
    }
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
    return (
        f"its {reference.reason} under {noise_words(noise)}, the reference"
        if reference.reason
        else ""
    )


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
