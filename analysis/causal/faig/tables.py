"""The tables of filter attribution: errors, filters, layers, the path, reverted filters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.causal.faig.attribution import points_of
from analysis.causal.faig.choices import HALVES, half_of, number_of
from analysis.causal.faig.coupling import by_chance, with_mean
from analysis.causal.faig.filters import Layer
from analysis.causal.faig.losses import reason_of, reverting
from analysis.causal.faig.passes import Results
from analysis.stats import controls, jackknife
from analysis.stats.controls import mean_of
from analysis.stats.rank_correlation import spearman

if TYPE_CHECKING:
    from analysis.causal.faig.settings import FaigSettings
    from analysis.commands.inputs import RunInputs

OTHERS = "other parameters"
"""Stands for a layer where a row is of the parameters outside filters."""

Array = NDArray[np.float64]
Draws = NDArray[np.int64]


def tables(results: Results, inputs: RunInputs, settings: FaigSettings) -> dict[str, pd.DataFrame]:
    """faig.csv, faig_layers.csv, faig_errors.csv, faig_path.csv and faig_reverting.csv, the last
    unless no filters are reverted."""
    found = {
        "faig.csv": filters(results, inputs),
        "faig_layers.csv": by_layer(results, inputs, settings),
        "faig_errors.csv": errors(results, inputs, settings),
        "faig_path.csv": path(results, inputs, settings),
    }
    if settings.reverting:
        found["faig_reverting.csv"] = reverting(results, inputs, settings)
    return found


def means(values: Array, draws: Draws) -> tuple[Array, Array]:
    """Means over crops, and the same without each photograph.

    Args:
        values: (crops, n).
        draws: (crops,) the photograph of each.

    Returns:
        (n,) and (photographs, n); none of the latter for a single photograph.
    """
    number = int(draws.max()) + 1
    kept = [draws != draw for draw in range(number) if number > 1]
    without = [values[own].mean(0) for own in kept]
    return values.mean(0), np.array(without).reshape(len(kept), values.shape[1])


def with_bounds(values: Array, draws: Draws, level: float = jackknife.LEVEL) -> dict[str, Array]:
    """Means over crops with their intervals, (n,) each, of (crops, n)."""
    value, without = means(values, draws)
    if len(without) < jackknife.LEAST:
        nothing = np.full_like(value, np.nan)
        return {"value": value, "low": nothing, "high": nothing}
    low, high = jackknife.interval(value, without, level)
    return {"value": value, "low": low, "high": high}


def shares(values: Array) -> Array:
    """Each value over the sum of those above 0; NaN where none is."""
    total = values[values > 0].sum()
    return values / total if total > 0 else np.full_like(values, np.nan)


def filters(results: Results, inputs: RunInputs) -> pd.DataFrame:
    """A row for each noise but the reference and each filter, the highest attribution first.

    `attribution` is F(x_A) − F(x_B), mean over crops, A the noise of the row and B the reference,
    in squared 8-bit levels; `share` of the sum of those above 0; `absolute` and
    `absolute_reference` are F(x_A) and F(x_B), `signed` and `signed_reference` the same without
    absolute values; `change` is Σ |θ̄ − θ|.
    """
    draws, layers = inputs.photographs, results.pair.layers
    first, *specs = inputs.specs
    place = {
        "layer": np.repeat([layer.name for layer in layers], [one.filters for one in layers]),
        "kind": np.repeat([layer.kind for layer in layers], [one.filters for one in layers]),
        "filter": np.concatenate([np.arange(layer.filters) for layer in layers]),
    }
    frames = []
    for noise in specs:
        of = with_bounds(results.absolute[noise] - results.absolute[first], draws)
        value = of.pop("value")
        frame = pd.DataFrame(
            {
                "noise": noise,
                "rank": 0,
                **place,
                "attribution": value,
                **of,
                "share": shares(value),
                "absolute": results.absolute[noise].mean(0),
                "absolute_reference": results.absolute[first].mean(0),
                "signed": results.signed[noise].mean(0),
                "signed_reference": results.signed[first].mean(0),
                "change": results.change,
                "photographs": int(draws.max()) + 1,
                "reason": reason_of(results, noise, first),
            }
        )
        frame = frame.sort_values("attribution", ascending=False, kind="stable")
        frame["rank"] = np.arange(1, len(frame) + 1)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def by_layer(results: Results, inputs: RunInputs, settings: FaigSettings) -> pd.DataFrame:
    """A row for each noise but the reference and each layer: sums over its filters.

    The last row of a noise is of all other parameters. `band_low` to `band_high` hold for all
    layers of a noise at once; `top` counts filters among those with the highest attribution, the
    first percentage of all. `signed`, of all rows, sums to the difference of the errors, see
    `errors`.
    """
    draws, layers = inputs.photographs, results.pair.layers
    first, *specs = inputs.specs
    frames = []
    for noise in specs:
        a, b = (
            summed(results.absolute[spec], results.others_absolute[spec], layers)
            for spec in (noise, first)
        )
        of = with_bounds(a - b, draws)
        bands = with_bounds(a - b, draws, 1 - (1 - jackknife.LEVEL) / len(layers))
        signed = with_bounds(summed(results.signed[noise], results.others[noise], layers), draws)
        single = (results.absolute[noise] - results.absolute[first]).mean(0)
        columns = {
            "noise": noise,
            "layer": [*(layer.name for layer in layers), OTHERS],
            "kind": [*(layer.kind for layer in layers), "other"],
            "depth": np.arange(len(layers) + 1),
            "filters": [*(layer.filters for layer in layers), 0],
            "attribution": of["value"],
            "low": of["low"],
            "high": of["high"],
            "band_low": bands["low"],
            "band_high": bands["high"],
            "share": shares(of["value"]),
            "top": tops(single, settings.percent[0], layers),
            "signed": signed["value"],
            "signed_low": signed["low"],
            "signed_high": signed["high"],
            "photographs": int(draws.max()) + 1,
            "reason": reason_of(results, noise, first),
        }
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def parts(values: Array, layers: Sequence[Layer]) -> list[Array]:
    """Values of all filters, (…, filters), layer by layer."""
    return np.split(values, np.cumsum([layer.filters for layer in layers])[:-1], axis=-1)


def summed(values: Array, others: Array, layers: Sequence[Layer]) -> Array:
    """(crops, layers + 1), sums over the filters of each layer, then over the other parameters."""
    return np.stack([*(part.sum(1) for part in parts(values, layers)), others.sum(1)], axis=1)


def tops(values: Array, percent: float, layers: Sequence[Layer]) -> list[int]:
    """How many of the highest filters each layer has, and the other parameters: none."""
    first = np.zeros(len(values))
    first[np.argsort(-np.nan_to_num(values), kind="stable")[: number_of(percent, len(values))]] = 1
    return [*(int(part.sum()) for part in parts(first, layers)), 0]


def errors(results: Results, inputs: RunInputs, settings: FaigSettings) -> pd.DataFrame:
    """A row for each noise: errors of both networks, and what attributions sum to.

    In squared 8-bit levels, means over crops. `mse_as_used` is the baseline's error with its own
    masks, `mse_baseline` that of its parameters θ̄ in the twin's network, with the twin's masks,
    `mse_twin` the twin's; `difference` is mse_baseline − mse_twin, `filters` and `others` the sums
    of signed attributions, `rest` their sum minus the difference, the error of the sum over steps;
    `absolute` and `absolute_others` the sums of absolute ones. `highest` is the largest error on
    the path. `halves` is Spearman's correlation of the filters' F(x_A) − F(x_B), of the reference
    F(x_B), between both halves of the photographs; `with_mean` that of F(x_A) − F(x_B)
    and the mean of both, and `with_mean_chance` the same of pairs at random, see `coupling`.
    """
    draws, first = inputs.photographs, inputs.specs[0]
    rows: list[dict[str, Any]] = []
    for noise in inputs.specs:
        path = results.path[noise]
        gap = path[:, 0] - path[:, -1]
        series = mean_of(gap, draws)
        low, high = controls.interval(series)
        sums = {
            "filters": results.signed[noise].sum(1).mean(),
            "others": results.others[noise].sum(1).mean(),
        }
        single = results.absolute[noise]
        if noise != first:
            single = single - results.absolute[first]
        a, b = (results.absolute[spec].mean(0) for spec in (noise, first))
        half = half_of(draws)
        halves = [single[half == own].mean(0) for own in range(HALVES) if (half == own).any()]
        rows.append(
            {
                "noise": noise,
                "mse_as_used": results.as_used[noise].mean(),
                "mse_baseline": path[:, 0].mean(),
                "mse_twin": path[:, -1].mean(),
                "difference": gap.mean(),
                "low": low,
                "high": high,
                **sums,
                "rest": sum(sums.values()) - gap.mean(),
                "absolute": results.absolute[noise].sum(1).mean(),
                "absolute_others": results.others_absolute[noise].sum(1).mean(),
                "highest": path.mean(0).max(),
                "halves": spearman(*halves).value if len(halves) == HALVES else math.nan,
                "with_mean": math.nan if noise == first else with_mean(a, b),
                "with_mean_chance": math.nan if noise == first else by_chance(a, b, settings.seed),
                "photographs": int(draws.max()) + 1,
                "reason": reason_of(results, noise),
            }
        )
    return pd.DataFrame(rows)


def path(results: Results, inputs: RunInputs, settings: FaigSettings) -> pd.DataFrame:
    """A row for each noise and point of the path: the error there, mean over crops.

    `alpha` is 0 at the baseline's parameters and 1 at the twin's.
    """
    draws = inputs.photographs
    alphas = [0.0, *points_of(settings.steps)[0], 1.0]
    frames = []
    for noise in inputs.specs:
        of = with_bounds(results.path[noise], draws)
        frames.append(
            pd.DataFrame(
                {
                    "noise": noise,
                    "alpha": alphas,
                    "mse": of["value"],
                    "low": of["low"],
                    "high": of["high"],
                    "photographs": int(draws.max()) + 1,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)
