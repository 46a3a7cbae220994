"""The tables of filter attribution: errors, filters, layers, the path, reverted filters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.causal.faig.attribution import points_of
from analysis.causal.faig.passes import (
    ATTRIBUTION,
    CHANGE,
    HALVES,
    RANDOM,
    Choice,
    Results,
    half_of,
    number_of,
)
from analysis.stats import controls, jackknife
from analysis.stats.controls import Series, mean_of
from analysis.stats.rank_correlation import spearman

if TYPE_CHECKING:
    from analysis.causal.faig.settings import FaigSettings
    from analysis.commands.inputs import RunInputs

OTHERS = "other parameters"
"""Stands for a layer where a row is of the parameters outside filters."""

NOT_FINITE = "errors are not finite"
PERFECT = "an error of 0"
ONE = "one photograph cannot choose filters and measure them, too"

DECIBELS = 10 / math.log(10)

Array = NDArray[np.float64]
Draws = NDArray[np.int64]


def tables(results: Results, inputs: RunInputs, settings: FaigSettings) -> dict[str, pd.DataFrame]:
    """faig.csv, faig_layers.csv, faig_errors.csv, faig_path.csv and faig_reverting.csv, the last
    unless no filters are reverted."""
    specs = inputs.specs
    found = {
        "faig.csv": filters(results, inputs),
        "faig_layers.csv": by_layer(results, inputs, settings),
        "faig_errors.csv": errors(results, inputs),
        "faig_path.csv": path(results, inputs, settings),
    }
    if settings.reverting:
        rows = [
            reverted(results, inputs, settings, noise, measured, selection, percent)
            for noise in specs[1:]
            for measured in (noise, specs[0])
            for selection in (ATTRIBUTION, CHANGE)
            for percent in settings.percent
        ]
        found["faig_reverting.csv"] = pd.DataFrame(rows)
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


def reason_of(values: Array) -> str:
    """Why there are no numbers; empty where there are."""
    return "" if np.isfinite(values).all() else NOT_FINITE


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
                "reason": reason_of(results.absolute[noise] - results.absolute[first]),
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
    ends = np.cumsum([layer.filters for layer in layers])[:-1]
    level = 1 - (1 - jackknife.LEVEL) / len(layers)
    frames = []

    def summed(values: Array, rest: Array) -> Array:
        """(crops, layers + 1), sums over the filters of each layer, and over the others."""
        parts = [part.sum(1) for part in np.split(values, ends, axis=1)]
        return np.stack([*parts, rest.sum(1)], axis=1)

    for noise in specs:
        sizes = [summed(results.absolute[n], results.others_absolute[n]) for n in (noise, first)]
        values = sizes[0] - sizes[1]
        of, bands = with_bounds(values, draws), with_bounds(values, draws, level)
        signed = with_bounds(summed(results.signed[noise], results.others[noise]), draws)
        single = (results.absolute[noise] - results.absolute[first]).mean(0)
        most = number_of(settings.percent[0], len(single))
        top = np.zeros(len(single), dtype=np.int64)
        top[np.argsort(-np.nan_to_num(single), kind="stable")[:most]] = 1
        frames.append(
            pd.DataFrame(
                {
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
                    "top": [*(int(part.sum()) for part in np.split(top, ends)), 0],
                    "signed": signed["value"],
                    "signed_low": signed["low"],
                    "signed_high": signed["high"],
                    "photographs": int(draws.max()) + 1,
                    "reason": reason_of(values),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def errors(results: Results, inputs: RunInputs) -> pd.DataFrame:
    """A row for each noise: errors of both networks, and what attributions sum to.

    In squared 8-bit levels, means over crops. `mse_as_used` is the baseline's error with its own
    masks, `mse_baseline` that of its parameters θ̄ in the twin's network, with the twin's masks,
    `mse_twin` the twin's; `difference` is mse_baseline − mse_twin, `filters` and `others` the sums
    of signed attributions, `rest` their sum minus the difference, the error of the sum over steps;
    `absolute` and `absolute_others` the sums of absolute ones. `highest` is the largest error on
    the path. `halves` is Spearman's correlation of the filters' F(x_A) − F(x_B), of the reference
    F(x_B), between both halves of the photographs; `with_reference` that of F(x_A) − F(x_B) and
    F(x_B).
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
        half = half_of(draws)
        parts = [single[half == own].mean(0) for own in range(HALVES) if (half == own).any()]
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
                "halves": spearman(*parts).value if len(parts) == HALVES else math.nan,
                "with_reference": math.nan
                if noise == first
                else spearman(single.mean(0), results.absolute[first].mean(0)).value,
                "photographs": int(draws.max()) + 1,
                "reason": reason_of(path),
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


def loss(error: Array, of: Array, draws: Draws) -> Series:
    """PSNR lost, in dB: 10 · log₁₀ of the mean error with reverted filters over the twin's."""
    lost = controls.difference(mean_of(error, draws).log(), mean_of(of, draws).log())
    return scaled(lost)


def scaled(of: Series) -> Series:
    """Natural logarithms of mean errors as decibels."""
    return Series(DECIBELS * of.value, DECIBELS * np.asarray(of.without))


def reverted(
    results: Results,
    inputs: RunInputs,
    settings: FaigSettings,
    noise: str,
    measured: str,
    selection: str,
    percent: float,
) -> dict[str, Any]:
    """A row: what it costs to give filters of the twin their values in the baseline.

    `noise` is A, for which filters were chosen, by attribution or by weight change, and `measured`
    the noise under which the error is. `loss` is the PSNR that is lost, in dB; `random` the mean
    loss of as many random filters, from `random_low` to `random_high` over draws; `beyond` the loss
    minus that mean. `specific`, where both noises are the same, is `beyond` minus `beyond` under
    the reference; `minus_change`, of a choice by attribution, the loss minus that by weight change.
    Intervals are over photographs, with the choices of filters as they are.
    """
    draws, total = inputs.photographs, len(results.change)
    row: dict[str, Any] = {
        "noise": noise,
        "measured": measured,
        "selection": selection,
        "percent": percent,
        "filters": number_of(percent, total),
        "mse_twin": results.path[measured][:, -1].mean(),
        "mse": math.nan,
        "photographs": int(draws.max()) + 1,
    }
    of = partial(losses, results, draws, settings, noise, selection, percent)
    if not results.reverted:
        return row | values_of({}) | {"reason": ONE}
    own, others = of(measured)
    choice = Choice(selection, percent, noise if selection == ATTRIBUTION else "")
    row["mse"] = results.reverted[measured][choice].mean()
    beyond = controls.difference(own, controls.average(others))
    series = {"loss": own, "beyond": beyond}
    first = inputs.specs[0]
    if measured != first:
        lost, by_chance = of(first)
        under_reference = controls.difference(lost, controls.average(by_chance))
        series["specific"] = controls.difference(beyond, under_reference)
    if selection == ATTRIBUTION:
        by_change = results.reverted[measured][Choice(CHANGE, percent)]
        twin = results.path[measured][:, -1]
        series["minus_change"] = controls.difference(own, loss(by_change, twin, draws))
    chance = [one.value for one in others]
    found = values_of(series, chance)
    reason = NOT_FINITE if not math.isfinite(row["mse"] + row["mse_twin"]) else ""
    if not reason and not math.isfinite(found["beyond"]):
        reason = PERFECT
    return row | found | {"reason": reason}


def losses(
    results: Results,
    draws: Draws,
    settings: FaigSettings,
    noise: str,
    selection: str,
    percent: float,
    measured: str,
) -> tuple[Series, list[Series]]:
    """The loss by chosen filters under a noise, and that of each draw of random ones."""
    errors, twin = results.reverted[measured], results.path[measured][:, -1]
    choice = Choice(selection, percent, noise if selection == ATTRIBUTION else "")
    by_chance = [Choice(RANDOM, percent, draw=draw) for draw in range(settings.random)]
    return (
        loss(errors[choice], twin, draws),
        [loss(errors[one], twin, draws) for one in by_chance],
    )


def values_of(series: dict[str, Series], chance: Sequence[float] = ()) -> dict[str, float]:
    """The columns of losses: values with their intervals, NaN where there are none."""
    found: dict[str, float] = {}
    for name in ("loss", "beyond", "specific", "minus_change"):
        of = series.get(name, controls.NOTHING)
        low, high = controls.interval(of)
        prefix = "" if name == "loss" else f"{name}_"
        found |= {name: of.value, f"{prefix}low": low, f"{prefix}high": high}
        if name == "loss":
            known = len(chance) > 0
            found["random"] = float(np.mean(chance)) if known else math.nan
            found["random_low"] = min(chance) if known else math.nan
            found["random_high"] = max(chance) if known else math.nan
    return found
