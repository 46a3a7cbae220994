"""What the tables of a benchmark say, as sentences for the terminal and the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.commands import training_noises
from analysis.generalization import beyond, metrics, references, strength, summary
from analysis.generalization.conditions import contestants
from analysis.generalization.metrics import facts
from analysis.generalization.pairwise_tests import (
    ALL,
    OUTSIDE,
    PairedDifference,
    over_unseen,
    paired_differences,
    too_few,
)
from analysis.generalization.summary import directed, drop_label, scores_of_models
from analysis.stats.paired_tests import LEVEL
from analysis.text import verdicts
from analysis.text.intervals import about_intervals
from analysis.text.markdown import (
    bounded,
    code,
    codes,
    listed,
    number,
    probability,
    remarks,
)
from analysis.text.noise_names import noise_phrase, noise_phrases
from analysis.text.rows import reaches, records
from analysis.text.terminal import plural
from analysis.text.trainings import counts
from mtd.metrics import Metric

RULE = f"95% interval without 0, p < {LEVEL:g} after Holm's correction"

P_VALUES = "P-values are over photographs alone: they say nothing about other trainings."
"""What is said of them where intervals are over trainings too."""

Frames = Mapping[str, pd.DataFrame]
Manifest = Mapping[str, Any]


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """Scores by every metric, PSNR by noise, and the best model against the others."""
    noises, scores = frames["noises"], frames["generalization"]
    grids = [summary.scores(scores, str(metric)) for metric in noises.metric.unique()]
    parts = [
        summary.heading(frames["results"], manifest),
        "\n".join(["\n\n".join(grids), summary.EXPLAINED]),
        "\n".join(metrics.lines(manifest)),
        summary.by_noise(noises, scores, "psnr"),
        summary.by_testset(frames, "psnr"),
        summary.beyond_references(frames, "psnr"),
        summary.differences(frames["tests"], scores, "psnr"),
    ]
    return "\n\n".join(filter(None, parts))


def sentences(frames: Frames, manifest: Manifest, metric: str = "psnr") -> list[str]:
    """All that follows from the tables, the most important first."""
    return [
        *main(frames, metric),
        *beyond.main(frames, metric),
        *beyond.sentences(frames, metric),
        *noise_by_noise(frames, metric),
        *by_testset(frames, metric),
        *drops(frames, metric),
        *worse(frames, metric),
        *others(frames, metric),
        *scope(frames, manifest),
        *notes(frames, manifest),
    ]


def score(row: pd.Series, column: str, metric: str) -> str:
    """A score with its unit and interval."""
    about = facts(metric)
    low, high = (float(row[f"{column}_{end}"]) for end in ("low", "high"))
    return bounded(float(row[column]), low, high, about.digits, about.unit)


def main(frames: Frames, metric: str = "psnr") -> list[str]:
    """Which model is best under unseen noise, by how much, and whether that is decided."""
    rows, name = scores_of_models(frames, metric), directed(metric)
    known = rows[rows.out_of_distribution.notna()]
    if known.empty and "mean" in rows and rows.in_distribution.isna().all():
        return over_all_noises(frames, rows, metric)
    if known.empty:
        text = [f"No noise here counts as unseen, or no model has a {name} under it."]
        for model, row in rows[rows.in_distribution.notna()].head(2).iterrows():
            value = score(row, "in_distribution", metric)
            text.append(f"Under the noise trained on, {code(model)} has a mean {name} of {value}.")
        return text
    best = known.iloc[0]
    value = score(best, "out_of_distribution", metric)
    if len(known) == 1:
        text = [f"Under unseen noise, {code(best.model)} has a mean {name} of {value}."]
    elif len(known) == 2:
        other = known.iloc[1]
        text = [
            f"Mean {name} under unseen noise: {value} for {code(best.model)}, "
            f"{score(other, 'out_of_distribution', metric)} for {code(other.model)}. "
            + verdict(over_unseen(frames, metric, best.model, other.model), best, other, metric)
        ]
    else:
        text = of_many(frames, known, metric)
    without = rows[rows.out_of_distribution.isna()].model
    return [*text, *([f"No mean under unseen noise for {codes(without)}."] * bool(len(without)))]


def over_all_noises(frames: Frames, rows: pd.DataFrame, metric: str) -> list[str]:
    """Which model is best over all noises, where it is not known what they were trained on."""
    name, known = directed(metric), rows[rows["mean"].notna()]
    if known.empty:
        return [f"No model has a {name} under every noise."]
    shown = known if len(known) <= 2 else known.iloc[[0, -1]]
    each = [f"{score(row, 'mean', metric)} for {code(row.model)}" for _, row in shown.iterrows()]
    which = "" if len(known) <= 2 else f", best and worst of {len(known)} models"
    text = f"Mean {name} over all noises{which}: {listed(each)}."
    if len(known) > 1:
        best, other = known.iloc[0], known.iloc[1]
        paired = over_unseen(frames, metric, best.model, other.model)
        text += f" {verdict(paired, best, other, metric, 'all noises')}"
    return [text]


def verdict(
    paired: PairedDifference | None,
    best: pd.Series,
    other: pd.Series,
    metric: str,
    noises: str = "all unseen noises",
) -> str:
    """What the paired difference of two models over unseen noises, or other ones, says."""
    a, b, about = code(best.model), code(other.model), facts(metric)
    if paired is None or math.isnan(paired.value):
        return f"There is no paired test over {noises}: their images differ."
    if paired.value == 0:
        return f"{a} and {b} are equal on average."
    value = bounded(paired.value, paired.low, paired.high, about.digits, about.unit, signed=True)
    lead = f"The advantage of {a} over {b}, image by image, is {value}"
    if not about.higher_is_better:
        bounds = (paired.value, paired.low, paired.high)
        if paired.value < 0:
            bounds = (-paired.value, -paired.high, -paired.low)
        by = bounded(*bounds, about.digits, about.unit)
        than = f"{'lower' if paired.value > 0 else 'higher'} than that of {b}"
        lead = f"Image by image, the {about.label} of {a} is {than} by {by}"
    if paired.verdict == "too few images":
        return f"{lead}: {too_few([paired])}."
    if math.isnan(paired.low):
        return f"{lead}: not shown, without an interval."
    zero = f"the 95% interval {'excludes' if paired.side else 'includes'} 0"
    agree = (paired.side != 0) == (paired.p < LEVEL)
    why = f"{zero} {'and' if agree else 'but'} {probability(paired.p)} after Holm's correction"
    if not paired.decided:
        return f"{lead}: not shown, {why}."
    return f"{lead}: {a if paired.decided > 0 else b} is shown to be better, {why}."


def of_many(frames: Frames, known: pd.DataFrame, metric: str) -> list[str]:
    """Of many models: the best, the worst, and the models that the best one significantly beats."""
    about, best, worst = facts(metric), known.iloc[0], known.iloc[-1]
    spread = abs(best.out_of_distribution - worst.out_of_distribution)
    value = number(spread, about.digits) + (f" {about.unit}" if about.unit else "")
    text = [
        f"Of {len(known)} models, {code(best.model)} has the best mean {directed(metric)} under "
        f"unseen noise, {score(best, 'out_of_distribution', metric)}, and "
        f"{code(worst.model)} the worst, "
        f"{score(worst, 'out_of_distribution', metric)}: a spread of {value}."
    ]
    tests = {
        str(name): over_unseen(frames, metric, best.model, str(name))
        for name in known.model.iloc[1:]
    }
    better = [name for name, test in tests.items() if test is not None and test.decided > 0]
    tested = [name for name, test in tests.items() if test is not None]
    rest = [name for name in tested if name not in better]
    if not tested:
        return [*text, "There are no paired tests over all unseen noises."]
    name = code(best.model)
    count = len(better) or "none"
    line = f"{name} is shown to be better than {count} of the {len(tests)} others ({RULE})"
    if not rest:
        return [*text, f"{line}."]
    why = undecidable(test for test in tests.values() if test is not None and not test.decided)
    against = f"; not against {codes(rest)}" if better else ""
    return [*text, f"{line}{against}{why}."]


def undecidable(tests: Iterable[PairedDifference]) -> str:
    """After a colon, that some of the tests cannot show anything; empty where all can."""
    few = [test for test in tests if test.undecidable]
    return f": {too_few(few)}" if few else ""


def noise_by_noise(frames: Frames, metric: str) -> list[str]:
    """Of two models, which is better under which noise; of more, how often each is the best."""
    models, noises = list(scores_of_models(frames, metric).model), frames["noises"]
    part = noises[(noises.metric == metric) & noises.model.isin(models)]
    count = part.noise.nunique()
    if len(models) < 2 or count < 2:
        return []
    if len(models) == 2:
        return two_by_noise(frames, metric, models[0], models[1])
    best = part[part.mean_rank == part.groupby("noise", sort=False).mean_rank.transform("min")]
    counts = best.model.value_counts()
    each = [f"{code(name)} ({counts[name]})" for name in models if counts.get(name)]
    return [f"Best mean rank, of {count} noises: {listed(each)}; ties count for each."]


def by_testset(frames: Frames, metric: str) -> list[str]:
    """Of a run on several test sets, the mean of the best two models on each, over its noises."""
    sets = frames.get("testsets")
    models = list(scores_of_models(frames, metric).model)[:2]
    if sets is None or sets.testset.nunique() < 2 or not models:
        return []
    part = sets[(sets.metric == metric) & sets.model.isin(models)]
    means = part.groupby(["testset", "model"], sort=False)["mean"].mean()
    about = facts(metric)
    unit = f" {about.unit}" if about.unit else ""
    each = []
    for name in dict.fromkeys(part.testset):
        of = [f"{number(means[name, m], about.digits)}{unit} for {code(m)}" for m in models]
        each.append(f"{code(name)}: {listed(of)}")
    return [f"Mean {directed(metric)} by test set, over the noises of each: {'; '.join(each)}."]


def two_by_noise(frames: Frames, metric: str, a: str, b: str) -> list[str]:
    """Which of two models is shown to be better under which noise, and where that is not shown."""
    by_noise = paired_differences(frames["tests"], metric, a, b)
    for joint in (OUTSIDE, ALL):
        by_noise.pop(joint, None)
    about, texts = facts(metric), []
    for name, sign in ((a, 1), (b, -1)):
        won = {noise: abs(test.value) for noise, test in by_noise.items() if test.decided == sign}
        if won:
            low, high = (number(end(won.values()), about.digits) for end in (min, max))
            span = low if low == high else f"{low} to {high}"
            by = " ".join(filter(None, (span, about.unit)))
            texts.append(f"{code(name)} under {noise_phrases(won, 20)} (by {by})")
    lines = [text] if (text := strength.sentence(frames, a, b)) and metric == "psnr" else []
    lines += [f"Shown to be better noise by noise ({RULE}): {'; '.join(texts)}."] if texts else []
    known = {noise: test for noise, test in by_noise.items() if not math.isnan(test.value)}
    if few := {noise: test for noise, test in known.items() if test.undecidable}:
        which = "any noise" if len(few) == len(known) > 1 else noise_phrases(few, 20)
        lines.append(f"No difference can be judged under {which}: {too_few(few.values())}.")
    if rest := [noise for noise, test in known.items() if test.verdict == "not shown"]:
        lines.append(f"Not shown under {noise_phrases(rest, 20)}.")
    return lines


def drops(frames: Frames, metric: str) -> list[str]:
    """The drop from the noise trained on to unseen noise, and which end it comes from."""
    rows = scores_of_models(frames, metric)
    known = rows[rows.ood_drop.notna()].sort_values("ood_drop", kind="stable")
    if known.empty:
        return []
    about = facts(metric)
    ends = known if len(known) <= 2 else known.iloc[[0, -1]]
    count = plural(len(known), "model")
    which = "" if len(known) <= 2 else f" (smallest and largest of {count})"
    each = [f"{score(row, 'ood_drop', metric)} for {code(row.model)}" for _, row in ends.iterrows()]
    start = f"{drop_label(metric)} from the noise trained on to unseen noise"
    text = [f"{start}{which}: {listed(each)}."]
    if len(ends) == 2:
        small, large = ends.iloc[0], ends.iloc[1]
        sign, unit = 1 if about.higher_is_better else -1, f" {about.unit}" if about.unit else ""
        total = number(large.ood_drop - small.ood_drop, about.digits)
        sides = [
            in_words(sign * float(large[name] - small[name]), about)
            for name in ("in_distribution", "out_of_distribution")
        ]
        what = drop_label(metric).split()[-1]
        text.append(
            f"The {what} of {code(large.model)} is {total}{unit} larger than that of "
            f"{code(small.model)}: it is {sides[0]} under the noise trained on, and {sides[1]} "
            "under unseen noise (differences of means, without intervals)."
        )
    return text


def in_words(gain: float, about: Metric) -> str:
    """How much better one of two means is, such as `1.20 dB better`."""
    value = number(abs(gain), about.digits)
    if float(value) == 0:
        return "as good"
    return " ".join(filter(None, (value, about.unit, "better" if gain > 0 else "worse")))


def worse(frames: Frames, metric: str) -> list[str]:
    """Where a model is worse than the noisy input, and whether that is shown.

    Not where the noisy input is the clean image, so that any change of it is infinitely worse.
    """
    part = summary.worse_than_input(frames["noises"], metric)
    part = part[np.isfinite(part.gain)]
    found = [
        verdicts.verdict(row["gain_low"], row["gain_high"], int(row["photographs"]))
        for row in records(part)
    ]
    return [
        f"On average worse than the noisy input ({verdicts.in_words(word)}): "
        f"{listed(deficits(part[[one == word for one in found]], metric), 4)}."
        for word in dict.fromkeys(found)
    ]


def deficits(rows: pd.DataFrame, metric: str) -> list[str]:
    """By how much models are worse than the noisy input; of many rows, only where."""
    about = facts(metric)
    if len(rows) > 3:
        pairs = rows.groupby("model", sort=False).noise.agg(list)
        return [f"{code(name)} under {noise_phrases(of, 3)}" for name, of in pairs.items()]
    each = zip(rows.model, rows.noise, rows.gain, rows.gain_low, rows.gain_high, strict=True)
    return [
        f"{code(model)} under {noise_phrase(noise)}, by "
        f"{bounded(-gain, -high, -low, about.digits, about.unit)}"
        for model, noise, gain, low, high in each
    ]


def others(frames: Frames, metric: str) -> list[str]:
    """Whether the other metrics agree on which model is best under unseen noise, and by which of
    them models are worse than a classical reference."""
    first, text = scores_of_models(frames, metric), []
    for other in frames["generalization"].metric.unique():
        rows = scores_of_models(frames, other)
        known = rows[rows.out_of_distribution.notna()]
        if other == metric or len(known) < 2 or first.out_of_distribution.isna().all():
            continue
        best, second, label = known.iloc[0], known.iloc[1], directed(other)
        agrees = "too" if best.model == first.model.iloc[0] else "instead"
        lead = (
            f"By {label}, {code(best.model)} has the best mean {agrees}: "
            f"{score(best, 'out_of_distribution', other)}, next {code(second.model)}, "
            f"{score(second, 'out_of_distribution', other)}."
        )
        test = over_unseen(frames, other, best.model, second.model)
        judged = verdict(test, best, second, other)
        text.append(" ".join([lead, judged, *beyond.main(frames, other)]))
    return text


def scope(frames: Frames, manifest: Manifest) -> list[str]:
    """What the intervals are about, or why there are none."""
    text = about_intervals(summary.photographs(frames["noises"]), manifest)
    return [*text, *([P_VALUES] if max(counts(manifest).values(), default=1) > 1 else [])]


def notes(frames: Frames, manifest: Manifest) -> list[str]:
    """Notes on the numbers: presets, noise levels, tiles, missing values."""
    text = remarks(manifest.get("notes", ()))
    text += training(frames, manifest)
    text += references.notes(manifest)
    text += noise_levels(manifest)
    if tiled := manifest.get("tiled"):
        text.append(
            f"{codes(tiled)}: large images were denoised in tiles to save memory, which changes "
            "the output of a network whose receptive field is the whole image; raise --memory, or "
            "use --tile off."
        )
    psnr = frames["results"].query("metric == 'psnr'")
    for model, values in psnr.groupby("model", sort=False).value:
        if missing := int(values.isna().sum()):
            count = plural(missing, "noisy image")
            text.append(f"{code(model)}: no PSNR of {count}, for which its output is not finite.")
        if equal := int((values == math.inf).sum()):
            count = plural(equal, "output")
            text.append(
                f"{code(model)}: {count} identical to the clean image, so the mean PSNR is "
                "infinite."
            )
    return [*text, *metrics.sentences(manifest)]


def training(frames: Frames, manifest: Manifest) -> list[str]:
    """Of which models it is not known what they were trained on, and what that leaves out."""
    if "in_distribution" not in manifest:
        return []
    results = frames["results"]
    noises = [str(noise) for noise in dict.fromkeys(results.get("noise", ()))]
    models = [name for name in manifest["models"] if name not in manifest.get("references", {})]
    trained = training_noises.from_entry(manifest["in_distribution"], models)
    overruled = training_noises.overruled(
        manifest.get(training_noises.GIVEN, {}), manifest["models"]
    )
    text = [*overruled, *training_noises.notes(trained, noises)]
    if about := manifest.get(training_noises.ASSUMED):
        text.append(
            f"{codes(about['models'])}: taken to be trained on {noise_phrases(about['noises'])}, "
            f"as the suite prescribes; nothing else is known. `{training_noises.OPTION} "
            "MODEL=SPEC` states it."
        )
    return text


def noise_levels(manifest: Manifest) -> list[str]:
    """Which models are noise-conditional, and the levels that they were given."""
    levels = {
        name: about.get("usage", {}).get("sigma") for name, about in manifest["models"].items()
    }
    with_level = [
        f"{code(name)} ({'that of each noise' if sigma == 'oracle' else f'always {sigma:g}'})"
        for name, sigma in levels.items()
        if sigma is not None
    ]
    if not with_level:
        return []
    end = "" if len(with_level) == len(levels) else "; the other models are blind"
    return [f"Noise-conditional models were given the noise level: {listed(with_level)}{end}."]


def alt_levels(frames: Frames, metric: str = "psnr") -> str:
    """Alternative text of the level curves: the range of each model."""
    noises = frames["noises"]
    part, kinds = noises[noises.metric == metric], plural(noises.kind.nunique(), "kind")
    each = reaches(part, "mean", facts(metric).digits, 5)
    name = summary.with_unit(metric) if facts(metric).higher_is_better else directed(metric)
    return f"Mean {name} over noise level, {kinds} of noise: {each}."


def alt_ranks(frames: Frames, metric: str = "psnr") -> str:
    """Alternative text of the rank map: how often each model has the best rank."""
    noises, order = frames["noises"], list(scores_of_models(frames, metric).model)
    if len(order) < 2:
        return "One model: no ranks."
    part = contestants(noises[noises.metric == metric])
    best = part[part.mean_rank == part.groupby("noise", sort=False).mean_rank.transform("min")]
    counts: Mapping[object, int] = best.model.value_counts().to_dict()
    each = [f"{name} under {counts[name]}" for name in order if counts.get(name)]
    return (
        f"Mean rank of {len(order)} models under {part.noise.nunique()} noises. Best rank: "
        f"{listed(each)}; ties count for each."
    )
