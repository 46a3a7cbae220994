"""The tables of causal tracing: recoveries, joint recoveries, ablations, differences of models."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.causal.branches import groups
from analysis.causal.recoveries import (
    branch_recovery,
    decibels,
    estimated,
    held_out,
    is_cut,
    kind_recovery,
    mean_over,
    summed,
)
from analysis.causal.traced import Results, Traced
from analysis.commands.trainings import Trainings, of_models, several, with_single_trainings
from analysis.stats import controls, jackknife, model_differences
from analysis.stats.controls import NOTHING, Series
from analysis.text.noise_labels import describe

if TYPE_CHECKING:
    from analysis.commands.inputs import RunInputs

UNCHANGED, CHANGED, WHOLE = "unchanged", "changed", "whole stream"
"""What a branch is: the same under both noises; different; a cut through the whole network."""

EXACT, SCREENED = "exact", "screened"
"""Of a branch of a network that was not screened; and of one that has an estimate alone."""


def tables(results: Results, inputs: RunInputs) -> dict[str, pd.DataFrame]:
    """causal.csv, causal_together.csv, ablation.csv (unless left out) and causal_difference.csv.

    Of a model with several trainings each value is a mean over these, which have tables of their
    own.
    """

    def of(models: Trainings) -> dict[str, pd.DataFrame]:
        found = {
            "causal.csv": causal(results, inputs, models),
            "causal_together.csv": joint(results, inputs, models),
        }
        ablated = {"ablation.csv": ablation(results, inputs, models)} if results.ablated else {}
        return found | ablated

    names = ["causal", "causal_together", *(["ablation"] if results.ablated else [])]
    found = with_single_trainings(of, inputs.trainings, names)
    return {**found, "causal_difference.csv": differences(results, inputs)}


def bounds(of: Series, bands: int) -> dict[str, float]:
    """95% interval, and one that holds for several values at once (Bonferroni)."""
    low, high = controls.interval(of)
    level = 1 - (1 - jackknife.LEVEL) / max(1, bands)
    own = partial(controls.plain, level=level)
    band_low, band_high = controls.interval(of, own, level)
    return {"low": low, "high": high, "band_low": band_low, "band_high": band_high}


def errors(networks: Sequence[Traced]) -> dict[str, float]:
    """Mean errors under both noises, in squared 8-bit levels."""
    return {
        "mse_reference": float(np.mean([float(t.reference.mean()) for t in networks])),
        "mse": float(np.mean([float(t.error.mean()) for t in networks])),
    }


def status(networks: Sequence[Traced], i: int) -> str:
    """Whether a branch changes from noise to noise, or is the whole stream."""
    if all(bool(traced.unchanged[i]) for traced in networks):
        return UNCHANGED
    return WHOLE if all(i in traced.whole for traced in networks) else CHANGED


def causal(results: Results, inputs: RunInputs, models: Trainings) -> pd.DataFrame:
    """One row for each model, noise and branch, in the order in which branches are computed.

    `recovery` is R of `recovery`, with its 95% interval over photographs and a band that holds for
    all patched branches of the model under the noise; `estimate` is the same by attribution
    patching. `patched` is `exact`, or of screened networks `top`, `random` or `screened`.
    """
    draws, rows = inputs.photographs, []
    notes = describe(inputs.noises).set_index("noise").note
    for view, networks in of_models(results.traced, models).items():
        first = networks[0]
        branches = results.branches[models[view.model][0]]
        for i in first.depth.argsort().tolist():
            branch = branches[i]
            of, reason = NOTHING, "it was not patched, only estimated"
            if i in first.chosen:
                own = partial(branch_recovery, i=i, draws=draws)
                of, reason = mean_over(networks, own, draws)
            estimate, none = mean_over(networks, partial(estimated, i=i, draws=draws), draws)
            more = controls.columns(of) if several(models) else {}
            rows.append(
                {
                    "model": view.model,
                    "noise": view.noise,
                    "branch": branch.name,
                    "kind": branch.kind,
                    "depth": int(first.depth[i]),
                    "recovery": of.value,
                    **bounds(of, len(first.chosen)),
                    "estimate": estimate.value,
                    "patched": first.chosen.get(i, SCREENED),
                    "status": status(networks, i),
                    **errors(networks),
                    "photographs": int(draws.max()) + 1,
                    "crops": len(draws),
                    "note": notes[view.noise],
                    "reason": none or reason,
                    **more,
                }
            )
    return pd.DataFrame(rows)


def joint(results: Results, inputs: RunInputs, models: Trainings) -> pd.DataFrame:
    """One row for each model, noise and kind: its branches patched at once, and one by one.

    `sum` is the sum of the recoveries by single branches, and `interaction` what patching them at
    once recovers beyond it; NaN where some were not patched singly. `held_out` is the recovery by
    the one branch that recovers most, see `analysis.causal.held_out`; in the last row of a model
    and noise, of all branches, parts of others included.
    """
    draws, rows = inputs.photographs, []
    for view, networks in of_models(results.traced, models).items():
        branches = results.branches[models[view.model][0]]
        kinds = groups(branches)
        for kind, numbers in kinds.items():
            of, reason = mean_over(networks, partial(kind_recovery, kind=kind, draws=draws), draws)
            if is_cut(networks, kind, numbers):
                of, reason = NOTHING, "patched at once, these are the whole stream"
            single = NOTHING
            if not math.isnan(of.value) and set(numbers) <= set(networks[0].chosen):
                single, _ = mean_over(
                    networks, partial(summed, numbers=numbers, draws=draws), draws
                )
            more = controls.difference(of, single)
            # of parts and wholes, one may be chosen; only at once they cannot be patched
            among = range(len(branches)) if kind == list(kinds)[-1] else numbers
            one, _ = mean_over(networks, partial(held_out, numbers=among, draws=draws), draws)
            row: dict[str, Any] = {"model": view.model, "noise": view.noise, "kind": kind}
            row["branches"] = len(numbers)
            named = (("recovery", of), ("sum", single), ("interaction", more), ("held_out", one))
            for name, value in named:
                low, high = controls.interval(value)
                prefix = "" if name == "recovery" else f"{name}_"
                row |= {name: value.value, f"{prefix}low": low, f"{prefix}high": high}
            rows.append(row | {"photographs": int(draws.max()) + 1, "reason": reason})
    return pd.DataFrame(rows)


def ablation(results: Results, inputs: RunInputs, models: Trainings) -> pd.DataFrame:
    """One row for each model, noise and branch: the error with the branch at its mean.

    Each channel has its mean over all crops and positions under the same noise. `loss` is the rise
    of the error in dB, with its 95% interval and a band for all branches at once.
    """
    draws, rows = inputs.photographs, []
    for view, networks in of_models(results.ablated, models).items():
        first = networks[0]
        branches = results.branches[models[view.model][0]]
        for i in [i for i in first.depth.argsort().tolist() if i in set(first.chosen)]:
            place = list(first.chosen).index(i)
            of = controls.over_trainings([decibels(net, place, draws) for net in networks])
            missing = "" if math.isfinite(of.value) else "errors of 0, or not finite"
            more = controls.columns(of) if several(models) else {}
            rows.append(
                {
                    "model": view.model,
                    "noise": view.noise,
                    "branch": branches[i].name,
                    "kind": branches[i].kind,
                    "depth": int(first.depth[i]),
                    "mse": float(np.mean([float(net.error.mean()) for net in networks])),
                    "mse_without": float(
                        np.mean([float(net.without[place].mean()) for net in networks])
                    ),
                    "loss": of.value,
                    **bounds(of, len(first.chosen)),
                    "photographs": int(draws.max()) + 1,
                    "reason": missing,
                    **more,
                }
            )
    return pd.DataFrame(rows)


def differences(results: Results, inputs: RunInputs) -> pd.DataFrame:
    """Joint recoveries of every two models, b minus a, by noise; `measure` is the kind."""
    draws, models = inputs.photographs, inputs.trainings
    kinds: dict[str, dict[str, dict[str, Series]]] = {}
    for view, networks in of_models(results.traced, models).items():
        for kind, numbers in groups(results.branches[models[view.model][0]]).items():
            of, _ = mean_over(networks, partial(kind_recovery, kind=kind, draws=draws), draws)
            if is_cut(networks, kind, numbers):
                of = NOTHING
            kinds.setdefault(kind, {}).setdefault(view.model, {})[view.noise] = of
    count = int(draws.max()) + 1
    frames = [
        model_differences.table(values, count).assign(measure=kind)
        for kind, values in kinds.items()
        if len(values) > 1
    ]
    if not frames:
        return pd.DataFrame(columns=[*model_differences.COLUMNS, "measure"])
    return pd.concat(frames, ignore_index=True)
