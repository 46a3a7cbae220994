"""Figures, each drawn from the table that a run folder holds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from analysis.cka import measures
from analysis.plotting import model_styles, trainings
from analysis.plotting.figure_style import ONE_PANEL, PAPER, current, new_figure
from analysis.plotting.model_styles import short
from analysis.text.names import wrapped
from analysis.text.noise_names import noise_words


@dataclass(frozen=True)
class Panel:
    """One layer x layer matrix; rows are the layers of side a, columns those of side b.

    The sides are what follows "layer": "of a model", "under a noise". Panels of one group may share
    a row of a figure.
    """

    title: str
    side_a: str
    side_b: str
    layers_a: list[str]
    layers_b: list[str]
    values: np.ndarray
    group: str


MEASURES = {name: measure.label for name, measure in measures.MEASURES.items()}
"""Columns that hold a similarity, with their labels."""


def measure(frame: pd.DataFrame) -> str:
    """The column of a table that holds its similarities."""
    return next(name for name in MEASURES if name in frame)


def cells(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The table of a run's measure, a row for each pair of layers."""
    return next(frames[name] for name in MEASURES if name in frames)


def panels(frame: pd.DataFrame, which: str) -> list[Panel]:
    """The matrices of a table whose pairs of views are of one kind; see
    `analysis.cka.view_pairs.kind`."""
    same_model, same_noise = frame.model_a == frame.model_b, frame.noise_a == frame.noise_b
    chosen = {
        "self": same_model & same_noise,
        "cross_noise": same_model & ~same_noise,
        "cross_model": ~same_model & same_noise,
        "cross_both": ~same_model & ~same_noise,
    }[which]
    matrices: list[Panel] = []
    views = ["model_a", "noise_a", "model_b", "noise_b"]
    for (model_a, noise_a, model_b, noise_b), part in frame[chosen].groupby(views, sort=False):
        matrix = part.pivot(index="index_a", columns="index_b", values=measure(frame)).sort_index()
        label_a = part.drop_duplicates("index_a").sort_values("index_a").layer_a
        label_b = part.drop_duplicates("index_b").sort_values("index_b").layer_b
        title = str(model_a) if model_a == model_b else f"{model_a}, {model_b}"
        if which == "cross_noise" and current() is not PAPER:  # there, it is below the column
            title = f"{model_a}, {noise_words(noise_b)}"
        if noise_a == noise_b:
            title = (
                f"{title} under {noise_words(noise_a)}"
                if which == "self"
                else f"under {noise_words(noise_a)}"
            )
        of = [] if which == "cross_noise" else ["of {model}"]
        of += [] if noise_a == noise_b else ["under {noise}"]
        side_a, side_b = (
            " ".join(of).format(model=model, noise=noise_words(noise))
            for model, noise in ((model_a, noise_a), (model_b, noise_b))
        )
        matrices.append(
            Panel(
                title,
                side_a,
                side_b,
                [short(str(name)) for name in label_a],
                [short(str(name)) for name in label_b],
                matrix.sort_index(axis=1).to_numpy(dtype=float),
                str(model_a) if which == "cross_noise" else side_a,
            )
        )
    return matrices


def all_panels(frame: pd.DataFrame) -> list[Panel]:
    """The matrices of all pairs of views in a table."""
    return [panel for which in HEATMAPS for panel in panels(frame, which)]


def scale(frame: pd.DataFrame) -> tuple[float, float]:
    """Color limits for every matrix of a table: 0 to 1, or from a round number below 0.

    Where lower values are more similar, they are in reverse order, so that light colors always are
    of similar layers.
    """
    values = frame[measure(frame)]
    lowest = float(values.min()) if values.notna().any() else 0.0
    limits = min(0.0, math.floor(lowest * 10) / 10), 1.0
    return limits if measures.direction(measure(frame)) > 0 else limits[::-1]


def draw(axes: Axes, panel: Panel, limits: tuple[float, float]) -> AxesImage:
    """One matrix on given axes, first layers at the bottom left."""
    colors = colormaps["magma"].with_extremes(bad="0.6")
    image = axes.imshow(
        panel.values, origin="lower", vmin=limits[0], vmax=limits[1], cmap=colors, aspect="equal"
    )
    size = 8 if max(panel.values.shape) <= 16 else 6
    axes.set_xticks(range(len(panel.layers_b)), panel.layers_b, rotation=90, fontsize=size)
    axes.set_yticks(range(len(panel.layers_a)), panel.layers_a, fontsize=size)
    axes.set_xlabel(f"layer {panel.side_b}", fontsize=9)
    axes.set_ylabel(f"layer {panel.side_a}", fontsize=9)
    axes.set_title(wrapped(panel.title, 26), fontsize=10)
    return image


def heatmaps(
    title: str,
    parts: Sequence[Panel],
    limits: tuple[float, float],
    label: str = "CKA",
    columns: int = 3,
) -> Figure:
    """Matrices side by side, at most `columns` in a row, with one color scale."""
    columns = min(columns, len(parts))
    rows = -(-len(parts) // columns)
    side = 3.0 + 0.14 * max(max(p.values.shape) for p in parts)
    side *= min(1.0, 4.2 / (columns + 0.2))  # more in a row are smaller
    if current() is PAPER and columns == 1:
        side = min(side, ONE_PANEL - 1)  # in a column of the page
    figure = new_figure(side * columns + 1, side * rows + 0.5)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(parts) :]:
        axes.set_axis_off()
    images = [draw(axes, part, limits) for axes, part in zip(grid.flat, parts, strict=False)]
    for place, (axes, part) in enumerate(zip(grid.flat, parts, strict=False)):
        before = parts[place - 1] if place % columns else None
        if before and (before.side_a, before.layers_a) == (part.side_a, part.layers_a):
            axes.tick_params(labelleft=False)  # they are at the first of the row
            axes.set_ylabel("")
        below = parts[place + columns] if place + columns < len(parts) else None
        if below and (below.side_b, below.layers_b) == (part.side_b, part.layers_b):
            axes.tick_params(labelbottom=False)
            axes.set_xlabel("")
    if current() is PAPER:
        lowest = [bool(axes.get_xlabel()) for axes in grid.flat[: len(parts)]]
        labelled = len({place // columns for place, own in enumerate(lowest) if own})
        width, height = map(float, figure.get_size_inches())
        needed = rows * ((width - BESIDE) / columns + ABOVE) + labelled * BELOW
        figure.set_size_inches(width, min(height, needed))
    figure.colorbar(images[0], ax=grid, label=label, shrink=0.7)
    figure.suptitle(title, fontsize=10)
    return figure


BESIDE, ABOVE, BELOW = 1.6, 0.3, 1.1
"""Inches in print of names and scale beside matrices, of a row's titles, and of names below."""


def subtitle(frame: pd.DataFrame) -> str:
    """The measure of a table, its estimator and samples, in words."""
    first = frame.iloc[0]
    unit = "positions" if first.unit == "position" else "images"
    samples = f"{first.samples:,} {unit} of {first.crops} crops"
    what = MEASURES[measure(frame)]
    if what == "CKA":
        what = f"{first.estimator} {'RBF' if first.kernel == 'rbf' else 'linear'} CKA"
    return f"{what} over {samples}{removed(first.centering)}"


REMOVED = {
    "global": "",
    "image": ", each image's mean removed",
    "highpass": ", local mean removed",
    "clean": ", response to noise (less the features of the clean image)",
    "given clean": ", given the clean image's pixels",
    "given clean-3x3": ", given the clean image's pixels and those around",
}
"""What is removed from features, in words, by the entries of the column `centering`."""


def removed(centering: str) -> str:
    """What is removed from the features, as the column `centering` has it, in words.

    >>> removed("clean; 2 components")
    ', response to noise (less the features of the clean image), without 2 components'
    """
    parts = centering.split("; ")
    return "".join(REMOVED.get(part, f", without {part}") for part in parts)


WIDEST = 6
"""Maximum number of matrices in a row."""

HEATMAPS = {
    "cross_model": "Two models, one noise",
    "cross_noise": "One model, two noises",
    "cross_both": "Two models, two noises",
    "self": "One model, one noise: its layers with each other",
}


def heatmap(frame: pd.DataFrame, which: str) -> Figure | None:
    """All matrices of one kind (see `analysis.cka.view_pairs.kind`), or None if there are none.

    `cross_model` is the paper's Figure 12a, `cross_noise` its Figure 12b.
    """
    parts = panels(frame, which)
    if not parts:
        return None
    title = f"{HEATMAPS[which]}\n{subtitle(frame)}"
    rows = Counter(part.group for part in parts)
    each = set(rows.values())
    columns = each.pop() if len(each) == 1 and len(rows) > 1 else 3  # a model's in a row
    columns = columns if 1 < columns <= WIDEST else 3
    return heatmaps(title, parts, scale(frame), MEASURES[measure(frame)], columns)


def banded(frame: pd.DataFrame) -> bool:
    """Whether curves have bands: they have intervals, and are few enough to tell apart."""
    few = frame.model.nunique() <= model_styles.CROWDED
    return bool(few and frame.low.notna().any())


HIGHEST = 1.05
"""Where axes of similarities end, which intervals may exceed."""


def limit(axes: Axes) -> None:
    """End an axis of similarities at `HIGHEST`, once all panels that share it are drawn."""
    axes.set_ylim(top=min(axes.get_ylim()[1], HIGHEST))


def draw_depth(
    axes: Axes, part: pd.DataFrame, models: Sequence[str], single: pd.DataFrame | None = None
) -> None:
    """The curves of one pair of noises on given axes, a line for each model.

    Args:
        axes: where to draw.
        part: rows of `depth.csv`.
        models: in the order of their styles.
        single: rows of `depth_by_training.csv`, drawn as thin lines.
    """
    column = measure(part)
    names = [short(str(name)) for name in part.drop_duplicates("index").sort_values("index").layer]
    for model, curve in part.groupby("model", sort=False):
        look: dict[str, Any] = model_styles.style(str(model), list(models)) | {"ms": 3}
        axes.plot(curve["index"], curve[column], label=str(model), **look)
        trainings.thin_lines(axes, single, str(model), "index", column, look["color"])
        if banded(part):
            axes.fill_between(
                curve["index"], curve.low, curve.high, color=str(look["color"]), alpha=0.2, lw=0
            )
        if banded(part):
            draw_controls(axes, curve, str(look["color"]))
    alike = part.groupby("index").layer.nunique().max() == 1
    labels = names if alike else [str(i) for i in range(len(names))]
    axes.set_xticks(range(len(names)), labels, rotation=90, fontsize=8 if len(names) <= 16 else 6)
    first = part.iloc[0]
    axes.set_title(
        f"{noise_words(first.noise_a)}\nagainst {noise_words(first.noise_b)}", fontsize=10
    )
    axes.set_xlabel("layer" if alike else "layer, counted from the first", fontsize=9)
    axes.grid(alpha=0.3)


def draw_controls(axes: Axes, curve: pd.DataFrame, color: str) -> None:
    """Ceiling, floor and untrained networks of one model's curve, without markers."""
    if "ceiling" not in curve:
        return
    axes.plot(curve["index"], curve.ceiling, color=color, ls="--", lw=0.9)
    axes.plot(curve["index"], curve.floor, color=color, ls=":", lw=0.9)
    sd = curve.untrained_sd.fillna(0.0)
    low, high = curve.untrained - sd, curve.untrained + sd
    axes.fill_between(curve["index"], low, high, color="0.5", alpha=0.25, lw=0)
    axes.plot(curve["index"], curve.untrained, color="0.4", lw=0.9)


CONTROLS_DRAWN = "dashed: ceiling; dotted: floor; gray: untrained networks, mean ± SD"
"""What the lines of `draw_controls` are."""


def controlled(frame: pd.DataFrame) -> bool:
    """Whether curves have controls beside them."""
    return bool(
        banded(frame) and "ceiling" in frame and frame[["ceiling", "floor"]].notna().any().any()
    )


def depth(
    frame: pd.DataFrame, about: str = "", single: pd.DataFrame | None = None
) -> Figure | None:
    """Each layer under one noise against itself under another, over depth, with 95% intervals.

    Args:
        frame: `depth.csv`.
        about: the measure, for the title.
        single: `depth_by_training.csv`, if models have several trainings.
    """
    if frame.empty:
        return None
    column, models = measure(frame), list(dict.fromkeys(frame.model))
    panels_of = list(frame.groupby(["noise_a", "noise_b"], sort=False))
    columns = min(3, len(panels_of))
    rows = -(-len(panels_of) // columns)
    figure = new_figure(4.6 * columns, 3.9 * rows + 0.4)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes in grid.flat[len(panels_of) :]:
        axes.set_axis_off()
    for axes, ((a, b), part) in zip(grid.flat, panels_of, strict=False):
        draw_depth(axes, part, models, under(single, str(a), str(b)))
    limit(grid[0, 0])
    for axes in grid[:, 0]:
        axes.set_ylabel(MEASURES[column], fontsize=9)
    both = "low_trainings" in frame and frame.low_trainings.notna().any()
    over = "photographs and trainings" if both else "photographs"
    band = f"bands are 95% intervals over {over}" if banded(frame) else ""
    second = "; ".join(filter(None, (about, band)))
    third = "; ".join(
        [
            *([CONTROLS_DRAWN] if controlled(frame) else []),
            *([trainings.DRAWN] if single is not None else []),
        ]
    )
    lines = ["Each layer under two noises", second, third]
    figure.suptitle("\n".join(filter(None, lines)), fontsize=10)
    model_styles.add(figure, models)
    return figure


def under(frame: pd.DataFrame | None, noise_a: str, noise_b: str) -> pd.DataFrame | None:
    """The rows of two noises."""
    if frame is None:
        return None
    return frame[(frame.noise_a == noise_a) & (frame.noise_b == noise_b)]


def figures(
    frame: pd.DataFrame, curves: pd.DataFrame, single: pd.DataFrame | None = None
) -> dict[str, Figure]:
    """Every figure that can be drawn from the tables of a comparison, by file name."""
    drawn = {which: heatmap(frame, which) for which in HEATMAPS}
    drawn["depth"] = depth(curves, subtitle(frame), single)
    return {name: figure for name, figure in drawn.items() if figure is not None}
