"""The figure of the distributions of features: histograms under each noise and the reference."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.plotting.figure_style import PAPER, current, new_figure, noise_look
from analysis.plotting.model_styles import located, named, short
from analysis.plotting.trainings import DRAWN, thin_lines
from analysis.stats.generalized_gaussian import density
from analysis.text.controls import HEADS, has_controls
from analysis.text.names import wrapped
from analysis.text.noise_labels import preset
from analysis.text.noise_names import noise_label, noise_words
from analysis.text.terminal import plural

MOST = 40
"""Rows that one figure holds."""

NO_VALUE = "no value"
"""What is written where features have no distribution."""

CONTROLS = "W1's controls: the reference noise redrawn; different photographs; untrained networks"


def figure(frame: pd.DataFrame, curves: pd.DataFrame, single: pd.DataFrame | None = None) -> Figure:
    """A row for each model and layer with shared axes, a column for each noise (Figure 15).

    Filled in gray the histogram under the reference noise, outlined in color that under the
    column's noise; dashed lines are fitted generalized Gaussians, each around its own mean.

    Args:
        frame: see `analysis.distributions.tables.tables`.
        curves: the histograms, of the same function.
        single: those of single trainings, if models have several; drawn under the column's noise.
    """
    first = frame.iloc[0]
    pairs = list(frame.groupby(["model", "layer"], sort=False))
    pairs = sorted(pairs, key=lambda pair: list(frame.layer.unique()).index(pair[0][1]))
    noises = [str(noise) for noise in frame.noise.unique() if noise != first.reference]
    size = (2.5 * max(2, len(noises)) + 0.8, 2.2 * min(MOST, len(pairs)) + 1.3)
    drawn = new_figure(*size)
    grid = drawn.subplots(
        min(MOST, len(pairs)), len(noises), squeeze=False, sharex="row", sharey="row"
    )
    for line, ((model, layer), rows) in zip(grid, pairs, strict=False):
        own = curves[(curves.model == model) & (curves.layer == layer)]
        for place, (axes, noise) in enumerate(zip(line, noises, strict=True)):
            color = noise_look(place)["color"]
            draw_histogram(axes, rows, own, noise, color)
            if single is not None:
                here = (single.model == model) & (single.layer == layer) & (single.noise == noise)
                thin_lines(axes, single[here], str(model), "left", "density", color)
            axes.tick_params(labelsize=7)
        of = f"\n{short(str(layer))}" if frame.layer.nunique() > 1 else ""
        line[0].set_ylabel(f"{wrapped(str(model), 24)}{of}\ndensity", fontsize=8)
    for axes, noise in zip(grid[0], noises, strict=True):
        under = wrapped(noise_label(noise), 24)
        axes.set_title("\n".join(filter(None, (under, axes.get_title()))), fontsize=9)
    only = f" {located(str(first.layer))}" if frame.layer.nunique() == 1 else ""
    drawn.supxlabel(f"feature value{only}", fontsize=8)
    over = f"{crops_of(frame)}, all channels and positions pooled"
    cut = f"the first {MOST} of {len(pairs)} rows" if len(pairs) > MOST else ""
    heading = (
        f"Histograms of features under each noise (outlined) and under the reference, "
        f"{noise_words(first.reference)} (gray)"
    )
    lines = (
        "dashed: fitted generalized Gaussians; W1 in standard deviations under the reference, "
        "JS in bits (0 to 1)"
    )
    beside_w1 = has_controls(frame, "w1_relative_") and current() is not PAPER
    controls = CONTROLS if beside_w1 else ""
    lines += f"; {DRAWN}" if single is not None else ""
    about = filter(None, (heading, lines, controls, over, cut, preset(frame)))
    drawn.suptitle("\n".join(about), fontsize=9)
    return drawn


def crops_of(frame: pd.DataFrame) -> str:
    """How many crops of how many photographs the numbers are over."""
    crops, photographs = int(frame.crops.iloc[0]), int(frame.photographs.iloc[0])
    return f"{plural(crops, 'crop')} of {plural(photographs, 'photograph')}"


def beside(row: Any) -> str:
    """The controls of W1, a line each; those without a value are left out."""
    values = {name: float(row[f"w1_relative_{column}"]) for column, name in HEADS.items()}
    return "\n".join(f"{k} {v:.3f}" for k, v in values.items() if math.isfinite(v))


def draw_histogram(
    axes: Axes, rows: pd.DataFrame, curves: pd.DataFrame, noise: str, color: str
) -> None:
    """One noise against the reference: histograms, fitted densities, and how far apart they are.

    Args:
        axes: where to draw.
        rows: of one model and layer, under all noises, which share the height of the axes.
        curves: the histograms of the same.
        noise: that is compared with the reference.
        color: of its outline.
    """
    by_noise = {str(name): part for name, part in curves.groupby("noise", sort=False)}
    fits = rows.set_index("noise")
    tops = [float(part.density.max()) for part in by_noise.values()]
    fitted = [name for name in by_noise if name in set(fits.index[fits["shape"].notna()])]
    peaks = [
        float(density(np.zeros(1), *map(float, fits.loc[name, ["sigma", "shape"]]))[0])
        for name in fitted
    ]
    reference = str(rows.reference.iloc[0])
    for name, tint, filled in ((reference, "0.8", True), (noise, color, False)):
        if name not in by_noise:
            continue
        part = by_noise[name]
        mean, sigma, shape = (float(fits[column][name]) for column in ("mean", "sigma", "shape"))
        bounds = np.append(part.left, part.right.iloc[-1])
        axes.stairs(
            part.density.to_numpy(),
            bounds,
            fill=filled,
            color=tint,
            lw=1.4,
            label=named(noise_label(name)),
        )
        if name not in fitted:
            continue
        x = np.linspace(bounds[0], bounds[-1], 601)
        height = density(x - mean, sigma, shape)
        axes.plot(x, height, lw=0.9, ls="--", color="0.4" if filled else tint)
    distances = fits.loc[noise]
    known = math.isfinite(float(fits.w1_relative[noise]))
    about = f"W1 {distances.w1_relative:.3f} σ\nJS {distances.js:.4f}" if known else NO_VALUE
    printed = current() is PAPER
    if known and has_controls(rows, "w1_relative_") and not printed:
        about += "\n" + beside(distances)
    if printed:  # there is no room beside the curves
        axes.set_title(about)
    else:
        place: Any = {"transform": axes.transAxes, "ha": "right", "va": "top"}
        axes.text(0.97, 0.95, about, fontsize=8, **place)
    if by_noise:
        axes.set_ylim(0, 1.08 * max(max(tops), min(2 * max(tops), max(peaks, default=0))))
    axes.grid(alpha=0.25)
