"""Figures of attribution: maps over their inputs, drawn from the files that a run folder holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from analysis.attribution.integrated_gradients import Window
from analysis.attribution.tables import Pictures
from analysis.plotting.figure_style import new_figure
from analysis.plotting.pictures import as_rgb
from analysis.text.names import wrapped
from analysis.text.noise_labels import preset
from analysis.text.noise_names import noise_label

FLOOR = 1e-3
"""Lowest value of the color scale, as a share of a map's largest."""

FIRST = "of several trainings the map is that of the first one, and the numbers are their means"
"""What is said of maps of models with several trainings."""

Array = NDArray[np.float32]


def window_of(row: pd.Series) -> Window:
    """The window of a row of the table."""
    return Window(int(row.window_top), int(row.window_left), int(row.side))


class Draw(Protocol):
    """Draws an input, or a map over it, with the window framed."""

    def __call__(self, axes: Axes, image: Array, values: Array | None, window: Window) -> None:
        """See `draw_map`."""


def maps(frame: pd.DataFrame, pictures: Pictures) -> Figure:
    """Maps of the first crop, an example, over the grayscale input, with the window framed.

    They are grouped by noise: the input, then each model. Colors are of |attribution| as a
    share of the map's largest value, on one logarithmic scale.
    """
    figure, grid = example(frame, pictures, draw_map, about)
    bar = figure.colorbar(
        ScalarMappable(LogNorm(FLOOR, 1), colormaps["inferno"]), ax=grid, shrink=0.8, pad=0.01
    )
    bar.set_label("|attribution|, share of the map's largest", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    heading = (
        "Which pixels of the input (first of each group) a model uses for the framed window of its "
        "output\nDI: diffusion index, higher is more pixels; outside: share of the attribution "
        "that is outside the window"
    )
    entitle(figure, heading, frame)
    return figure


def example(
    frame: pd.DataFrame, pictures: Pictures, draw: Draw, about: Callable[[pd.Series], str]
) -> tuple[Figure, NDArray[np.object_]]:
    """The maps of the first crop in one line, grouped by noise: the input, then each model.

    Args:
        frame: a row for each map.
        pictures: the maps and inputs.
        draw: one of them.
        about: a map's numbers, for its title.
    """
    models, noises = (list(dict.fromkeys(frame[name])) for name in ("model", "noise"))
    i = frame.crop.iloc[0]
    columns = len(noises) * (1 + len(models))
    size = (1.45 * columns + 1.1, 1.7 + 1.0)
    figure = new_figure(*size)
    grid = figure.subplots(1, columns, squeeze=False)
    line = grid[0]
    rows = {(row.model, row.noise): row for _, row in frame[frame.crop == i].iterrows()}
    for place, noise in enumerate(noises):
        group = line[place * (1 + len(models)) :]
        window = window_of(rows[models[0], noise])
        noisy = pictures["", noise, i]
        draw(group[0], noisy, None, window)
        group[0].set_title(f"{wrapped(noise_label(noise), 16)}\n", fontsize=7)
        for axes, model in zip(group[1:], models, strict=False):
            draw(axes, noisy, pictures[model, noise, i], window)
            axes.set_title(f"{wrapped(model, 16)}\n{about(rows[model, noise])}", fontsize=7)
    line[0].set_ylabel(wrapped(rows[models[0], noises[0]].image, 16), fontsize=7)
    return figure, grid


def entitle(figure: Figure, heading: str, frame: pd.DataFrame) -> None:
    """The heading, with what is to be known of several trainings and of noises."""
    first = FIRST if "trainings" in frame and (frame.trainings > 1).any() else ""
    figure.suptitle("\n".join(filter(None, (heading, first, preset(frame)))), fontsize=9)


def about(row: pd.Series) -> str:
    """The numbers of a map, for its title."""
    return f"DI {row.di:.1f}, {row.outside:.0%} outside"


def draw_map(axes: Axes, image: Array, values: Array | None, window: Window) -> None:
    """An input, or a map over it in grayscale, with the window framed, on given axes.

    Args:
        axes: where to draw.
        image: (C, H, W) in [0, 1], what went into the network.
        values: (C, H, W), the map; None for the input alone.
        window: of the output.
    """
    pixels = as_rgb(np.clip(image, 0, 1).transpose(1, 2, 0))
    if values is not None:
        strength = np.abs(values.sum(0))
        share = strength / max(float(strength.max()), 1e-30)
        scaled = np.clip(1 - np.log(np.maximum(share, FLOOR)) / np.log(FLOOR), 0, 1)
        # the picture stays visible where little is used
        over = np.clip(2 * scaled, 0, 0.9)[..., None]
        gray = 0.5 * np.repeat(pixels.mean(2, keepdims=True), 3, 2)
        pixels = (1 - over) * gray + over * colormaps["inferno"](scaled)[..., :3]
    axes.imshow(pixels, interpolation="nearest")
    corner = (window.left - 0.5, window.top - 0.5)
    edge = "red" if values is None else "cyan"
    axes.add_patch(Rectangle(corner, window.side, window.side, fill=False, ec=edge, lw=1))
    axes.set_xticks([])
    axes.set_yticks([])
