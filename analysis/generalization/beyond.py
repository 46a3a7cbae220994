"""How far models are beyond classical references: beyond a blur, the best one, their own filter."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from analysis.generalization.conditions import Condition, Table
from analysis.generalization.intervals import estimate, means
from analysis.generalization.metrics import facts
from analysis.generalization.pairwise_tests import ALL, OUTSIDE
from analysis.generalization.scoring import weighted, weights
from analysis.stats.controls import COLUMNS as OF_TRAININGS
from analysis.stats.jackknife import LEVEL
from analysis.stats.trainings import subtract
from analysis.text import verdicts
from analysis.text.markdown import bounded, code, listed, number
from analysis.text.noise_names import noise_phrase, noise_phrases
from analysis.text.verdicts import Verdict, verdict
from mtd.loading.classical import CLASSICAL, FILTER

Frames = Mapping[str, pd.DataFrame]

FIXED_FILTER, BEST, BLUR = "fixed filter", "best classical", "blur"
"""What a model is compared with: its own filter, the best reference of another kind, the blur."""

FILTER_WITH_BLUR = "blur, of a fixed filter"
"""Stands for `BLUR` where it is not a model that is compared but its filter."""

HEADINGS = {
    FIXED_FILTER: "beyond its fixed filter",
    BEST: "beyond the best classical reference",
}
"""Columns of a leaderboard."""

COLUMNS = (
    *("metric", "model", "compared_with", "reference", "noise"),
    *("gain", "low", "high", "band_low", "band_high", "photographs"),
)


def table(scores: Table) -> pd.DataFrame:
    """Paired differences of each model and its references, by noise and over all unseen noises.

    Columns: `compared_with`: `fixed filter`, the model's own; `best classical`, of the other
    references the one with the best mean over unseen noises, the same for all models; `blur`, the
    best one if there are several; `blur, of a fixed filter`, the same for each model's filter.
    `gain`: the mean over images of model − reference, positive where the model is better, also
    where less is better, with its 95% interval over photographs; `band_low` and `band_high` hold
    for all single noises at once (Bonferroni: for N noises, level 1 − 0.05/N). Noises are those
    that no model was trained on, and all of them together, every kind counting the same; where it
    is not known what any model was trained on, all noises.

    Of a model with several trainings the mean is compared, and the interval is over photographs
    and trainings; the filters of its trainings are subtracted from them one by one.
    """
    trained = False if scores.has_split else None
    weight = weights(scores.conditions, trained)
    used = weight > 0
    rows = []
    for model, what, reference in compared(scores, weight):
        pair = [scores.models.index(name) for name in (model, reference)]
        sign = 1 if scores.higher else -1
        with np.errstate(invalid="ignore"):  # the difference of infinite values is no number
            gains = [
                sign * (c.values[:, [pair[0]]] - c.values[:, [pair[1]]]) for c in scores.conditions
            ]
        joint = OUTSIDE if scores.has_split else ALL
        for noise, own in each_noise(scores.conditions, used, weight, joint):
            score = partial(weighted, weight=own)
            single = sign * score([c.single.mean(0) for c in scores.conditions])
            own_samples, beside = (scores.samples(single)[i] for i in pair)
            samples = [subtract(own_samples, beside, same_networks=True)]
            found = estimate(scores, score, samples, gains, own > 0)
            low, high = found.bounds()
            every = 1 - (1 - LEVEL) / (1 if noise in (OUTSIDE, ALL) else int(used.sum()))
            wider = estimate(scores, score, samples, gains, own > 0, every)
            band_low, band_high = wider.bounds()
            counted = {c.population for c, part in zip(scores.conditions, own, strict=True) if part}
            rows.append(
                {
                    "metric": scores.metric,
                    "model": model,
                    "compared_with": what,
                    "reference": reference,
                    "noise": noise,
                    "gain": found.value[0],
                    "low": low[0],
                    "high": high[0],
                    "band_low": band_low[0],
                    "band_high": band_high[0],
                    "photographs": sum(scores.photographs[place] for place in counted),
                }
            )
            if scores.several:
                rows[-1] |= {"trainings": len(scores.trainings[model])}
                rows[-1] |= {name: end[0] for name, end in found.columns().items()}
    further = OF_TRAININGS if scores.several else ()
    return pd.DataFrame(rows, columns=[*COLUMNS, *further])


def each_noise(
    conditions: list[Condition], used: Any, weight: Any, joint: str
) -> Iterator[tuple[str, Any]]:
    """Every noise that counts and its weights, and all of them together if there are several."""
    for i in np.flatnonzero(used):
        yield conditions[i].noise, np.eye(len(conditions))[i]
    if used.sum() > 1:
        yield joint, weight


def compared(scores: Table, weight: Any) -> Iterator[tuple[str, str, str]]:
    """Each model, what it is compared with, and which reference that is."""
    others = [name for name in scores.models if name in scores.references]
    fixed = [name for name in others if name.startswith(FILTER)]
    classical = [name for name in others if name not in fixed]
    overall = dict(zip(scores.models, weighted(means(scores), weight), strict=True))
    sign = 1 if scores.higher else -1

    def best_of(names: list[str]) -> str | None:
        known = [name for name in names if not math.isnan(overall[name])]
        return max(known, key=lambda name: sign * overall[name], default=None)

    best = best_of(classical)
    blur = best_of([name for name in classical if name.startswith(f"{CLASSICAL}blur")])
    for model in scores.contestants:
        for what, reference in (
            (FIXED_FILTER, f"{FILTER}{model}" if f"{FILTER}{model}" in fixed else None),
            (BEST, best),
            (BLUR, blur),
        ):
            if reference is not None:
                yield model, what, reference
    for name in fixed if blur is not None else []:
        yield name, FILTER_WITH_BLUR, str(blur)


def over_unseen(frames: Frames, metric: str, what: str) -> pd.DataFrame:
    """One row for each model: how far it is beyond a reference over all unseen noises.

    Under the only one if there is one; over all noises where it is not known what models were
    trained on. Empty for runs without references.

    Args:
        frames: of a benchmark.
        metric: which one.
        what: of `compared_with`.
    """
    frame = frames.get("references", pd.DataFrame(columns=list(COLUMNS)))
    part = frame[(frame.metric == metric) & (frame.compared_with == what)]
    joint = part[part.noise.isin([OUTSIDE, ALL])]
    return (part if joint.empty else joint).set_index("model", drop=False)


def texts(frames: Frames, metric: str, what: str) -> dict[str, str]:
    """By model, how far it is beyond a reference over unseen noises, with its interval.

    Args:
        frames: of a benchmark.
        metric: which one.
        what: of `compared_with`.
    """
    digits = facts(metric).digits
    return {
        str(model): bounded(row.gain, row.low, row.high, digits, "", signed=True)
        for model, row in over_unseen(frames, metric, what).iterrows()
    }


def columns(frames: Frames, metric: str) -> dict[str, dict[str, str]]:
    """The columns of a leaderboard, each by model; none for runs without references."""
    found = {heading: texts(frames, metric, what) for what, heading in HEADINGS.items()}
    return {heading: by_model for heading, by_model in found.items() if by_model}


def main(frames: Frames, metric: str = "psnr") -> list[str]:
    """Which models are worse than a blur, or than the best reference, under unseen noise."""
    text = []
    for what in (BLUR, BEST):
        part = over_unseen(frames, metric, what)
        if what == BEST:  # of which the sentence on the blur speaks
            part = part[~part.reference.isin(over_unseen(frames, metric, BLUR).reference)]
        text += below(part, metric, what)
    return text


def below(part: pd.DataFrame, metric: str, what: str) -> list[str]:
    """By how much models are worse than a reference on average, and whether that is shown."""
    rows = part[part.gain < 0]
    if rows.empty:
        return []
    name = "a Gaussian blur" if what == BLUR else "the best classical reference"
    reference = code(rows.reference.iloc[0])
    return [
        f"On average {noises_of(rows)} worse than {name} ({reference}): "
        f"{verdicts.joined(deficits(rows, metric))}."
    ]


def deficits(rows: pd.DataFrame, metric: str) -> list[tuple[str, Verdict]]:
    """By how much each row is below its reference, with its verdict."""
    about = facts(metric)
    return [
        (
            f"{code(row.model)} by "
            f"{bounded(-row.gain, -row.high, -row.low, about.digits, about.unit)}",
            verdict(row.low, row.high, int(row.photographs)),
        )
        for _, row in rows.iterrows()
    ]


def noises_of(rows: pd.DataFrame) -> str:
    """Under which noises differences are, in words."""
    joint = str(rows.noise.iloc[0])
    words = {OUTSIDE: "over all unseen noises", ALL: "over all noises"}
    return words.get(joint, f"under {noise_phrase(joint)}")


def sentences(frames: Frames, metric: str = "psnr") -> list[str]:
    """How far every model is beyond its own filter and beyond the best reference."""
    about, text = facts(metric), []
    for what in HEADINGS:
        part = over_unseen(frames, metric, what)
        part = part[part.gain.notna()].sort_values("gain", ascending=False, kind="stable")
        if part.empty:
            continue
        effects = [
            (
                f"{bounded(row.gain, row.low, row.high, about.digits, about.unit, signed=True)} "
                f"for {code(row.model)}",
                verdict(row.low, row.high, int(row.photographs)),
            )
            for _, row in part.iterrows()
        ]
        named = f" ({classical(frames, metric, part)})" if what == BEST else ""
        start = HEADINGS[what][0].upper() + HEADINGS[what][1:]
        each = verdicts.joined(effects)
        signs = "" if about.higher_is_better else f" ({about.direction}; +: the model is better)"
        text.append(f"{start}{named} {noises_of(part)}, in {about.label}{signs}, {each}.")
        if what == FIXED_FILTER:
            text += weak_filters(frames, metric)
    return [*text, *below_by_noise(frames, metric)]


def classical(frames: Frames, metric: str, rows: pd.DataFrame) -> str:
    """The best classical reference with its mean, and the next one, which may be as good.

    Args:
        frames: tables of the benchmark.
        metric: by which references are compared.
        rows: of models against the best one.
    """
    about, best = facts(metric), str(rows.reference.iloc[0])
    column = {OUTSIDE: "out_of_distribution", ALL: "mean"}.get(str(rows.noise.iloc[0]), "")
    table = frames.get("generalization", pd.DataFrame(columns=["model", "metric"]))
    own = table[(table.metric == metric) & table.model.astype(str).str.startswith(CLASSICAL)]
    means = own.set_index("model").get(column, pd.Series(dtype=float)).dropna()
    if best not in means.index:
        return code(best)
    others = means.drop(best)
    order = [best, *others.sort_values(ascending=not about.higher_is_better).index[:1]]
    each = [f"{code(name)}, {number(means[name], about.digits)} {about.unit}" for name in order]
    return "; next ".join(text.strip() for text in each)


def weak_filters(frames: Frames, metric: str) -> list[str]:
    """Which fixed filters are themselves below the blur, so that to be beyond them says little."""
    rows = over_unseen(frames, metric, FILTER_WITH_BLUR)
    rows = rows[rows.gain < 0]
    if rows.empty:
        return []
    blur = code(rows.reference.iloc[0])
    return [
        f"These filters are worse than the blur ({blur}) on average, so being better than them "
        f"says little: {verdicts.joined(deficits(rows, metric))}."
    ]


def below_by_noise(frames: Frames, metric: str) -> list[str]:
    """Under which single noises models are shown to be worse than the blur.

    By intervals that hold for all single noises at once.
    """
    frame = frames.get("references", pd.DataFrame(columns=list(COLUMNS)))
    part = frame[(frame.metric == metric) & (frame.compared_with == BLUR)]
    part = part[~part.noise.isin([OUTSIDE, ALL])]
    if "band_low" not in part:  # of a run folder from before
        return []
    found: dict[str, list[str]] = {}
    for _, row in part.iterrows():
        shown = verdict(row.band_low, row.band_high, int(row.photographs)) == "shown"
        if shown and row.band_high < 0:
            found.setdefault(str(row.model), []).append(str(row.noise))
    each = [f"{code(model)} under {noise_phrases(of)}" for model, of in found.items()]
    if not each:
        return []
    return [
        "Shown to be worse than the blur under single unseen noises, by intervals that hold for "
        f"all of them at once: {listed(each)}."
    ]
