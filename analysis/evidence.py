"""What a study of run folders measures of a claim: a number that is above 0 if the claim holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis import jackknife, ranking
from analysis.curve_logs import PSNR
from analysis.ranking import Table
from analysis.runs import read_manifest, read_tables

Array = NDArray[np.float64]

SEEDS = (("baseline", "baseline-seed1"), ("input-75-85", "input-75-85-seed1"))
"""Cells of the ablation that differ in the seed alone."""

ABLATION, PAIR = "ablations", "pair"


class Measured(NamedTuple):
    """A quantity.

    Attributes:
        value: in its unit.
        low: of its 95% interval over images; NaN if there is none.
        high: of its 95% interval over images.
        floor: by how much it would change with another seed of the training, as far as that was
            tried; NaN if it was not.
        draws: how many independent draws of images the interval is over.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    floor: float = math.nan
    draws: int = 0


@dataclass
class Study:
    """Run folders by name in one folder; what is read is kept.

    A report's sections are named as `pair/cka`.
    """

    path: Path
    held: dict[tuple[str, str], pd.DataFrame | None] = field(default_factory=dict)

    def table(self, run: str, name: str) -> pd.DataFrame | None:
        """A table of a run; None if the run is not there."""
        key = (run, name)
        if key not in self.held:
            there = (self.path / run / f"{name}.csv").is_file()
            self.held[key] = read_tables(self.path / run, [name])[name] if there else None
        return self.held[key]

    def scores(self, run: str, metric: str) -> Table | None:
        """A metric of a benchmark's images; None if it is not there."""
        frame = self.table(run, "results")
        if frame is None or metric not in set(frame.metric):
            return None
        return ranking.table(frame, metric, read_manifest(self.path / run)["in_distribution"])


class Term(NamedTuple):
    """A mean score: of a model, under a noise or, by its kind, under all its levels alike."""

    model: str
    noise: str


def contrast(
    study: Study, run: str, metric: str, more: Sequence[Term], less: Sequence[Term]
) -> Measured | None:
    """Σ of some mean scores − Σ of others, with its 95% interval over images.

    The interval is a jackknife of the whole sum, so what images have in common cancels; see
    `analysis.ranking.interval`. Its sign is turned for metrics of which less is better.

    Returns:
        In units of the metric; None if a model, noise or metric is not there.
    """
    scores = study.scores(run, metric)
    if scores is None:
        return None
    weights = [np.zeros(len(scores.models)) for _ in scores.conditions]
    for sign, terms in ((1.0, more), (-1.0, less)):
        for model, noise in terms:
            places = [i for i, c in enumerate(scores.conditions) if noise in (c.noise, c.kind)]
            if not places or model not in scores.models:
                return None
            for place in places:
                weights[place][scores.models.index(model)] += sign / len(places)
    sign = 1 if scores.higher else -1

    def statistic(means: list[Array]) -> Array:
        pairs = zip(means, weights, strict=True)
        return np.array([sign * sum(float(m[w != 0] @ w[w != 0]) for m, w in pairs)])

    used = [bool(w.any()) for w in weights]
    value, low, high = ranking.interval(scores, statistic, counts=used)
    population = next(c.population for c, mark in zip(scores.conditions, used, strict=True) if mark)
    floor = seeds(study, metric, more, less) if run == ABLATION else math.nan
    draws = scores.draws[population]
    return Measured(float(value[0]), float(low[0]), float(high[0]), floor, draws)


def seeds(study: Study, metric: str, more: Sequence[Term], less: Sequence[Term]) -> float:
    """What another seed changes in a contrast of trainings: Σ over its pairs of scores.

    Of each pair, under the noise of the first, the larger difference of two seeds, baseline or
    masked.

    Returns:
        In units of the metric; NaN if no training was repeated.
    """
    scores = study.scores(ABLATION, metric)
    if scores is None:
        return math.nan
    known = [pair for pair in SEEDS if set(pair) <= set(scores.models)]
    if not known:
        return math.nan
    total = 0.0
    for (_, noise), _ in zip(more, less, strict=True):
        parts = [c for c in scores.conditions if noise in (c.noise, c.kind)]
        means = np.mean([c.values.mean(0) for c in parts], axis=0)
        at = scores.models.index
        total += max(abs(float(means[at(a)] - means[at(b)])) for a, b in known)
    return total


def apart(rows: pd.DataFrame, value: str, more: str, less: str) -> Measured | None:
    """Difference of two models in a column with bounds, mean over the noises of both.

    The bounds are those of the two intervals that are furthest apart: wider than an interval of
    the difference, since they do not know what the models have in common.

    Args:
        rows: columns `model`, `noise`, `value`, and its bounds, `low` and `high` or with the
            column's name before.
        value: the column.
        more: model that has more of it, if the claim holds.
        less: model that has less.
    """
    bounds = ("low", "high") if "low" in rows else (f"{value}_low", f"{value}_high")
    wide = rows.set_index(["model", "noise"])[[value, *bounds]].dropna(subset=[value])
    if not {more, less} <= set(wide.index.get_level_values(0)):
        return None
    a, b = wide.loc[more], wide.loc[less]
    a, b = a.align(b, join="inner", axis=0)
    if a.empty:
        return None
    low, high = bounds
    return Measured(
        float((a[value] - b[value]).mean()),
        float((a[low] - b[high]).mean()),
        float((a[high] - b[low]).mean()),
    )


def across_noises(study: Study) -> Measured | None:
    """By how much masked deep blocks are more alike under two noises than the baseline's (CKA)."""
    frame = study.table(f"{PAIR}/cka", "deep")
    if frame is None:
        return None
    same = frame[(frame.model_a == frame.model_b) & (frame.noise_a != frame.noise_b)]
    rows = same.rename(columns={"model_a": "model"})
    rows = rows.assign(noise=rows.noise_a + " " + rows.noise_b)
    return apart(rows, "cka", "masked", "baseline")


def deep_matches(study: Study) -> Measured | None:
    """How much worse the baseline's deepest blocks are matched by any of the masked network's.

    The best CKA with any layer of the masked network, mean over the baseline's shallower half of
    layers − mean over its deepest quarter, under the reference noise. No interval.
    """
    from analysis.activations import deepest

    frame = study.table(f"{PAIR}/cka", "cka")
    if frame is None:
        return None
    first = str(frame.noise_a.iloc[0])
    part = frame[(frame.noise_a == first) & (frame.noise_b == first)]
    part = part[(part.model_a == "baseline") & (part.model_b == "masked")]
    if part.empty:
        return None
    best = part.groupby("layer_a", sort=False).cka.max()
    deep = best[deepest(list(best.index))]
    return Measured(float(best.iloc[: len(best) // 2].mean() - deep.mean()))


def srga(study: Study) -> Measured | None:
    """SRGA of the baseline − SRGA of the masked network, mean over unseen noises."""
    frame = study.table(f"{PAIR}/srga", "srga")
    if frame is None:
        return None
    return apart(frame[frame.noise != frame.reference], "srga", "baseline", "masked")


def distances(study: Study) -> Measured | None:
    """How much further the baseline's deepest features move from those under the trained noise.

    W₁ in units of their standard deviation, baseline − masked, mean over unseen noises.
    """
    frame = study.table(f"{PAIR}/distributions", "distributions")
    if frame is None:
        return None
    rows = frame[(frame.noise != frame.reference) & frame.deepest]
    return apart(rows, "w1_relative", "baseline", "masked")


def brightness(study: Study, column: str) -> Measured | None:
    """By how much an image's brightness is further off without the attention mask than with it.

    Mean over images of |column| of `images.csv` of analysis.brightness, each its mean over noises:
    input mask only − both masks, in levels, with its 95% interval over images.
    """
    frame = study.table("brightness", "images")
    if frame is None or not {"input-only", "input-80-90"} <= set(frame.model):
        return None
    rows = frame.assign(size=frame[column].abs())
    wide = rows.groupby(["sha256", "image", "model"], sort=False)["size"].mean().unstack()
    return paired(wide["input-only"] - wide["input-80-90"])


def paired(differences: pd.Series) -> Measured:
    """The mean of differences by crop, indexed by `image`, with its interval over photographs."""
    values = differences.to_numpy(dtype=float)
    units, _ = jackknife.draws([str(name) for name in differences.index.get_level_values("image")])
    count = int(units.max()) + 1
    without = np.array([values[units != i].mean() for i in range(count)])
    low, high = jackknife.interval(values.mean(), without)
    return Measured(float(values.mean()), float(low), float(high), draws=count)


def unseen(study: Study, model: str) -> pd.Series | None:
    """PSNR over training, mean over unseen noises, by step; None if it was not logged."""
    frame = study.table("curves", "curves")
    if frame is None:
        return None
    trained = read_manifest(study.path / "curves")["trained"].get(model)
    rows = frame[(frame.run == model) & (frame.quantity == PSNR) & (frame.noise != trained)]
    if rows.empty or trained is None:
        return None
    found: pd.Series = rows.groupby("step").value.mean()
    return found


def falls(study: Study, model: str) -> Measured | None:
    """Mean PSNR under unseen noise at its best step − at the last one, in dB. No interval."""
    curve = unseen(study, model)
    return None if curve is None else Measured(float(curve.max() - curve.iloc[-1]))


def grows(study: Study, model: str) -> Measured | None:
    """Mean PSNR under unseen noise at the last step − after a quarter of them, in dB."""
    curve = unseen(study, model)
    if curve is None:
        return None
    early = curve[curve.index >= curve.index[-1] / 4].iloc[0]
    return Measured(float(curve.iloc[-1] - early))
