"""The one rule by which every section says whether a difference is shown.

An effect is *shown* if it rests on enough photographs and its 95% interval over photographs
excludes 0 by more than the smallest difference that matters; with fewer photographs there are *too
few images*; else it is *not shown*, which is no proof that there is none. The interval of an effect
that may be rounding alone includes 0, see `analysis.stats.rounding`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from analysis.stats.jackknife import ENOUGH
from analysis.text.markdown import listed

Verdict = Literal["shown", "not shown", "too few images"]


def verdict(low: float, high: float, photographs: int, least: float = 0.0) -> Verdict:
    """Whether an effect is shown.

    Args:
        low: lower bound of its 95% interval; NaN if it has none.
        high: upper bound.
        photographs: that the interval rests on.
        least: smallest size of an effect that matters.

    >>> verdict(0.1, 0.3, 24), verdict(-0.1, 0.3, 24), verdict(0.1, 0.3, 4)
    ('shown', 'not shown', 'too few images')
    """
    if photographs < ENOUGH:
        return "too few images"
    if math.isnan(low) or math.isnan(high):
        return "not shown"
    return "shown" if low > least or high < -least else "not shown"


def of_ratio(low: float, high: float, photographs: int) -> Verdict:
    """Whether a ratio is shown to differ from 1; its bounds are above 0.

    >>> of_ratio(1.1, 1.3, 24), of_ratio(0.9, 1.3, 24), of_ratio(0.0, 0.5, 24)
    ('shown', 'not shown', 'not shown')
    """
    low, high = (math.log(end) if end > 0 else math.nan for end in (low, high))
    return verdict(low, high, photographs)


def in_words(of: Verdict, least: float = 0.0, digits: int = 2, needed: int = ENOUGH) -> str:
    """A verdict as it ends a sentence.

    Args:
        of: the verdict.
        least: smallest size of an effect that matters.
        digits: of it after the point.
        needed: number of photographs without which there is no verdict.

    >>> in_words("shown", 0.05), in_words("not shown")
    ('shown to differ by more than 0.05', 'not shown')
    >>> in_words("too few images")
    'too few images to tell (at least 10 photographs)'
    """
    if of == "too few images":
        return too_few(needed)
    return f"{of} to differ by more than {least:.{digits}f}" if least else of


def too_few(needed: int, what: str = "images", unit: str = "photographs") -> str:
    """That there are too few of something for a verdict, and how many it takes.

    >>> too_few(5, "models", "models")
    'too few models to tell (at least 5 models)'
    """
    return f"too few {what} to tell (at least {needed} {unit})"


def joined(effects: Sequence[tuple[str, Verdict]], least: float = 0.0, digits: int = 2) -> str:
    """Several effects with their verdicts, a verdict that all share once at the end.

    Args:
        effects: text and verdict of each.
        least: see `in_words`.
        digits: see `in_words`.

    >>> joined([("0.1 in a", "shown"), ("0.2 in b", "shown")])
    '0.1 in a and 0.2 in b: shown'
    >>> joined([("0.1 in a", "not shown"), ("0.2 in b", "shown")])
    '0.1 in a (no effect shown) and 0.2 in b (shown)'
    """
    words = [in_words(of, least, digits) for _, of in effects]
    texts = [text for text, _ in effects]
    if len(set(words)) == 1:
        return f"{listed(texts)}: {words[0]}"
    # in parentheses, "not shown" alone would read as "left out here"
    words = ["no effect shown" if word == "not shown" else word for word in words]
    words = [word.replace(" (", ", ").rstrip(")") for word in words]
    return listed([f"{text} ({word})" for text, word in zip(texts, words, strict=True)])
