"""The tables of the error decomposition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from analysis.commands.inputs import RunInputs
from analysis.commands.trainings import Trainings, of_models, several, with_single_trainings
from analysis.engine.observer import View
from analysis.error import measured, spectra
from analysis.error.decomposition import known
from analysis.error.measured import PARTS, PSNRS, Numbers
from analysis.error.observer import Errors
from analysis.error.residual import CHECKS
from analysis.error.settings import ErrorSettings
from analysis.stats import controls, model_differences
from analysis.stats.controls import Series
from analysis.text.noise_labels import describe
from mtd.data.recorded_noise import Recorded

NOT_FINITE = "its output is not finite"
RECORDED = "the noise is recorded and has no other draw"
NO_DRAW = "the noise has no other draw"
OTHER_TARGET = "draws of the noise change the clean image, too"
NO_DAMAGE = "the estimate of its damage is not above 0, so that there is no PSNR without leak"
NO_ENDS = (
    "with some photograph left out, the estimate of its damage is not above 0, so that the PSNR "
    "without leak has no interval"
)

DIFFERENCES = ("psnr", "damage", "leak")
"""The quantities of error_difference.csv; the last two add up to the first."""


def tables(
    errors: Mapping[View, Errors], inputs: RunInputs, settings: ErrorSettings
) -> dict[str, pd.DataFrame]:
    """All tables; of a model with several trainings each value is a mean over these.

    Args:
        errors: of every network under every noise.
        inputs: of the run.
        settings: of the run.
    """
    draws = [int(draw) for draw in inputs.photographs]
    mean = settings.mask_mean
    numbers = {view: measured.numbers(own, draws, mean) for view, own in errors.items()}
    reasons = {view: reason(numbers[view], errors[view], inputs) for view in errors}

    def of(models: Trainings) -> dict[str, pd.DataFrame]:
        return {
            "error.csv": table(numbers, reasons, errors, inputs, models),
            "transfer.csv": transfer(of_models(errors, models), draws),
        }

    found = with_single_trainings(of, inputs.trainings, ["error", "transfer"])
    networks = of_models(errors, inputs.trainings)
    by_model = of_models(numbers, inputs.trainings)
    found["error_difference.csv"] = differences(by_model, len(set(draws)))
    found["filter.csv"] = filters(networks, draws)
    found["residual.csv"] = residuals(networks, draws)
    averaged = averaging(by_model, mean, len(set(draws)))
    return found | ({"mask_averaging.csv": averaged} if len(averaged) else {})


def reason(numbers: Numbers, errors: Errors, inputs: RunInputs) -> str:
    """Why a network lacks a value under a noise; empty where it lacks none."""
    if not known(numbers["mse"].value):
        return NOT_FINITE
    if not errors.same_target.all():
        return OTHER_TARGET
    if errors.noise.shape[-1] < 2:
        recorded = any(isinstance(noise, Recorded) for noise in inputs.noises)
        return RECORDED if recorded else NO_DRAW
    if numbers["bias2"].value <= 0:
        return NO_DAMAGE
    return NO_ENDS if (numbers["bias2"].without <= 0).any() else ""


def bounded(of: Numbers, names: Sequence[str]) -> dict[str, float]:
    """Columns of numbers with their 95% intervals, `_low` and `_high`."""
    found: dict[str, float] = {}
    for name in names:
        low, high = controls.interval(of[name])
        found |= {name: of[name].value, f"{name}_low": low, f"{name}_high": high}
    return found


def over(of: Numbers, names: Sequence[str]) -> dict[str, float]:
    """The intervals over photographs and over trainings; see `controls.columns`."""
    found: dict[str, float] = {}
    for name in names:
        found |= controls.columns(of[name], prefix=f"{name}_")
    return found


def table(
    numbers: Mapping[View, Numbers],
    reasons: Mapping[View, str],
    errors: Mapping[View, Errors],
    inputs: RunInputs,
    models: Trainings,
) -> pd.DataFrame:
    """error.csv, one row for each model and noise; see `measured.numbers` for the columns.

    mse = bias2 + variance + mask_variance, in squared 8-bit levels of outputs that are neither
    clipped nor rounded. PSNRs are of these means, not means of the images' PSNRs. `reason` says why
    a value is missing.
    """
    noises = describe(inputs.noises).set_index("noise")
    draws = [int(draw) for draw in inputs.photographs]
    names = (*PARTS, *PSNRS)
    grouped, why = of_models(numbers, models), of_models(reasons, models)
    held = of_models(errors, models)
    rows: list[dict[str, Any]] = []
    for view, single in grouped.items():
        of = measured.over_trainings(single)
        count = held[view][0].noise.shape[-1]
        rows.append(
            {
                **view._asdict(),
                "photographs": len(set(draws)),
                **bounded(of, names),
                **{name: of[name].value for name in ("noise_mse", "noise_variance")},
                **bounded(of, ("noise_left", "leak_share", "cutoff")),
                "reason": next(filter(None, why[view]), ""),
                "crops": len(draws),
                "noise_draws": count,
                "mask_draws": held[view][0].gram.shape[-1] // count,
                "kind": noises.kind[view.noise],
                "level": noises.level[view.noise],
                "note": noises.note[view.noise],
                **(over(of, names) if several(models) else {}),
            }
        )
    return pd.DataFrame(rows)


def differences(by_model: Mapping[View, Sequence[Numbers]], count: int) -> pd.DataFrame:
    """error_difference.csv: PSNR of model b minus that of model a, and its two parts in dB.

    The column `measure` has `psnr`, `damage` and `leak`; see `decomposition.shapley`. For the other
    columns see `analysis.stats.model_differences.table`.

    Args:
        by_model: of each model under each noise, the numbers of its trainings.
        count: of photographs.
    """
    models = list(dict.fromkeys(view.model for view in by_model))
    pairs: dict[str, dict[tuple[str, str], dict[str, Series]]] = {n: {} for n in DIFFERENCES}
    for a, b in combinations(models, 2):
        for noise in [view.noise for view in by_model if view.model == a]:
            if View(b, noise) not in by_model:
                continue
            parts = measured.split_of_models(by_model[View(a, noise)], by_model[View(b, noise)])
            for name in DIFFERENCES:
                pairs[name].setdefault((a, b), {})[noise] = parts[name]
    frames = [
        model_differences.of_pairs(of, count).assign(measure=name) for name, of in pairs.items()
    ]
    frame = pd.concat(frames, ignore_index=True)
    return frame[["measure", *model_differences.COLUMNS]]


def transfer(networks: Mapping[View, Sequence[Errors]], draws: Sequence[int]) -> pd.DataFrame:
    """transfer.csv: gains of content and of noise by frequency; see `analysis.error.spectra`.

    Rings of frequencies that crops of this size do not have are left out; `frequency` is the middle
    of a ring, in cycles per pixel.

    Args:
        networks: of each model under each noise, its trainings.
        draws: (crops,) the photograph of each.
    """
    rows: list[dict[str, Any]] = []
    for view, own in networks.items():
        single = [measured.gains(errors, draws) for errors in own]
        power = own[0].spectra[..., 0].sum(0)
        for ring, frequency in enumerate(spectra.centers()):
            if power[ring] == 0:
                continue
            of = {
                name: controls.over_trainings(
                    [Series(float(w[i][ring]), left[i][..., ring]) for w, left in single]
                )
                for i, name in enumerate(("content_gain", "noise_gain", "unexplained"))
            }
            rows.append(
                {
                    **view._asdict(),
                    "frequency": round(float(frequency), 6),
                    **bounded(of, ("content_gain", "noise_gain")),
                    "unexplained": of["unexplained"].value,
                }
            )
    return pd.DataFrame(rows)


def filters(networks: Mapping[View, Sequence[Errors]], draws: Sequence[int]) -> pd.DataFrame:
    """filter.csv: how much each model's gains change between noises.

    content_change and noise_change are the largest difference of the gain between two noises, over
    all frequencies: 0 for one fixed filter.

    Args:
        networks: of each model under each noise, its trainings.
        draws: (crops,) the photograph of each.
    """
    rows: list[dict[str, Any]] = []
    for model in dict.fromkeys(view.model for view in networks):
        under = [own for view, own in networks.items() if view.model == model]
        single = [
            [measured.gains(own[place], draws) for own in under] for place in range(len(under[0]))
        ]
        of = {
            name: controls.over_trainings([change(gains, i) for gains in single])
            for i, name in enumerate(("content_change", "noise_change"))
        }
        about = {"model": model, "noises": len(under), "photographs": len(set(draws))}
        rows.append(about | bounded(of, tuple(of)))
    return pd.DataFrame(rows)


def change(gains: Sequence[tuple[spectra.Transfer, spectra.Transfer]], which: int) -> Series:
    """The largest difference of a gain between noises; NaN of one noise alone.

    Args:
        gains: under each noise, and the same without each photograph.
        which: field of `spectra.Transfer`.
    """
    sides = []
    for side in (0, 1):
        of = np.stack([own[side][which] for own in gains])
        spread = of.max(0) - of.min(0)
        known = np.isfinite(spread)
        largest = np.where(known, spread, -1).max(-1)
        sides.append(np.where(known.any(-1) & (len(gains) > 1), largest, np.nan))
    return Series(float(sides[0]), sides[1])


def residuals(networks: Mapping[View, Sequence[Errors]], draws: Sequence[int]) -> pd.DataFrame:
    """residual.csv: checks of y − f(y); see `analysis.error.residual.checks`.

    Args:
        networks: of each model under each noise, its trainings.
        draws: (crops,) the photograph of each.
    """
    rows: list[dict[str, Any]] = []
    for view, own in networks.items():
        of = measured.over_trainings([measured.checks(errors, draws) for errors in own])
        lacking = [name for name in CHECKS if not known(of[name].value)]
        why = "a photograph has no noise, no residual or no detail" if lacking else ""
        about = {**view._asdict(), "photographs": len(set(draws))}
        rows.append(about | bounded(of, CHECKS) | {"reason": why})
    return pd.DataFrame(rows)


def averaging(by_model: Mapping[View, Sequence[Numbers]], mean: int, count: int) -> pd.DataFrame:
    """mask_averaging.csv: what averaging outputs over draws of the masks gains.

    Of networks with random masks, under the first draw of each noise: the MSE of one draw; the MSE
    that its mask variance predicts of a mean over `mask_draws` draws N, mse − mask variance ·
    (1 − 1/N); the MSE of such a mean, over other draws; and measured − predicted.

    Args:
        by_model: of each model under each noise, the numbers of its trainings.
        mean: over how many draws of the masks outputs were averaged.
        count: of photographs.
    """
    names = {"single": "mse", "predicted": "predicted_mse", "measured": "measured_mse"}
    rows: list[dict[str, Any]] = []
    for view, single in by_model.items():
        of = measured.over_trainings(single)
        if not known(of["measured"].value):
            continue
        renamed = {names.get(name, name): one for name, one in of.items() if name in names}
        renamed["difference"] = of["difference"]
        about = {**view._asdict(), "mask_draws": mean, "photographs": count}
        rows.append(about | bounded(renamed, tuple(renamed)))
    return pd.DataFrame(rows)
