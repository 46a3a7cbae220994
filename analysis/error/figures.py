"""Figures of the error decomposition, each drawn from the tables that a run folder holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.plotting.figure_style import legend_columns, new_figure
from analysis.plotting.model_styles import CROWDED, LINE, named, style
from analysis.text.intervals import bands
from analysis.text.names import wrapped
from analysis.text.noise_labels import preset
from analysis.text.noise_names import noise_label
from analysis.text.terminal import plural

LABEL = "MSE, squared 8-bit levels"

LOOKS: dict[str, dict[str, Any]] = {
    "bias2": {"alpha": 1.0},
    "variance": {"alpha": 0.4},
    "mask_variance": {"alpha": 0.4, "hatch": "////"},
}
"""How the parts are drawn, from the bottom of a bar."""

NAMES = {
    "bias2": "damage (bias²)",
    "variance": "leak (variance over draws of the noise)",
    "mask_variance": "variance over random masks",
}

HALF = 0.5**0.5
"""The gain of half the power."""


def panels(noises: Sequence[str], width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with a panel for each noise; at most three beside each other."""
    columns = 2 if len(noises) in (2, 4) else min(4 if len(noises) > 6 else 3, len(noises))
    rows = -(-len(noises) // columns)
    size = (max(6.4, width * columns), height * rows + 1.2)
    figure = new_figure(*size)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(noises) :]:
        axes.set_axis_off()
    return figure, list(grid.flat[: len(noises)])


def parts(frame: pd.DataFrame) -> Figure:
    """What the error consists of: a panel for each noise, a stacked bar for each model.

    Above each bar stands the PSNR; the line on it is the 95% interval of the MSE.

    Args:
        frame: error.csv, see `analysis.error.tables.table`.
    """
    noises = [str(noise) for noise in dict.fromkeys(frame.noise)]
    models = [str(model) for model in dict.fromkeys(frame.model)]
    figure, grid = panels(noises, max(2.4, 0.7 * len(models) + 0.8), 2.9)
    for axes, noise in zip(grid, noises, strict=True):
        draw_parts(axes, frame[frame.noise == noise], models)
    for axes in grid[:: grid[0].get_subplotspec().get_gridspec().ncols]:  # type: ignore[union-attr]
        axes.set_ylabel(LABEL, fontsize=8)
    first = frame.iloc[0]
    photographs = int(first.photographs)
    banded = f"; lines: {bands(photographs)}" if frame.mse_low.notna().any() else ""
    heading = (
        "What the error consists of; above each bar the PSNR in dB\n"
        f"{plural(int(first.crops), 'crop')}, {plural(int(frame.noise_draws.max()), 'draw')} "
        f"of each noise{banded}"
    )
    figure.suptitle("\n".join(filter(None, (heading, preset(frame)))), fontsize=10)
    add_legend(figure, legend(models, frame))
    return figure


def draw_parts(axes: Axes, part: pd.DataFrame, models: Sequence[str]) -> None:
    """The bars of one noise on given axes.

    A part whose estimate is below 0 has no height; an error whose parts are unknown is outlined.

    Args:
        axes: where to draw.
        part: the noise's rows of error.csv.
        models: in the order of all figures.
    """
    top = 0.0
    for place, model in enumerate(models):
        rows = part[part.model == model]
        if rows.empty or not math.isfinite(rows.mse.iloc[0]):
            continue
        row, color, bottom = rows.iloc[0], style(model, models)["color"], 0.0
        if not math.isfinite(row.bias2):
            axes.bar(place, row.mse, 0.7, fill=False, edgecolor=str(color), ls="--")
            bottom = float(row.mse)
        for name, look in LOOKS.items():
            height = max(float(row[name]), 0) if math.isfinite(row[name]) else 0.0
            if height:
                edge = str(color) if "hatch" in look else "none"
                axes.bar(place, height, 0.7, bottom, color=str(color), edgecolor=edge, lw=0, **look)
            bottom += height
        high = bottom
        if math.isfinite(row.mse_low) and math.isfinite(row.mse_high):
            high = max(high, float(row.mse_high))
            ends = [max(0.0, float(row.mse_low)), float(row.mse_high)]
            axes.plot([place, place], ends, color="0.25", lw=1)
        text = f"{row.psnr:.1f}" if math.isfinite(row.psnr) else ""
        axes.annotate(
            text, (place, high), (0, 2), textcoords="offset points", ha="center", fontsize=8
        )
        top = max(top, high)
    axes.set_ylim(0, top * 1.16 or 1)
    axes.set_xlim(-0.6, len(models) - 0.4)
    axes.set_xticks([])
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3, axis="y")
    axes.set_axisbelow(True)
    axes.set_title(wrapped(noise_label(part.noise.iloc[0]), 26), fontsize=9)


def legend(models: Sequence[str], frame: pd.DataFrame) -> list[Artist]:
    """Handles of the models and of those parts that any model has."""
    handles: list[Artist] = [
        Patch(color=str(style(model, models)["color"]), label=named(model)) for model in models
    ]
    for name, look in LOOKS.items():
        if name != "mask_variance" or (frame[name] > 0).any():
            gray = {"facecolor": "0.3", "edgecolor": "0.3", "lw": 0, **look}
            handles.append(Patch(label=NAMES[name], **gray))
    return handles


def transfer(frame: pd.DataFrame, draws: int, photographs: int) -> Figure:
    """Gain by spatial frequency: a panel for each noise; of each model content and noise.

    Args:
        frame: transfer.csv, see `analysis.error.tables.transfer`.
        draws: of each noise.
        photographs: of the run.
    """
    noises = [str(noise) for noise in dict.fromkeys(frame.noise)]
    models = [str(model) for model in dict.fromkeys(frame.model)]
    figure, grid = panels(noises, 3.1, 2.7)
    highest = frame[["content_gain", "noise_gain"]].to_numpy(float)
    top = float(np.nanmax(highest, initial=1.0)) * 1.05
    for axes, noise in zip(grid, noises, strict=True):
        draw_transfer(axes, frame[frame.noise == noise], models)
        axes.set_ylim(0, min(top, 2.5))
    for axes in grid[:: grid[0].get_subplotspec().get_gridspec().ncols]:  # type: ignore[union-attr]
        axes.set_ylabel("gain", fontsize=8)
    heading = (
        "Gain of image content and of noise by spatial frequency\n"
        "1: kept as it is, 0: removed; dotted: 1/√2, half the power\n"
        f"{plural(draws, 'draw')} of each noise"
    )
    banded = frame.content_gain_low.notna().any() and len(models) <= CROWDED
    figure.suptitle(f"{heading}{f'; bands: {bands(photographs)}' if banded else ''}", fontsize=10)
    add_legend(figure, lines(models))
    return figure


def draw_transfer(axes: Axes, part: pd.DataFrame, models: Sequence[str]) -> None:
    """The gains of one noise on given axes: content solid, noise dashed.

    Args:
        axes: where to draw.
        part: the noise's rows of transfer.csv.
        models: in the order of all figures.
    """
    for model, curve in part.groupby("model", sort=False):
        color = str(style(str(model), models)["color"])
        for name, line in (("content_gain", "-"), ("noise_gain", "--")):
            axes.plot(curve.frequency, curve[name], line, color=color, lw=1.4)
            if curve[f"{name}_low"].notna().any() and len(models) <= CROWDED:
                low, high = curve[f"{name}_low"], curve[f"{name}_high"]
                axes.fill_between(curve.frequency, low, high, color=color, alpha=0.15, lw=0)
    axes.axhline(HALF, color="0.4", lw=0.8, ls=":", zorder=0)
    axes.set_xlim(0, 0.5)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("frequency, cycles per pixel", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    axes.set_title(wrapped(noise_label(part.noise.iloc[0]), 34), fontsize=9)


def lines(models: Sequence[str]) -> list[Artist]:
    """Handles of the models and of the two kinds of gain."""
    handles: list[Artist] = [
        Line2D([], [], color=str(style(model, models)["color"]), lw=1.8, label=named(model))
        for model in models
    ]
    return [
        *handles,
        Line2D([], [], color="0.3", lw=1.4, ls="-", label="content gain"),
        Line2D([], [], color="0.3", lw=1.4, ls="--", label="noise gain"),
    ]


def add_legend(figure: Figure, handles: Sequence[Artist]) -> None:
    """A legend under a figure, which grows by its height."""
    texts = [str(handle.get_label()) for handle in handles]
    width, height = figure.get_size_inches()
    fit = legend_columns(texts, width, 5)
    tallest = max(text.count("\n") + 1 for text in texts)
    figure.set_size_inches(width, height + LINE * tallest * (-(-len(texts) // fit) - 1))
    figure.legend(handles=list(handles), loc="outside lower center", ncols=fit, fontsize=8)
