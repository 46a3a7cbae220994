"""Plain text for the terminal: tables, numbers, plurals."""

from __future__ import annotations

import math
from textwrap import fill

from mtd.utils.messages import plural as plural
from mtd.utils.printable import shortened


def number(value: float, digits: int) -> str:
    """A number, or a dash where there is none.

    >>> number(-0.001, 2), number(float("nan"), 2)
    ('0.00', '-')
    """
    return "-" if math.isnan(value) else f"{round(value, digits) + 0.0:.{digits}f}"  # no -0.00


def filled(text: str, width: int) -> str:
    """A sentence in lines of a width, the second and later ones indented.

    It is not broken beside an equals sign.

    >>> print(filled("The error under Poisson α = 3.5 is large.", 28))
    The error under Poisson
      α = 3.5 is large.
    """
    kept = text.replace(" = ", "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}")
    lines = fill(kept, width, subsequent_indent="  ", break_on_hyphens=False)
    return lines.replace("\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}", " = ")


def grid(rows: list[list[str]]) -> str:
    """Columns under one another, the first to the left, the others to the right."""
    rows = [[shortened(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            text.ljust(width) if i == 0 else text.rjust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
