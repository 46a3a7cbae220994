"""The verdict of a report: which model is better, under which noises, why, and how sure that is.

At most `MOST` words, from the tables of the benchmark and of the error decomposition alone. What is
*better* is shown by the rule of `analysis.generalization.pairwise_tests`; with too few photographs
for it, models *lead* on these photographs, where the interval of the paired difference excludes 0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.commands.run_manifest import read_manifest
from analysis.commands.run_tables import read_tables, reading
from analysis.generalization import beyond
from analysis.generalization.metrics import facts
from analysis.generalization.pairwise_tests import (
    PairedDifference,
    over_unseen,
    paired_differences,
)
from analysis.generalization.summary import scores_of_models
from analysis.report import sections
from analysis.report.settings import BENCHMARK
from analysis.stats.jackknife import ENOUGH
from analysis.stats.model_differences import MEAN
from analysis.stats.paired_tests import LEVEL
from analysis.text import noise_groups, verdicts
from analysis.text.markdown import code, listed, number, plain, side
from analysis.text.rows import records
from analysis.text.terminal import plural
from analysis.text.trainings import counts
from mtd.loading.classical import CLASSICAL
from mtd.utils.errors import BadInput

MOST = 40
"""Words of a verdict."""

NAME = 3
"""Words of a model's name; a longer one is cut."""

FEW = 4
"""Up to so many networks are named below the verdict."""

WAYS = (*((cap, True) for cap in (None, 5, 4, 3, 2)), *((cap, False) for cap in (None, 4, 2)))
"""Ways to say it, the fullest first: how many noises are named for each model, and whether it is
said how models fail."""

ERROR = "error"
"""The section of the error decomposition."""

WORD = re.compile(r"\S*\w\S*")

Frames = Mapping[str, pd.DataFrame]

PARTS = {"leak": "leaks more noise", "damage": "loses more detail"}
"""The parts of an error, and what a network does that has more of one."""


@dataclass(frozen=True)
class Evidence:
    """The tables that a verdict is read from.

    Attributes:
        scores: of the benchmark; none without that section.
        about: the manifest of the benchmark.
        error: of the error decomposition; none without that section.
        models: names of the report's models.
        metric: by which models are compared.
    """

    scores: Frames
    about: Mapping[str, Any]
    error: Frames
    models: Sequence[str]
    metric: str = "psnr"

    @classmethod
    def read(cls, folder: Path) -> Evidence:
        """The tables in a report's folder."""
        tables: dict[str, Frames] = {}
        manifests: dict[str, Mapping[str, Any]] = {}
        for name in (BENCHMARK, ERROR):
            try:
                manifests[name] = read_manifest(folder / name)
                tables[name] = read_tables(folder / name, sections.records()[name].table_names)
            except BadInput:
                manifests[name], tables[name] = {}, {}
        models = list(next((m["models"] for m in manifests.values() if m.get("models")), ()))
        found = tables[BENCHMARK].get(BENCHMARK)
        metrics = [] if found is None else list(dict.fromkeys(found.metric))
        metric = "psnr" if "psnr" in metrics or not metrics else str(metrics[0])
        return cls(tables[BENCHMARK], manifests[BENCHMARK], tables[ERROR], models, metric)

    @cached_property
    def ranked(self) -> list[str]:
        """The networks, the best first; without references."""
        if BENCHMARK not in self.scores:
            return list(self.models)
        return [str(name) for name in scores_of_models(self.scores, self.metric).model]

    @cached_property
    def tested(self) -> pd.DataFrame:
        """The rows of the benchmark's table of noises by the metric."""
        frame = self.scores["noises"]
        return frame[frame.metric == self.metric]

    @cached_property
    def tests(self) -> dict[tuple[str, str], dict[str, PairedDifference]]:
        """The paired tests of every two networks, in both orders, by noise."""
        return {
            (a, b): paired_differences(self.scores["tests"], self.metric, a, b)
            for a, b in permutations(self.ranked, 2)
        }

    @cached_property
    def photographs(self) -> int:
        """Photographs of the benchmark, the smallest number where it differs between noises."""
        return fewest([self.tested] if BENCHMARK in self.scores else [])

    @cached_property
    def decomposed(self) -> int:
        """Photographs of the error decomposition, the smallest number where it differs."""
        return fewest([frame for frame in self.error.values() if "photographs" in frame])

    @cached_property
    def few(self) -> bool:
        """Whether the benchmark rests on too few photographs for something to be shown."""
        weak = any(
            test.undecidable
            for of in (self.tests.values() if BENCHMARK in self.scores else ())
            for test in of.values()
            if math.isfinite(test.value)
        )
        return weak or self.photographs < ENOUGH


def fewest(frames: Sequence[pd.DataFrame]) -> int:
    """The smallest number of photographs in some tables; 0 for none."""
    return min((int(frame.photographs.min()) for frame in frames if len(frame)), default=0)


def headline(folder: Path) -> str:
    """The verdict on a report's models as plain text: one line for a terminal.

    Raises:
        BadInput: a table is damaged.
    """
    with reading(folder):
        return plain(verdict(Evidence.read(folder)))


def below(folder: Path) -> list[str]:
    """What stands below the verdict: how far networks are beyond a classical reference."""
    evidence = Evidence.read(folder)
    return references(evidence) if is_scored(evidence) else []


def judged(folder: Path) -> list[str]:
    """What the verdict rests on: its scope, the rule of evidence, and what the average is over."""
    evidence = Evidence.read(folder)
    if not is_scored(evidence):
        return []
    lines = [f"{scope(evidence)}.", rule(evidence), f"*Average*: over {averaged(evidence)}."]
    if max(counts(evidence.about).values(), default=1) == 1:
        lines.append("Each network is one training: another seed could change the answer.")
    return lines


def is_scored(evidence: Evidence) -> bool:
    """Whether networks were scored."""
    return BENCHMARK in evidence.scores and bool(evidence.ranked)


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


def references(evidence: Evidence) -> list[str]:
    """How far each network is beyond the best classical reference, and whether that is shown."""
    part = beyond.over_unseen(evidence.scores, evidence.metric, beyond.BEST)
    rows = records(part[part.model.isin(evidence.ranked) & part.gain.notna()])
    if not rows:
        return []
    rows.sort(key=lambda row: -row["gain"])
    about = facts(evidence.metric)
    effects = []
    for row in rows[:FEW]:
        gain = f"{number(row['gain'], about.digits, signed=True)} {about.unit}".strip()
        found = verdicts.verdict(row["low"], row["high"], int(row["photographs"]))
        effects.append((f"{code(row['model'])} {gain}", found))
    words = {found for _, found in effects}
    each = listed(
        [text if len(words) == 1 else f"{text} ({found})" for text, found in effects], FEW
    )
    more = f", best {FEW} of {len(rows)} models" if len(rows) > FEW else ""
    end = f": {words.pop()}" if len(words) == 1 else ""
    name = in_words(rows[0]["reference"])
    return [f"Gain over the best classical reference ({name}){more}: {each}{end}."]


def in_words(reference: str) -> str:
    """A classical denoiser in words.

    >>> in_words("classical:median:3"), in_words("classical:blur:0.8"), in_words("classical:tv")
    ('3 × 3 median', 'Gaussian blur of 0.8 pixels', '`classical:tv`')
    """
    kind, _, size = reference.removeprefix(CLASSICAL).partition(":")
    names = {"median": f"{size} × {size} median", "blur": f"Gaussian blur of {size} pixels"}
    return names.get(kind, code(reference))


def rule(evidence: Evidence) -> str:
    """The rule of evidence in one line."""
    about = "photographs"
    if max(counts(evidence.about).values(), default=1) > 1:
        about += " and trainings"
    test = "" if len(evidence.ranked) == 1 else f", p < {LEVEL:g} after Holm's correction"
    weak = "; *leads*: on these photographs, by the interval alone" if evidence.few else ""
    least = f"at least {ENOUGH} photographs"
    return f"*Shown*: a 95% interval over {about} without 0{test}, {least}{weak}."


def scope(evidence: Evidence) -> str:
    """What the verdict is about: photographs, crops and noises."""
    about, own = evidence.about, of_networks(evidence)
    of = own.drop_duplicates("noise")
    crops, sizes = int(of.crops.max()) if "crops" in of else 0, about.get("crop")
    texts = [plural(evidence.photographs, "photograph")]
    if crops:
        texts.append(plural(crops, "crop") + (f" of {sizes} × {sizes}" if sizes else ""))
    kinds = f"{plural(len(of), 'noise')} of {plural(of.kind.nunique(), 'kind')}"
    known = own.in_distribution.notna().any()
    texts.append(kinds + (f", {unseen(own)} unseen in training" if known else ""))
    several = {name: n for name, n in counts(about).items() if n > 1}
    if several:
        texts.append(listed([f"{n} trainings of {code(name)}" for name, n in several.items()]))
    return "; ".join(texts)


def averaged(evidence: Evidence) -> str:
    """The noises that averages are over."""
    return "the kinds of unseen noise" if unseen(of_networks(evidence)) else "all noises"


def of_networks(evidence: Evidence) -> pd.DataFrame:
    """The scores of the networks that are compared, under each noise."""
    return evidence.tested[evidence.tested.model.isin(evidence.ranked)]


def unseen(own: pd.DataFrame) -> int:
    """The number of noises that no network was trained on."""
    return int(own.in_distribution.eq(False).groupby(own.noise).all().sum())
