"""Figures of causal effect maps: the effect of every block over the input."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.attribution import figures
from analysis.attribution.figures import Array
from analysis.attribution.integrated_gradients import Window
from analysis.attribution.tables import Pictures
from analysis.plotting.pictures import as_rgb

SMALL = 0.01
"""Effects in dB up to which the color scale is linear; logarithmic above."""

COLORS = "RdBu_r"


def scale(largest: float) -> SymLogNorm:
    """The color scale for effects of up to `largest` dB, of either sign."""
    top = max(largest, 10 * SMALL) if largest == largest else 1.0
    return SymLogNorm(SMALL, vmin=-top, vmax=top)


def maps(frame: pd.DataFrame, pictures: Pictures) -> Figure:
    """Maps of the first crop, an example, over the grayscale input, with the window framed.

    They are grouped by noise: the input, then each model, all on one scale in dB.
    """
    i = frame.crop.iloc[0]
    norm = scale(float(frame.largest[frame.crop == i].abs().max()))
    figure, grid = figures.example(frame, pictures, partial(draw_map, norm=norm), about)
    bar = figure.colorbar(ScalarMappable(norm, colormaps[COLORS]), ax=grid, shrink=0.8, pad=0.01)
    bar.set_label("causal effect of a block (dB)", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    heading = (
        "By how much the PSNR of the framed window of the output falls\nwhere a block of the input "
        "(first of each group) is replaced by noisy patches of other photographs\n"
        "red: replacing the block lowers the PSNR, blue: it raises it; "
        "outside: share of the absolute effects"
    )
    figures.entitle(figure, heading, frame)
    return figure


def about(row: pd.Series) -> str:
    """The numbers of a map, for its title."""
    if np.isnan(row.outside):
        return "no values"
    return f"{row.psnr:.1f} dB, {row.outside:.0%} outside"


def draw_map(
    axes: Axes, image: Array, values: Array | None, window: Window, *, norm: SymLogNorm
) -> None:
    """An input, or a map over it in grayscale, with the window framed, on given axes.

    Args:
        axes: where to draw.
        image: (C, H, W) in [0, 1], what went into the network.
        values: (1, H, W), effects in dB; None for the input alone.
        window: of the output.
        norm: the color scale.
    """
    pixels = as_rgb(np.clip(image, 0, 1).transpose(1, 2, 0))
    if values is not None:
        place = np.asarray(norm(np.nan_to_num(values[0])))
        # the picture stays visible where there is little effect
        over = np.clip(2 * np.abs(2 * place - 1), 0, 0.85)[..., None]
        gray = 0.3 + 0.5 * np.repeat(pixels.mean(2, keepdims=True), 3, 2)
        pixels = (1 - over) * gray + over * colormaps[COLORS](place)[..., :3]
    axes.imshow(pixels, interpolation="nearest")
    corner = (window.left - 0.5, window.top - 0.5)
    edge = "red" if values is None else "black"
    axes.add_patch(Rectangle(corner, window.side, window.side, fill=False, ec=edge, lw=1))
    axes.set_xticks([])
    axes.set_yticks([])
