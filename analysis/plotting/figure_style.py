"""How figures look: sizes, fonts, lines and colors, for a screen, for a paper, on dark pages.

Figures are composed in inches of a screen, with `new_figure` and in the text sizes of this module.
In the style `paper`, `new_figure` makes them as wide as a column (`COLUMN`) where a screen shows
one panel across (at most `ONE_PANEL` inches), else as wide as the text (`TEXT`), and `fitted` gives
all text 8 points, draws thinner lines and takes the title out, which `analysis.plotting.captions`
puts into a file beside the figure. Names of many layers or noises along an axis, and what a screen
shows in less than `SMALL` points, are set in 7 points; of layers that are too many for that, every
second or third has its name.

SVG files hold their text as paths: the format cannot embed a font, and with another one labels
would overlap. Text that can be searched and edited is in PDF, with embedded TrueType fonts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from analysis.text.names import wrapped
from mtd.utils.errors import BadInput

COLUMN, TEXT = 3.3, 6.9
"""Widths in print, in inches: of a column, and of the text of a page."""

ONE_PANEL = 6.5
"""Inches on a screen up to which a figure is as wide as a column in print."""

SMALL = 6.5
"""Text of fewer points on a screen is set small in print."""

LETTERS = 17
"""Characters of 8 points in an inch."""

MODELS = (
    *("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd"),
    *("#8c564b", "#e377c2", "#bcbd22", "#17becf"),
)
"""Colors of models: Matplotlib's default ones without gray, the color of the noisy input."""

NOISES = (
    *("#000080", "#806000", "#8020e0", "#006060"),
    *("#80e020", "#80a080", "#402000", "#e0c0e0"),
)
"""Colors of noises, none of them like one of models: CIEDE2000 is at least 16 from each of these,
and at least 19 between any two noises, also without red or green receptors."""

NOISE_MARKERS = "ovs^D<P>X*"
"""Of noises, by which they can be told apart without their colors."""

_FONTS = {
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "mtd",
    "savefig.bbox": None,
    "text.usetex": False,
}


@dataclass(frozen=True)
class Style:
    """One look.

    Attributes:
        name: of the option `--style`.
        parameters: Matplotlib's, inside `using`.
        text: size of all text in points; None for what each figure's code says.
        small: of names that are many.
        lines: factor of the widths of lines and sizes of markers.
        titled: whether figures have a title; else it is in their caption alone.
        dpi: of PNG files.
    """

    name: str
    parameters: Any = field(default_factory=dict)
    text: float | None = None
    small: float | None = None
    lines: float = 1.0
    titled: bool = True
    dpi: int = 150


SCREEN = Style("screen", _FONTS)

PAPER = Style(
    "paper",
    _FONTS
    | {
        "font.size": 8,
        "axes.linewidth": 0.5,
        "grid.linewidth": 0.4,
        "xtick.major.width": 0.5,
        "ytick.major.width": 0.5,
        "xtick.minor.width": 0.4,
        "ytick.minor.width": 0.4,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
        "xtick.minor.size": 1.5,
        "ytick.minor.size": 1.5,
        "patch.linewidth": 0.5,
        "hatch.linewidth": 0.5,
        "legend.handlelength": 1.6,
        "legend.columnspacing": 1.2,
        "legend.handletextpad": 0.5,
        "legend.borderaxespad": 0.2,
        "figure.constrained_layout.w_pad": 0.02,
    },
    text=8,
    small=7,
    lines=0.7,
    titled=False,
    dpi=300,
)

ON_DARK = {
    "#1f77b4": "#5aa9e6",
    "#2ca02c": "#55c255",
    "#d62728": "#ff6b6b",
    "#9467bd": "#b592dd",
    "#8c564b": "#c08a7e",
    "#000080": "#8080ff",
    "#8020e0": "#b57bff",
    "#806000": "#c9a227",
    "#006060": "#2aa5a5",
    "#402000": "#b07040",
}
"""Colors of models and noises that are too dark for a dark ground, and what stands for them."""

STYLES = {style.name: style for style in (SCREEN, PAPER)}
"""By the names that `--style` takes."""

_current: ContextVar[Style] = ContextVar("style", default=SCREEN)


def noise_look(place: int) -> dict[str, Any]:
    """Color and marker of a noise, by its place among those of a figure.

    >>> noise_look(0), noise_look(8)["color"] == noise_look(0)["color"]
    ({'color': '#000080', 'marker': 'o'}, True)
    """
    return {
        "color": NOISES[place % len(NOISES)],
        "marker": NOISE_MARKERS[place % len(NOISE_MARKERS)],
    }


def current() -> Style:
    """The style in which figures are drawn here."""
    return _current.get()


def named_style(name: str) -> Style:
    """The style of a name.

    Raises:
        BadInput: there is none.
    """
    if name not in STYLES:
        raise BadInput(f"style {name!r}: expected {' or '.join(STYLES)}")
    return STYLES[name]


@contextmanager
def using(style: Style) -> Iterator[None]:
    """Context in which figures are composed and written in a style."""
    token = _current.set(style)
    try:
        with mpl.rc_context(style.parameters):
            yield
    finally:
        _current.reset(token)


def size_of(width: float, height: float) -> tuple[float, float]:
    """The size of a figure in the current style, in inches.

    Text keeps its size in print, so that the height shrinks less than the width.

    Args:
        width: on a screen, in inches.
        height: on a screen, in inches.
    """
    if current() is not PAPER:
        return width, height
    wide = COLUMN if width <= ONE_PANEL else TEXT
    return wide, height * min(1.0, 0.3 + 0.6 * wide / width)


def new_figure(width: float, height: float) -> Figure:
    """A figure with a constrained layout, in the current style.

    Args:
        width: on a screen, in inches.
        height: on a screen, in inches.
    """
    return Figure(figsize=size_of(width, height), dpi=SCREEN.dpi, layout="constrained")


def legend_columns(labels: Sequence[str], width: float, most: int = 8) -> int:
    """Columns of a legend that fit a figure.

    Args:
        labels: of several lines or of one, in 8 points.
        width: of the figure, in inches.
        most: columns at most.
    """
    widest = max(len(row) for text in labels for row in text.split("\n"))
    return max(1, min(most, len(labels), int(LETTERS * width) // (widest + 6)))


def fitted(figure: Figure) -> Figure:
    """A composed figure in the current style: sizes of text, widths of lines, no title."""
    style, known = current(), vars(figure)
    if style.text is None or known.get("fitted_to") == style.name:
        return figure
    known["fitted_to"] = style.name
    if not style.titled:
        take_out_titles(figure)
    _fit(figure, figure.axes, style)
    _thin_names(figure)
    return figure


def fit(axes: Axes) -> None:
    """Give axes in somebody's figure the current style."""
    if current().text is not None:
        _fit(axes, [axes], current())


def titles(figure: Figure) -> list[str]:
    """The title of a figure, and that of its only panel, as they were before `fitted`."""
    taken: list[str] = vars(figure).get("titles", [])
    single = _panels(figure)
    own = [figure.get_suptitle(), *([single[0].get_title()] if len(single) == 1 else [])]
    return [*taken, *filter(None, own)]


def take_out_titles(figure: Figure) -> None:
    """Leave the title to the caption, and that of a single panel too."""
    vars(figure)["titles"] = titles(figure)
    figure.suptitle("").set_in_layout(False)
    single = _panels(figure)
    if len(single) == 1:
        single[0].set_title("")


def _panels(figure: Figure) -> list[Axes]:
    """Those axes that are no scale of colors."""
    return [axes for axes in figure.axes if not hasattr(axes, "_colorbar")]


def _fit(artist: Any, several: Sequence[Axes], style: Style) -> None:
    """Give an artist with its axes the sizes of a style."""
    for text in artist.findobj(Text):
        text.set_fontsize(style.small if text.get_fontsize() < SMALL else style.text)
    for axes in several:
        _wrap_labels(axes)
        for kind in ("x", "y"):
            axes.tick_params(axis=kind, which="both", labelsize=_ticks(axes, kind, style))
    _thin(artist, style.lines)


def _ticks(axes: Any, kind: str, style: Style) -> float | None:
    """The size of the labels along an axis: small for turned ones and for many names.

    Slanted ones end at their ticks, so that they need no more room than their height.
    """
    labels = getattr(axes, f"{kind}axis").get_ticklabels()
    names = [text for text in labels if re.search("^[^$]*[a-z]", text.get_text())]
    turned = [text for text in names if kind == "x" and text.get_rotation()]
    for text in turned:
        if text.get_rotation() != 90:
            text.set(rotation=30, ha="right", rotation_mode="anchor")
    return style.small if turned or len(names) > MANY else style.text


MANY = 8
"""Names along an axis from which on they are small in print."""


def _thin_names(figure: Figure) -> None:
    """Leave out names of layers along an axis where they would overlap, the same of each few.

    Noises and models are never left out: nothing tells which ones are between two others.
    """
    crowded = [
        (axis, names)
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        if len(names := [text.get_text() for text in axis.get_ticklabels()]) > MANY
        and 2 * sum(LAYER.fullmatch(name) is not None for name in names) > len(names)
    ]
    if crowded:
        figure.draw_without_rendering()
    for axis, names in crowded:
        places = list(axis.get_majorticklocs())
        if len(places) != len(names):
            continue  # it shares its names with an axis whose names were thinned
        box = axis.axes.get_window_extent()
        length = (box.width if axis.axis_name == "x" else box.height) / figure.dpi
        low, high = sorted(axis.get_view_interval())
        room = length * 72 / (high - low) * min(map(abs, np.diff(places)))
        size = float(axis.get_ticklabels()[0].get_fontsize())
        each = math.ceil(LEAST_LINE * size / room)
        axis.set_ticks(places[::each], names[::each])


LAYER = re.compile(r"\w++ [\d.]++|[^\s,=.]*+(?:\.(?!\d)[^\s,=.]*+)*+\.\d\S*+")
"""Labels of numbered layers, such as "block 1.3" and "model.4"."""

LEAST_LINE = 1.1
"""Distance of lines of text that do not touch, in their size."""


def _wrap_labels(axes: Axes) -> None:
    """Wrap titles and labels to their panels."""
    spec, figure = axes.get_subplotspec(), axes.get_figure(root=True)
    if figure is None or (spec is None and not hasattr(axes, "_colorbar")):
        return
    rows, columns = (1, 1) if spec is None else spec.get_gridspec().get_geometry()
    width, height = figure.get_size_inches()
    across = max(10, int(LETTERS * width / columns) - 6)
    upright = max(10, int(0.6 * LETTERS * height / rows))
    for text, room in (
        (axes.title, across),
        (axes.xaxis.label, int(0.8 * across) if columns == 1 else across),
        (axes.yaxis.label, upright),
    ):
        room = int(0.85 * room) if text.get_fontweight() == "bold" else room
        if shown := text.get_text():
            words = re.split(r"[\s_/,-]", shown)
            room = max(room, 1 + max(map(len, words)))
            lines = [wrapped(line, room, lines=12) for line in shown.split("\n")]
            text.set_text("\n".join(lines))


def _thin(figure: Any, factor: float) -> None:
    """Scale the widths of lines and the sizes of markers."""
    for line in figure.findobj(Line2D):
        line.set_linewidth(line.get_linewidth() * factor)
        line.set_markersize(line.get_markersize() * factor)
    for collection in figure.findobj(LineCollection):
        collection.set_linewidth([factor * one for one in collection.get_linewidth()])
    for points in figure.findobj(PathCollection):
        points.set_sizes([factor**2 * one for one in points.get_sizes()])
