"""Names in figures as they are: no formula, nothing that a font cannot show, no endless lines.

Matplotlib takes what is between two dollar signs for a formula, and fails if it is none. The labels
of this package need no formulas, but those of logarithmic axes, which Matplotlib makes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ParamSpec

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import (
    FixedFormatter,
    Formatter,
    FuncFormatter,
    LogFormatter,
    ScalarFormatter,
)

from mtd.utils.printable import LONGEST, printable

Given = ParamSpec("Given")


def literal(figure: Figure) -> Figure:
    """The figure, none of whose names is taken for a formula.

    >>> figure = Figure()
    >>> title = figure.subplots().set_title("$a_$b")
    >>> literal(figure) is figure, title.get_parse_math()
    (True, False)
    """
    kept = {id(text) for axes in figure.axes for text in _of_numbers(axes)}
    for text in figure.findobj(Text):
        if isinstance(text, Text) and id(text) not in kept:
            text.set_parse_math(False)
            shown = text.get_text()
            if (safe := safely(shown)) != shown:
                text.set_text(safe)
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            _safe_ticks(axis.get_major_formatter())
    return figure


def safely(text: str) -> str:
    """A label without characters that are no text, in lines of limited length.

    >>> print(safely("a\\x1bb"))
    a\\x1bb
    """
    lines = printable(text).replace("\t", " ").split("\n")
    return "\n".join(one if len(one) <= LONGEST else f"{one[: LONGEST - 1]}…" for one in lines)


def _safe_ticks(formatter: Formatter) -> None:
    """Let a formatter of names give those that `safely` makes."""
    if isinstance(formatter, FixedFormatter):
        formatter.seq = [safely(name) for name in formatter.seq]
    elif isinstance(formatter, FuncFormatter):
        named = formatter.func

        def safe(value: float, place: int | None = None) -> str:
            return safely(str(named(value, place)))

        formatter.func = safe


def _of_numbers(axes: Axes) -> Iterator[Text]:
    """Labels of ticks that Matplotlib makes from numbers, as formulas on logarithmic axes."""
    for axis in (axes.xaxis, axes.yaxis):
        yield axis.get_offset_text()
        for ticks, formatter in (
            (axis.get_major_ticks(), axis.get_major_formatter()),
            (axis.get_minor_ticks(), axis.get_minor_formatter()),
        ):
            if isinstance(formatter, LogFormatter | ScalarFormatter):
                for tick in ticks:
                    yield from (tick.label1, tick.label2)
