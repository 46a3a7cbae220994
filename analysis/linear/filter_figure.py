"""The figure of equivalent filters: those of three pixels of an example crop."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from analysis.linear.places import KINDS
from analysis.linear.tables import Filters
from analysis.plotting.figure_style import new_figure
from analysis.plotting.pictures import as_rgb
from analysis.text.names import wrapped
from analysis.text.noise_names import noise_label

Array = NDArray[np.float32]


def filters(frame: pd.DataFrame, known: Filters, crop: int | None = None) -> Figure:
    """Filters of a flat pixel, an edge and texture; a row for each noise and kind of pixel.

    The first column is the noisy crop with the pixel framed, then a filter for each model; colors
    are symmetric about 0, with a scale of its own for each picture.

    Args:
        frame: filters.csv, see `analysis.linear.tables.filters`.
        known: the pictures, see `analysis.linear.tables.read_filters`.
        crop: its number; the first one by default.
    """
    models, noises = (list(dict.fromkeys(frame[name])) for name in ("model", "noise"))
    crop = int(frame.crop.iloc[0]) if crop is None else crop
    rows = [(noise, kind) for noise in noises for kind in KINDS]
    size = (1.75 * (1 + len(models)) + 0.8, 1.8 * len(rows) + 1.0)
    figure = new_figure(*size)
    grid = figure.subplots(len(rows), 1 + len(models), squeeze=False)
    for line, (noise, kind) in zip(grid, rows, strict=True):
        of = frame[(frame.noise == noise) & (frame.crop == crop) & (frame.pixel == kind)]
        first = of.iloc[0]
        draw_input(line[0], known["", noise, crop, ""], (int(first.top), int(first.left)))
        line[0].set_ylabel(f"{wrapped(noise_label(noise), 18)}\n{kind}", fontsize=7)
        for axes, (_, row) in zip(line[1:], of.iterrows(), strict=True):
            draw_filter(axes, known[row.model, noise, crop, kind])
            axes.set_title(f"95% within {row.reach95:.1f} px", fontsize=7)
    grid[0][0].set_title("noisy input", fontsize=7)
    for axes, model in zip(grid[0][1:], models, strict=True):
        axes.set_title(f"{wrapped(model, 20)}\n{axes.get_title()}", fontsize=7)
    figure.suptitle(
        "How much each input pixel weighs in the output pixel at the center of the frame\n"
        "red: positive, blue: negative; each picture has its own scale",
        fontsize=9,
    )
    return figure


def draw_input(axes: Axes, image: Array, pixel: tuple[int, int]) -> None:
    """A noisy crop (C, H, W) with a pixel framed, on given axes."""
    pixels = as_rgb(np.clip(image, 0, 1).transpose(1, 2, 0))
    axes.imshow(pixels, interpolation="nearest")
    top, left = pixel
    axes.add_patch(Rectangle((left - 1.5, top - 1.5), 3, 3, fill=False, ec="cyan", lw=1.2))
    axes.set_xticks([])
    axes.set_yticks([])


def draw_filter(axes: Axes, weights: Array) -> None:
    """A filter (H, W) on given axes, in colors that are symmetric about 0."""
    known = np.nan_to_num(weights)
    most = max(float(np.abs(known).max()), 1e-30)
    axes.imshow(known, cmap="RdBu_r", vmin=-most, vmax=most, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
