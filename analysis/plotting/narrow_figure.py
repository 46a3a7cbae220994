"""A figure in fewer columns: its panels are arranged anew, so that text stays readable."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter
from matplotlib.transforms import Bbox

from analysis.plotting.figure_style import LETTERS

LEAST = 1.2
"""Width in inches of the axes of a panel, at least: long labels make the figure wider."""

LOWEST = 1.6
"""Height in inches of the axes of a panel, at least."""

BAR = 0.6
"""Inches that a bar of colors takes."""

PAD = 0.08
"""Inches between labels."""

ROUNDS = 2
"""The room for labels depends a little on the size of their axes."""

TOGETHER = re.compile(r" (?=[=×]|[-−+]?\d)|(?<=[=×]) ")
"""Spaces at which no line ends: before numbers, and on both sides of an equals sign."""


@dataclass(frozen=True)
class Grid:
    """Where panels go: each of them has a row and a column.

    Attributes:
        panels: their axes.
        places: row and column of each.
        width: of the figure, in inches.
        heights: of the axes, in inches; None for images, which keep their shape.
    """

    panels: list[Axes]
    places: list[tuple[int, int]]
    width: float
    heights: list[float | None]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return 1 + max(row for row, _ in self.places)

    @property
    def columns(self) -> int:
        """Number of columns."""
        return 1 + max(column for _, column in self.places)


def arrange(figure: Figure, width: float) -> bool:
    """Arrange a figure's panels in as many columns as fit into a width.

    Panels of one row come into one column where that fits, so that columns stand for what rows
    stood for.

    Args:
        figure: that has been laid out.
        width: in inches.

    Returns:
        Whether the figure can be shown so: its panels need titles, or heads of their columns, and
        one grid, and what is written in them must have room.
    """
    shown = [axes for axes in panels(figure) if axes.axison or axes.has_data()]
    specs: list[Any] = [axes.get_subplotspec() for axes in shown]
    grids = {spec.get_gridspec() for spec in specs}
    if len(grids) != 1 or any(len(spec.rowspan) * len(spec.colspan) > 1 for spec in specs):
        return False
    bars = [axes for axes in figure.axes if axes.get_subplotspec() is None]
    if not all(is_shared_bar(axes, panels(figure)) for axes in bars):
        return False
    grid = grids.pop()
    across, down = grid.ncols, grid.nrows
    panel = vars(figure).setdefault("panel_width", figure.get_size_inches()[0] / across)
    columns = min(across, len(shown), max(1, round(width / (0.9 * panel))))
    turned = 1 < down <= columns < across
    columns = down if turned else columns
    heads = [head(axes, shown) for axes in shown]
    if len(shown) > 1 and not all(heads):
        return False
    table = not all(map(title, shown))
    if table and columns > 1 and not turned:
        return False
    new = Grid(
        shown,
        [
            (spec.colspan.start, spec.rowspan.start) if turned else divmod(place, columns)
            for place, spec in enumerate(specs)
        ],
        min(width, panel * columns + (columns < across)),
        [wanted(axes, width) for axes in shown],
    )
    for axes in panels(figure):
        axes.set_visible(axes in shown)
    for axes, of in zip(shown, heads, strict=True):
        if of is not None and of is not axes:
            axes.set_title(title(of), fontsize=of.title.get_fontsize())
    figure.set_layout_engine("none")
    label_each(figure, shown)
    label_edges(new, specs, turned, table)
    tops = [bar_on_top(figure, axes) for axes in bars]
    fit_legends(figure, new)
    place(figure, new, tops)
    wrap_titles(new)
    turn_labels(shown)
    place(figure, new, tops)
    return not any(crowded(axes) for axes in shown)


def panels(figure: Figure) -> list[Axes]:
    """The axes of a figure that have a place in a grid; bars of colors have none."""
    return [axes for axes in figure.axes if axes.get_subplotspec() is not None]


def title(axes: Axes) -> str:
    """The title of a panel."""
    return "".join(axes.get_title(loc=side) for side in ("left", "center", "right"))


def head(axes: Axes, shown: list[Axes]) -> Axes | None:
    """The panel with the title of a panel: itself, or the first one of its column."""
    spec: Any = axes.get_subplotspec()
    column = [
        other
        for other in shown
        if other.get_subplotspec().colspan.start == spec.colspan.start  # type: ignore[union-attr]
    ]
    return next((other for other in (axes, column[0]) if title(other)), None)


def wanted(axes: Axes, width: float) -> float | None:
    """Height in inches of a panel's axes in a figure of a width; None for an image of its shape."""
    if axes.images and axes.get_aspect() != "auto":
        return None
    figure: Any = axes.get_figure(root=True)
    height = axes.get_position(original=True).height * figure.get_size_inches()[1]
    return float(min(height, max(LOWEST, 0.6 * width)))


def place(figure: Figure, grid: Grid, bars: Sequence[Axes]) -> None:
    """Give panels their places, with room for their labels, and the figure its height.

    Args:
        figure: without a layout engine.
        grid: of its panels.
        bars: of colors, which come above all panels.
    """
    left, right = np.full(grid.columns, 0.9), np.full(grid.columns, 0.1)
    top, bottom = np.full(grid.rows, 0.3), np.full(grid.rows, 0.5)
    below = sum(legend.get_window_extent().height for legend in figure.legends) / figure.dpi
    below += 0.15 if below else 0
    for attempt in range(ROUNDS):
        if attempt:
            left, right, top, bottom = labels(grid)
        beside = left.sum() + right.sum()
        width = max(LEAST, (grid.width - beside) / grid.columns)
        across = beside + grid.columns * width
        heights = np.zeros(grid.rows)
        for axes, (row, _), height in zip(grid.panels, grid.places, grid.heights, strict=True):
            heights[row] = max(heights[row], shaped(axes, width) if height is None else height)
        whole = float((top + heights + bottom).sum()) + below + BAR * len(bars)
        figure.set_size_inches(across, whole)
        for axes, (row, column) in zip(grid.panels, grid.places, strict=True):
            x = left[: column + 1].sum() + right[:column].sum() + column * width
            y = BAR * len(bars) + (top + heights + bottom)[:row].sum() + top[row] + heights[row]
            axes.set_position(share(x, whole - y, width, heights[row], figure))
        for number, bar in enumerate(bars):
            bar.set_position(
                share(0.15 * across, whole - BAR * number - 0.5, 0.7 * across, 0.12, figure)
            )


def crowded(axes: Axes) -> bool:
    """Whether texts on an image overlap."""
    boxes = [text.get_window_extent() for text in axes.texts if text.get_text()]
    return bool(axes.images) and any(one.overlaps(other) for one, other in combinations(boxes, 2))


def labels(grid: Grid) -> tuple[Any, Any, Any, Any]:
    """Inches that labels take on the left and right of columns, above and below rows."""
    left, right = np.full(grid.columns, PAD), np.full(grid.columns, PAD)
    top, bottom = np.full(grid.rows, PAD), np.full(grid.rows, PAD)
    for axes, (row, column) in zip(grid.panels, grid.places, strict=True):
        figure: Any = axes.get_figure(root=True)
        inner, outer = axes.get_window_extent(), axes.get_tightbbox()
        if outer is None:
            continue
        beside = [axes.yaxis.get_tightbbox(), *(text.get_window_extent() for text in axes.texts)]
        sides: Any = Bbox.union([inner, *(box for box in beside if box is not None)])
        left[column] = max(left[column], (inner.x0 - sides.x0) / figure.dpi + PAD)
        right[column] = max(right[column], (sides.x1 - inner.x1) / figure.dpi + PAD)
        top[row] = max(top[row], (outer.y1 - inner.y1) / figure.dpi + PAD)
        bottom[row] = max(bottom[row], (inner.y0 - outer.y0) / figure.dpi + PAD)
    return left, right, top, bottom


def share(
    x: float, y: float, width: float, height: float, figure: Figure
) -> tuple[float, float, float, float]:
    """A rectangle in inches as parts of a figure."""
    across, high = figure.get_size_inches()
    return x / across, y / high, width / across, height / high


def shaped(axes: Axes, width: float) -> float:
    """Height of an image of a width that keeps its shape."""
    left, right, bottom, top = axes.images[0].get_extent()
    return width * abs((top - bottom) / (right - left))


def label_each(figure: Any, shown: list[Axes]) -> None:
    """Give the common label of all horizontal axes to the lowest panel of each column."""
    common = figure.get_supxlabel()
    if not common:
        return
    size = figure._supxlabel.get_fontsize()
    figure.supxlabel("").set_in_layout(False)
    lowest = {axes.get_subplotspec().colspan.start: axes for axes in shown}  # type: ignore[union-attr]
    for axes in lowest.values():
        axes.set_xlabel(common, fontsize=size)


def label_edges(grid: Grid, specs: list[Any], turned: bool, table: bool) -> None:
    """Give labels to the panels that come to the left and to the bottom.

    Args:
        grid: new.
        specs: the old places of its panels.
        turned: whether columns are what rows were, each with labels of its own.
        table: whether columns have heads, and all panels of a row one horizontal axis.
    """
    rows: dict[int, Axes] = {}
    lowest: dict[int, Axes] = {}
    named: dict[int, Axes] = {}
    for axes, spec in zip(grid.panels, specs, strict=True):
        rows.setdefault(spec.rowspan.start, axes)
        lowest[spec.colspan.start] = axes
        if axes.get_xlabel():
            named.setdefault(spec.rowspan.start, axes)
    for axes, spec, (row, column) in zip(grid.panels, specs, grid.places, strict=True):
        if column == 0 or turned:
            axes.tick_params(axis="y", labelleft=True)
            first = rows[spec.rowspan.start]
            if not axes.get_ylabel():
                axes.set_ylabel(first.get_ylabel(), fontsize=first.yaxis.label.get_fontsize())
        if (row + 1, column) not in grid.places:
            axes.tick_params(axis="x", labelbottom=True)
            last = lowest[spec.colspan.start]
            if not axes.get_xlabel() and table:
                last = last if last.get_xlabel() else named.get(spec.rowspan.start, last)
            if not axes.get_xlabel() and (table or axes.get_shared_x_axes().joined(axes, last)):
                axes.set_xlabel(last.get_xlabel(), fontsize=last.xaxis.label.get_fontsize())


def is_shared_bar(axes: Any, parents: list[Axes]) -> bool:
    """Whether axes are a bar of colors of all panels."""
    of = getattr(axes, "_colorbar_info", {}).get("parents", parents)
    return hasattr(axes, "_colorbar") and len(of) == len(parents)


def bar_on_top(figure: Figure, axes: Any) -> Axes:
    """The axes of a horizontal bar of colors in place of another bar."""
    bar = axes._colorbar
    flat = bar.orientation == "horizontal"
    axis = axes.xaxis if flat else axes.yaxis
    ticks, words = bar.get_ticks(), [text.get_text() for text in axis.get_ticklabels()]
    named = isinstance(axis.get_major_formatter(), FixedFormatter)
    label, mappable = axis.get_label().get_text(), bar.mappable
    bar.remove()
    new = figure.add_axes((0.1, 0.9, 0.8, 0.02))
    again = figure.colorbar(
        mappable, cax=new, orientation="horizontal", ticklocation="top", label=label
    )
    if named:
        again.set_ticks(ticks, labels=words)
    return new


def wrap_titles(grid: Grid) -> None:
    """Break titles and labels into lines that end where their panel does.

    Where it saves lines, a label below an axis ends at its right instead of being centered.
    """
    left, right, *_ = labels(grid)
    for axes, (_, column) in zip(grid.panels, grid.places, strict=True):
        figure: Any = axes.get_figure(root=True)
        inner = axes.get_window_extent().width / figure.dpi
        for text in (axes._left_title, axes._right_title):  # type: ignore[attr-defined]
            wrap(text, inner + right[column])
        wrap(axes.title, inner + 2 * right[column])
        label = axes.xaxis.label
        centered, ended = inner + 2 * right[column], inner + left[column]
        if fitted(label, ended).count("\n") < fitted(label, centered).count("\n"):
            label.set(x=1, ha="right")
            centered = ended
        wrap(label, centered)


def wrap(text: Text, room: float) -> None:
    """Break a text into lines of so many inches."""
    text.set_text(fitted(text, room))


def fitted(text: Text, room: float) -> str:
    """What a text shows in lines of so many inches."""
    letters = int(LETTERS * 8 / float(text.get_fontsize()) * room)
    if text.get_fontweight() == "bold":
        letters = int(0.85 * letters)
    lines = TOGETHER.sub("\N{NO-BREAK SPACE}", text.get_text()).split("\n")
    return "\n".join(fill(line, max(12, letters), break_on_hyphens=False) for line in lines)


def fit_legends(figure: Figure, grid: Grid) -> None:
    """Give the legend below a figure as few columns as fit; legends too wide for panels join it."""
    room = grid.width * figure.dpi
    wide: list[Any] = []
    for axes in grid.panels:
        own = axes.get_legend()
        panel = (grid.width / grid.columns - 1) * figure.dpi
        if own is not None and own.get_window_extent().width > panel:
            wide.append(own)
    below = [legend for legend in figure.legends if wide or legend.get_window_extent().width > room]
    together = [*wide, *below]
    if not together:
        return
    columns = min(fitting(legend, room) for legend in together)
    for legend in together:
        legend.remove()
    figure.legend(
        handles=[handle for legend in together for handle in legend.legend_handles],
        labels=[text.get_text() for legend in together for text in legend.get_texts()],
        fontsize=together[0].get_texts()[0].get_fontsize(),
        loc="lower center",
        ncols=columns,
    )


def fitting(legend: Any, room: float) -> int:
    """Columns of a legend that fit into so many pixels, as all columns are about as wide."""
    columns, width = int(legend._ncols), legend.get_window_extent().width
    return columns if width <= room else max(1, int(room / (width / columns)))


def turn_labels(shown: list[Axes]) -> None:
    """Turn the labels of horizontal axes where they overlap."""
    for axes in shown:
        labels = [label for label in axes.get_xticklabels() if label.get_text()]
        boxes = [label.get_window_extent() for label in labels if label.get_visible()]
        if any(one.x1 > other.x0 - 2 for one, other in pairwise(boxes) if one.x0 < other.x0):
            axes.tick_params(axis="x", labelrotation=90)
