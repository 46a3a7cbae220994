"""The verdict of a report: which model is better, under which noises, why, and how sure that is.

At most `MOST` words, from the tables of the benchmark and of the error decomposition alone. What is
*better* is shown by the rule of `analysis.generalization.pairwise_tests`; with too few photographs
for it, models *lead* on these photographs, where the interval of the paired difference excludes 0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from analysis.commands.run_tables import reading
from analysis.generalization import beyond
from analysis.generalization.metrics import facts
from analysis.generalization.pairwise_tests import (
    PairedDifference,
    over_unseen,
)
from analysis.generalization.summary import scores_of_models
from analysis.report.evidence import ERROR, Evidence
from analysis.report.settings import BENCHMARK
from analysis.stats.jackknife import ENOUGH
from analysis.stats.model_differences import MEAN
from analysis.text import noise_groups, verdicts
from analysis.text.markdown import code, number, plain, side
from analysis.text.rows import records

MOST = 40
"""Words of a verdict."""

NAME = 3
"""Words of a model's name; a longer one is cut."""

WAYS = (*((cap, True) for cap in (None, 5, 4, 3, 2)), *((cap, False) for cap in (None, 4, 2)))
"""Ways to say it, the fullest first: how many noises are named for each model, and whether it is
said how models fail."""

WORD = re.compile(r"\S*\w\S*")

PARTS = {"leak": "leaks more noise", "damage": "loses more detail"}
"""The parts of an error, and what a network does that has more of one."""


def headline(folder: Path) -> str:
    """The verdict on a report's models as plain text: one line for a terminal.

    Raises:
        BadInput: a table is damaged.
    """
    with reading(folder):
        return plain(verdict(Evidence.read(folder)))


def count(text: str) -> int:
    """The number of words of a text; signs alone are none.

    >>> count("`a` leads by +0.3 dB under Poisson 3.5, …; b = c.")
    10
    """
    return len(WORD.findall(text))


def verdict(evidence: Evidence) -> str:
    """The verdict as Markdown: of all ways to say it, the fullest that is short enough."""
    for cap, why in (*WAYS, (0, True), (0, False)):
        text = " ".join(parts(evidence, cap, why))
        if count(text) <= MOST:
            return text
    return next(iter(parts(evidence, 0, False)))


def parts(evidence: Evidence, cap: int | None, why: bool) -> Iterator[str]:
    """The sentences of a verdict.

    Args:
        evidence: the tables.
        cap: number of noises that are named for each model; with 0, noises are counted.
        why: whether it says how models fail.
    """
    models = evidence.ranked
    if BENCHMARK not in evidence.scores:
        yield "No model was scored: this report has no benchmark."
    elif not models:
        yield "Classical denoisers alone: no network is compared."
        return
    elif len(models) == 1:
        yield alone(evidence, models[0])
    else:
        yield on_average(evidence, models)
    found: list[tuple[str, int | None]] = []
    if BENCHMARK in evidence.scores:
        yield from below_classical(evidence)
        text = gains(evidence, cap) if len(models) == 1 else noise_by_noise(evidence, cap)
        found.append((text, evidence.photographs if evidence.few else None))
    if why:
        weak = evidence.decomposed if evidence.decomposed < ENOUGH else None
        found += [(text, weak) for text in failures(evidence)]
    for few in dict.fromkeys(few for text, few in found if text):
        texts = [text for text, of in found if text and of == few]
        if few is None:
            yield from (f"{text[0].upper()}{text[1:]}." for text in texts)
        else:
            yield f"On {these(few)} {'; '.join(texts)}."


def called(model: str) -> str:
    """A model's name as code, cut after a few words.

    >>> called("a b c d e"), called("masked")
    ('`a b c…`', '`masked`')
    """
    texts = model.split()
    return code(model if len(texts) <= NAME else f"{' '.join(texts[:NAME])}…")


def amount(evidence: Evidence, value: float, signed: bool = False) -> str:
    """A difference of the metric with its unit; of PSNR to a tenth."""
    about = facts(evidence.metric)
    digits = 1 if evidence.metric == "psnr" else about.digits
    if 0 < abs(value) < 0.5 * 10**-digits:
        digits += 1
    return f"{number(value if signed else abs(value), digits, signed)} {about.unit or about.label}"


def these(count: int) -> str:
    """The photographs of a run with few of them.

    >>> these(1), these(4)
    ('this photograph', 'these 4 photographs')
    """
    return "this photograph" if count == 1 else f"these {count} photographs"


def on_average(evidence: Evidence, models: Sequence[str]) -> str:
    """Which of several networks is better on average, or that there is no clear winner."""
    best, others = models[0], models[1:]
    pairs = [over_unseen(evidence.scores, evidence.metric, best, name) for name in others]
    known = [test for test in pairs if test is not None and math.isfinite(test.value)]
    if not known:
        return "No comparison on average: there is no paired test over these noises."
    beaten = sum(test.decided > 0 for test in known)
    if len(models) == 2:
        only = known[0]
        if only.decided:
            winner = called(best if only.decided > 0 else others[0])
            return f"{winner} is better on average ({amount(evidence, only.value)}, shown)."
        if only.value == 0:
            return f"{called(best)} and {called(others[0])} are equal on average."
        ahead = called(best if only.value > 0 else others[0])
        by = amount(evidence, abs(only.value), signed=True)
        return f"No clear winner on average ({ahead} {by}, {reason(only)})."
    if beaten == len(others):
        least = min(test.value for test in known)
        return (
            f"{called(best)} is better on average than all {len(others)} others "
            f"(by {amount(evidence, least)} or more, shown)."
        )
    if beaten:
        return (
            f"No clear winner on average among {len(models)} models: {called(best)} is better "
            f"than {beaten} of {len(others)} others (shown)."
        )
    close = min(known, key=lambda test: abs(test.value))
    return (
        f"No clear winner on average among {len(models)} models "
        f"({amount(evidence, close.value)} to the next, {reason(close)})."
    )


def reason(test: PairedDifference) -> str:
    """Why a test shows nothing."""
    return "too few images" if test.undecidable else "not shown"


def alone(evidence: Evidence, model: str) -> str:
    """How far a single network is beyond the best classical reference, or its mean score."""
    part = beyond.over_unseen(evidence.scores, evidence.metric, beyond.BEST)
    rows = records(part[(part.model == model) & part.gain.notna()])
    if not rows or not math.isfinite(rows[0]["gain"]):
        scores = records(scores_of_models(evidence.scores, evidence.metric).loc[[model]])[0]
        names = {"out_of_distribution": "unseen noise", "mean": "all noises"}
        for column, noises in (names | {"in_distribution": "the noise trained on"}).items():
            if column in scores and math.isfinite(scores[column]):
                about = facts(evidence.metric)
                value = f"{number(scores[column], about.digits)} {about.unit}".strip()
                return f"{called(model)} has a mean {about.label} of {value} under {noises}."
        return f"{called(model)} has no score here."
    row = rows[0]
    found = verdicts.verdict(row["low"], row["high"], int(row["photographs"]))
    gain = amount(evidence, row["gain"], signed=True)
    if found != "shown":
        return (
            f"No clear advantage of {called(model)} over the best classical reference on average "
            f"({gain}, {found})."
        )
    word = "better" if row["low"] > 0 else "worse"
    return (
        f"{called(model)} is {word} than the best classical reference on average ({gain}, shown)."
    )


def below_classical(evidence: Evidence) -> list[str]:
    """Which of several networks are shown to be worse than the best classical reference."""
    models = evidence.ranked
    part = beyond.over_unseen(evidence.scores, evidence.metric, beyond.BEST)
    worse = [
        str(row["model"])
        for row in records(part[part.model.isin(models)])
        if verdicts.verdict(row["low"], row["high"], int(row["photographs"])) == "shown"
        and row["high"] < 0
    ]
    if not worse or len(models) == 1:
        return []
    if len(worse) == len(models):
        every = "Both are" if len(models) == 2 else f"All {len(models)} are"
        return [f"{every} worse than a classical filter."]
    name = called(worse[0]) if len(worse) == 1 else f"{len(worse)} models"
    return [f"{name} {'is' if len(worse) == 1 else 'are'} worse than a classical filter."]


def leads(evidence: Evidence) -> dict[str, dict[str, float]]:
    """By network, the noises under which it is ahead of all others, and by how much at least.

    As far as that is shown; with too few photographs, by intervals that exclude 0.
    """
    models, weak = evidence.ranked, evidence.few
    found: dict[str, dict[str, float]] = {}
    for noise in dict.fromkeys(evidence.tested.noise):
        for a in models:
            own = [evidence.tests[a, b].get(str(noise)) for b in models if b != a]
            if all(test is not None and (test.side if weak else test.decided) > 0 for test in own):
                margin = min(test.value for test in own if test is not None)
                found.setdefault(a, {})[str(noise)] = margin
    return found


def noise_by_noise(evidence: Evidence, cap: int | None) -> str:
    """Under which noises which network is better, or leads on these photographs."""
    found, tested = leads(evidence), evidence.tested
    total, models = tested.noise.nunique(), evidence.ranked
    if not found:
        return "no noise separates them" if evidence.few else "no noise shows a difference"
    verb = "leads" if evidence.few else "is better"
    beside = " all others" if len(models) > 2 else ""
    beside = f" than{beside}" if beside and not evidence.few else beside
    texts: list[str] = []
    for model in sorted(found, key=models.index):
        noises = sorted(found[model], key=lambda noise: -found[model][noise])
        under = named(tested, noises, cap)
        texts.append(f"{called(model)}{'' if texts else f' {verb}{beside}'} under {under}")
    if cap == 0 and len(texts) > 2:
        return f"{total} noises differ in which network {verb}"
    return "; ".join(texts)


def named(tested: pd.DataFrame, noises: Sequence[str], cap: int | None) -> str:
    """Noises in words: all, those of largest effect, or their number."""
    total = tested.noise.nunique()
    if len(noises) == total and total > 1:
        return f"all {total} noises"
    if cap == 0:
        return f"{len(noises)} of {total} noises"
    return noise_groups.words(tested, noises, cap)


def gains(evidence: Evidence, cap: int | None) -> str:
    """Under which noises a single network improves on the noisy input, and under which it harms."""
    tested = evidence.tested
    rows = records(tested[tested.model == evidence.ranked[0]])
    better, worse = (
        [str(row["noise"]) for row in rows if side(row["gain_low"], row["gain_high"]) == sign]
        for sign in (1, -1)
    )
    total = len(rows)
    count_ = f"all {total}" if len(better) == total else f"{len(better)} of {total}"
    text = f"it improves on the noisy input under {count_} noises"
    if worse:
        text += f", and is worse than it under {named(tested, worse, cap)}"
    return text


def failures(evidence: Evidence) -> list[str]:
    """How networks fail: of two, what each lets through or loses more; of one, what is most."""
    if ERROR not in evidence.error:
        return []
    models = evidence.ranked
    return one_error(evidence, models[0]) if len(models) == 1 else two_errors(evidence, models[:2])


def two_errors(evidence: Evidence, models: Sequence[str]) -> list[str]:
    """Which of two networks leaks more noise, and which loses more detail, averaged over noises."""
    frame = evidence.error.get("error_difference")
    if frame is None or len(models) < 2:
        return []
    found: dict[str, list[str]] = {}
    for row in records(frame[frame.noise == MEAN]):
        if row["measure"] not in PARTS or {row["model_a"], row["model_b"]} != set(models):
            continue
        ahead = side(row["low"], row["high"])  # the PSNR of model b that is due to this part
        judged = verdicts.verdict(row["low"], row["high"], int(row["photographs"]))
        if ahead and (evidence.decomposed < ENOUGH or judged == "shown"):
            worse = str(row["model_a"] if ahead > 0 else row["model_b"])
            found.setdefault(worse, []).append(PARTS[row["measure"]])
    order = sorted(found, key=lambda name: found[name])
    texts = [f"{called(name)} {' and '.join(sorted(found[name]))}" for name in order]
    where = "" if everywhere(frame, models, found) else "on average "
    return [where + ", ".join(texts)] if texts else []


def everywhere(frame: pd.DataFrame, models: Sequence[str], found: Mapping[str, list[str]]) -> bool:
    """Whether the same network leaks more, or loses more, under each single noise."""
    for row in records(frame[(frame.noise != MEAN) & frame.measure.isin(PARTS)]):
        if {row["model_a"], row["model_b"]} != set(models) or not math.isfinite(row["value"]):
            continue
        worse = str(row["model_a"] if row["value"] > 0 else row["model_b"])
        elsewhere = any(PARTS[row["measure"]] in found[name] for name in found if name != worse)
        if elsewhere:
            return False
    return True


def one_error(evidence: Evidence, model: str) -> list[str]:
    """Whether the error of a network under unseen noise is mostly leak or mostly damage."""
    frame = evidence.error[ERROR]
    trained = {"noises": ()} if "in_distribution" not in evidence.about else evidence.about
    known = trained.get("in_distribution") or ()
    own = known.get(model, ()) if isinstance(known, Mapping) else known
    rows = records(frame[(frame.model == model) & ~frame.noise.isin(list(own or ()))])
    if not rows:
        return []
    sides = {side(row["leak_share_low"] - 0.5, row["leak_share_high"] - 0.5) for row in rows}
    what = {1: "mostly leaked noise", -1: "mostly lost detail"}.get(sides.pop(), "")
    return [f"its error under unseen noise is {what}"] if what and not sides else []
