"""The sections of a report, in the order of the page."""

from __future__ import annotations

from analysis.commands.analysis import Analysis
from analysis.commands.registry import with_modes
from mtd.utils.errors import BadInput, nearest

DERIVED = ("compare", "curves")
"""Sections derived from tables of other sections, or from logs."""

DEFAULT = "default"
"""Stands for the sections of a report where none is named."""


def computed() -> dict[str, Analysis]:
    """The records of the sections that are computed from images, in the order of the page."""
    return {n: record for n, record in with_modes().items() if record.report_crops is not None}


def records() -> dict[str, Analysis]:
    """The records of all sections, in the order of the page."""
    known = with_modes()
    return computed() | {name: known[name] for name in DERIVED}


def headings() -> dict[str, str]:
    """The heading of every section, by the name of its analysis, in the order of the page."""
    return {name: record.title for name, record in records().items()}


def defaults() -> list[str]:
    """The sections of a report where none is named, in the order of the page."""
    return [name for name, record in records().items() if record.report_default]


def named(text: str | None) -> list[str]:
    """The sections that a comma-separated list names, in its order; none for None."""
    names = [name.strip() for name in (text or "").split(",")]
    return [name for name in names if name and name != DEFAULT]


def choose(text: str | None) -> list[str]:
    """The sections in a comma-separated list, in the order of the page; the defaults for None.

    Raises:
        BadInput: an unknown section, or none.
    """
    known, names = list(headings()), named(text)
    for name in names:
        if name not in known:
            raise BadInput(f"--sections {name}: {nearest(name, [*known, DEFAULT])}")
    if text is None or DEFAULT in [part.strip() for part in text.split(",")]:
        names += defaults()
    if not names:
        raise BadInput(f"--sections names none: {', '.join(known)}")
    return [name for name in known if name in names]
