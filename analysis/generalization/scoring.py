"""From per-image values to scores of models: means over noises, drops, mean ranks.

`results` is the long table of `analysis.engine.image_quality`: one row for each model, noise,
image and metric. Intervals and tests treat photographs as independent draws: all crops of one, and
all photographs that are known to show one scene, count as one (`analysis.stats.jackknife.draws`).
Bounds are not clamped: an SSIM's may exceed 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.commands import training_noises
from analysis.commands.training_noises import Trained
from analysis.commands.trainings import TRAINING, Trainings
from analysis.generalization.trainings import networks_in
from analysis.stats import jackknife
from analysis.stats.controls import COLUMNS
from analysis.stats.jackknife import LEVEL
from analysis.stats.trainings import Samples, both, half_width
from analysis.text.noise_labels import NOISY
from mtd.metrics import METRICS, Metric
from mtd.noise.training_noise import changes_nothing
from mtd.utils.errors import BadInput, nearest

Array = NDArray[np.float64]


CROP = ["image", "top", "left", "height", "width", "sha256"]


def facts(metric: str) -> Metric:
    """Facts about a metric: label, unit, digits, which way is better.

    Raises:
        BadInput: no package that is installed here has it.
    """
    if metric not in METRICS:
        raise BadInput(f"metric {metric!r}: not installed here; {nearest(metric, METRICS)}")
    return METRICS[metric]


@dataclass(frozen=True)
class Condition:
    """One noise: values of every model on the same crops.

    Attributes:
        noise: its text.
        kind: its kind; the levels of a kind count together as much as any other kind.
        level: its level, NaN if it has none.
        trained: whether every model was trained on it (True) or none (False), of those of which
            it is known; None if it is neither; see `analysis.commands.training_noises.splits`.
        crops: number of rows, in the order of the images.
        values: (crops, models).
        units: (crops,) which photograph each row belongs to, from 0.
        population: which set of photographs that is; noises on the same crops share it.
        names: (crops,) which crops they are, with the columns `CROP`.
        single: (crops, trainings) values of every training of every model, of which `values` are
            the means.
    """

    noise: str
    kind: str
    level: float
    trained: bool | None
    values: Array
    units: NDArray[np.int64]
    population: int
    names: pd.DataFrame
    single: Array


@dataclass(frozen=True)
class Table:
    """One metric's conditions.

    Attributes:
        metric: its name.
        models: names of the columns of `values`; references follow the models, and the noisy
            input, if it is there, is the last.
        conditions: the noises.
        photographs: number of them in each population.
        trained: by model, the noises that it was trained on; None where that is unknown.
        references: the classical references among the models.
        trainings: of each model, in the order of the columns of `Condition.single`.
    """

    metric: str
    models: list[str]
    conditions: list[Condition]
    photographs: list[int]
    trained: Trained = field(default_factory=dict)
    references: frozenset[str] = frozenset()
    trainings: Trainings = field(default_factory=dict)

    @property
    def higher(self) -> bool:
        """Whether more is better."""
        return facts(self.metric).higher_is_better

    @property
    def contestants(self) -> list[str]:
        """The models without references and the noisy input."""
        return [name for name in self.models if name not in (*self.references, NOISY)]

    @property
    def unknown(self) -> NDArray[np.bool_]:
        """(models,) of which it is not known what they were trained on.

        References and the noisy input are among them where all others are.
        """
        names, own = set(training_noises.unknown(self.trained)), set(self.contestants)
        every = names >= own
        return np.array([name in names if name in own else every for name in self.models])

    @property
    def has_split(self) -> bool:
        """Whether some noise is in or out of distribution for all models of known training."""
        return any(condition.trained is not None for condition in self.conditions)

    @property
    def several(self) -> bool:
        """Whether some model has several trainings."""
        return any(len(names) > 1 for names in self.trainings.values())

    def samples(self, single: Array) -> list[Samples]:
        """Of each model the values of its trainings; none of a single network.

        Args:
            single: (trainings,) in the order of `Condition.single`.
        """
        ends = np.cumsum([len(names) for names in self.trainings.values()])[:-1]
        return [(own,) if len(own) > 1 else () for own in np.split(single, ends)]

    def in_distribution(self, condition: Condition, model: str) -> bool | None:
        """Whether a model was trained on a noise; None where that is unknown, or no noise."""
        if model not in self.contestants:
            return condition.trained
        noises = self.trained.get(model)
        if noises is None or changes_nothing(condition.noise):
            return None
        return condition.noise in noises


def table(results: pd.DataFrame, metric: str, in_distribution: Any) -> Table:
    """One metric of the long table, as arrays.

    Args:
        results: see `analysis.engine.image_quality.COLUMNS`.
        metric: of its column `metric`.
        in_distribution: the noises that all models were trained on, or those of each model, None
            where that is unknown; the entry of a manifest.
    """
    part = results[results.metric == metric]
    beside = references_in(part)
    models = sorted(  # else as given
        dict.fromkeys(part.model), key=lambda name: 2 if name == NOISY else name in beside
    )
    found = networks_in(part)
    networks = {name: found[name] for name in models}
    column = TRAINING if TRAINING in part else "model"
    every = [name for names in networks.values() for name in names]
    own = [name for name in models if name not in (*beside, NOISY)]
    trained = training_noises.from_entry(in_distribution, own)
    split = training_noises.splits(trained, list(dict.fromkeys(part.noise)))
    conditions: list[Condition] = []
    populations: dict[tuple[str, ...], tuple[int, NDArray[np.int64]]] = {}
    for noise, rows in part.groupby("noise", sort=False):
        wide = rows.pivot(index=CROP, columns=column, values="value")[every]
        first = rows[rows[column] == every[0]].sort_values(["sha256", *CROP], kind="stable")
        wide = wide.reindex(pd.MultiIndex.from_frame(first[CROP]))
        names = first[CROP].reset_index(drop=True)
        # the same pixels under another name are the same draw
        key = tuple(names.sha256 if names.sha256.is_unique else names.sha256 + names.image)
        if key not in populations:
            populations[key] = len(populations), jackknife.draws(list(first.scene))
        population, units = populations[key]
        single = wide.to_numpy(dtype=float)
        conditions.append(
            Condition(
                str(noise),
                str(first.kind.iloc[0]),
                float(first.level.iloc[0]),
                split[str(noise)],
                means_of(single, networks),
                units,
                population,
                names,
                single,
            )
        )
    photographs = [int(units.max()) + 1 for _, units in populations.values()]
    return Table(metric, models, conditions, photographs, trained, beside, networks)


def means_of(single: Array, names: Trainings) -> Array:
    """(crops, trainings) to (crops, models): the mean over the trainings of each model."""
    ends = np.cumsum([len(own) for own in names.values()])[:-1]
    return np.stack([own.mean(1) for own in np.split(single, ends, axis=1)], axis=1)


def references_in(frame: pd.DataFrame) -> frozenset[str]:
    """The classical references among a table's models; none in the tables of runs without any."""
    if "is_reference" not in frame:
        return frozenset()
    return frozenset(map(str, frame.model[frame.is_reference.eq(True)]))


def contestants(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table that are of models, not of references or the noisy input."""
    return frame[~frame.model.isin([*references_in(frame), NOISY])]


Statistic = Callable[[list[Array]], Array]
"""From the mean of every condition, (models,) each, to one number for each model."""


def means(table: Table, values: Sequence[Array] | None = None) -> list[Array]:
    """The plain mean over crops of every condition."""
    return [v.mean(0) for v in (values or [c.values for c in table.conditions])]


def interval(
    table: Table,
    statistic: Statistic,
    values: Sequence[Array] | None = None,
    counts: Sequence[bool] | None = None,
    level: float = LEVEL,
) -> tuple[Array, Array, Array]:
    """A statistic of the conditions' means, with its interval over photographs.

    Each population's photographs are left out in turn (jackknife); variances of different
    populations add up: Var = Σ_s v_s, v_s = (n_s − 1)/n_s Σ_i (θ₍ᵢ₎ − θ̄)². The half width is the
    root times Student's quantile for Satterthwaite's degrees of freedom, Var² / Σ_s (v_s² /
    (n_s − 1)). For a plain mean it is the usual t interval.

    Args:
        table: the conditions.
        statistic: see `Statistic`.
        values: other values than the metric's, (crops, k) for each condition.
        counts: which conditions the statistic depends on; all by default.
        level: of confidence.

    Returns:
        value, low, high, (k,) each; NaN bounds where a population that counts has fewer than 3
        photographs.

    Reference: Efron and Stein 1981; Satterthwaite 1946, Biometrics Bulletin 2.
    """
    from scipy.stats import t

    arrays = list(values) if values is not None else [c.values for c in table.conditions]
    marks = counts if counts is not None else [True] * len(table.conditions)
    used = sorted({c.population for c, mark in zip(table.conditions, marks, strict=True) if mark})
    with np.errstate(invalid="ignore"):  # infinite values have no interval
        value = statistic([v.mean(0) for v in arrays])
        none = np.full_like(value, np.nan)
        if not used or min(table.photographs[p] for p in used) < jackknife.LEAST:
            return value, none, none.copy()
        parts = {p: jackknifed(table, statistic, arrays, p) for p in used}
        variance: Array = np.sum(list(parts.values()), axis=0)
        freedom = sum(v**2 / (table.photographs[p] - 1) for p, v in parts.items())
        least = min(table.photographs[p] for p in used) - 1
        degrees = np.where(variance > 0, variance**2 / np.where(variance > 0, freedom, 1), least)
        half = np.sqrt(variance) * t.ppf((1 + level) / 2, degrees)
        return value, value - half, value + half


def jackknifed(
    table: Table, statistic: Statistic, values: Sequence[Array], population: int
) -> Array:
    """Jackknife variance of a statistic over one population's photographs, (k,)."""
    n, without = table.photographs[population], []
    for left in range(n):
        without.append(
            statistic(
                [
                    v[c.units != left].mean(0) if c.population == population else v.mean(0)
                    for c, v in zip(table.conditions, values, strict=True)
                ]
            )
        )
    change = np.stack(without)
    variance: Array = (n - 1) / n * np.square(change - change.mean(0)).sum(0)
    return variance


class Estimate(NamedTuple):
    """A statistic with its intervals.

    Attributes:
        value: (k,), of one or several models or differences.
        low: (k,) of the interval over photographs.
        high: (k,) of the interval over photographs.
        half: (k,) half the width of that over trainings; NaN where there is none.
    """

    value: Array
    low: Array
    high: Array
    half: Array

    def bounds(self) -> tuple[Array, Array]:
        """Of the interval over photographs, and over trainings where there are three of a model."""
        return both((self.low, self.high), self.value, self.half)

    def columns(self, prefix: str = "") -> dict[str, Array]:
        """Both intervals apart, as the columns `analysis.stats.controls.COLUMNS`."""
        ends = (self.low, self.high, self.value - self.half, self.value + self.half)
        return {f"{prefix}{name}": end for name, end in zip(COLUMNS[1:], ends, strict=True)}


def estimate(
    table: Table,
    statistic: Statistic,
    samples: Sequence[Samples],
    values: Sequence[Array] | None = None,
    counts: Sequence[bool] | None = None,
    level: float = LEVEL,
) -> Estimate:
    """As `interval`, also over trainings.

    Args:
        table: the conditions.
        statistic: see `interval`.
        samples: (k,) of each value those of its trainings, see `analysis.stats.trainings`.
        values: see `interval`.
        counts: see `interval`.
        level: of confidence.
    """
    with np.errstate(invalid="ignore"):  # infinite values have no interval
        half = np.array([float(half_width(one, level)) for one in samples])
    return Estimate(*interval(table, statistic, values, counts, level), half)


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
