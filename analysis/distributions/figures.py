"""The figure of `python -m analysis.distributions`: features under each noise and the reference."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.plotting.model_styles import COLORS, DPI, short
from analysis.stats.generalized_gaussian import density
from analysis.text.names import wrapped
from analysis.text.noise_labels import preset

MOST = 40
"""Rows that one figure holds."""


def figure(frame: pd.DataFrame, curves: pd.DataFrame, photographs: int) -> Figure:
    """A row for each model and layer with shared axes, a column for each noise (Figure 15).

    Filled in grey the histogram under the reference noise, outlined in colour that under the
    column's noise; dashed lines are fitted generalized Gaussians, each around its own mean.

    Args:
        frame: see `analysis.distributions.tables.tables`.
        curves: the histograms, of the same function.
        photographs: that the crops are of.
    """
    first = frame.iloc[0]
    pairs = list(frame.groupby(["model", "layer"], sort=False))
    pairs = sorted(pairs, key=lambda pair: list(frame.layer.unique()).index(pair[0][1]))
    noises = [str(noise) for noise in frame.noise.unique() if noise != first.reference]
    size = (2.5 * max(2, len(noises)) + 0.8, 2.2 * min(MOST, len(pairs)) + 1.3)
    drawn = Figure(figsize=size, dpi=DPI, layout="constrained")
    grid = drawn.subplots(
        min(MOST, len(pairs)), len(noises), squeeze=False, sharex="row", sharey="row"
    )
    for line, ((model, layer), rows) in zip(grid, pairs, strict=False):
        held = curves[(curves.model == model) & (curves.layer == layer)]
        groups = {str(noise): part for noise, part in held.groupby("noise", sort=False)}
        fits = rows.set_index("noise")
        for place, (axes, noise) in enumerate(zip(line, noises, strict=True)):
            colour = COLORS[place % len(COLORS)]
            panel(axes, groups, fits, (str(first.reference), noise), colour)
        line[0].set_ylabel(f"{wrapped(str(model), 24)}\ndensity", fontsize=8)
        line[len(line) // 2].set_xlabel(f"feature value: {short(str(layer))}", fontsize=8)
    for axes, noise in zip(grid[0], noises, strict=True):
        axes.set_title(wrapped(noise, 24), fontsize=9)
    over = f"{first.crops} crops of {photographs} photographs, all channels and places pooled"
    cut = f"the first {MOST} of {len(pairs)} rows" if len(pairs) > MOST else ""
    heading = (
        f"Histograms of features under each noise (outlined) and under the reference, "
        f"{first.reference} (grey)"
    )
    lines = (
        "dashed: fitted generalized Gaussians; W1 in standard deviations under the reference, "
        "JS in bits (0 to 1)"
    )
    about = filter(None, (heading, lines, over, cut, preset(frame)))
    drawn.suptitle("\n".join(about), fontsize=9)
    return drawn


def panel(
    axes: Axes,
    groups: dict[str, pd.DataFrame],
    fits: pd.DataFrame,
    noises: tuple[str, str],
    colour: str,
) -> None:
    """One noise against the reference: histograms, fitted densities, and how far apart they are."""
    top = max(float(groups[noise].density.max()) for noise in groups)
    peaks = [
        float(density(np.zeros(1), *map(float, fits.loc[noise, ["sigma", "shape"]]))[0])
        for noise in groups
    ]
    for noise, tint, filled in zip(noises, ("0.8", colour), (True, False), strict=True):
        part = groups[noise]
        mean, sigma, shape = (float(fits[name][noise]) for name in ("mean", "sigma", "shape"))
        bounds = np.append(part.left, part.right.iloc[-1])
        axes.stairs(part.density.to_numpy(), bounds, fill=filled, color=tint, lw=1.4)
        x = np.linspace(bounds[0], bounds[-1], 601)
        height = density(x - mean, sigma, shape)
        axes.plot(x, height, lw=0.9, ls="--", color="0.4" if filled else tint)
    held = fits.loc[noises[1]]
    about = f"W1 {held.w1_relative:.3f} σ\nJS {held.js:.4f}"
    axes.text(0.97, 0.95, about, transform=axes.transAxes, ha="right", va="top", fontsize=8)
    axes.set_ylim(0, 1.08 * max(top, min(2 * top, max(peaks))))
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.25)
