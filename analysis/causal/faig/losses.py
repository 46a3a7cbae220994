"""The table of reverted filters: the PSNR that they cost, beside that of random ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.causal.faig.choices import ATTRIBUTION, CHANGE, RANDOM, Choice, number_of
from analysis.causal.faig.passes import Results
from analysis.stats import controls
from analysis.stats.controls import Series, mean_of

if TYPE_CHECKING:
    from analysis.causal.faig.settings import FaigSettings
    from analysis.commands.inputs import RunInputs

NOT_FINITE = "errors are not finite"
NO_GRADIENT = "the output of the network has no gradient (it is computed under torch.no_grad)"
UNDEFINED = "errors of 0, or not finite"
ONE = (
    "filters are chosen on one half of the photographs and measured on the other, which takes two "
    "photographs or more"
)

DECIBELS = 10 / math.log(10)

Array = NDArray[np.float64]
Draws = NDArray[np.int64]


def reason_of(results: Results, *noises: str) -> str:
    """Why there are no attributions under some noises; empty where there are."""
    if not all(np.isfinite(results.path[noise]).all() for noise in noises):
        return NOT_FINITE
    if not all(np.isfinite(results.absolute[noise]).all() for noise in noises):
        return NO_GRADIENT
    return ""


def reverting(results: Results, inputs: RunInputs, settings: FaigSettings) -> pd.DataFrame:
    """A row for each noise but the reference, the noise under which the loss is measured, the
    selection and the percentage; see `reverted`."""
    first, *specs = inputs.specs
    rows = [
        reverted(results, inputs, settings, noise, measured, selection, percent)
        for noise in specs
        for measured in (noise, first)
        for selection in (ATTRIBUTION, CHANGE)
        for percent in settings.percent
    ]
    return pd.DataFrame(rows)


def loss(error: Array, of: Array, draws: Draws) -> Series:
    """PSNR lost, in dB: 10 · log₁₀ of the mean error with reverted filters over the twin's.

    Args:
        error: (crops,) with reverted filters, in squared 8-bit levels.
        of: (crops,) of the twin, in the same unit.
        draws: (crops,) the photograph of each.
    """
    lost = controls.difference(mean_of(error, draws).log(), mean_of(of, draws).log())
    return scaled(lost)


def scaled(of: Series) -> Series:
    """Natural logarithms of mean errors as decibels."""
    without = DECIBELS * np.asarray(of.without)
    return Series(DECIBELS * of.value, without, scale=DECIBELS * of.scale)


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
    Intervals are over photographs, with the choices of filters as they are; those of `beyond` and
    `specific` have the uncertainty of the mean over random draws, too.
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
    first = inputs.specs[0]
    if reason := reason_of(results, noise, measured, first) or ("" if results.reverted else ONE):
        return row | values_of({}) | {"reason": reason}
    of = partial(losses, results, draws, settings, noise, selection, percent)
    own, others = of(measured)
    choice = Choice(selection, percent, noise if selection == ATTRIBUTION else "")
    row["mse"] = results.reverted[measured][choice].mean()
    values = {
        "loss": (own.value, *controls.interval(own)),
        "beyond": beyond(own, others),
    }
    if measured != first:
        lost, by_chance = of(first)
        pairs = zip(others, by_chance, strict=True)
        chance = [controls.difference(a, b) for a, b in pairs]
        values["specific"] = beyond(controls.difference(own, lost), chance)
    if selection == ATTRIBUTION:
        by_change = results.reverted[measured][Choice(CHANGE, percent)]
        twin = results.path[measured][:, -1]
        values["minus_change"] = controls.gap(own, loss(by_change, twin, draws))
    found = values_of(values, [one.value for one in others])
    return row | found | {"reason": "" if math.isfinite(found["beyond"]) else UNDEFINED}


def beyond(own: Series, others: Sequence[Series]) -> tuple[float, float, float]:
    """A loss minus the mean over random draws, with its interval."""
    sd = controls.deviation(others)
    return controls.gap(own, controls.average(others), sd, len(others))


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


def values_of(
    values: Mapping[str, tuple[float, float, float]], chance: Sequence[float] = ()
) -> dict[str, float]:
    """The columns of losses and of their intervals, NaN where there are none."""
    found: dict[str, float] = {}
    for name in ("loss", "beyond", "specific", "minus_change"):
        value, low, high = values.get(name, (math.nan, math.nan, math.nan))
        prefix = "" if name == "loss" else f"{name}_"
        found |= {name: value, f"{prefix}low": low, f"{prefix}high": high}
        if name == "loss":
            known = len(chance) > 0
            found["random"] = float(np.mean(chance)) if known else math.nan
            found["random_low"] = min(chance) if known else math.nan
            found["random_high"] = max(chance) if known else math.nan
    return found
