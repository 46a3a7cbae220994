"""Contrasts of mean scores, with their 95% intervals over images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.findings.study import ABLATION, DERIVED, SNAPSHOTS, Study
from analysis.generalization import intervals, metrics
from analysis.generalization.conditions import Table
from analysis.text.noise_labels import NOISY

Array = NDArray[np.float64]

TRAINED, MIXTURE = "gaussian:15", "mixture"
"""The noise trained on, and the kind of the unseen one."""


class Measurement(NamedTuple):
    """A measured quantity, of one training of each network.

    Attributes:
        value: in its unit.
        low: lower end of its 95% interval over images; NaN if there is none.
        high: upper end of it.
        draws: number of photographs, or scenes, behind the interval.
        weakest: the value at the weakest level, for a kind of noise with several; otherwise NaN.
        strongest: the value at the strongest level.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    draws: int = 0
    weakest: float = math.nan
    strongest: float = math.nan


class Term(NamedTuple):
    """A mean score of a model: under one noise, or averaged over all levels of a kind of noise."""

    model: str
    noise: str
    weight: float = 1.0


@dataclass(frozen=True)
class Contrast:
    """A sum of mean scores minus a sum of others, in a benchmark.

    Attributes:
        metric: whose scores; the sign is reversed for one of which lower is better.
        plus: scores that are added.
        minus: scores that are subtracted.
        folder: of the benchmark in a run that is a report.
    """

    metric: str
    plus: tuple[Term, ...]
    minus: tuple[Term, ...] = ()
    folder: str = ""

    @property
    def terms(self) -> list[Term]:
        """All terms, those that are subtracted with a negative weight."""
        return [*self.plus, *(term._replace(weight=-term.weight) for term in self.minus)]

    @property
    def sign(self) -> int:
        """-1 for a metric of which lower is better, else 1."""
        return 1 if metrics.facts(self.metric).higher_is_better else -1

    def __call__(self, study: Study, run: str) -> Measurement | None:
        """The contrast in a run; see `contrast`."""
        place = f"{run}/{self.folder}".rstrip("/")
        measured = contrast(study, place, self.metric, self.terms)
        if measured is None or self.sign > 0:
            return measured
        value, low, high, draws, weakest, strongest = measured
        return Measurement(-value, -high, -low, draws, -weakest, -strongest)


def contrast(study: Study, run: str, metric: str, terms: Sequence[Term]) -> Measurement | None:
    """A weighted sum of mean scores, with its 95% interval over images.

    The interval is a jackknife of the whole contrast, so what images have in common cancels; see
    `analysis.generalization.intervals.interval`.

    Returns:
        In units of the metric; None if a model, noise or metric is missing. Without bounds for
        fewer than three images, or if a score is infinite.
    """
    scores = study.scores(run, metric)
    if scores is None:
        return None
    weights = [np.zeros(len(scores.models)) for _ in scores.conditions]
    for model, noise, weight in terms:
        places = [i for i, c in enumerate(scores.conditions) if noise in (c.noise, c.kind)]
        if not places or model not in scores.models:
            return None
        for place in places:
            weights[place][scores.models.index(model)] += weight / len(places)

    def statistic(means: list[Array]) -> Array:
        pairs = zip(means, weights, strict=True)
        return np.array([sum(float(m[w != 0] @ w[w != 0]) for m, w in pairs)])

    used = [bool(w.any()) for w in weights]
    value, low, high = intervals.interval(scores, statistic, counts=used)
    population = next(c.population for c, mark in zip(scores.conditions, used, strict=True) if mark)
    draws = scores.photographs[population]
    ends = (math.nan, math.nan)
    if any(len(levels_of(scores, term.noise)) > 1 for term in terms):
        ends = (at_level(study, run, metric, terms, 0), at_level(study, run, metric, terms, -1))
    return Measurement(float(value[0]), float(low[0]), float(high[0]), draws, *ends)


def levels_of(scores: Table, noise: str) -> list[str]:
    """The noises of a kind, the weakest first; for a single noise, only itself."""
    conditions = [c for c in scores.conditions if noise in (c.noise, c.kind)]
    return [c.noise for c in sorted(conditions, key=lambda condition: condition.level)]


def at_level(study: Study, run: str, metric: str, terms: Sequence[Term], place: int) -> float:
    """The value of a contrast with a single level in place of each kind of noise."""
    scores = study.scores(run, metric)
    assert scores is not None
    single = [term._replace(noise=levels_of(scores, term.noise)[place]) for term in terms]
    measurement = contrast(study, run, metric, single)
    return measurement.value if measurement else math.nan


def cells(study: Study) -> pd.DataFrame | None:
    """Mean scores of the ablation's networks under the mixture and under the noise trained on.

    Every training has its own row; one of another seed is named `CELL-seed2`.

    Columns: `model`, `metric`, `mixture` and `in_distribution`, both with `_low` and `_high`.
    """
    rows = []
    for metric in ("psnr", "ssim"):
        names = study.models(ABLATION, metric)
        places = [(ABLATION, name, name) for name in names if name != NOISY]
        for run in study.repeats(ABLATION):
            seed = run.removeprefix(f"{ABLATION}-")
            models = [name for name in study.models(run, metric) if name != NOISY]
            places += [(run, name, f"{name}-{seed}") for name in models]
        places += [(ABLATION, NOISY, NOISY)] if NOISY in names else []
        for run, model, name in places:
            row: dict[str, object] = {"model": name, "metric": metric}
            for column, noise in (("mixture", MIXTURE), ("in_distribution", TRAINED)):
                row |= columns(column, mean(study, run, metric, model, noise))
            rows.append(row)
    return pd.DataFrame(rows) if rows else None


def mean(study: Study, run: str, metric: str, model: str, noise: str) -> Measurement | None:
    """A mean score with its interval: of the scores, or of the table of means."""
    if study.scores(run, metric) is not None:
        return contrast(study, run, metric, [Term(model, noise)])
    frame = study.table(run, "noises")
    if frame is None:
        return None
    rows = frame[(frame.model == model) & (frame.metric == metric)]
    rows = rows[(rows.noise == noise) | (rows.kind == noise)]
    if len(rows) != 1:
        return None
    row = rows.iloc[0]
    return Measurement(float(row["mean"]), float(row["low"]), float(row["high"]))


def columns(name: str, measurement: Measurement | None) -> dict[str, object]:
    """A measurement's value and bounds as columns of a table."""
    value, low, high = measurement[:3] if measurement else (math.nan,) * 3
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def snapshots(study: Study) -> pd.DataFrame | None:
    """PSNR of the snapshots of the masked training, under the noise trained on.

    Once with all pixels visible, once with pixels hidden as in training.

    Columns: `model`; `visible` and `hidden`, mean PSNR; `visible_change` and `hidden_change`, the
    difference from the first snapshot; each with `_low` and `_high`. Where no scores were kept, the
    table itself may have been, as `snapshots.csv` of the study.
    """
    rows: dict[str, dict[str, object]] = {}
    for run in DERIVED[SNAPSHOTS]:
        name = run.removeprefix("snapshots_")
        scores = study.scores(run, "psnr")
        models = [model for model in scores.models if model != NOISY] if scores else []
        for model in models:
            row = rows.setdefault(model, {"model": model})
            plus = Term(model, TRAINED)
            row |= columns(name, contrast(study, run, "psnr", [plus]))
            if model != models[0]:
                change = [plus, Term(models[0], TRAINED, -1.0)]
                row |= columns(f"{name}_change", contrast(study, run, "psnr", change))
    return pd.DataFrame(list(rows.values())) if rows else study.table("", SNAPSHOTS)
