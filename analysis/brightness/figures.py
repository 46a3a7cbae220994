"""Figures of brightness, each drawn from the tables that a run folder holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.plotting import model_styles
from analysis.plotting.figure_style import new_figure
from analysis.plotting.trainings import DRAWN, thin_lines
from analysis.text import terminal
from analysis.text.names import wrapped
from analysis.text.noise_labels import preset
from analysis.text.noise_names import noise_label

WIDE = 4
"""Levels of a bin of the figure."""

LABEL = f"share of pixels per level, %, mean of {WIDE} levels"


def histograms(
    frame: pd.DataFrame, shares: pd.DataFrame, single: pd.DataFrame | None = None
) -> Figure:
    """A panel for each noise: a line for each model, dashed in black the clean images (Figure 5).

    Args:
        frame: brightness.csv, see `analysis.brightness.tables.tables`.
        shares: histograms.csv of the same function.
        single: histograms_by_training.csv, of a run that has several trainings of a model.
    """
    models = [str(model) for model in frame.model.unique()]
    noises = [str(noise) for noise in frame.noise.unique()]
    columns = 2 if len(noises) in (2, 4) else min(3, len(noises))
    rows = -(-len(noises) // columns)
    size = (max(6.4, 4.6 * columns), 3.4 * rows + 1.1)
    figure = new_figure(*size)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes in grid.flat[len(noises) :]:
        axes.set_axis_off()
    for axes, noise in zip(grid.flat, noises, strict=False):
        lines = None if single is None else single[single.noise == noise]
        under = shares[shares.noise == noise]
        draw_histograms(axes, frame[frame.noise == noise], under, models, single=lines)
    grid[0, 0].set_ylim(bottom=0)  # of all panels, once their curves are there
    for axes in grid[:, 0]:
        axes.set_ylabel(LABEL, fontsize=8)
    heading = (
        "Brightness of what each model outputs, and of the clean images\n"
        "shift: mean brightness minus that of the clean images, in 8-bit levels"
    )
    drawn = "" if single is None else f"; {DRAWN}"
    texts = (heading, crops_of(frame) + drawn, preset(frame))
    figure.suptitle("\n".join(filter(None, texts)), fontsize=10)
    model_styles.add(figure, models, marked=False)
    return figure


def draw_histograms(
    axes: Axes,
    frame: pd.DataFrame,
    shares: pd.DataFrame,
    models: Sequence[str],
    named: bool = False,
    single: pd.DataFrame | None = None,
) -> None:
    """The histograms of one noise on given axes, and each model's shift in the legend.

    Args:
        axes: where to draw.
        frame: the noise's rows of brightness.csv.
        shares: those of histograms.csv.
        models: in the order of all figures.
        named: whether the legend names the models too.
        single: the noise's rows of histograms_by_training.csv.
    """
    thin = None if single is None else thin_histograms(single)
    shifts = frame.set_index("model")["shift"]
    heights = {str(name): binned(part) for name, part in shares.groupby("model", sort=False)}
    places = np.arange(0, WIDE * len(next(iter(heights.values()))), WIDE) + (WIDE - 1) / 2
    handles = []
    for model in models:
        look: dict[str, Any] = model_styles.style(model, models) | {"marker": None, "lw": 1.4}
        axes.plot(places, heights.pop(model), **look)
        thin_lines(axes, thin, model, "level", "share", look["color"])
        shift = float(shifts[model])
        text = "not finite" if math.isnan(shift) else f"{round(shift, 2) + 0.0:+.2f}"
        label = f"{model_styles.named(model)}: {text}" if named else text
        handles.append(Line2D([], [], label=label, **look))
    (clean,) = heights.values()
    dashed: dict[str, Any] = {"color": "black", "lw": 1.2, "ls": (0, (4, 2))}
    axes.plot(places, clean, **dashed)
    handles.append(Line2D([], [], label="clean images", **dashed))
    axes.legend(handles=handles, title="shift", title_fontsize=7, fontsize=7, framealpha=0.7)
    axes.set_xlim(0, 255)
    axes.set_xticks([0, 64, 128, 192, 255])
    axes.set_xlabel("brightness, 8-bit levels", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    axes.set_title(wrapped(noise_label(frame.noise.iloc[0]), 40), fontsize=10)


def thin_histograms(single: pd.DataFrame) -> pd.DataFrame:
    """The bins of `binned` of each training, in the middle of their levels."""
    parts = []
    for (model, training), part in single.groupby(["model", "training"], sort=False):
        heights = binned(part)
        levels = WIDE * np.arange(len(heights)) + (WIDE - 1) / 2
        about = {"model": model, "training": training, "level": levels}
        parts.append(pd.DataFrame(about | {"share": heights}))
    return pd.concat(parts, ignore_index=True)


def binned(part: pd.DataFrame) -> np.ndarray:
    """Percent of pixels per level, as means over bins of `WIDE` levels."""
    shares = part.sort_values("level").share.to_numpy(dtype=float)
    means: np.ndarray = 100 * shares.reshape(-1, WIDE).mean(1)
    return means


def crops_of(frame: pd.DataFrame) -> str:
    """How many crops of how many photographs the numbers are over."""
    crops, photographs = int(frame.images.iloc[0]), int(frame.photographs.iloc[0])
    return f"{terminal.plural(crops, 'crop')} of {terminal.plural(photographs, 'photograph')}"
