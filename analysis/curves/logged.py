"""What a training log holds: lines with values of losses, learning rates and test PSNR by step."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import NamedTuple

LOSS, RATE, PSNR = "loss", "learning_rate", "psnr"
"""Quantities."""

SHOWN = 20
"""Characters of a wrong step that are shown."""

NUMBER = (
    r"([-+]?(?:\d{1,3}(?:,\d{3})+\.\d+|\d{1,3}(?:\.\d{3})+,\d+|\d+(?:[.,]\d+|\.)?|[.,]\d+)"
    r"(?:e[-+]?\d+)?|[-+]?(?:nan|inf)\b)"
)
"""A real number, with a decimal point or comma, and with or without separators of thousands."""

DIGITS = 15
"""Most digits of a step, so that it is exact in float64."""

COUNT = "(\\d{1,3}(?:[.,_'\u2019\u00a0\u202f]\\d{3})+|\\d+)"
"""A whole number, with or without separators of thousands."""


def real(text: str | None) -> float:
    """The value of a `NUMBER`; NaN for anything else.

    The last of points and commas is decimal, since thousands are separated in whole numbers alone.

    >>> real("29.75"), real("29,75"), real("1,234.5"), real("2,5e-04"), real("none")
    (29.75, 29.75, 1234.5, 0.00025, nan)
    """
    plain = (text or "").strip()
    decimal = max(plain.rfind("."), plain.rfind(","))
    if decimal >= 0:
        plain = re.sub("[.,]", "", plain[:decimal]) + "." + plain[decimal + 1 :]
    try:
        return float(plain)
    except ValueError:
        return math.nan


def whole(text: str) -> int:
    """The value of a `COUNT`.

    Raises:
        OverflowError: it has more than `DIGITS` digits.

    >>> whole("12,000"), whole("12.000"), whole("200")
    (12000, 12000, 200)
    """
    digits = re.sub(r"\D", "", text)
    if len(digits) > DIGITS:
        raise OverflowError(f"step {short(digits)}; expected up to {DIGITS} digits")
    return int(digits)


def short(text: str) -> str:
    """A text from a file as messages quote it.

    >>> short("x"), short("9" * 5000)
    ("'x'", "'99999999999999999999…'")
    """
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "…")


class Point(NamedTuple):
    """A value that was logged.

    `name` is the loss's, or the noise or test set of a PSNR in dB; empty for a set without a name.
    """

    source: str
    quantity: str
    name: str
    step: int
    value: float


@dataclass(frozen=True)
class Line:
    """What was logged at once, or the start of a program.

    Attributes:
        points: of one step; empty for a start.
        sequence: lines of one sequence are in the order in which they were logged: those of one
            text, one table, or one tag of events.
        first_step: of a start, the first step that it may log again; None if the log does not say.
    """

    points: tuple[Point, ...] = ()
    sequence: str = ""
    first_step: int | None = None

    @property
    def step(self) -> int:
        """Of its points."""
        return self.points[0].step

    @property
    def training(self) -> bool:
        """Whether it is about training, not a test."""
        return any(point.quantity != PSNR for point in self.points)

    @property
    def names(self) -> set[str]:
        """The noises or test sets of its PSNR, as far as they have names."""
        return {point.name for point in self.points if point.quantity == PSNR and point.name}

    @property
    def content(self) -> str:
        """All that it says; equal for lines that two processes wrote of one step."""
        return repr(self.points)
