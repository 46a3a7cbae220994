"""Quantities of the claims, measured in the run folders of a study."""

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
from analysis.engine.layers import last_quarter
from analysis.findings.study import ABLATION, DERIVED, SNAPSHOTS
from analysis.generalization import scoring
from analysis.generalization.scoring import Table
from analysis.stats import jackknife
from analysis.text.noise_labels import NOISY
from mtd.utils.errors import BadInput

Array = NDArray[np.float64]

SEED_PAIRS = (("baseline", "baseline-seed1"), ("input-75-85", "input-75-85-seed1"))
"""Cells of the ablation that differ in nothing but the seed of their training."""

VALIDATION = "validation"
"""Source of the curves that are logged during training."""

PAIR, TISSUE = "pair", "tissue"
"""Runs: of the pair, and of the networks trained on stained tissue."""

TRAINED, MIXTURE = "gaussian:15", "mixture"
"""The noise trained on, and the kind of the unseen one."""


class Measurement(NamedTuple):
    """A measured quantity.

    Attributes:
        value: in its unit.
        low: lower end of its 95% interval over images; NaN if there is none.
        high: upper end of it.
        seed_bound: what a change of the training seed alone may amount to, see `seed_bound`; NaN
            if no training was repeated.
        draws: number of photographs, or scenes, behind the interval.
        weakest: the value at the weakest level, for a kind of noise with several; otherwise NaN.
        strongest: the value at the strongest level.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    seed_bound: float = math.nan
    draws: int = 0
    weakest: float = math.nan
    strongest: float = math.nan


COLUMNS = {
    "results": ("model", "noise", "kind", "level", "image", "scene", "sha256", "metric", "value"),
    "images": ("model", "noise", "image", "sha256", "shift", "distance"),
    "last_quarter": ("model_a", "noise_a", "model_b", "noise_b", "cka", "low", "high"),
    "cka": ("model_a", "noise_a", "layer_a", "model_b", "noise_b", "layer_b", "cka"),
    "srga": ("model", "noise", "reference", "srga", "low", "high"),
    "distributions": ("model", "noise", "reference", "last_features", "w1_relative"),
    "curves": ("run", "source", "quantity", "noise", "step", "value"),
    "noises": ("model", "noise", "kind", "level", "metric", "mean", "low", "high"),
}
"""Columns that are read, by table."""

NUMERIC = ("value", "cka", "srga", "low", "high", "w1_relative", "shift", "distance", "mean")
"""Columns among them that must hold numbers."""


@dataclass
class Study:
    """A folder of run folders; every table is read once.

    The sections of a report are runs such as `pair/cka`.
    """

    path: Path
    frames: dict[tuple[str, str], pd.DataFrame | None] = field(default_factory=dict)
    score_tables: dict[tuple[str, str], Table | None] = field(default_factory=dict)

    def table(self, run: str, name: str) -> pd.DataFrame | None:
        """A table of a run; None if the run is missing.

        Raises:
            BadInput: it cannot be read, or lacks a column.
        """
        key, path = (run, name), self.path / run / f"{name}.csv"
        if key not in self.frames:
            self.frames[key] = self._read(path) if path.is_file() else None
        return self.frames[key]

    def _read(self, path: Path) -> pd.DataFrame:
        try:
            frame = read_tables(path.parent, [path.stem])[path.stem]
        except ValueError as error:
            raise BadInput(f"{path}: damaged ({error})") from None
        for column in COLUMNS.get(path.stem, ()):
            if column not in frame:
                raise BadInput(f"{path}: damaged (no column {column})")
            if column in NUMERIC and not pd.api.types.is_numeric_dtype(frame[column]):
                raise BadInput(f"{path}: damaged ({column} holds no numbers)")
        return frame

    def scores(self, run: str, metric: str) -> Table | None:
        """The scores of a benchmark's images by one metric; None if there are none.

        Raises:
            BadInput: the networks were not all evaluated on the same images.
        """
        key = run, metric
        if key not in self.score_tables:
            self.score_tables[key] = self._scores(run, metric)
        return self.score_tables[key]

    def _scores(self, run: str, metric: str) -> Table | None:
        frame = self.table(run, "results")
        if frame is None or metric not in set(frame.metric):
            return None
        rows = frame[frame.metric == metric]
        counts = rows.groupby(["model", "noise"]).size().unstack()
        if counts.isna().any(axis=None) or (counts.nunique() > 1).any():
            raise BadInput(f"{self.path / run}/results.csv: damaged (rows are missing)")
        return scoring.table(rows, metric, read_manifest(self.path / run)["in_distribution"])


class Term(NamedTuple):
    """A mean score of a model: under one noise, or averaged over all levels of a kind of noise."""

    model: str
    noise: str
    weight: float = 1.0


def contrast(
    study: Study, run: str, metric: str, plus: Sequence[Term], minus: Sequence[Term] = ()
) -> Measurement | None:
    """Sum of mean scores minus a sum of others, with its 95% interval over images.

    The interval is a jackknife of the whole contrast, so what images have in common cancels; see
    `analysis.generalization.scoring.interval`. The sign is reversed for metrics of which lower is
    better.

    Returns:
        In units of the metric; None if a model, noise or metric is missing. Without bounds for
        fewer than three images, or if a score is infinite.
    """
    scores = study.scores(run, metric)
    if scores is None:
        return None
    weights = [np.zeros(len(scores.models)) for _ in scores.conditions]
    terms = [*plus, *(term._replace(weight=-term.weight) for term in minus)]
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
    bound = seed_bound(study, metric, terms) if run in (ABLATION, TISSUE) else math.nan
    draws = scores.photographs[population]
    ends = (math.nan, math.nan)
    if any(len(levels_of(scores, term.noise)) > 1 for term in terms):
        ends = (at_level(study, run, metric, terms, 0), at_level(study, run, metric, terms, -1))
    return Measurement(float(value[0]), float(low[0]), float(high[0]), bound, draws, *ends)


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


def seed_bound(study: Study, metric: str, terms: Sequence[Term]) -> float:
    """What a contrast of trainings must exceed not to be explained by their seeds, at 95%.

    The scores of two trainings that differ only in the seed differ by d, with E d² = 2 σ². A
    contrast Σ_m u_m·s_m of networks m, with weights u_m over noises, has the variance Σ_m σ²(u_m)
    over seeds, where 2 σ²(u) is the mean of (u·(s_a − s_b))² over the k pairs of `SEED_PAIRS`. The
    bound is its root times Student's 0.975 quantile for k degrees of freedom, 4.30 for two pairs.

    Returns:
        In units of the metric; NaN if no training was repeated, or a noise is not in the ablation.
    """
    from scipy.stats import t

    scores = study.scores(ABLATION, metric)
    if scores is None:
        return math.nan
    known = [pair for pair in SEED_PAIRS if set(pair) <= set(scores.models)]
    at, variance = scores.models.index, 0.0
    for model in {term.model for term in terms}:
        if model == NOISY:
            continue
        changes = np.zeros(len(known))
        for _, noise, weight in (term for term in terms if term.model == model):
            parts = [c.values.mean(0) for c in scores.conditions if noise in (c.noise, c.kind)]
            if not parts:
                return math.nan
            means = np.mean(parts, axis=0)
            changes += weight * np.array([means[at(a)] - means[at(b)] for a, b in known])
        variance += float(np.square(changes).mean()) / 2 if known else math.nan
    return float(t.ppf(0.975, max(1, len(known))) * math.sqrt(variance))


def cells(study: Study) -> pd.DataFrame | None:
    """Mean scores of the ablation's networks under the mixture and under the noise trained on.

    Columns: `model`, `metric`, `mixture` and `in_distribution`, both with `_low` and `_high`.
    """
    rows = []
    for metric in ("psnr", "ssim"):
        scores = study.scores(ABLATION, metric)
        for model in scores.models if scores else ():
            row: dict[str, object] = {"model": model, "metric": metric}
            for name, noise in (("mixture", MIXTURE), ("in_distribution", TRAINED)):
                row |= columns(name, contrast(study, ABLATION, metric, [Term(model, noise)]))
            rows.append(row)
    return pd.DataFrame(rows) if rows else None


def columns(name: str, measurement: Measurement | None) -> dict[str, object]:
    """A measurement's value and bounds as columns of a table."""
    value, low, high = measurement[:3] if measurement else (math.nan,) * 3
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def snapshots(study: Study) -> pd.DataFrame | None:
    """PSNR of the snapshots of the masked training, under the noise trained on.

    Once with all pixels visible, once with pixels hidden as in training.

    Columns: `model`; `visible` and `hidden`, mean PSNR; `visible_change` and `hidden_change`, the
    difference from the first snapshot; each with `_low` and `_high`.
    """
    rows: dict[str, dict[str, object]] = {}
    for run in DERIVED[SNAPSHOTS]:
        name = run.removeprefix("snapshots_")
        scores = study.scores(run, "psnr")
        models = [model for model in scores.models if model != NOISY] if scores else []
        for model in models:
            row = rows.setdefault(model, {"model": model})
            plus = [Term(model, TRAINED)]
            row |= columns(name, contrast(study, run, "psnr", plus))
            if model != models[0]:
                minus = [Term(models[0], TRAINED)]
                row |= columns(f"{name}_change", contrast(study, run, "psnr", plus, minus))
    return pd.DataFrame(list(rows.values())) if rows else None


def difference_of_models(
    rows: pd.DataFrame, column: str, plus: str, minus: str
) -> Measurement | None:
    """Difference of two models in a column that has bounds, mean over the noises of both.

    Its bounds are those at which the two intervals are furthest apart: wider than an interval of
    the difference, since they ignore what the models have in common.

    Args:
        rows: columns `model`, `noise`, the column, and its bounds: `low` and `high`, or the same
            with the column's name in front.
        column: of the values.
        plus: model that is expected to have the larger value.
        minus: model that is subtracted.
    """
    low, high = ("low", "high") if "low" in rows else (f"{column}_low", f"{column}_high")
    wide = rows.set_index(["model", "noise"])[[column, low, high]].dropna()
    if not {plus, minus} <= set(wide.index.get_level_values(0)):
        return None
    a, b = wide.loc[plus], wide.loc[minus]
    a, b = a.align(b, join="inner", axis=0)
    if a.empty:
        return None
    return Measurement(
        float((a[column] - b[column]).mean()),
        float((a[low] - b[high]).mean()),
        float((a[high] - b[low]).mean()),
    )


def cka_across_noises(study: Study) -> Measurement | None:
    """CKA across noises in the last quarter of the blocks, masked − baseline."""
    frame = study.table(f"{PAIR}/cka", "last_quarter")
    if frame is None:
        return None
    within = frame[(frame.model_a == frame.model_b) & (frame.noise_a != frame.noise_b)]
    rows = within.rename(columns={"model_a": "model"})
    rows = rows.assign(noise=rows.noise_a + " " + rows.noise_b)
    return difference_of_models(rows, "cka", "masked", "baseline")


def cka_across_models(study: Study) -> Measurement | None:
    """How much less the baseline's last blocks resemble the masked network than its first layers.

    The highest CKA with any layer of the masked network, mean over the first half of the
    baseline's layers − mean over the last quarter of its blocks, under the reference noise. No
    interval.
    """
    frame = study.table(f"{PAIR}/cka", "cka")
    if frame is None:
        return None
    reference = str(frame.noise_a.iloc[0])
    rows = frame[(frame.noise_a == reference) & (frame.noise_b == reference)]
    rows = rows[(rows.model_a == "baseline") & (rows.model_b == "masked")]
    if rows.empty:
        return None
    highest = rows.groupby("layer_a", sort=False).cka.max()
    last = highest[last_quarter(list(highest.index))]
    return Measurement(float(highest.iloc[: len(highest) // 2].mean() - last.mean()))


def srga(study: Study) -> Measurement | None:
    """SRGA, baseline − masked, mean over unseen noises."""
    frame = study.table(f"{PAIR}/srga", "srga")
    if frame is None:
        return None
    rows = frame[frame.noise != frame.reference]
    return difference_of_models(rows, "srga", "baseline", "masked")


def distribution_shift(study: Study) -> Measurement | None:
    """W₁ from the features under the noise trained on, baseline − masked, mean over unseen noises.

    Of the features before the last convolution, in units of their standard deviation.
    """
    frame = study.table(f"{PAIR}/distributions", "distributions")
    if frame is None:
        return None
    rows = frame[(frame.noise != frame.reference) & frame.last_features]
    return difference_of_models(rows, "w1_relative", "baseline", "masked")


def brightness(
    study: Study, column: str, plus: str, minus: str = "", signed: bool = False
) -> Measurement | None:
    """Error of brightness of one network, minus that of another if one is given; in levels.

    Mean over images of a column of `images.csv` of `analysis.brightness`, for each image its mean
    over noises, of absolute values unless `signed`; with its 95% interval over images.
    """
    frame = study.table("brightness", "images")
    if frame is None or not {plus, minus or plus} <= set(frame.model):
        return None
    rows = frame.assign(error=frame[column] if signed else frame[column].abs())
    wide = rows.groupby(["sha256", "image", "model"], sort=False)["error"].mean().unstack()
    return mean_over_images(wide[plus] - wide[minus] if minus else wide[plus])


def mean_over_images(values_by_crop: pd.Series) -> Measurement:
    """The mean of values by crop, indexed by `image`, with its interval over photographs."""
    names = [str(name) for name in values_by_crop.index.get_level_values("image")]
    return Measurement(*jackknife.mean(values_by_crop, names), draws=len(set(names)))


def psnr_under_unseen_noise(study: Study, model: str) -> pd.Series | None:
    """PSNR by training step, mean over unseen noises; None if it was not logged."""
    frame = study.table("curves", "curves")
    if frame is None:
        return None
    trained = read_manifest(study.path / "curves").get("trained", {}).get(model)
    rows = frame[(frame.run == model) & (frame.quantity == PSNR) & (frame.source == VALIDATION)]
    rows = rows[rows.noise != trained]
    if rows.empty or not trained:
        return None
    wide = rows.pivot(index="step", columns="noise", values="value").dropna()
    curve: pd.Series = wide.mean(axis=1)
    return curve


def gain_over_training(study: Study, model: str) -> Measurement | None:
    """PSNR under unseen noise at the end of training − after its first quarter, in dB.

    Mean over the last tenth of all steps − mean over the tenth that ends at a quarter. No interval.
    """
    curve = psnr_under_unseen_noise(study, model)
    if curve is None or len(curve) < 2:
        return None
    last = float(curve.index[-1])
    early = curve[(curve.index > 0.15 * last) & (curve.index <= 0.25 * last)]
    late = curve[curve.index > 0.9 * last]
    if early.empty:
        early = curve.iloc[:1]
    return Measurement(float(late.mean() - early.mean()))


def drop_over_training(study: Study, model: str) -> Measurement | None:
    """The opposite of `gain_over_training`."""
    gain = gain_over_training(study, model)
    return None if gain is None else Measurement(-gain.value)


def difference_of_gains(study: Study) -> Measurement | None:
    """`gain_over_training`, masked − baseline."""
    masked, baseline = (gain_over_training(study, name) for name in ("masked", "baseline"))
    if masked is None or baseline is None:
        return None
    return Measurement(masked.value - baseline.value)
