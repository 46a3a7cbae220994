"""The answer of a section to its heading: a sentence, its evidence in words, a number by model."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from analysis.stats.jackknife import ENOUGH
from analysis.stats.model_differences import MEAN
from analysis.text import verdicts
from analysis.text.markdown import code, number, side
from analysis.text.model_differences import ModelDifferences
from analysis.text.noise_names import noise_phrases
from analysis.text.rows import records
from analysis.text.terminal import plural

Row = Mapping[str, Any]

INTERVAL = re.compile(r" ?(?<!\\)\[[+\-\d.∞, ]++\]")


ENDINGS = {
    "": "",
    "shown": ": shown",
    "not shown": ": a difference is not shown",
    "too few images": ": too few images to tell them apart",
}
"""How a sentence on two models ends, by evidence."""


@dataclass(frozen=True)
class Answer:
    """What a section says first.

    Attributes:
        text: Markdown, without intervals, evidence and full stop.
        evidence: whether a difference between models is shown; empty where none is judged.
        quantity: what `values` are; plain text.
        values: a number of each model, as text.
        ending: the evidence in words, as it ends the sentence.
    """

    text: str
    evidence: str = ""
    quantity: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    ending: str = ""

    @property
    def sentence(self) -> str:
        """The answer with its evidence in words."""
        return f"{self.text}{self.ending}."


def judged(row: Row | None, ratio: bool = False) -> str:
    """Whether a difference of two models is shown; empty where there is none."""
    if row is None or not math.isfinite(row["value"]):
        return ""
    judge: Callable[[float, float, int], verdicts.Verdict] = (
        verdicts.of_ratio if ratio else verdicts.verdict
    )
    return judge(row["low"], row["high"], int(row["photographs"]))


def between(of: ModelDifferences | None, noise: str = MEAN) -> Row | None:
    """The difference of the only two models in their mean over noises, or under the only noise."""
    if of is None or len({*of.rows.model_a, *of.rows.model_b}) != 2:
        return None
    rows = records(of.rows[of.rows.noise == noise]) or records(of.rows)
    return rows[0] if rows else None


def opposite(of: ModelDifferences | None, values: Mapping[str, float]) -> list[str]:
    """The noises under which the lower of two models in the mean over noises is the higher one.

    By intervals that exclude no difference: with enough photographs those that hold for all noises
    at once, else the 95% intervals. None of more than two models.

    Args:
        of: differences of the models by noise.
        values: their means over noises.
    """
    mean = between(of)
    if of is None or mean is None or mean["noise"] != MEAN:
        return []
    low = min(values, key=values.__getitem__)
    middle = 1.0 if of.ratio else 0.0
    prefix = "band_" if mean["photographs"] >= ENOUGH and "band_low" in mean else ""
    found = []
    for row in records(of.rows[of.rows.noise != MEAN]):
        way = side(row[f"{prefix}low"] - middle, row[f"{prefix}high"] - middle)
        if way and low == row["model_b" if way > 0 else "model_a"]:
            found.append(str(row["noise"]))
    return found


def compared(
    what: str,
    quantity: str,
    values: Mapping[str, float],
    evidence: str = "",
    digits: int = 2,
    unit: str = "",
    opposite: Sequence[str] = (),
) -> Answer:
    """An answer about one number of each model.

    Args:
        what: the number, as the beginning of a sentence.
        quantity: the same in short.
        values: the number by model.
        evidence: whether the difference of two models is shown.
        digits: after the point.
        unit: behind a number in the sentence.
        opposite: noises under which the order of two models is the other way round; see `opposite`.

    >>> compared("The gain", "gain", {"a": 0.5, "b": 0.41}, "shown").sentence
    'The gain is smaller in `b` than in `a`, 0.41 against 0.50: shown.'
    >>> compared("The gain", "gain", {"a": 0.5, "b": 0.41}, "too few images").sentence
    'The gain is 0.41 in `b` and 0.50 in `a`: too few images to tell them apart.'
    >>> compared("It", "it", {"a": 0.5, "b": 0.41}, opposite=["gaussian:15"]).sentence
    'It is 0.41 in `b` and 0.50 in `a`, though larger in `b` under Gaussian σ = 15.'
    """
    texts = {model: number(value, digits) for model, value in values.items()}
    known = sorted(
        (model for model, value in values.items() if math.isfinite(value)), key=values.__getitem__
    )
    if not known:
        return Answer(f"{what} has no value here", "", quantity, texts)
    low, high = known[0], known[-1]
    small, large = (" ".join(filter(None, (texts[end], unit))) for end in (low, high))
    text = f"{what} is {small} in {code(low)} and {large} in {code(high)}"
    if len(known) == 1:
        text = f"{what} is {small} in {code(low)}"
    elif len(known) > 2:
        count = plural(len(known), "model")
        text = f"{what} goes from {small} in {code(low)} to {large} in {code(high)}, of {count}"
    elif evidence == "shown":
        text = f"{what} is smaller in {code(low)} than in {code(high)}, {small} against {large}"
    if opposite and len(known) == 2:
        text += f", though larger in {code(low)} under {noise_phrases(opposite, 3)}"
    judged_ = evidence if len(known) == 2 else ""
    return Answer(text, judged_, quantity, texts, ENDINGS[judged_])


def of_sentences(sentences: Sequence[str]) -> Answer:
    """The first of the main sentences as an answer, without its intervals.

    >>> of_sentences(["Cost: 1.0 dB [0.5, 1.5] in `a`: not shown."]).sentence
    'Cost: 1.0 dB in `a`: not shown.'
    """
    if not sentences:
        return Answer("This section has no result")
    text = INTERVAL.sub("", sentences[0]).removesuffix(".")
    words = ("too few images", "not shown", "shown")
    return Answer(text, next((word for word in words if re.search(rf"\b{word}\b", text)), ""))
