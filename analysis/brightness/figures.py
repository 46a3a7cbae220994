"""The figure of `python -m analysis.brightness`: histograms of outputs and of clean images."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.plotting import model_styles
from analysis.plotting.model_styles import DPI
from analysis.text import terminal
from analysis.text.names import wrapped
from analysis.text.noise_labels import preset

WIDE = 4
"""Levels of a bin of the figure."""


def figure(frame: pd.DataFrame, histograms: pd.DataFrame) -> Figure:
    """A panel for each noise: a line for each model, dashed in black the clean images (Figure 5).

    Args:
        frame: see `analysis.brightness.tables.tables`.
        histograms: of the same function.
    """
    models = [str(model) for model in frame.model.unique()]
    noises = [str(noise) for noise in frame.noise.unique()]
    columns = 2 if len(noises) in (2, 4) else min(3, len(noises))
    rows = -(-len(noises) // columns)
    size = (max(6.4, 4.6 * columns), 3.4 * rows + 1.1)
    drawn = Figure(figsize=size, dpi=DPI, layout="constrained")
    grid = drawn.subplots(rows, columns, squeeze=False, sharey=True)
    for axes in grid.flat[len(noises) :]:
        axes.set_axis_off()
    for axes, noise in zip(grid.flat, noises, strict=False):
        shifts = frame[frame.noise == noise].set_index("model")["shift"]
        panel(axes, histograms[histograms.noise == noise], shifts, models)
        axes.set_title(wrapped(noise, 40), fontsize=10)
    grid[0, 0].set_ylim(bottom=0)  # of all panels, once their curves are there
    for axes in grid[:, 0]:
        axes.set_ylabel(f"share of pixels per level, %, mean of {WIDE} levels", fontsize=8)
    heading = (
        "Brightness of what each model puts out, and of the clean images\n"
        "shift: mean brightness minus that of the clean images, in 8-bit levels"
    )
    drawn.suptitle("\n".join(filter(None, (heading, over(frame), preset(frame)))), fontsize=10)
    model_styles.add(drawn, models, marked=False)
    return drawn


def panel(axes: Axes, histograms: pd.DataFrame, shifts: pd.Series, models: list[str]) -> None:
    """The histograms of one noise, and each model's shift beside its line."""
    held = {str(name): binned(part) for name, part in histograms.groupby("model", sort=False)}
    places = np.arange(0, WIDE * len(next(iter(held.values()))), WIDE) + (WIDE - 1) / 2
    handles = []
    for model in models:
        look = model_styles.style(model, models) | {"marker": None, "lw": 1.4}
        axes.plot(places, held.pop(model), **look)  # type: ignore[arg-type]
        shift = float(shifts[model])
        label = "not finite" if math.isnan(shift) else f"{round(shift, 2) + 0.0:+.2f}"
        handles.append(Line2D([], [], label=label, **look))  # type: ignore[arg-type]
    (clean,) = held.values()
    dashed = {"color": "black", "lw": 1.2, "ls": (0, (4, 2))}
    axes.plot(places, clean, **dashed)  # type: ignore[arg-type]
    handles.append(Line2D([], [], label="clean images", **dashed))  # type: ignore[arg-type]
    axes.legend(handles=handles, title="shift", title_fontsize=7, fontsize=7, framealpha=0.7)
    axes.set_xlim(0, 255)
    axes.set_xticks([0, 64, 128, 192, 255])
    axes.set_xlabel("brightness, 8-bit levels", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)


def binned(part: pd.DataFrame) -> np.ndarray:
    """Percent of pixels per level, as means over bins of `WIDE` levels."""
    shares = part.sort_values("level").share.to_numpy(dtype=float)
    found: np.ndarray = 100 * shares.reshape(-1, WIDE).mean(1)
    return found


def over(frame: pd.DataFrame) -> str:
    """Over which images."""
    crops, photographs = int(frame.images.iloc[0]), int(frame.photographs.iloc[0])
    of = terminal.plural(photographs, "photograph")
    return f"{terminal.plural(crops, 'crop')} of {of}"
