"""The sections of a report, in the order of the page."""

from __future__ import annotations

from analysis.commands.registry import analyses
from mtd.utils.errors import BadInput, nearest

DERIVED = {"compare": "Indices against the PSNR drop", "curves": "Training curves"}
"""Sections derived from tables of other sections, or from logs, with their headings."""

UNVERIFIED = ("curves",)
"""Sections that `--verify` does not recompute."""


def headings() -> dict[str, str]:
    """The heading of every section, by the name of its analysis, in the order of the page."""
    computed = {
        name: record.title for name, record in analyses().items() if record.report_crops is not None
    }
    return computed | DERIVED


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
