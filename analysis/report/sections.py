"""The sections of a report, in the order of the page."""

from __future__ import annotations

from dataclasses import dataclass

from mtd.utils.errors import BadInput, nearest


@dataclass(frozen=True)
class Section:
    """An analysis on the page.

    Attributes:
        name: of the analysis, its run folder in the report's, and its notebook.
        heading: on the page.
        megapixels: of clean images that each model is shown under each noise, unless asked
            otherwise; None where no images are shown.
    """

    name: str
    heading: str
    megapixels: float | None = None


SECTIONS = (
    Section("generalization", "Generalization", 0.4),
    Section("cka", "CKA", 0.2),
    Section("srga", "SRGA", 0.4),
    Section("distributions", "Feature distributions", 0.2),
    Section("degradation", "Degradation clusters", 0.2),
    Section("sensitivity", "Sensitivity", 0.2),
    Section("attribution", "Attribution", 0.005),
    Section("compare", "Indices against loss"),
    Section("training", "Training curves"),
)
"""In the order of the page. The defaults take two cores less than five minutes for two networks of
100,000 parameters, and less than twenty for two of 824,118."""


NAMES = tuple(section.name for section in SECTIONS)


BUDGETS = {s.name: s.megapixels for s in SECTIONS if s.megapixels is not None}


BENCHMARK = "generalization"


ONE_PASS = ("cka", "srga", "distributions", "degradation", "sensitivity", BENCHMARK)
"""Sections that share the one pass."""


def choose(text: str | None) -> list[str]:
    """The sections that a list with commas names, in the order of the page; all for None.

    Raises:
        BadInput: an unknown one, or none.
    """
    if text is None:
        return list(NAMES)
    asked = [name.strip() for name in text.split(",") if name.strip()]
    for name in asked:
        if name not in NAMES:
            raise BadInput(f"--sections {name}: {nearest(name, NAMES)}")
    if not asked:
        raise BadInput(f"--sections names none: {', '.join(NAMES)}")
    return [name for name in NAMES if name in asked]
