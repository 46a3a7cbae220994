"""The tables of stitching: cost by layer, means over layers, differences between models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from analysis.commands.trainings import several
from analysis.engine.observer import View
from analysis.stats import controls, model_differences
from analysis.stats.controls import NOTHING, Series
from analysis.stitch import pairs
from analysis.stitch.costs import CKA, OWN, PSNR, R2, REASON, REASONS
from analysis.stitch.pairs import Pair, Stitched

if TYPE_CHECKING:
    from analysis.commands.inputs import RunInputs
    from analysis.commands.job import AnalysisJob

Array = NDArray[np.float64]
Measured = Mapping[Stitched, Mapping[str, Tensor]]


def tables(measured: Measured, job: AnalysisJob) -> dict[str, pd.DataFrame]:
    """stitch.csv, see `table`; stitch_mean.csv, see `means`; stitch_difference.csv."""
    inputs, layers = job.inputs, job.manifest["layers"]
    return {
        "stitch.csv": table(measured, inputs, layers),
        "stitch_mean.csv": means(measured, inputs),
        "stitch_difference.csv": differences(measured, inputs),
    }


def costs(of: Mapping[str, Tensor]) -> Array:
    """(layers, crops), the PSNR of the receiver as it is minus that of the stitched network."""
    values: Array = (of[OWN] - of[PSNR]).numpy()
    reason = of[REASON].numpy()
    return np.where(reason[:, None] == 0, values, np.nan)


def size(of: Sequence[Mapping[str, Tensor]]) -> float:
    """The mean PSNR of the receiver, of which costs are differences."""
    return float(np.mean([float(one[OWN].mean().abs()) for one in of]))


def control(
    measured: Measured, receivers: Sequence[View], permuted: bool, inputs: RunInputs
) -> Array | None:
    """(layers,), the mean cost of a control over crops and the receiver's trainings."""
    found = []
    for receiver in receivers if inputs.controls is not None else ():
        unit = Stitched(receiver, receiver, True)
        if not permuted:
            ceiling = pairs.ceiling_of(inputs, receiver)
            if ceiling is None:
                return None
            unit = ceiling
        found.append(costs(measured[unit]).mean(1))
    return np.mean(found, axis=0) if found else None


def table(
    measured: Measured, inputs: RunInputs, layers: Mapping[str, Sequence[str]]
) -> pd.DataFrame:
    """One row for each pair and layer of the receiver.

    `cost` in dB with its 95% jackknife interval over photographs; `r2` of the linear fit on
    photographs that it was not fitted to; `cka`, linear, positions being the samples; `floor_cost`,
    of the receiver's own features with the stitch fitted to other photographs, and `ceiling_cost`,
    of its own features under another draw of its noise. `reason` says why there is no value. Of
    models with several trainings values are means over the pairs of `pairs.networks`, whose number
    is in `trainings`.
    """
    draws = inputs.photographs
    rows = []
    for pair in pairs.pairs(list(inputs.trainings), inputs.specs):
        both = pairs.networks(pair, inputs.trainings)
        of = [measured[Stitched(*networks)] for networks in both]
        receivers = list(dict.fromkeys(receiver for _, receiver in both))
        floor = control(measured, receivers, True, inputs)
        ceiling = control(measured, receivers, False, inputs)
        (theirs, own), first = both[0], of[0]
        partner = pairs.partners(layers[theirs.model], layers[own.model])
        names = layers[own.model]
        single = [costs(one) for one in of]
        for index, name in enumerate(names):
            decibels = size(of)
            cost = controls.over_trainings(
                [controls.mean_of(one[index], draws, decibels) for one in single]
            )
            low, high = controls.interval(cost)
            why = next((int(one[REASON][index]) for one in of if one[REASON][index]), 0)
            rows.append(
                {
                    **described(pair),
                    "layer_sender": partner[name],
                    "layer_receiver": name,
                    "index": index,
                    "depth": index / max(1, len(names) - 1),
                    "cost": cost.value,
                    "low": low,
                    "high": high,
                    "r2": float(np.mean([float(one[R2][index]) for one in of])),
                    "cka": float(np.mean([float(one[CKA][index]) for one in of])),
                    "floor_cost": np.nan if floor is None else floor[index],
                    "ceiling_cost": np.nan if ceiling is None else ceiling[index],
                    "psnr": float(np.mean([float(one[OWN].mean()) for one in of])),
                    "photographs": int(draws.max()) + 1,
                    "crops": len(first[OWN]),
                    "reason": REASONS[why],
                    **(controls.columns(cost) if several(inputs.trainings) else {}),
                }
            )
    return pd.DataFrame(rows)


def described(pair: Pair) -> dict[str, Any]:
    """The columns that name a pair."""
    return {
        "kind": pair.kind,
        "sender": pair.sender.model,
        "receiver": pair.receiver.model,
        "noise_sender": pair.sender.noise,
        "noise_receiver": pair.receiver.noise,
    }


def mean_cost(measured: Measured, pair: Pair, inputs: RunInputs) -> Series:
    """The mean cost over layers, in dB, of a pair of models; `NOTHING` where no layer has a value.

    Layers that lack a value for some crop are left out.
    """
    draws = inputs.photographs
    single = []
    for networks in pairs.networks(pair, inputs.trainings):
        of = measured[Stitched(*networks)]
        single.append(over_layers(costs(of), draws, size([of])))
    return controls.over_trainings(single)


def over_layers(values: Array, draws: NDArray[np.int64], scale: float) -> Series:
    """The mean over those layers that have values for all crops; `NOTHING` where none has.

    Args:
        values: (layers, crops).
        draws: (crops,) the photograph of each.
        scale: see `Series`.
    """
    known = values[~np.isnan(values).any(axis=1)]
    return controls.mean_of(known.mean(0), draws, scale) if len(known) else NOTHING


def above_ceiling(measured: Measured, pair: Pair, inputs: RunInputs) -> Series:
    """The mean over layers of cost − ceiling, in dB, crop by crop; `NOTHING` without a ceiling."""
    draws = inputs.photographs
    single = []
    for sender, receiver in pairs.networks(pair, inputs.trainings):
        other = None if inputs.controls is None else pairs.ceiling_of(inputs, receiver)
        if other is None:
            return NOTHING
        of = measured[Stitched(sender, receiver)]
        values = costs(of) - costs(measured[other])
        single.append(over_layers(values, draws, size([of])))
    return controls.over_trainings(single)


def means(measured: Measured, inputs: RunInputs) -> pd.DataFrame:
    """One row for each pair: the mean cost over layers with its interval, and Spearman's ρ.

    `above_ceiling` is the mean over layers of the cost minus that of the ceiling, with its
    interval.
    `spearman` is of cost and CKA over the `layers` that have values: -1 if whatever is less similar
    costs more.
    """
    from analysis.stats.rank_correlation import spearman

    draws = inputs.photographs
    rows = []
    for pair in pairs.pairs(list(inputs.trainings), inputs.specs):
        of = [measured[Stitched(*one)] for one in pairs.networks(pair, inputs.trainings)]
        mean = mean_cost(measured, pair, inputs)
        low, high = controls.interval(mean)
        cost = np.mean([costs(one).mean(1) for one in of], axis=0)
        cka = np.mean([one[CKA].numpy() for one in of], axis=0)
        known = np.isfinite(cost) & np.isfinite(cka)
        rho = spearman(cost[known], cka[known]).value if known.sum() > 2 else np.nan
        numbers = {"cost": mean.value, "low": low, "high": high, "spearman": rho}
        above = above_ceiling(measured, pair, inputs)
        bounds = controls.interval(above)
        names = ("above_ceiling", "above_ceiling_low", "above_ceiling_high")
        numbers |= dict(zip(names, (above.value, *bounds), strict=True))
        counts = {"layers": int(known.sum()), "photographs": int(draws.max()) + 1}
        rows.append({**described(pair), **numbers, **counts})
    return pd.DataFrame(rows)


def differences(measured: Measured, inputs: RunInputs) -> pd.DataFrame:
    """Mean cost over layers across two noises, of every two models, b minus a.

    `noise` names both noises, sender's first; see `model_differences.table`.
    """
    values: dict[str, dict[str, Series]] = {}
    for pair in pairs.pairs(list(inputs.trainings), inputs.specs):
        if pair.kind == "noises":
            across = f"{pair.sender.noise} into {pair.receiver.noise}"
            by_noise = values.setdefault(pair.receiver.model, {})
            by_noise[across] = mean_cost(measured, pair, inputs)
    return model_differences.table(values, int(inputs.photographs.max()) + 1)
