"""From the conditions of a benchmark to scores of models: means over noises, drops, mean ranks.

Conditions are those of `analysis.generalization.conditions`; intervals are explained in
`analysis.generalization.intervals`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.generalization.conditions import Array, Condition, Table
from analysis.generalization.intervals import Estimate, Statistic, estimate, means
from analysis.text.noise_labels import NOISY
from mtd.noise.training_noise import changes_nothing


def weights(conditions: Sequence[Condition], trained: bool | None) -> Array:
    """What each condition counts: every kind the same, shared among its levels; they add up to 1.

    Args:
        conditions: all of them.
        trained: count those in distribution, or those out of it, or all but the clean image.
    """
    used = [
        not changes_nothing(c.noise) if trained is None else c.trained is trained
        for c in conditions
    ]
    kinds = [c.kind if counts else "" for c, counts in zip(conditions, used, strict=True)]
    number = len(set(kinds) - {""})
    return np.array([1 / kinds.count(k) / number if k else 0.0 for k in kinds])


def weighted(parts: Sequence[Array], weight: Array) -> Array:
    """Σ weight · part, NaN where no condition counts."""
    if not weight.any():
        return np.full_like(parts[0], np.nan)
    total: Array = np.sum([w * p for w, p in zip(weight, parts, strict=True) if w], axis=0)
    return total


def mean_over_levels(conditions: Sequence[Condition], parts: Sequence[Array]) -> Array:
    """Mean height of the level curves: trapezoids over level, divided by the range of levels.

    One curve for each kind with two levels or more, in or out of distribution; the plain mean over
    kinds. NaN if there is none. A level of no noise, where the PSNR of the noisy input is infinite,
    is on no curve.
    """
    from scipy.integrate import trapezoid

    heights_of_kinds, used = [], on_curves(conditions)
    for kind in dict.fromkeys(c.kind for c in conditions):
        curve = sorted((c.level, i) for i, c in enumerate(conditions) if c.kind == kind and used[i])
        each = sorted({level for level, _ in curve})
        if len(each) > 1:
            # a level that is there twice, in two forms, counts with its mean
            heights = np.stack(
                [np.mean([parts[i] for at, i in curve if at == level], axis=0) for level in each]
            )
            heights_of_kinds.append(trapezoid(heights, each, axis=0) / (each[-1] - each[0]))
    if not heights_of_kinds:
        return np.full_like(parts[0], np.nan)
    mean: Array = np.mean(heights_of_kinds, axis=0)
    return mean


def on_curves(conditions: Sequence[Condition]) -> list[bool]:
    """Which conditions lie on a level curve: noise of a kind that has two levels or more."""
    has_level = [c.level == c.level and not changes_nothing(c.noise) for c in conditions]
    levels: dict[str, set[float]] = {}
    for c, known in zip(conditions, has_level, strict=True):
        if known:
            levels.setdefault(c.kind, set()).add(c.level)
    return [
        known and len(levels[c.kind]) > 1 for c, known in zip(conditions, has_level, strict=True)
    ]


def ranks(table: Table, left_out: NDArray[np.bool_] | None = None) -> list[Array]:
    """Rank of each model on each crop, 1 being best, ties sharing; NaN for what is no model.

    Args:
        table: values by noise, crop and model.
        left_out: (models,), those that are not ranked.
    """
    from scipy.stats import rankdata

    count, ranked_conditions = len(table.contestants), []
    for condition in table.conditions:
        values = condition.values[:, :count] * (-1 if table.higher else 1)
        if left_out is not None:
            values = np.where(left_out[:count], np.nan, values)
        ranked = np.full(condition.values.shape, np.nan)
        ranked[:, :count] = rankdata(values, axis=1, nan_policy="omit")
        ranked_conditions.append(ranked)
    return ranked_conditions


SPLIT = ("in_distribution", "out_of_distribution", "worst", "ood_drop", "mean_rank")
"""Scores of models of which it is known what they were trained on."""


def generalization(table: Table) -> pd.DataFrame:
    """One row for each model: its scores, with 95% intervals over photographs.

    Columns: `in_distribution` and `out_of_distribution`, means over noises of the mean over images,
    every kind of noise counting the same, over the noises that all models of known training were
    trained on, and over those that none was; NaN for models of unknown training; `worst`, the
    lowest mean (highest, where less is better) of any noise out of distribution, and `worst_noise`;
    `ood_drop`, the drop from in to out of distribution, positive where quality falls;
    `mean_over_levels`, see there; `mean_rank`, out of distribution, among the models of
    known training, over images. Where some model has neither of the first two: `mean`, the same
    over all noises.

    A model with several trainings has the mean over them of every image's value. Its intervals are
    over photographs and trainings, those of `worst` over the trainings' means under that noise,
    and of `mean_rank` over photographs alone. In runs with such models there are the number of
    `trainings` and both intervals apart, as `worst_low_photographs` and `worst_low_trainings`.
    """
    conditions = table.conditions
    columns: dict[str, object] = {"model": table.models, "metric": table.metric}
    further: dict[str, Any] = {"trainings": [len(of) for of in table.trainings.values()]}
    for name, found in scores(table).items():
        columns[name] = found.value
        if name == "worst":
            places = worst_place(table)
            names = [math.nan if i < 0 else conditions[i].noise for i in places]
            columns["worst_noise"] = pd.Series(names, dtype=object)
        columns[f"{name}_low"], columns[f"{name}_high"] = found.bounds()
        further |= found.columns(f"{name}_")
    frame = pd.DataFrame(columns)
    frame.loc[frame.worst.isna(), "worst_noise"] = np.nan
    frame["noises"], frame["kinds"] = len(conditions), len({c.kind for c in conditions})
    frame["photographs"] = sum(table.photographs)
    frame["is_reference"] = [name in table.references for name in table.models]
    if table.several:
        frame = frame.assign(**further)
    split = [name for name in frame if str(name).startswith(SPLIT)]
    frame.loc[table.unknown, split] = np.nan
    return frame


def scores(table: Table) -> dict[str, Estimate]:
    """The scores of `generalization` by name, (models,) each."""
    conditions, sign = table.conditions, 1 if table.higher else -1
    inside, outside = weights(conditions, True), weights(conditions, False)
    trained, chosen = inside > 0, outside > 0
    curved, place = np.array(on_curves(conditions)), worst_place(table)

    def worst(parts: list[Array]) -> Array:
        if not chosen.any():
            return np.full_like(parts[0], np.nan)
        unseen = np.stack(parts)[chosen]
        extreme: Array = unseen.min(0) if table.higher else unseen.max(0)
        return extreme

    def where_worst(parts: list[Array]) -> Array:
        noise = np.repeat(place, [len(names) for names in table.trainings.values()])
        values: Array = np.stack(parts)[noise, np.arange(len(noise))]
        return np.where(noise < 0, np.nan, values)

    def ood_drop(parts: list[Array]) -> Array:
        return sign * (weighted(parts, inside) - weighted(parts, outside))

    statistics: dict[str, tuple[Statistic, NDArray[np.bool_]]] = {
        "in_distribution": (lambda parts: weighted(parts, inside), trained),
        "out_of_distribution": (lambda parts: weighted(parts, outside), chosen),
        "worst": (worst, chosen),
        "ood_drop": (ood_drop, trained | chosen),
        "mean_over_levels": (lambda parts: mean_over_levels(conditions, parts), curved),
        "mean_rank": (lambda parts: weighted(parts, outside), chosen),
    }
    if table.unknown.any() or not table.has_split:
        every = weights(conditions, None)
        statistics["mean"] = (lambda parts: weighted(parts, every), every > 0)
    single, ranked = means(table, [c.single for c in conditions]), ranks(table, table.unknown)
    found = {}
    for name, (statistic, counts) in statistics.items():
        samples = table.samples((where_worst if name == "worst" else statistic)(single))
        values = None
        if name == "mean_rank":  # a rank is among the means of all models
            samples, values = [() for _ in table.models], ranked
        found[name] = estimate(table, statistic, samples, values, list(counts))
    return found


def worst_place(table: Table) -> NDArray[np.int64]:
    """(models,) the place of the noise out of distribution with the worst mean; -1 without any."""
    chosen = np.flatnonzero(weights(table.conditions, False) > 0)
    if not len(chosen):
        return np.full(len(table.models), -1)
    unseen = np.stack(means(table))[chosen]
    place: NDArray[np.int64] = chosen[unseen.argmin(0) if table.higher else unseen.argmax(0)]
    return place


def noises(table: Table) -> pd.DataFrame:
    """One row for each noise and model: mean, 95% interval, gain over the noisy input, worst image.

    `gain` is the mean of the differences image by image, positive for an improvement, also where
    less is better. For models with several trainings see `generalization`.
    """
    rows = []
    sign = 1 if table.higher else -1
    for condition, ranked in zip(table.conditions, ranks(table), strict=True):
        alone = replace(table, conditions=[condition])
        found = estimate(alone, lambda parts: parts[0], table.samples(condition.single.mean(0)))
        low, high = found.bounds()
        gain = np.full((3, len(table.models)), np.nan)
        if NOISY in table.models:
            with np.errstate(invalid="ignore"):  # equal images under equal images gain nothing
                noisy = condition.values[:, [table.models.index(NOISY)]]
                change, single = (sign * (v - noisy) for v in (condition.values, condition.single))
                samples = table.samples(single.mean(0))
            of_gain = estimate(alone, lambda parts: parts[0], samples, [change])
            gain = np.stack([of_gain.value, *of_gain.bounds()])
        further = found.columns()
        for i, model in enumerate(table.models):
            column = condition.values[:, i] * sign
            missing = np.isnan(column).all()
            worst = 0 if missing else int(np.nanargmin(column))
            rows.append(
                {
                    "noise": condition.noise,
                    "kind": condition.kind,
                    "level": condition.level,
                    "in_distribution": table.in_distribution(condition, model),
                    "model": model,
                    "metric": table.metric,
                    "mean": found.value[i],
                    "low": low[i],
                    "high": high[i],
                    "gain": gain[0, i],
                    "gain_low": gain[1, i],
                    "gain_high": gain[2, i],
                    "mean_rank": ranked[:, i].mean(),
                    "worst_image": condition.names.image[worst],
                    "worst_value": condition.values[worst, i],
                    "crops": len(column),
                    "photographs": table.photographs[condition.population],
                    "is_reference": model in table.references,
                }
            )
            if table.several:
                rows[-1] |= {"trainings": len(table.trainings[model])}
                rows[-1] |= {name: values[i] for name, values in further.items()}
    return pd.DataFrame(rows)
