"""What the verdict of a report rests on: references, scope, and the rule of evidence."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from analysis.error import causes
from analysis.generalization import beyond
from analysis.generalization.metrics import facts
from analysis.report.evidence import ERROR, Evidence
from analysis.report.settings import BENCHMARK
from analysis.stats.jackknife import ENOUGH
from analysis.stats.paired_tests import LEVEL
from analysis.text import noise_groups, verdicts
from analysis.text.markdown import code, listed, number
from analysis.text.rows import records
from analysis.text.terminal import plural
from analysis.text.trainings import counts
from mtd.loading.classical import CLASSICAL

FEW = 4
"""Up to so many networks are named below the verdict."""


AHEAD = 3
"""Up to so many noises are named under which a classical denoiser is ahead."""


def below(folder: Path) -> list[str]:
    """What stands below the verdict: why networks differ, and how far they are beyond a classical
    denoiser."""
    evidence = Evidence.read(folder)
    return [*why(evidence), *references(evidence)] if is_scored(evidence) else []


def judged(folder: Path) -> list[str]:
    """What the verdict rests on: its scope, the rule of evidence, and what the average is over."""
    evidence = Evidence.read(folder)
    if not is_scored(evidence):
        return []
    lines = [f"{scope(evidence)}.", rule(evidence), f"*Average*: over {averaged(evidence)}."]
    if max(counts(evidence.about).values(), default=1) == 1:
        lines.append("Each network is a single training run: another seed could change the answer.")
    return lines


def is_scored(evidence: Evidence) -> bool:
    """Whether networks were scored."""
    return BENCHMARK in evidence.scores and bool(evidence.ranked)


def why(evidence: Evidence) -> list[str]:
    """What makes the two best networks differ, by the error decomposition."""
    if "error_difference" not in evidence.error or ERROR not in evidence.error:
        return []
    if len(evidence.ranked) < 2 or evidence.metric != "psnr":
        return []
    best, next_ = evidence.ranked[:2]
    text = causes.sentence(evidence.error, next_, best)
    own = evidence.error[ERROR].noise.nunique()
    where = f"error decomposition, {plural(own, 'noise')}"
    return [f"*Why* ({where}): {text[0].lower()}{text[1:]}"] if text else []


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
    line = f"Advantage over the best classical reference ({name}){more}: {each}{end}"
    ahead = classical_ahead(evidence)
    if ahead:
        whom = "it" if len(evidence.ranked) == 1 else "every network"
        line += f"; a classical one has a better mean than {whom} under {ahead}"
    return [f"{line}."]


def classical_ahead(evidence: Evidence) -> str:
    """The noises under which some classical denoiser has a better mean than every network."""
    rows = evidence.tested[evidence.tested["mean"].notna()]
    sign = 1 if facts(evidence.metric).higher_is_better else -1
    best = rows.assign(score=sign * rows["mean"])
    of = [
        best[chosen].groupby("noise").score.max()
        for chosen in (
            best.model.astype(str).str.startswith(CLASSICAL),
            best.model.isin(evidence.ranked),
        )
    ]
    ahead = of[0][of[0] > of[1].reindex(of[0].index)].index
    chosen = [str(noise) for noise in dict.fromkeys(rows.noise) if noise in ahead]
    return noise_groups.words(rows, chosen, AHEAD) if chosen else ""


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
    if evidence.photographs < ENOUGH:
        texts[0] += f" (at least {ENOUGH} are needed: --images)"
    if max(counts(about).values(), default=1) == 1:
        texts.append("one training of each network" if len(evidence.ranked) > 1 else "one training")
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
