"""The sections of a report, in the order of the page."""

from __future__ import annotations

from analysis.commands.registry import analyses
from mtd.utils.errors import BadInput, nearest

DERIVED = ("compare", "curves")
"""Sections derived from tables of other sections, or from logs."""


def headings() -> dict[str, str]:
    """The heading of every section, by the name of its analysis, in the order of the page."""
    known = analyses()
    computed = [name for name, record in known.items() if record.report_crops is not None]
    return {name: known[name].title for name in (*computed, *DERIVED)}


def choose(text: str | None) -> list[str]:
    """The sections in a comma-separated list, in the order of the page; all for None.

    Raises:
        BadInput: an unknown section, or none.
    """
    known = list(headings())
    if text is None:
        return known
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise BadInput(f"--sections {name}: {nearest(name, known)}")
    if not names:
        raise BadInput(f"--sections names none: {', '.join(known)}")
    return [name for name in known if name in names]
