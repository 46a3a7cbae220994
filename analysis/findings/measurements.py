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

from analysis.commands.run_folder import read_manifest, read_tables
from analysis.curves.log_readers import PSNR
from analysis.findings.study import ABLATION, DRIFT, GATHERED
from analysis.generalization import scoring
from analysis.generalization.scoring import Table
from analysis.stats import jackknife
from analysis.text.noise_labels import NOISY
from mtd.utils.errors import BadInput

Array = NDArray[np.float64]

SEEDS = (("baseline", "baseline-seed1"), ("input-75-85", "input-75-85-seed1"))
"""Cells of the ablation that differ in the seed alone."""

VALIDATED = "validation"
"""Where curves come from that are logged while a network is trained."""

PAIR, TISSUE = "pair", "tissue"
TRAINED, MIXED = "gaussian:15", "mixture"


class Measured(NamedTuple):
    """A quantity.

    Attributes:
        value: in its unit.
        low: of its 95% interval over images; NaN if there is none.
        high: of its 95% interval over images.
        floor: what other seeds of the trainings may make of nothing; see `seeds`. NaN if none were
            tried.
        draws: how many independent draws of images the interval is over.
        weakest: the value at the weakest level of a kind of noise that was asked for; NaN if none.
        strongest: at its strongest.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    floor: float = math.nan
    draws: int = 0
    weakest: float = math.nan
    strongest: float = math.nan


COLUMNS = {
    "results": ("model", "noise", "kind", "level", "image", "scene", "sha256", "metric", "value"),
    "images": ("model", "noise", "image", "sha256", "shift", "distance"),
    "deep": ("model_a", "noise_a", "model_b", "noise_b", "cka", "low", "high"),
    "cka": ("model_a", "noise_a", "layer_a", "model_b", "noise_b", "layer_b", "cka"),
    "srga": ("model", "noise", "reference", "srga", "low", "high"),
    "distributions": ("model", "noise", "reference", "last_features", "w1_relative"),
    "curves": ("run", "source", "quantity", "noise", "step", "value"),
    "noises": ("model", "noise", "kind", "level", "metric", "mean", "low", "high"),
}
"""What is needed of tables."""

NUMBERS = ("value", "cka", "srga", "low", "high", "w1_relative", "shift", "distance", "mean")
"""Those that are numbers."""


@dataclass
class Study:
    """Run folders by name in one folder; what is read is kept.

    A report's sections are named as `pair/cka`.
    """

    path: Path
    held: dict[tuple[str, str], pd.DataFrame | None] = field(default_factory=dict)
    scored: dict[tuple[str, str], Table | None] = field(default_factory=dict)

    def table(self, run: str, name: str) -> pd.DataFrame | None:
        """A table of a run; None if the run is not there.

        Raises:
            BadInput: it cannot be read, or lacks a column.
        """
        key, path = (run, name), self.path / run / f"{name}.csv"
        if key not in self.held:
            self.held[key] = self._read(path) if path.is_file() else None
        return self.held[key]

    def _read(self, path: Path) -> pd.DataFrame:
        try:
            found = read_tables(path.parent, [path.stem])[path.stem]
        except ValueError as error:
            raise BadInput(f"{path}: damaged ({error})") from None
        for column in COLUMNS.get(path.stem, ()):
            if column not in found:
                raise BadInput(f"{path}: damaged (no column {column})")
            if column in NUMBERS and not pd.api.types.is_numeric_dtype(found[column]):
                raise BadInput(f"{path}: damaged ({column} holds no numbers)")
        return found

    def scores(self, run: str, metric: str) -> Table | None:
        """A metric of a benchmark's images; None if it is not there.

        Raises:
            BadInput: networks were not all shown the same images.
        """
        key = run, metric
        if key not in self.scored:
            self.scored[key] = self._scores(run, metric)
        return self.scored[key]

    def _scores(self, run: str, metric: str) -> Table | None:
        frame = self.table(run, "results")
        if frame is None or metric not in set(frame.metric):
            return None
        part = frame[frame.metric == metric]
        counts = part.groupby(["model", "noise"]).size().unstack()
        if counts.isna().any(axis=None) or (counts.nunique() > 1).any():
            raise BadInput(f"{self.path / run}/results.csv: damaged (rows are missing)")
        return scoring.table(part, metric, read_manifest(self.path / run)["in_distribution"])


class Term(NamedTuple):
    """A mean score: of a model, under a noise or, by its kind, under all its levels alike."""

    model: str
    noise: str
    weight: float = 1.0


def contrast(
    study: Study, run: str, metric: str, more: Sequence[Term], less: Sequence[Term] = ()
) -> Measured | None:
    """Σ of some mean scores − Σ of others, with its 95% interval over images.

    The interval is a jackknife of the whole sum, so what images have in common cancels; see
    `analysis.generalization.scoring.interval`. Its sign is turned for metrics of which less is
    better.

    Returns:
        In units of the metric; None if a model, noise or metric is not there. No bounds if there
        are fewer than three images, or a score is infinite.
    """
    scores = study.scores(run, metric)
    if scores is None:
        return None
    weights = [np.zeros(len(scores.models)) for _ in scores.conditions]
    terms = [*more, *(term._replace(weight=-term.weight) for term in less)]
    for model, noise, weight in terms:
        places = [i for i, c in enumerate(scores.conditions) if noise in (c.noise, c.kind)]
        if not places or model not in scores.models:
            return None
        for place in places:
            weights[place][scores.models.index(model)] += weight / len(places)
    sign = 1 if scores.higher else -1

    def statistic(means: list[Array]) -> Array:
        pairs = zip(means, weights, strict=True)
        return np.array([sign * sum(float(m[w != 0] @ w[w != 0]) for m, w in pairs)])

    used = [bool(w.any()) for w in weights]
    value, low, high = scoring.interval(scores, statistic, counts=used)
    population = next(c.population for c, mark in zip(scores.conditions, used, strict=True) if mark)
    floor = seeds(study, metric, terms) if run in (ABLATION, TISSUE) else math.nan
    draws = scores.draws[population]
    ends = (math.nan, math.nan)
    if any(len(levels(scores, term.noise)) > 1 for term in terms):
        ends = (at_level(study, run, metric, terms, 0), at_level(study, run, metric, terms, -1))
    return Measured(float(value[0]), float(low[0]), float(high[0]), floor, draws, *ends)


def levels(scores: Table, noise: str) -> list[str]:
    """The noises of a kind, from the weakest; of a noise itself, that alone."""
    part = [c for c in scores.conditions if noise in (c.noise, c.kind)]
    return [c.noise for c in sorted(part, key=lambda condition: condition.level)]


def at_level(study: Study, run: str, metric: str, terms: Sequence[Term], place: int) -> float:
    """The value of a contrast with each kind of noise at one of its levels alone."""
    scores = study.scores(run, metric)
    assert scores is not None
    alone = [term._replace(noise=levels(scores, term.noise)[place]) for term in terms]
    found = contrast(study, run, metric, alone)
    return found.value if found else math.nan


def seeds(study: Study, metric: str, terms: Sequence[Term]) -> float:
    """What a contrast of trainings must exceed lest their seeds alone be the reason, 95%.

    Two trainings that differ in the seed have scores that differ by d, E d² = 2 σ². A contrast
    Σ_m u_m·s_m of networks m, with weights u_m over noises, has variance Σ_m σ²(u_m) by seeds,
    where 2 σ²(u) is the mean of (u·(s_a − s_b))² over the k pairs of `SEEDS`. The bound is its root
    times Student's 0.975 quantile for k degrees of freedom, 4.30 for two pairs.

    Returns:
        In units of the metric; NaN if no training was repeated, or a noise is not in the ablation.
    """
    from scipy.stats import t

    scores = study.scores(ABLATION, metric)
    if scores is None:
        return math.nan
    known = [pair for pair in SEEDS if set(pair) <= set(scores.models)]
    at, variance = scores.models.index, 0.0
    for model in {term.model for term in terms}:
        if model == NOISY:
            continue
        moved = np.zeros(len(known))
        for _, noise, weight in (term for term in terms if term.model == model):
            parts = [c.values.mean(0) for c in scores.conditions if noise in (c.noise, c.kind)]
            if not parts:
                return math.nan
            means = np.mean(parts, axis=0)
            moved += weight * np.array([means[at(a)] - means[at(b)] for a, b in known])
        variance += float(np.square(moved).mean()) / 2 if known else math.nan
    return float(t.ppf(0.975, max(1, len(known))) * math.sqrt(variance))


def cells(study: Study) -> pd.DataFrame | None:
    """Mean scores of the ablation's networks under the mixture and under the noise trained on.

    Columns: `model`, `metric`, `mixture` and `trained`, each with `_low` and `_high`.
    """
    rows = []
    for metric in ("psnr", "ssim"):
        scores = study.scores(ABLATION, metric)
        for model in scores.models if scores else ():
            row: dict[str, object] = {"model": model, "metric": metric}
            for name, noise in (("mixture", MIXED), ("trained", TRAINED)):
                found = contrast(study, ABLATION, metric, [Term(model, noise)])
                value, low, high = found[:3] if found else (math.nan,) * 3
                row |= {name: value, f"{name}_low": low, f"{name}_high": high}
            rows.append(row)
    return pd.DataFrame(rows) if rows else None


def drift(study: Study) -> pd.DataFrame | None:
    """PSNR of snapshots of the masked training under the noise trained on, and what became of it.

    Once shown all pixels, and once with pixels hidden as in training.

    Columns: `model`, and for `shown` and `hidden` the mean and, as `_change`, the mean minus that
    of the first snapshot, each with `_low` and `_high`.
    """
    rows: dict[str, dict[str, object]] = {}
    for run in GATHERED[DRIFT]:
        name = run.removeprefix("drift_")
        scores = study.scores(run, "psnr")
        models = [model for model in scores.models if model != NOISY] if scores else []
        for model in models:
            row = rows.setdefault(model, {"model": model})
            first = [] if model == models[0] else [Term(models[0], TRAINED)]
            for column, less in ((name, []), (f"{name}_change", first)):
                if column == name or less:
                    found = contrast(study, run, "psnr", [Term(model, TRAINED)], less)
                    value, low, high = found[:3] if found else (math.nan,) * 3
                    row |= {column: value, f"{column}_low": low, f"{column}_high": high}
    return pd.DataFrame(list(rows.values())) if rows else None


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
    wide = rows.set_index(["model", "noise"])[[value, *bounds]].dropna()
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
    from analysis.engine.layers import last_quarter

    frame = study.table(f"{PAIR}/cka", "cka")
    if frame is None:
        return None
    first = str(frame.noise_a.iloc[0])
    part = frame[(frame.noise_a == first) & (frame.noise_b == first)]
    part = part[(part.model_a == "baseline") & (part.model_b == "masked")]
    if part.empty:
        return None
    best = part.groupby("layer_a", sort=False).cka.max()
    deep = best[last_quarter(list(best.index))]
    return Measured(float(best.iloc[: len(best) // 2].mean() - deep.mean()))


def srga(study: Study) -> Measured | None:
    """SRGA of the baseline − SRGA of the masked network, mean over unseen noises."""
    frame = study.table(f"{PAIR}/srga", "srga")
    if frame is None:
        return None
    return apart(frame[frame.noise != frame.reference], "srga", "baseline", "masked")


def distances(study: Study) -> Measured | None:
    """How much further the baseline's last features move from those under the trained noise.

    W₁ in units of their standard deviation, baseline − masked, mean over unseen noises.
    """
    frame = study.table(f"{PAIR}/distributions", "distributions")
    if frame is None:
        return None
    rows = frame[(frame.noise != frame.reference) & frame.last_features]
    return apart(rows, "w1_relative", "baseline", "masked")


def brightness(
    study: Study, column: str, more: str, less: str = "", signed: bool = False
) -> Measured | None:
    """How far off the brightness of an image is, of one network − of another.

    Mean over images of `column` of `images.csv` of analysis.brightness, each its mean over noises,
    without its sign unless `signed`; in levels, with its 95% interval over images.
    """
    frame = study.table("brightness", "images")
    if frame is None or not {more, less or more} <= set(frame.model):
        return None
    rows = frame.assign(size=frame[column] if signed else frame[column].abs())
    wide = rows.groupby(["sha256", "image", "model"], sort=False)["size"].mean().unstack()
    return paired(wide[more] - wide[less] if less else wide[more])


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
    trained = read_manifest(study.path / "curves").get("trained", {}).get(model)
    rows = frame[(frame.run == model) & (frame.quantity == PSNR) & (frame.source == VALIDATED)]
    rows = rows[rows.noise != trained]
    if rows.empty or not trained:
        return None
    found: pd.Series = (
        rows.pivot(index="step", columns="noise", values="value").dropna().mean(axis=1)
    )
    return found


def grows(study: Study, model: str) -> Measured | None:
    """By how much PSNR under unseen noise grows from the first quarter of training to its end, dB.

    Mean over the last tenth of all steps − mean over the tenth that ends at a quarter. No interval.
    """
    curve = unseen(study, model)
    if curve is None or len(curve) < 2:
        return None
    last = float(curve.index[-1])
    early = curve[(curve.index > 0.15 * last) & (curve.index <= 0.25 * last)]
    late = curve[curve.index > 0.9 * last]
    if early.empty:
        early = curve.iloc[:1]
    return Measured(float(late.mean() - early.mean()))


def falls(study: Study, model: str) -> Measured | None:
    """By how much it falls; see `grows`."""
    found = grows(study, model)
    return None if found is None else Measured(-found.value)


def outgrows(study: Study) -> Measured | None:
    """By how much more it grows for the masked network than for the baseline; see `grows`."""
    masked, baseline = grows(study, "masked"), grows(study, "baseline")
    if masked is None or baseline is None:
        return None
    return Measured(masked.value - baseline.value)
