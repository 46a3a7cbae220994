"""Tables of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def cell(value: Any) -> str:
    """A value as text: numbers to four digits, nothing for what is missing."""
    if value is None or value != value:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def aligned(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of values by column, under their names; columns without any value are left out."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    texts = [[cell(row.get(name)) for name in names] for row in rows]
    kept = [i for i in range(len(names)) if any(row[i] for row in texts)]
    lines = [[names[i] for i in kept], *([row[i] for i in kept] for row in texts)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
