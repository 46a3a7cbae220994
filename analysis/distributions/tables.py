"""The tables of the distributions of features: numbers with intervals, and curves.

Values are as the network has them: histograms and distances are not centered, so that a shift of
the mean shows. Only the generalized Gaussian, whose mean is 0, is fitted to values minus their own
mean, and drawn around that mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import nn

from analysis.commands.inputs import RunInputs
from analysis.distributions import observer
from analysis.distributions.controls import (
    CONTROLLED,
    DISTANCES,
    SHARES,
    LayerControls,
    distances,
    photographs,
)
from analysis.distributions.observer import Layer
from analysis.engine.cache import CachedActivations
from analysis.engine.layers import INPUT, last_call, last_convolution
from analysis.engine.observer import View
from analysis.stats import histograms, jackknife, model_differences
from analysis.stats.controls import Series
from analysis.stats.generalized_gaussian import shape_of
from analysis.stats.histograms import Histogram, edges
from analysis.text.noise_labels import describe
from mtd.utils.errors import BadInput

NUMBERS = (*DISTANCES, "mean", "sigma", "skewness", "kurtosis", "shape")
"""Columns that have an interval, `_low` and `_high`."""

SHOWN = 100
"""Bins of a curve."""

RANGE = (0.01, 0.99)
"""Quantiles that the shown range reaches from and to, under every noise."""

NO_CURVE = pd.DataFrame(columns=["model", "noise", "layer", "left", "right", "density"])
"""histograms.csv where no layer has a distribution."""

Array = NDArray[np.float64]


def numbers(reference: Histogram, test: Histogram, starts: NDArray[np.int64]) -> Array:
    """`NUMBERS` of a distribution against a reference.

    The distances are those of `analysis.distributions.controls.distances`. sigma is the standard
    deviation, and that of the fitted density too; kurtosis is 0 for a Gaussian. shape is the fitted
    generalized Gaussian's, where `analysis.stats.generalized_gaussian.ratio` is
    sigma² / mean(|x - mean|)².

    Args:
        reference: pooled features under the reference noise.
        test: pooled features under another noise, or the reference itself.
        starts: the divergence's bins; see `analysis.stats.histograms.shares`.
    """
    mean, sigma, skewness, kurtosis = test.moments()
    deviation = test.deviation(mean)
    shape = shape_of((sigma / deviation) ** 2, "root") if sigma > 0 and deviation > 0 else math.nan
    return np.array([*distances(reference, test, starts), mean, sigma, skewness, kurtosis, shape])


class Measured(NamedTuple):
    """`NUMBERS` of a layer.

    Attributes:
        value: (numbers,), of all crops; NaN where either side has no distribution.
        without: (photographs, numbers), without each photograph; none of too few for an interval.
    """

    value: Array
    without: Array

    def series(self, name: str) -> Series:
        """One of the numbers."""
        place = NUMBERS.index(name)
        return Series(float(self.value[place]), self.without[:, place])


def measured(reference: Layer, test: Layer, draws: NDArray[np.int64]) -> Measured:
    """`NUMBERS` of a layer, all crops of a photograph left out of both sides at once.

    The divergence's bins stay those of all images.

    Args:
        reference: the layer under the reference noise.
        test: under another noise, or the reference itself.
        draws: (crops,), the photograph of each; see `jackknife.draws`.
    """
    whole, other = reference.pooled(), test.pooled()
    if whole.lacking or other.lacking:
        return Measured(np.full(len(NUMBERS), np.nan), np.zeros((0, len(NUMBERS))))
    starts = histograms.shares(whole, SHARES)
    without = [
        numbers(reference.without(whole, part), test.without(other, part), starts)
        for part in photographs(draws)
    ]
    return Measured(
        numbers(whole, other, starts), np.array(without).reshape(len(without), len(NUMBERS))
    )


def row(reference: Layer, test: Layer, of: Measured) -> dict[str, float]:
    """`NUMBERS` of a layer and their 95% jackknife intervals over photographs.

    Bounds are not clamped; those of kurtosis and shape, which few photographs far from the others
    decide, are rather too narrow (`pytest -m slow -s tests/analysis/stats/test_coverage.py`: 84 to
    97%, all others 92% or more). Distances of the reference from itself have none. All is NaN where
    either side has no distribution; see `analysis.stats.histograms.Histogram.lacking`.

    Args:
        reference: the layer under the reference noise.
        test: under another noise, or the reference itself.
        of: its numbers.
    """
    whole = reference.pooled()
    low, high = jackknife.interval(of.value, of.without)
    if reference is test:
        low[:3] = high[:3] = np.nan
    values = {}
    for place, name in enumerate(NUMBERS):
        values[name] = float(of.value[place])
        values[f"{name}_low"], values[f"{name}_high"] = float(low[place]), float(high[place])
    if np.isnan(of.value).all():
        return values | {"resolution": math.nan}
    mean, spread = whole.moments()[:2]
    width = float(np.interp(mean, edges()[:-1], np.diff(edges())))
    return values | {"resolution": width / spread if spread > 0 else math.nan}


def shown(pooled: Sequence[Histogram]) -> Array:
    """(SHOWN + 1,), equally spaced bounds that reach over `RANGE` of every distribution."""
    low = min(histogram.quantile(RANGE[0]) for histogram in pooled)
    high = max(histogram.quantile(RANGE[1]) for histogram in pooled)
    return np.linspace(low, high, SHOWN + 1)


def last_features(name: str, model: nn.Module) -> str:
    """The name under which what goes into a model's last convolution is recorded.

    Raises:
        BadInput: the model has no convolution.
    """
    try:
        return INPUT + last_convolution(model)
    except BadInput as error:
        raise BadInput(f"{name}: {error}") from None


def tables(
    activations: Mapping[View, Sequence[CachedActivations]], inputs: RunInputs
) -> dict[str, pd.DataFrame]:
    """distributions.csv: a row for each model, noise and layer; and histograms.csv, their curves.

    distributions_difference.csv compares W1 in σ and JS of the last features between models, see
    `differences`.

    Beside W1 in σ and JS stand their controls, see `analysis.distributions.controls`, and how far
    they are above them; without controls these columns are left out.

    Where a layer's features under a noise or the reference are not finite or do not vary, numbers
    are NaN, and `reason` says why; distributions that do not exist have no curve.
    """
    rows: list[dict[str, Any]] = []
    drawn: list[pd.DataFrame] = []
    kinds = describe(inputs.noises).set_index("noise")
    draws = jackknife.draws([crop.scene or crop.image for crop in inputs.crops])
    last_numbers: dict[str, dict[str, Measured]] = {name: {} for name in inputs.models}
    for name, model in inputs.models.items():
        views = {noise.spec: activations[View(name, noise.spec)] for noise in inputs.noises}
        first = next(iter(views))
        reference = observer.layers(views[first])
        last = last_call(reference, last_features(name, model))
        pooled: dict[str, dict[str, Histogram]] = {layer: {} for layer in reference}
        beside = None
        if inputs.controls is not None:
            views_of = inputs.controls.controls
            beside = LayerControls(activations, views_of, View(name, first), draws)
        for noise, units in views.items():
            layers = reference if noise == first else observer.layers(units)
            kind, level, note = kinds.loc[noise, ["kind", "level", "note"]]
            about = {"model": name, "noise": noise, "kind": kind, "level": level}
            controls = beside.under(noise) if beside is not None else {}
            for layer, test in layers.items():
                whole = pooled[layer][noise] = test.pooled()
                why = reason(pooled[layer][first], whole, first)
                values = {"reference": first, "layer": layer, "last_features": layer == last}
                found = measured(reference[layer], test, draws)
                if layer == last and noise != first:
                    last_numbers[name][noise] = found
                values |= row(reference[layer], test, found) | controls.get(layer, {})
                counted = {"photographs": int(draws.max()) + 1, "crops": len(test.counts)}
                counted |= {"features": whole.total}
                rows.append(about | values | counted | {"note": note, "reason": why})
        drawn += curves(name, pooled)
    return {
        "distributions.csv": pd.DataFrame(rows),
        "distributions_difference.csv": differences(last_numbers, int(draws.max()) + 1),
        "histograms.csv": pd.concat(drawn, ignore_index=True) if drawn else NO_CURVE,
    }


def differences(values: Mapping[str, Mapping[str, Measured]], photographs: int) -> pd.DataFrame:
    """W1 in σ and JS of every two models' last features, b minus a, by noise.

    `measure` names the distance; for the other columns see `model_differences.table`.

    Args:
        values: by model and noise.
        photographs: their number.
    """
    frames = []
    for measure in CONTROLLED:
        of = {
            model: {noise: numbers.series(measure) for noise, numbers in by_noise.items()}
            for model, by_noise in values.items()
        }
        frames.append(model_differences.table(of, photographs).assign(measure=measure))
    return pd.concat(frames, ignore_index=True)


def reason(reference: Histogram, test: Histogram, noise: str) -> str:
    """Why there are no numbers, or "".

    Args:
        reference: pooled features under the reference noise.
        test: pooled features under another noise, or the reference itself.
        noise: the reference.
    """
    if test.lacking:
        return f"its {test.lacking}"
    return f"its {reference.lacking} under {noise}, the reference" if reference.lacking else ""


def curves(model: str, pooled: Mapping[str, Mapping[str, Histogram]]) -> Iterator[pd.DataFrame]:
    """A model's shown histograms by layer and noise; those of a layer share their bounds."""
    for layer, histograms_by_noise in pooled.items():
        by_noise = {name: of for name, of in histograms_by_noise.items() if not of.lacking}
        if not by_noise:
            continue
        bounds = shown(list(by_noise.values()))
        for noise, histogram in by_noise.items():
            yield pd.DataFrame(
                {
                    "model": model,
                    "noise": noise,
                    "layer": layer,
                    "left": bounds[:-1],
                    "right": bounds[1:],
                    "density": histogram.density(bounds),
                }
            )
