"""Figures of the benchmark: quality over noise level (the paper's Figure 11), ranks by noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from analysis.generalization import summary
from analysis.generalization.conditions import contestants, references_in
from analysis.generalization.metrics import facts
from analysis.generalization.summary import label
from analysis.plotting import model_styles
from analysis.plotting.figure_style import LETTERS, new_figure
from analysis.plotting.model_styles import crowded, style
from analysis.plotting.trainings import thin_lines
from analysis.stats.trainings import LEAST
from analysis.text.intervals import bands
from analysis.text.names import wrapped
from analysis.text.noise_labels import kind_label, level_falls, level_unit, preset
from analysis.text.noise_names import noise_label
from mtd.loading.classical import is_spec

BESIDE = 0.04
"""How far to the right of a model's point the dots of its trainings are, in noises."""


def curves(
    frame: pd.DataFrame, metric: str, about: str = "", single: pd.DataFrame | None = None
) -> Figure | None:
    """Mean over images against noise level, a panel for each kind, 95% intervals as bands.

    Kinds with one level share the last panel, each at a place of its own.

    Args:
        frame: see `analysis.generalization.scoring.noises`.
        metric: of its column `metric`.
        about: what was measured on what, for the title.
        single: the same of single trainings, if models have several.
    """
    part = without_many_filters(frame[frame.metric == metric])
    single = None if single is None else single[single.metric == metric]
    if part.empty:
        return None
    models = list(dict.fromkeys(part.model))
    many, others = by_levels(part)
    count = len(many) + (not others.empty)
    columns = 2 if count == 4 else min(3, count)
    lines = -(-count // columns)
    figure = new_figure(4.3 * columns, 3.5 * lines + 0.9)
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes in grid.flat[count:]:
        axes.set_axis_off()
    for axes, rows in zip(grid.flat, many.values(), strict=False):
        draw_levels(axes, rows, models, single)
    if not others.empty:
        draw_single_levels(grid.flat[len(many)], others, models, single)
    for axes in grid[:, 0]:
        axes.set_ylabel(label(metric), fontsize=8)
    model_styles.add(figure, models)
    heading = f"{facts(metric).label} over noise level, {about}" if about else ""
    marks = ["thin lines"] * bool(many) + ["small dots"] * (not others.empty)
    drawn = "" if single is None else f"{' and '.join(marks)}: single trainings"
    lines_of = filter(None, (heading, title(part, many, others), drawn, preset(part)))
    figure.suptitle("\n".join(lines_of), fontsize=10)
    return figure


def without_many_filters(part: pd.DataFrame) -> pd.DataFrame:
    """Rows without fixed filters where there are many models; see `summary.drawn_beside`."""
    hidden = references_in(part) - set(summary.drawn_beside(part))
    return part[~part.model.isin(hidden)]


def title(part: pd.DataFrame, many: Mapping[str, pd.DataFrame], others: pd.DataFrame) -> str:
    """The title: number of images, and what bands and bars are, where there are any.

    Args:
        part: all rows that are shown.
        many: those with bands, by kind of noise.
        others: those with bars.
    """
    crops = sorted(set(part.crops))
    images = f"{crops[0]}" if len(crops) == 1 else f"{crops[0]} to {crops[-1]}"
    mean = f"Mean over {images} images or crops"
    drawn = ["bands"] * any(has_intervals(rows) for rows in many.values())
    drawn += ["bars"] * has_intervals(others)
    if not drawn:
        return mean
    if crowded(list(dict.fromkeys(part.model))):
        return f"{mean}; intervals are in noises.csv"
    over = bands(summary.photographs(part))
    if "trainings" in part and (part.trainings >= LEAST).any():
        over += " and trainings"
    return f"{mean}; {' and '.join(drawn)}: {over} (models are compared in tests.csv)"


def has_intervals(rows: pd.DataFrame) -> bool:
    """Whether any network, or the noisy input, has an interval."""
    networks = rows[~rows.model.astype(str).map(is_spec).astype(bool)]
    return bool(networks.low.notna().any())


def by_levels(part: pd.DataFrame) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Rows of each kind of noise that has several levels, by kind; and those of all others.

    A noise without a level, such as one of matched strength, is among the others.
    """
    kinds = part.dropna(subset="level").groupby("kind", sort=False)
    many = {str(kind): rows for kind, rows in kinds if rows.level.nunique() > 1}
    return many, part[part.level.isna() | ~part.kind.isin(list(many))]


def draw_levels(
    axes: Axes, rows: pd.DataFrame, models: list[str], single: pd.DataFrame | None = None
) -> None:
    """Curves of one kind of noise over its levels, on given axes, and those of single trainings."""
    kind = str(rows.kind.iloc[0])
    trainings = None if single is None else single[single.noise.isin(rows.noise)]
    trainings = None if trainings is None else trainings.sort_values("level")
    for model in models:
        curve = rows[rows.model == model].sort_values("level")
        look = style(model, models)
        axes.plot(curve.level, curve["mean"], label=model, **look)  # type: ignore[arg-type]
        if curve.low.notna().any() and not crowded(models) and not is_spec(model):
            axes.fill_between(
                curve.level, curve.low, curve.high, color=str(look["color"]), alpha=0.15, lw=0
            )
        if not is_spec(model):
            thin_lines(axes, trainings, model, "level", "mean", look["color"])
    marks = summary.trained_marks(rows)
    first = rows.level.max() if level_falls(kind) else rows.level.min()
    higher = facts(str(rows.metric.iloc[0])).higher_is_better
    height, side = (0.02, "bottom") if higher else (0.98, "top")  # where curves do not begin
    for level, noise in dict(zip(rows.level, rows.noise, strict=True)).items():
        if not marks[noise]:
            continue
        axes.axvline(level, color="0.7", lw=1, ls=":", zorder=0)
        axes.annotate(
            wrapped(marks[noise][1:-1], 40, 1),
            (level, height),
            xycoords=("data", "axes fraction"),
            fontsize=7,
            color="0.4",
            rotation=90,
            ha="left" if level == first else "right",  # inside of the axes
            va=side,
        )
    ticks = sorted(rows.level.unique())
    axes.set_xticks(ticks, level_labels(ticks, letters_across(axes)), fontsize=8)
    axes.tick_params(axis="y", labelsize=8)
    axes.grid(alpha=0.3)
    axes.set_title(wrapped(kind_label(kind), 40, 2), fontsize=10)
    if level_falls(kind):
        axes.invert_xaxis()
    axes.set_xlabel(level_unit(kind), fontsize=9)


def level_labels(levels: Sequence[float], letters: float) -> list[str]:
    """Labels of levels along an axis: the first, the last, and those between that have room.

    Args:
        levels: in ascending order.
        letters: that fit along the axis.

    >>> level_labels([0.018, 0.024, 0.03, 0.036, 0.04], 30)
    ['0.018', '0.024', '0.03', '', '0.04']
    """
    names = [f"{level:g}" for level in levels]
    scale = letters / max(levels[-1] - levels[0], 1e-9)
    last = 0

    def meet(a: int, b: int) -> bool:
        return (levels[b] - levels[a]) * scale < 1 + (len(names[a]) + len(names[b])) / 2

    for place in range(1, len(names) - 1):
        if meet(last, place) or meet(place, len(names) - 1):
            names[place] = ""
        else:
            last = place
    return names


def letters_across(axes: Axes) -> float:
    """About how many letters fit along the axis below a panel."""
    spec, figure = axes.get_subplotspec(), axes.get_figure(root=True)
    columns = 1 if spec is None else spec.get_gridspec().ncols
    width = 6.4 if figure is None else float(figure.get_size_inches()[0])
    return 0.8 * LETTERS * width / columns


def draw_single_levels(
    axes: Axes, rows: pd.DataFrame, models: list[str], single: pd.DataFrame | None = None
) -> None:
    """Noises that have one level only, on given axes, each at a place of its own."""
    noises = list(dict.fromkeys(rows.noise))
    offsets = np.linspace(-0.25, 0.25, len(models)) if len(models) > 1 else [0.0]
    for offset, model in zip(offsets, models, strict=True):
        part = rows[rows.model == model].set_index("noise").reindex(noises)
        look = style(model, models) | {"ls": "none"}
        error = (part["mean"] - part.low, part.high - part["mean"])
        places = np.arange(len(noises)) + offset
        bars = None if crowded(models) or is_spec(model) else error
        axes.errorbar(places, part["mean"], bars, capsize=2, lw=1, label=model, **look)  # type: ignore[arg-type]
        if single is not None and not is_spec(model):
            dots = single[(single.model == model) & single.noise.isin(noises)]
            beside = [noises.index(noise) + offset + BESIDE for noise in dots.noise]
            axes.plot(beside, dots["mean"], ".", ms=4, alpha=0.7, color=str(look["color"]))
    marks = summary.trained_marks(rows)
    names = [f"{wrapped(noise_label(n), 18, 4)}\n{wrapped(marks[n], 30)}".strip() for n in noises]
    axes.set_xticks(range(len(noises)), names, fontsize=8, rotation=20)
    axes.set_xlim(-0.6, len(noises) - 0.4)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_title("one level", fontsize=10)
    axes.grid(alpha=0.3, axis="y")


def rank_map(frame: pd.DataFrame, order: list[str], metric: str = "psnr") -> Figure | None:
    """Mean rank of each model (rows, in the given order) under each noise (columns); 1 is best."""
    part = contestants(frame[frame.metric == metric])
    if part.model.nunique() < 2:
        return None
    names = 0.06 * min(32, max(len(noise_label(noise)) for noise in part.noise.unique()))
    width, height = 2.4 + 0.52 * part.noise.nunique(), 1.0 + names + 0.42 * len(order)
    figure = new_figure(max(width, 5), height)
    axes = figure.subplots()
    image = draw_ranks(axes, part, order, metric)
    bar = figure.colorbar(image, ax=axes, shrink=0.9)
    bar.set_label("rank, 1 is best", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    return figure


def draw_ranks(axes: Axes, part: pd.DataFrame, order: list[str], metric: str) -> AxesImage:
    """The rank map on given axes; see `rank_map`.

    Args:
        axes: where to draw.
        part: rows of one metric, without the noisy input.
        order: of the models.
        metric: which one it is.
    """
    noises = list(dict.fromkeys(part.noise))
    table = part.pivot(index="model", columns="noise", values="mean_rank").loc[order, noises]
    means = part.pivot(index="model", columns="noise", values="mean").loc[order, noises]
    worse = summary.worse_than_input(part, metric)
    below = set(zip(worse.noise, worse.model, strict=True))
    marks = summary.trained_marks(part)
    image = axes.imshow(
        table.to_numpy(), vmin=1, vmax=len(order), cmap=colormaps["viridis_r"], aspect="auto"
    )
    about = facts(metric)
    digits = max(about.digits - 1, 0)
    middle = (1 + len(order)) / 2
    for i, model in enumerate(order):
        for j, noise in enumerate(noises):
            rank, mean = table.loc[model, noise], means.loc[model, noise]
            if not math.isnan(rank):
                color = "white" if rank > middle else "black"
                text = f"{rank:.1f}\n{mean:.{digits}f}"
                axes.text(j, i, text, ha="center", va="center", fontsize=7, color=color)
            if (noise, model) in below:
                place = (j - 0.46, i - 0.46)
                axes.add_patch(Rectangle(place, 0.92, 0.92, fill=False, ec="red", lw=1.5))
    names = [f"{wrapped(noise_label(n), 32)}\n{wrapped(marks[n], 32)}".strip() for n in noises]
    axes.set_xticks(range(len(noises)), names, rotation=90, fontsize=7)
    axes.set_yticks(range(len(order)), [wrapped(name, 28) for name in order], fontsize=8)
    name = summary.directed(metric)
    heading = f"Mean rank over images by {about.label}, and below it the mean {name}"
    framed = "framed in red: worse than the noisy input" if below else ""
    axes.set_title("\n".join(filter(None, (heading, framed, preset(part)))), fontsize=9)
    return image


def figures(frames: Mapping[str, pd.DataFrame], manifest: Mapping[str, Any]) -> dict[str, Figure]:
    """Level curves of every metric, and the rank map, by the name of their file."""
    noises, about = frames["noises"], summary.measured(frames["results"], manifest)
    single = frames.get("noises_by_training")
    names = [str(name) for name in noises.metric.unique()]
    drawn = {f"levels_{n.replace(':', '_')}": curves(noises, n, about, single) for n in names}
    drawn["ranks"] = rank_map(noises, summary.best_first(frames["generalization"], "psnr"))
    return {name: figure for name, figure in drawn.items() if figure is not None}
