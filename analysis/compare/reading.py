"""What the rank correlations say: does any index predict the PSNR drop on unseen noise?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from itertools import count
from typing import Any

import pandas as pd

from analysis.commands import training_noises
from analysis.compare.candidates import among, candidates
from analysis.compare.outcomes import DAMAGE, LEAK, OUTCOMES
from analysis.compare.predictors import DROP, PREDICTED, TARGETS, UNSEEN, targets
from analysis.stats.paired_tests import LEVEL
from analysis.stats.rank_correlation import EXACT
from analysis.stats.trainings import LEAST as LEAST_TRAININGS
from analysis.text import terminal
from analysis.text.intervals import illustration
from analysis.text.markdown import code, escaped, interval, listed, number, probability
from analysis.text.noise_names import noise_words
from analysis.text.rows import records
from analysis.text.terminal import grid, plural
from analysis.text.trainings import NAMED, counts
from analysis.text.verdicts import too_few

NEARLY = 0.9
"""Share of a perfect correlation that counts as nearly perfect."""


def labelled(name: str) -> str:
    """The label of an index."""
    return next((one.index.label for one in candidates() if one.index.name == name), name)


WORDS = {DROP: "PSNR drop", UNSEEN: "unseen", LEAK: "by leak", DAMAGE: "by damage"}
"""The targets in the heads of columns."""

Frames = Mapping[str, pd.DataFrame]
Manifest = Mapping[str, Any]


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """All that follows from the tables, the most important first."""
    correlations = frames["correlations"]
    return [
        *main(frames),
        *target(correlations, UNSEEN),
        *(text for name in OUTCOMES for text in target(correlations, name)),
        *describing(correlations),
        *coupled(correlations),
        *least(correlations),
        *groups(manifest),
        "Intervals and p-values treat models as independent, which snapshots or variants of one "
        "training are not. P-values are corrected for the number of indices, for each outcome "
        "alone and not for the number of outcomes; intervals are not.",
        *illustration(next((about for about in own_and_runs(manifest) if "images" in about), {})),
        *notes(frames),
    ]


def main(frames: Frames) -> list[str]:
    """Which indices correlate with the PSNR drop."""
    return target(frames["correlations"], DROP)


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """Indices of every model, and the rank correlations, for the terminal."""
    frame = frames["compare"]
    names = [one.index.name for one in among(frame)]
    given = list(targets(frame))
    rows = [["model", *(WORDS[name] for name in given), *names]]
    for row in frame.to_dict("records"):
        values = [terminal.number(row[name], 2) for name in given]
        rows.append([row["model"], *values, *(terminal.number(row[n], 3) for n in names)])
    pairs = [["Spearman's rank correlation", "with", "rho", "95% interval", "p", "Holm", "models"]]
    for row in frames["correlations"].to_dict("records"):
        ends = f"[{terminal.number(row['low'], 2)}, {terminal.number(row['high'], 2)}]"
        ends = "-" if math.isnan(row["low"]) else ends
        p = ["-" if math.isnan(row[c]) else f"{row[c]:.2g}" for c in ("p", "p_corrected")]
        value = terminal.number(row["spearman"], 2)
        pairs.append([row["index"], WORDS[row["target"]], value, ends, *p, str(row["models"])])
    explained = (
        "PSNR drop: from the noise trained on to unseen noise; unseen: PSNR under unseen noise;\n"
        "means over kinds of noise"
    )
    if set(OUTCOMES) & set(given):
        explained += (
            "\nby leak, by damage: how much of the drop is leaked noise (variance over draws of the"
            "\nnoise and of the masks), and how much damaged content (bias)"
        )
    return f"{heading(manifest)}\n{grid(rows)}\n{explained}\n\n{grid(pairs)}"


def heading(manifest: Manifest) -> str:
    """The crops and noises that PSNR was measured on."""
    about = benchmark_of(manifest)
    crops, trained = about.get("crops", []), about.get("in_distribution", [])
    by_model = training_noises.from_entry(trained, about["models"])
    split = training_noises.splits(by_model, about["noises"])
    photographs = len({crop["image"] for crop in crops})
    unseen = ", ".join(noise_words(n) for n in about["noises"] if split[n] is False)
    size = f" of {about['crop']} x {about['crop']}" if about.get("crop") else ""
    return (
        f"{plural(len(crops), 'crop')}{size} from {plural(photographs, 'photograph')}; trained on "
        f"{training_noises.in_words(trained)}; unseen: {unseen or 'none of the noises'}"
    )


def benchmark_of(manifest: Manifest) -> Manifest:
    """The manifest of the run that PSNR is taken from."""
    if "runs" in manifest:
        runs: Mapping[str, Manifest] = manifest["runs"]
        return next(about for about in runs.values() if about["analysis"] == PREDICTED)
    return {**manifest, **manifest["parts"][PREDICTED]}


def own_and_runs(manifest: Manifest) -> list[Manifest]:
    """The manifest itself and those of the runs that are compared."""
    return [manifest, *(manifest.get("runs") or {}).values()]


def indices(count: int) -> str:
    """A count of indices."""
    return "1 index" if count == 1 else f"{count} indices"


def correlation(row: Any) -> str:
    """A correlation with its interval and p-value."""
    value = " ".join(filter(None, (number(row.spearman), interval(row.low, row.high))))
    return f"{labelled(row.index_)}, ρ = {value}, {probability(row.p_corrected)}"


def target(correlations: pd.DataFrame, name: str) -> list[str]:
    """Indices with a corrected p-value below 0.05 against one target, or the strongest."""
    part = correlations[correlations.target == name].rename(columns={"index": "index_"})
    if part.empty:
        return []
    known = part[part.spearman.notna()]
    what = TARGETS[name].removesuffix(" (dB)")
    if known.empty:
        return [f"No index can be correlated with the {what}."]
    order = known.spearman.abs().sort_values(ascending=False, kind="stable").index
    known = known.loc[order]
    firm = known[known.p_corrected < LEVEL]
    if firm.empty:
        return [not_shown(known, what, needed(part))]
    without = firm[[not also_untrained(row) for row in records(firm)]]
    given = firm[~firm.index.isin(without.index)]
    also = [
        f"{labelled(str(row['index_']))} (ρ = {number(row['spearman'])}, untrained "
        f"{number(row['untrained'])})"
        for row in records(given)
    ]
    control = []
    if also:
        control = [
            f"Untrained networks of the same architectures are correlated with the {what} as well, "
            f"so that training need not be the cause: {listed(also)}."
        ]
    if without.empty:
        return control
    firm = without
    each = [correlation(row) for row in firm.itertuples()]
    others = known[~known.index.isin([*firm.index, *given.index])]
    rest = [labelled(name) for name in others.index_]
    end = f" Not shown for {listed(rest)}." if rest else ""
    return [
        f"Correlation with the {what}, p corrected by Holm: shown for {'; '.join(each)}.{end}",
        *control,
    ]


def describing(correlations: pd.DataFrame) -> list[str]:
    """Which indices need the clean images of the unseen noises, as the drop does."""
    if "describes" not in correlations:
        return []
    names = dict.fromkeys(correlations["index"][correlations.describes.astype(bool)])
    if not names:
        return []
    return [
        "Computed with the clean images of the unseen noises, as the PSNR drop is: "
        f"{listed(map(labelled, names))}. A correlation with it describes the drop, it is no "
        "prediction."
    ]


def coupled(correlations: pd.DataFrame) -> list[str]:
    """Which indices are not held against the parts of the drop, and why."""
    present = set(correlations["index"])
    names = [one.index.name for one in candidates() if one.not_with and one.index.name in present]
    if not names:
        return []
    return [
        "Of the same outputs as the PSNR under the noise trained on, from which the drop is "
        f"counted: {listed(map(labelled, names))}; not held against the parts of the drop by "
        "leaked noise and by damaged content, which are computed from the same errors, or of which "
        "they are a first-order estimate."
    ]


def also_untrained(row: Mapping[str, Any]) -> bool:
    """Whether untrained networks have a correlation that the models' interval includes.

    Of a perfect correlation, which has no interval, whether theirs is nearly so.
    """
    untrained, own = row.get("untrained", math.nan), row["spearman"]
    if math.isnan(untrained):
        return False
    if math.isnan(row["low"]):
        return bool(untrained * own > 0 and abs(untrained) >= NEARLY * abs(own))
    within = row["low"] <= untrained <= row["high"]
    return bool(within or (untrained * own > 0 and abs(untrained) > abs(own)))


def not_shown(known: pd.DataFrame, what: str, few: int) -> str:
    """That no index is shown to be correlated with a target, and the strongest of all.

    Args:
        known: a row for each index, the strongest first.
        what: the target.
        few: models that a test needs to show anything; 0 if there are as many.
    """
    strongest = correlation(next(known.itertuples()))
    start = f"Correlation with the {what}, p corrected by Holm: "
    if few:
        return f"{start}{too_few(few, 'models', 'models')}; the strongest is that with {strongest}."
    if len(known) == 1:
        return f"{start}not shown for the only index, {strongest}."
    return f"{start}not shown for any of {len(known)} indices; the strongest, {strongest}."


def smallest_p(models: int, tests: int) -> float:
    """The smallest corrected p-value of a rank correlation of so few models: m · 2 / n!, or 1."""
    return min(1.0, tests * 2 / math.factorial(models))


def needed(part: pd.DataFrame) -> int:
    """With how many models a test could show anything, if there are fewer; else 0.

    Args:
        part: the correlations with one target.
    """
    models, tests = int(part.models.max()), len(part)
    if models > EXACT or smallest_p(models, tests) < LEVEL:
        return 0
    return next(n for n in count(models) if smallest_p(n, tests) < LEVEL)


def least(correlations: pd.DataFrame) -> list[str]:
    """The smallest p-value that is possible with so few models."""
    part = correlations[correlations.target == DROP]
    models, tests = int(correlations.models.max()), len(part)
    if models > EXACT or models < 2:
        return []
    smallest = smallest_p(models, tests)
    if smallest < LEVEL / 5:
        return []
    return [
        f"With {models} models and {indices(tests)} even perfect agreement has a corrected p of "
        f"{smallest:.2g}."
    ]


def groups(manifest: Manifest) -> list[str]:
    """A warning if a correlation may come from a few mask policies rather than from the models."""
    models: Mapping[str, Any] = next(
        (about["models"] for about in own_and_runs(manifest) if about.get("models")), {}
    )
    policies = Counter(about.get("policy", "") for about in models.values())
    if not 1 < len(policies) < len(models):
        return []
    each = [f"{count} with {escaped(name)}" for name, count in policies.items()]
    return [
        f"These models have {len(policies)} mask policies ({'; '.join(each)}). A correlation may "
        "come from the difference between policies alone, with none within them: see the figure."
    ]


def about_trainings(manifest: Manifest) -> list[str]:
    """What the points of models with several trainings are; nothing without such models."""
    about = next((one for one in own_and_runs(manifest) if one.get("models")), {})
    number = {name: count for name, count in counts(about).items() if count > 1}
    if not number:
        return []
    each = [f"{code(name)} ({count})" for name, count in number.items()]
    text = f"Means over trainings, which count as one model each: {listed(each)}."
    if max(number.values()) < LEAST_TRAININGS:
        return [f"{text} These are too few trainings for intervals over them."]
    least = NAMED[LEAST_TRAININGS]
    return [f"{text} Error bars are 95% intervals over trainings, where there are {least} or more."]


def notes(frames: Frames) -> list[str]:
    """The notes of the runs that are compared."""
    frame = frames.get("notes")
    if frame is None:
        return []
    return [
        f"{str(note).removesuffix('.')} ({kinds})."
        for kinds, note in zip(frame.analysis, frame.note, strict=True)
    ]


def alt(frames: Frames) -> str:
    """Of the scatter plots: every correlation."""
    correlations = frames["correlations"]
    part = correlations[correlations.target == DROP].to_dict("records")
    each = [f"{labelled(r['index'])} {number(r['spearman'])}" for r in part]
    return (
        f"PSNR drop from trained to unseen noise against each index, {len(frames['compare'])} "
        f"models. Spearman's rank correlations: {listed(each, 8)}."
    )
