"""The tables of the distributions of features: numbers with intervals, and curves.

Values are as the network has them: histograms and distances are not centered, so that a shift of
the mean shows. Only the generalized Gaussian, whose mean is 0, is fitted to values minus their own
mean, and drawn around that mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import nn

from analysis.commands import trainings
from analysis.commands.inputs import RunInputs
from analysis.distributions import observer
from analysis.distributions.controls import (
    CONTROLLED,
    DISTANCES,
    SHARES,
    LayerControls,
    columns,
    distances,
    photographs,
)
from analysis.distributions.observer import Layer
from analysis.engine.cache import CachedActivations
from analysis.engine.layers import INPUT, last_call, last_convolution
from analysis.engine.observer import View
from analysis.stats import controls as stats
from analysis.stats import histograms, jackknife, model_differences
from analysis.stats.controls import NOTHING, Controls, Series
from analysis.stats.generalized_gaussian import shape_of
from analysis.stats.histograms import Histogram, edges
from analysis.text.noise_labels import describe
from analysis.text.noise_names import noise_words
from mtd.utils import progress
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


class Network(NamedTuple):
    """What is known of one network.

    Attributes:
        rows: of the table, under every noise, a layer each.
        numbers: by noise and layer.
        controls: by noise and layer, then by distance; none without.
        pooled: histograms by layer and noise.
        last: what goes into its last convolution.
    """

    rows: list[dict[str, Any]]
    numbers: dict[tuple[str, str], Measured]
    controls: dict[tuple[str, str], Mapping[str, Controls]]
    pooled: dict[str, dict[str, Histogram]]
    last: str

    def series(self, noise: str, layer: str) -> dict[str, Series]:
        """The distances with controls; `NOTHING` under the reference, the first noise."""
        if noise == next(iter(self.numbers))[0]:
            return dict.fromkeys(CONTROLLED, NOTHING)
        return {what: self.numbers[noise, layer].series(what) for what in CONTROLLED}


def network(
    name: str,
    activations: Mapping[View, Sequence[CachedActivations]],
    inputs: RunInputs,
    draws: NDArray[np.int64],
) -> Network:
    """The rows of a network, and what they are made of.

    Args:
        name: of the network.
        activations: of every view.
        inputs: networks and noises.
        draws: (crops,), the photograph of each.
    """
    kinds = describe(inputs.noises).set_index("noise")
    views = {noise.spec: activations[View(name, noise.spec)] for noise in inputs.noises}
    first = next(iter(views))
    reference = observer.layers(views[first])
    last = last_call(reference, last_features(name, inputs.models[name]))
    found = Network([], {}, {}, {layer: {} for layer in reference}, last)
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
            whole = found.pooled[layer][noise] = test.pooled()
            why = reason(found.pooled[layer][first], whole, first)
            values = {"reference": first, "layer": layer, "last_features": layer == last}
            of = found.numbers[noise, layer] = measured(reference[layer], test, draws)
            found.controls[noise, layer] = controls.get(layer, {})
            values |= row(reference[layer], test, of)
            values |= columns(
                found.controls[noise, layer], found.series(noise, layer), len(views) - 1
            )
            counted = {"photographs": int(draws.max()) + 1, "crops": len(test.counts)}
            counted |= {"features": whole.total}
            found.rows.append(about | values | counted | {"note": note, "reason": why})
    return found


def tables(
    activations: Mapping[View, Sequence[CachedActivations]], inputs: RunInputs
) -> dict[str, pd.DataFrame]:
    """distributions.csv: a row for each model, noise and layer; and histograms.csv, their curves.

    distributions_difference.csv compares W1 in σ and JS of the last features between models, see
    `differences`.

    Beside W1 in σ and JS stand their controls, see `analysis.distributions.controls`, and how far
    they are above them; without controls these columns are left out.

    Of several trainings of a model numbers and controls are means, with intervals over photographs
    and trainings, and curves are of all their features; `distributions_by_training` and
    `histograms_by_training` have each.

    Where a layer's features under a noise or the reference are not finite or do not vary, numbers
    are NaN, and `reason` says why; distributions that do not exist have no curve.
    """
    draws = jackknife.draws([crop.scene or crop.image for crop in inputs.crops])
    models = progress.track(inputs.models, len(inputs.models), "distributions", "networks")
    known = {name: network(name, activations, inputs, draws) for name in models}
    frame = pd.DataFrame([values for one in known.values() for values in one.rows])
    drawn: list[pd.DataFrame] = []
    single: list[pd.DataFrame] = []
    for model, names in inputs.trainings.items():
        own = {name: known[name].pooled for name in names}
        whole, parts = curves(model, own)
        drawn += whole
        single += parts
    written = {
        "distributions.csv": frame,
        "distributions_difference.csv": differences(known, inputs, int(draws.max()) + 1),
        "histograms.csv": pd.concat(drawn, ignore_index=True) if drawn else NO_CURVE,
    }
    if trainings.several(inputs.trainings):
        written["distributions.csv"] = over_trainings(frame, known, inputs)
        written["distributions_by_training.csv"] = trainings.by_training(frame, inputs.trainings)
        none = NO_CURVE.assign(training="")
        kept = pd.concat(single, ignore_index=True) if single else none
        written["histograms_by_training.csv"] = kept
    return written


def over_trainings(
    frame: pd.DataFrame, known: Mapping[str, Network], inputs: RunInputs
) -> pd.DataFrame:
    """The means over the trainings of each model, with intervals over photographs and trainings.

    `trainings` is their number; W1 in σ and JS have intervals over either alone, too.

    Args:
        frame: a row for each network, noise and layer.
        known: of each network.
        inputs: models and their trainings.
    """
    means = trainings.averaged(frame, inputs.trainings)
    where = zip(means.model, means.noise, means.layer, strict=True)
    for place, (model, noise, layer) in enumerate(where):
        own = [known[name] for name in inputs.trainings[model]]
        values: dict[str, float] = {"trainings": len(own)}
        for name in NUMBERS:
            of = stats.over_trainings([one.numbers[noise, layer].series(name) for one in own])
            low, high = stats.interval(of)
            reference = name in DISTANCES and noise == means.reference.iloc[0]
            bounds = (math.nan, math.nan) if reference else (low, high)
            values |= {name: of.value, f"{name}_low": bounds[0], f"{name}_high": bounds[1]}
        beside = {}
        for what in CONTROLLED:
            of = stats.over_trainings([one.series(noise, layer)[what] for one in own])
            each = stats.columns(of)
            values |= {f"{what}_{name}": each[name] for name in stats.COLUMNS[1:]}
            beside[what] = of
        if all(one.controls[noise, layer] for one in own):
            controls = {
                what: Controls.over_trainings([one.controls[noise, layer][what] for one in own])
                for what in CONTROLLED
            }
            values |= columns(controls, beside, len(inputs.specs) - 1)
        for name, value in values.items():
            means.loc[place, name] = value
    return means


def differences(known: Mapping[str, Network], inputs: RunInputs, photographs: int) -> pd.DataFrame:
    """W1 in σ and JS of every two models' last features, b minus a, by noise.

    `measure` names the distance; for the other columns see `model_differences.table`.

    Args:
        known: of each network.
        inputs: models and their trainings, and noises.
        photographs: their number.
    """
    frames = []
    for measure in CONTROLLED:
        of = {
            model: {
                noise: stats.over_trainings(
                    [known[name].numbers[noise, known[name].last].series(measure) for name in names]
                )
                for noise in inputs.specs[1:]
                if all((noise, known[name].last) in known[name].numbers for name in names)
            }
            for model, names in inputs.trainings.items()
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
    return (
        f"its {reference.lacking} under {noise_words(noise)}, the reference"
        if reference.lacking
        else ""
    )


def curves(
    model: str, networks: Mapping[str, Mapping[str, Mapping[str, Histogram]]]
) -> tuple[list[pd.DataFrame], list[pd.DataFrame]]:
    """A model's shown histograms by layer and noise, those of a layer with the same bounds.

    Args:
        model: its name.
        networks: histograms of its trainings, by layer and noise.

    Returns:
        Those of all trainings together, and those of single ones if there are several.
    """
    drawn: list[pd.DataFrame] = []
    single: list[pd.DataFrame] = []
    first = next(iter(networks.values()))
    for layer, noises in first.items():
        together = {
            noise: histograms.together([of[layer][noise] for of in networks.values()])
            for noise in noises
        }
        known = {noise: of for noise, of in together.items() if not of.lacking}
        if not known:
            continue
        bounds = shown(list(known.values()))
        for noise, of in known.items():
            drawn.append(curve(model, noise, layer, of, bounds))
            for name, own in networks.items() if len(networks) > 1 else ():
                rows = curve(model, noise, layer, own[layer][noise], bounds)
                rows.insert(1, "training", name)
                single.append(rows)
    return drawn, single


def curve(model: str, noise: str, layer: str, of: Histogram, bounds: Array) -> pd.DataFrame:
    """The rows of one histogram."""
    return pd.DataFrame(
        {
            "model": model,
            "noise": noise,
            "layer": layer,
            "left": bounds[:-1],
            "right": bounds[1:],
            "density": of.density(bounds),
        }
    )
