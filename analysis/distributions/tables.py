"""What `python -m analysis.distributions` writes: numbers with intervals, curves, and text.

Values are as the network has them: histograms and distances are not centred, so that a shift of
the mean shows. Only the generalized Gaussian, whose mean is 0, is fitted to values minus their own
mean, and drawn around that mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from analysis.commands.inputs import RunInputs
from analysis.commands.run_folder import RunFolder, read_manifest, read_tables
from analysis.distributions import figures, observer
from analysis.distributions.observer import Layer
from analysis.engine.cache import CachedActivations
from analysis.engine.layers import INPUT, last_convolution
from analysis.engine.observer import View
from analysis.plotting.model_styles import short
from analysis.stats import histograms, jackknife
from analysis.stats.generalized_gaussian import shape_of
from analysis.stats.histograms import Histogram, edges
from analysis.text import terminal
from analysis.text.noise_labels import describe
from mtd.utils.errors import BadInput

NUMBERS = ("w1", "w1_relative", "js", "mean", "sigma", "skewness", "kurtosis", "shape")
"""Columns that have an interval, `_low` and `_high`."""

SHARES = 256
"""Bins of the divergence; each holds an equal share of the reference's values."""

SHOWN = 100
"""Bins of a curve."""

RANGE = (0.01, 0.99)
"""Quantiles that the shown range reaches from and to, under every noise."""

COARSE = 0.02
"""Width of a bin at the mean, in standard deviations, from which distances are coarse."""

Array = NDArray[np.float64]


def numbers(reference: Histogram, test: Histogram, starts: NDArray[np.int64]) -> Array:
    """`NUMBERS` of a distribution against a reference.

    w1 is the Wasserstein-1 distance, in units of the features, and w1_relative the same over the
    reference's standard deviation; js the Jensen-Shannon divergence in bits, 0 to 1, over bins of
    equal shares of the reference. sigma is the standard deviation, and that of the fitted density
    too; kurtosis is 0 for a Gaussian. shape is the fitted generalized Gaussian's, where
    `analysis.stats.generalized_gaussian.ratio` is sigma² / mean(|x - mean|)².

    Args:
        reference: pooled features under the reference noise.
        test: pooled features under another noise, or the reference itself.
        starts: the divergence's bins; see `analysis.stats.histograms.shares`.
    """
    mean, sigma, skewness, kurtosis = test.moments()
    spread = reference.moments()[1]
    deviation = test.deviation(mean)
    shape = shape_of((sigma / deviation) ** 2, "root") if sigma > 0 and deviation > 0 else math.nan
    w1 = histograms.wasserstein(reference, test)
    relative = w1 / spread if spread > 0 else math.nan
    js = histograms.jensen_shannon(reference, test, starts)
    return np.array([w1, relative, js, mean, sigma, skewness, kurtosis, shape])


def row(reference: Layer, test: Layer, draws: NDArray[np.int64] | None = None) -> dict[str, float]:
    """`NUMBERS` of a layer and their 95% jackknife intervals.

    Images of one draw are left out together, of both sides at once; see `jackknife.draws`. By
    default each image is one. The divergence's bins stay those of all images.
    Bounds are not clamped. Distances of the reference from itself have none.
    """
    whole, other = reference.pooled(), test.pooled()
    starts = histograms.shares(whole, SHARES)
    value = numbers(whole, other, starts)
    without = np.full((0, len(NUMBERS)), np.nan)
    of = torch.as_tensor(np.arange(len(test.counts)) if draws is None else draws)
    parts = [of == draw for draw in range(int(of.max()) + 1)]
    if len(parts) > 2:
        without = np.array(
            [
                numbers(reference.without(whole, part), test.without(other, part), starts)
                for part in parts
            ]
        )
    low, high = jackknife.interval(value, without)
    if reference is test:
        low[:3] = high[:3] = np.nan
    found = {}
    for place, name in enumerate(NUMBERS):
        found[name] = float(value[place])
        found[f"{name}_low"], found[f"{name}_high"] = float(low[place]), float(high[place])
    mean, spread = whole.moments()[:2]
    width = float(np.interp(mean, edges()[:-1], np.diff(edges())))
    return found | {"resolution": width / spread if spread > 0 else math.nan}


def shown(pooled: Sequence[Histogram]) -> Array:
    """(SHOWN + 1,), equally spaced bounds that reach over `RANGE` of every distribution."""
    low = min(histogram.quantile(RANGE[0]) for histogram in pooled)
    high = max(histogram.quantile(RANGE[1]) for histogram in pooled)
    return np.linspace(low, high, SHOWN + 1)


def tables(
    found: Mapping[View, Sequence[CachedActivations]], asked: RunInputs
) -> dict[str, pd.DataFrame]:
    """distributions.csv: a row for each model, noise and layer; and histograms.csv, their curves.

    Raises:
        BadInput: a layer whose features do not vary.
    """
    rows: list[dict[str, Any]] = []
    drawn: list[pd.DataFrame] = []
    kinds = describe(asked.noises).set_index("noise")
    draws, unit = jackknife.draws([crop.scene or crop.image for crop in asked.crops])
    for model in asked.models:
        views = {noise.spec: found[View(model, noise.spec)] for noise in asked.noises}
        first = next(iter(views))
        reference = observer.layers(views[first])
        pooled: dict[str, dict[str, Histogram]] = {layer: {} for layer in reference}
        for noise, units in views.items():
            layers = reference if noise == first else observer.layers(units)
            kind, level, note = kinds.loc[noise, ["kind", "level", "note"]]
            about = {"model": model, "noise": noise, "kind": kind, "level": level}
            for layer, test in layers.items():
                whole = pooled[layer][noise] = test.pooled()
                if not whole.varies:
                    raise BadInput(f"{model}: features of {layer!r} do not vary under {noise}")
                deepest = layer == INPUT + last_convolution(asked.models[model])
                values = {"reference": first, "layer": layer, "deepest": deepest}
                values |= row(reference[layer], test, draws)
                counted = {"unit": unit, "crops": len(test.counts), "features": whole.total}
                counted["note"] = note
                rows.append(about | values | counted)
        drawn += curves(model, pooled)
    return {
        "distributions.csv": pd.DataFrame(rows),
        "histograms.csv": pd.concat(drawn, ignore_index=True),
    }


def curves(model: str, pooled: Mapping[str, Mapping[str, Histogram]]) -> Iterator[pd.DataFrame]:
    """A model's shown histograms by layer and noise; those of a layer share their bounds."""
    for layer, held in pooled.items():
        bounds = shown(list(held.values()))
        for noise, histogram in held.items():
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


def report(folder: RunFolder) -> str:
    """Write the figure and return the text."""
    frames = read_tables(folder.path, ["distributions", "histograms"])
    frame, manifest = frames["distributions"], read_manifest(folder.path)
    figure = figures.figure(frame, frames["histograms"], photographs(manifest))
    folder.figure("distributions.png", figure)
    return text(frame, manifest)


def photographs(manifest: Mapping[str, Any]) -> int:
    """How many photographs the crops are of."""
    return len({crop["image"] for crop in manifest["crops"]})


def text(frame: pd.DataFrame, manifest: Mapping[str, Any]) -> str:
    """The table for a reader, layer by layer, and what must be known of it."""
    first, count = frame.iloc[0], photographs(manifest)
    lines = [
        f"Features under each noise against {first.reference}: "
        f"{terminal.plural(int(first.crops), 'crop')} of {manifest['crop']} x {manifest['crop']} "
        f"from {terminal.plural(count, 'photograph')}"
    ]
    for layer, part in frame.groupby("layer", sort=False):
        rows = [["model", "noise", "W1/sigma_ref", "JS", *COLUMNS]]
        for held in part.to_dict("records"):
            rest = [f"{held[name]:.{digits}g}" for name, digits in COLUMNS.items()]
            distances = [bounded(held, "w1_relative"), bounded(held, "js")]
            rows.append([held["model"], held["noise"], *distances, *rest])
        lines += ["", short(str(layer)), terminal.grid(rows)]
    return "\n".join([*lines, EXPLAINED, *notes(frame, count)])


COLUMNS = {"mean": 3, "sigma": 3, "kurtosis": 3, "shape": 3}
"""Other columns of the printed table, with their digits."""

EXPLAINED = """\
W1: Wasserstein-1 distance, in standard deviations under the reference noise. JS: Jensen-Shannon
divergence in bits, 0 to 1. In brackets 95% intervals, not clamped to that; those of the other
numbers, and skewness, are in distributions.csv. kurtosis is 0 for a Gaussian. shape is that of the
generalized Gaussian fitted to values minus their own mean, 2 for a Gaussian, 1 for a Laplacian;
nothing else is centred."""


def bounded(held: Mapping[Any, Any], name: str) -> str:
    """A value with its interval, if it has one."""
    value, *bounds = (held[f"{name}{end}"] for end in ("", "_low", "_high"))
    low, high = (f"{round(bound, 3) + 0.0:.3f}" for bound in bounds)  # + 0.0 for no -0.000
    return f"{value:.3f}" + ("" if math.isnan(bounds[0]) else f" [{low}, {high}]")


def notes(frame: pd.DataFrame, photographs: int) -> list[str]:
    """What a reader must know of these numbers."""
    found = sorted(set(frame.note) - {""})
    if frame.crops.min() < 3:
        found.append("fewer than 3 crops: no intervals")
    else:
        found.append(f"[ ]: 95% intervals, {jackknife.left_out(frame.unit.iloc[0], photographs)}")
    coarse = frame[frame.resolution > COARSE]
    if len(coarse):
        found.append(
            f"{len(coarse)} of {len(frame)} rows are of features whose mean is far from 0 (up to "
            f"{coarse.resolution.max():.2g} standard deviations to a bin): W1, JS and shape are "
            "coarse there"
        )
    if frame.layer.nunique() > 1 or frame.model.nunique() > 1:
        found.append(
            "networks and layers scale their features as they like: compare W1/sigma_ref and JS "
            "between them, not W1"
        )
    return [f"note: {note}" for note in found]
