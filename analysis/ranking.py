"""From per-image values to scores of models: means over noises, gaps, ranks, tests between models.

`results` is the long table of `analysis.scores`: one row for each model, noise, image and metric.
Intervals and tests treat photographs as independent draws; all crops of a photograph count as one.
With fewer than `FEW` photographs the crops are taken as draws instead, and tables say so: such
intervals are about other crops of the same photographs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.jackknife import LEVEL
from mtd.metrics import METRICS

Array = NDArray[np.float64]

NOISY = "noisy input"
"""The name under which the noisy images' own values stand beside the models'."""

FEW = 10
CROP = ["image", "top", "left", "height", "width", "sha256"]


@dataclass(frozen=True)
class Condition:
    """One noise: values of every model on the same crops.

    Attributes:
        noise: its text.
        kind: its kind; the levels of a kind count together as much as any other kind.
        level: its level, NaN if it has none.
        trained: whether it counts as in distribution.
        crops: number of rows, in the order of the images.
        values: (crops, models).
        units: (crops,) which independent draw each row belongs to, from 0.
        population: which set of draws that is; noises on the same crops share it.
    """

    noise: str
    kind: str
    level: float
    trained: bool
    values: Array
    units: NDArray[np.int64]
    population: int
    names: pd.DataFrame


@dataclass(frozen=True)
class Table:
    """One metric's conditions.

    Attributes:
        metric: its name.
        models: names of the columns of `values`; the noisy input, if it is there, is the last.
        conditions: the noises.
        draws: number of independent draws of each population.
        unit: what a draw is, `photograph` or `crop`, of each population.
    """

    metric: str
    models: list[str]
    conditions: list[Condition]
    draws: list[int]
    unit: list[str]

    @property
    def higher(self) -> bool:
        """Whether more is better."""
        return METRICS[self.metric].higher_is_better

    @property
    def contestants(self) -> list[str]:
        """The models without the noisy input."""
        return [name for name in self.models if name != NOISY]


def table(results: pd.DataFrame, metric: str, trained: Sequence[str]) -> Table:
    """One metric of the long table, as arrays.

    Args:
        results: see `analysis.scores.COLUMNS`.
        metric: of its column `metric`.
        trained: noises that count as in distribution.
    """
    part = results[results.metric == metric]
    models = sorted(part.model.unique(), key=lambda name: name == NOISY)
    order = list(dict.fromkeys(part.model))
    models = sorted(models, key=lambda name: (name == NOISY, order.index(name)))
    conditions: list[Condition] = []
    populations: dict[tuple[str, ...], tuple[int, NDArray[np.int64], int, str]] = {}
    for noise, rows in part.groupby("noise", sort=False):
        wide = rows.pivot(index=CROP, columns="model", values="value")[models]
        first = rows[rows.model == models[0]]
        wide = wide.reindex(pd.MultiIndex.from_frame(first[CROP]))
        names = first[CROP].reset_index(drop=True)
        key = tuple(names.sha256 + names.image)
        if key not in populations:
            units, unit = draws(list(names.image))
            populations[key] = len(populations), units, int(units.max()) + 1, unit
        population, units, _, _ = populations[key]
        conditions.append(
            Condition(
                str(noise),
                str(first.kind.iloc[0]),
                float(first.level.iloc[0]),
                str(noise) in trained,
                wide.to_numpy(dtype=float),
                units,
                population,
                names,
            )
        )
    sizes = [(count, unit) for _, _, count, unit in populations.values()]
    return Table(metric, models, conditions, [c for c, _ in sizes], [u for _, u in sizes])


def draws(images: Sequence[str]) -> tuple[NDArray[np.int64], str]:
    """Which independent draw each crop belongs to, and what a draw is."""
    photographs = list(dict.fromkeys(images))
    if len(photographs) >= FEW or len(photographs) == len(images):
        return np.array([photographs.index(name) for name in images]), "photograph"
    return np.arange(len(images)), "crop"


Statistic = Callable[[list[Array]], Array]
"""From the mean of every condition, (models,) each, to one number for each model."""


def means(table: Table, values: Sequence[Array] | None = None) -> list[Array]:
    """The plain mean over crops of every condition."""
    return [v.mean(0) for v in (values or [c.values for c in table.conditions])]


def interval(
    table: Table, statistic: Statistic, values: Sequence[Array] | None = None
) -> tuple[Array, Array, Array]:
    """A statistic of the conditions' means, with its 95% interval over images.

    Each population's draws are left out in turn (jackknife); variances of different populations add
    up: Var = Σ_s (n_s − 1)/n_s Σ_i (θ₍ᵢ₎ − θ̄)². The half width is Student's quantile, for the
    smallest n − 1, times the root. For a plain mean it is the usual t interval.

    Args:
        table: the conditions.
        statistic: see `Statistic`.
        values: other values than the metric's, (crops, k) for each condition.

    Returns:
        value, low, high, (k,) each; NaN bounds for fewer than 3 draws.
    """
    from scipy.stats import t

    held = list(values) if values is not None else [c.values for c in table.conditions]
    value = statistic([v.mean(0) for v in held])
    used = sorted({c.population for c in table.conditions})
    smallest = min(table.draws[p] for p in used)
    if smallest < 3:
        return value, np.full_like(value, np.nan), np.full_like(value, np.nan)
    variance = np.zeros_like(value)
    for population in used:
        n = table.draws[population]
        without = []
        for left in range(n):
            parts = [
                v[c.units != left].mean(0) if c.population == population else v.mean(0)
                for c, v in zip(table.conditions, held, strict=True)
            ]
            without.append(statistic(parts))
        change = np.stack(without)
        variance += (n - 1) / n * np.square(change - change.mean(0)).sum(0)
    half = np.sqrt(variance) * t.ppf((1 + LEVEL) / 2, smallest - 1)
    return value, value - half, value + half


def weights(conditions: Sequence[Condition], trained: bool) -> Array:
    """What each condition counts: every kind the same, shared among its levels; they add up to 1.

    Args:
        conditions: all of them.
        trained: count those in distribution, or those out of it.
    """
    kinds = [c.kind if c.trained == trained else "" for c in conditions]
    number = len(set(kinds) - {""})
    return np.array([1 / kinds.count(k) / number if k else 0.0 for k in kinds])


def weighted(parts: Sequence[Array], weight: Array) -> Array:
    """Σ weight · part, NaN where no condition counts."""
    if not weight.any():
        return np.full_like(parts[0], np.nan)
    total: Array = np.sum([w * p for w, p in zip(weight, parts, strict=True) if w], axis=0)
    return total


def area(conditions: Sequence[Condition], parts: Sequence[Array]) -> Array:
    """Mean height of the level curves: trapezoids over level, divided by the range of levels.

    One curve for each kind with two levels or more, in or out of distribution; the plain mean over
    kinds. NaN if there is none.
    """
    from scipy.integrate import trapezoid

    found = []
    for kind in dict.fromkeys(c.kind for c in conditions):
        curve = sorted(
            (c.level, i) for i, c in enumerate(conditions) if c.kind == kind and c.level == c.level
        )
        levels = np.array([level for level, _ in curve])
        if len(set(levels)) > 1:
            heights = np.stack([parts[i] for _, i in curve])
            found.append(trapezoid(heights, levels, axis=0) / (levels[-1] - levels[0]))
    mean: Array = np.mean(found, axis=0) if found else np.full_like(parts[0], np.nan)
    return mean


def ranks(table: Table) -> list[Array]:
    """Rank of each model on each crop, 1 being best, ties sharing; NaN for the noisy input."""
    from scipy.stats import rankdata

    count, found = len(table.contestants), []
    for condition in table.conditions:
        values = condition.values[:, :count] * (-1 if table.higher else 1)
        ranked = np.full(condition.values.shape, np.nan)
        ranked[:, :count] = rankdata(values, axis=1, nan_policy="omit")
        found.append(ranked)
    return found


def generalization(table: Table) -> pd.DataFrame:
    """One row for each model: its scores, with 95% intervals over images.

    Columns: `in_distribution` and `out_of_distribution`, means over noises of the mean over images,
    every kind of noise counting the same; `worst`, the lowest mean (highest, where less is better)
    of any noise out of distribution, and `worst_noise`; `gap`, what is lost from in to out of
    distribution, positive for a loss; `area`, see `area`; `mean_rank`, out of distribution, among
    the models, over images.
    """
    conditions, sign = table.conditions, 1 if table.higher else -1
    inside, outside = weights(conditions, True), weights(conditions, False)
    chosen = outside > 0

    def worst(parts: list[Array]) -> Array:
        if not chosen.any():
            return np.full_like(parts[0], np.nan)
        held = np.stack(parts)[chosen]
        extreme: Array = held.min(0) if table.higher else held.max(0)
        return extreme

    def gap(parts: list[Array]) -> Array:
        return sign * (weighted(parts, inside) - weighted(parts, outside))

    statistics: dict[str, tuple[Statistic, list[Array] | None]] = {
        "in_distribution": (lambda parts: weighted(parts, inside), None),
        "out_of_distribution": (lambda parts: weighted(parts, outside), None),
        "worst": (worst, None),
        "gap": (gap, None),
        "area": (lambda parts: area(conditions, parts), None),
        "mean_rank": (lambda parts: weighted(parts, outside), ranks(table)),
    }
    columns: dict[str, object] = {"model": table.models, "metric": table.metric}
    for name, (statistic, values) in statistics.items():
        columns[name], columns[f"{name}_low"], columns[f"{name}_high"] = interval(
            table, statistic, values
        )
    frame = pd.DataFrame(columns)
    names = [c.noise for c, used in zip(conditions, chosen, strict=True) if used]
    held = [part for part, used in zip(means(table), chosen, strict=True) if used]
    if held:
        stacked = np.stack(held)
        place = stacked.argmin(0) if table.higher else stacked.argmax(0)
        after = list(frame.columns).index("worst") + 1
        frame.insert(after, "worst_noise", [names[i] for i in place])
    frame["noises"], frame["kinds"] = len(conditions), len({c.kind for c in conditions})
    frame["draws"] = "+".join(map(str, table.draws))
    frame["draw"] = "+".join(table.unit)
    return frame


def noises(table: Table) -> pd.DataFrame:
    """One row for each noise and model: mean, 95% interval, gain over the noisy input, worst image.

    `gain` is the mean of the differences image by image, positive for an improvement, also where
    less is better.
    """
    rows = []
    sign = 1 if table.higher else -1
    for condition, ranked in zip(table.conditions, ranks(table), strict=True):
        alone = Table(table.metric, table.models, [condition], table.draws, table.unit)
        value, low, high = interval(alone, lambda parts: parts[0])
        gain = np.full((3, len(table.models)), np.nan)
        if NOISY in table.models:
            change = sign * (condition.values - condition.values[:, [table.models.index(NOISY)]])
            gain = np.stack(interval(alone, lambda parts: parts[0], [change]))
        for i, model in enumerate(table.models):
            column = condition.values[:, i] * sign
            missing = np.isnan(column).all()
            worst = 0 if missing else int(np.nanargmin(column))
            rows.append(
                {
                    "noise": condition.noise,
                    "kind": condition.kind,
                    "level": condition.level,
                    "in_distribution": condition.trained,
                    "model": model,
                    "metric": table.metric,
                    "mean": value[i],
                    "low": low[i],
                    "high": high[i],
                    "gain": gain[0, i],
                    "gain_low": gain[1, i],
                    "gain_high": gain[2, i],
                    "mean_rank": ranked[:, i].mean(),
                    "worst_image": condition.names.image[worst],
                    "worst_value": condition.values[worst, i],
                    "crops": len(column),
                    "draws": table.draws[condition.population],
                    "draw": table.unit[condition.population],
                }
            )
    return pd.DataFrame(rows)
