"""Figures as files: PNG, PDF and SVG, the same bytes for the same figure."""

from __future__ import annotations

import io
from typing import Any

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import Bbox

from analysis.plotting import figure_style
from analysis.plotting.literal_text import literal

METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    "svg": {"Creator": None, "Date": None, "Format": None, "Type": None},
}
"""What is left out: dates, and the versions of software, which change bytes and not the figure."""


def rendered(figure: Figure, kind: str) -> bytes:
    """A figure as a file, in the current style.

    Args:
        figure: composed in this style.
        kind: `png`, `pdf` or `svg`.
    """
    style, buffer = figure_style.current(), io.BytesIO()
    literal(figure_style.fitted(figure))
    if style is figure_style.PAPER:
        settle(figure)
    around: Any = "tight" if style is not figure_style.PAPER else trimmed(figure)
    options: dict[str, Any] = {} if style is figure_style.SCREEN else {"dpi": style.dpi}
    figure.savefig(buffer, format=kind, metadata=METADATA[kind], bbox_inches=around, **options)
    return buffer.getvalue()


def settle(figure: Figure) -> None:
    """Lay a figure out within its width once and for all, so that every format is the same.

    A constrained layout is another one each time, and what is beside panels with equal scales may
    end outside of the figure.
    """
    engine = figure.get_layout_engine()
    if not isinstance(engine, ConstrainedLayoutEngine):
        return
    width, left, right = float(figure.get_size_inches()[0]), 0.0, 0.0
    for _ in range(ATTEMPTS):
        figure.draw_without_rendering()
        box = figure.get_tightbbox()
        outside = max(0.0, -box.x0), max(0.0, box.x1 - width)
        if max(outside) < TOLERANCE:
            break
        left, right = left + outside[0], right + outside[1]
        engine.set(rect=(left / width, 0, 1 - (left + right) / width, 1))
    figure.set_layout_engine("none")


ATTEMPTS = 6
"""Layouts of a figure at most."""

TOLERANCE = 0.005
"""Inches that may be outside of a figure."""


def trimmed(figure: Figure) -> Bbox:
    """What a file in print shows: the width that was asked for, without empty margins above and
    below; more where something is outside."""
    figure.draw_without_rendering()
    width, _ = figure.get_size_inches()
    tight = figure.get_tightbbox().padded(0.02)
    return Bbox.from_extents(min(0.0, tight.x0), tight.y0, max(width, tight.x1), tight.y1)
