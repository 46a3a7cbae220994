"""What a benchmark does not have, as sentences: metrics, test sets, training noise, photographs."""

from __future__ import annotations

import math

from analysis.card.measured import Measured
from analysis.card.scores import GAP, IN, OUT, scores
from analysis.generalization import metrics
from analysis.stats.jackknife import ENOUGH
from analysis.text.markdown import code, codes, escaped, listed
from analysis.text.noise_names import noise_phrase
from analysis.text.verdicts import too_few
from mtd.utils.messages import plural


def sentences(measured: Measured) -> list[str]:
    """All that is missing, the most important first."""
    return [
        *photographs(measured),
        *training(measured),
        *(f"{line}." for line in metrics.of_not_run(measured.manifest)),
        *infinite(measured),
        *deviations(measured),
    ]


def photographs(measured: Measured) -> list[str]:
    """That there are too few photographs, under which noises or on which test sets."""
    counts = {noise: measured.fewest([noise]) for noise in measured.noises}
    few = {
        f"under {noise_phrase(noise)}": count for noise, count in counts.items() if count < ENOUGH
    }
    few |= {
        f"on {code(score.testset)}": score.photographs
        for score in scores(measured)
        if score.testset and score.rough and counts[str(score.noise)] >= ENOUGH
    }
    where: dict[int, list[str]] = {}
    for place, count in few.items():
        where.setdefault(count, []).append(place)
    if len(set(counts.values())) == 1 and min(counts.values()) < ENOUGH:
        where = {count: [] for count in where}
    return [
        f"{' '.join(filter(None, [plural(count, 'photograph'), listed(places)]))}: "
        f"{too_few(ENOUGH)} what holds for others."
        for count, places in where.items()
    ]


def training(measured: Measured) -> list[str]:
    """That scores in or out of distribution are missing, and why."""
    known = {score.of for score in scores(measured)}
    if measured.trained is None:
        return [
            "What the model was trained on is unknown, so that there are no scores in and out of "
            "distribution."
        ]
    absent = [
        text
        for name, text in ((IN, "no noise that it was trained on"), (OUT, "no unseen noise"))
        if name not in known
    ]
    if not absent:
        return []
    gap = "" if GAP in known else ", so that there is no gap"
    return [f"Among the noises there is {' and '.join(absent)}{gap}."]


def infinite(measured: Measured) -> list[str]:
    """Scores that are not finite, which records of Every Eval Ever cannot hold."""
    names = [score.identity for score in scores(measured) if not math.isfinite(score.value)]
    return [f"Infinite, and therefore not in `result.json`: {codes(names)}."] if names else []


def deviations(measured: Measured) -> list[str]:
    """How the run differs from its suite: other crops, test sets that were not there."""
    found = [escaped(str(text)) for text in measured.manifest.get("deviations", ())]
    if not found:
        return []
    return [f"The run deviates from suite {code(measured.suite())}: {'; '.join(found)}."]
