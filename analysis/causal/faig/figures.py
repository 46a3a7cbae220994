"""Figures of filter attribution, each drawn from a table that a run folder holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.causal.faig.choices import ATTRIBUTION, CHANGE
from analysis.plotting.figure_style import legend_columns, new_figure, noise_look
from analysis.plotting.model_styles import named, short
from analysis.text.intervals import bands
from analysis.text.noise_names import noise_label, noise_words

ATTRIBUTION_LABEL = "sum over the layer's filters (squared 8-bit levels)"
LOSS_LABEL = "PSNR lost (dB)"
SHARE_LABEL = "filters reverted (%)"
MSE_LABEL = "MSE (squared 8-bit levels)"

LOOKS: dict[str, dict[str, Any]] = {
    ATTRIBUTION: {"color": "C3", "marker": "o", "ls": "-"},
    CHANGE: {"color": "C0", "marker": "s", "ls": (0, (4, 2))},
}

MOST = 48
"""Most layers whose names are on the axis."""

Frames = Mapping[str, pd.DataFrame]


def all_figures(frames: Frames, manifest: Mapping[str, Any]) -> dict[str, Figure]:
    """Attribution by layer, what reverted filters cost, and the error along the path."""
    pair, reference = list(manifest["pair"]), str(manifest["reference"])
    found = {
        "faig": layers(frames["faig_layers"], pair, reference),
        "faig_path": path(frames["faig_path"], pair),
    }
    rows = frames.get("faig_reverting")
    if rows is not None and rows.loss.notna().any():
        found["faig_reverting"] = reverting(rows, pair, reference)
    return found


def layers(frame: pd.DataFrame, pair: list[str], reference: str) -> Figure:
    """Attribution by layer, a panel for each unseen noise.

    Args:
        frame: faig_layers.csv, see `analysis.causal.faig.tables.by_layer`.
        pair: names of the baseline and of its twin.
        reference: the noise whose attribution is subtracted.
    """
    parts = list(frame.groupby("noise", sort=False))
    figure = new_figure(9.5, 3.0 * len(parts) + 1.8)
    grid = figure.subplots(len(parts), 1, squeeze=False, sharex=True)[:, 0]
    for axes, (noise, part) in zip(grid, parts, strict=True):
        draw_layers(axes, part)
        axes.set_title(noise_label(noise), fontsize=9)
        axes.set_ylabel("sum over the layer's filters\n(squared 8-bit levels)", fontsize=8)
        axes.label_outer()
    banded = frame.low.notna().any()
    about = f"; bars: {bands(int(frame.photographs.iloc[0]))}" if banded else ""
    figure.suptitle(
        f"Attribution of the filters of each layer, from {named(pair[0])} to {named(pair[1])}\n"
        f"red: F under the noise minus F under {noise_words(reference)}, of absolute values; "
        f"black: signed, under the noise{about}\n"
        "signed above 0: along the path the layer lowered the error",
        fontsize=9,
    )
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=8)
    return figure


def draw_layers(axes: Axes, part: pd.DataFrame) -> None:
    """The layers of one noise on given axes: bars of the attribution, points of signed sums."""
    x = np.arange(len(part))
    axes.bar(x, part.attribution, color="C3", alpha=0.55, label="attribution, F(A) − F(B)")
    axes.plot(x, part.signed, "k.", ms=4, label="signed, under the noise")
    columns = (("attribution", "low", "high", "C3"), ("signed", "signed_low", "signed_high", "k"))
    for name, low, high, color in columns:
        if part[low].notna().any():
            ends = np.array([part[name] - part[low], part[high] - part[name]]).clip(0)
            axes.errorbar(x, part[name], ends, fmt="none", ecolor=color, elinewidth=0.8)
    axes.axhline(0, color="0.4", lw=0.8, zorder=0)
    axes.grid(alpha=0.3, axis="y")
    axes.tick_params(labelsize=7)
    labels = labels_of([str(name) for name in part.layer])
    step = -(-len(labels) // MOST)
    axes.set_xticks(x[::step], labels[::step], rotation=90, fontsize=6)
    axes.set_xlim(-0.8, len(part) - 0.2)


def labels_of(names: list[str]) -> list[str]:
    """Names of layers for the axis: blocks by their place.

    >>> labels_of(["conv_first", "layers.0.residual_group.blocks.1.attn.qkv"])
    ['conv_first', '0.1.attn.qkv']
    """
    return [short(name).removeprefix("block ") for name in names]


def reverting(frame: pd.DataFrame, pair: list[str], reference: str) -> Figure:
    """PSNR lost by reverted filters: a column for each noise, a row under it and the reference.

    Args:
        frame: faig_reverting.csv, see `analysis.causal.faig.tables.reverted`.
        pair: names of the baseline and of its twin.
        reference: noise B.
    """
    noises = list(dict.fromkeys(frame.noise))
    wide = max(7.5, 4.2 * len(noises))
    figure = new_figure(wide, 7.4)
    grid = figure.subplots(2, len(noises), squeeze=False, sharex=True, sharey="row")
    for column, noise in enumerate(noises):
        part = frame[frame.noise == noise]
        for row, measured in enumerate((noise, reference)):
            axes = grid[row, column]
            draw_reverting(axes, part[part.measured == measured])
            axes.set_title(
                f"filters chosen for {noise_words(noise)},\nmeasured under {noise_words(measured)}",
                fontsize=9,
            )
            axes.label_outer(remove_inner_ticks=False)
    for axes in grid[:, 0]:
        axes.set_ylabel(LOSS_LABEL, fontsize=8)
    for axes in grid[-1]:
        axes.set_xlabel(SHARE_LABEL, fontsize=8)
    banded = frame.low.notna().any()
    about = f"\nbars: {bands(int(frame.photographs.iloc[0]))}" if banded else ""
    figure.suptitle(
        f"PSNR that {named(pair[1])} loses with some filters set back to their weights in "
        f"{named(pair[0])}\n"
        f"filters are chosen on one half of the photographs, losses measured on the other{about}",
        fontsize=9,
    )
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), fontsize=8)
    return figure


def draw_reverting(axes: Axes, part: pd.DataFrame) -> None:
    """Losses of filters chosen for one noise, measured under one noise, on given axes."""
    width = part.percent.max() - part.percent.min() or 1.0  # a single percentage has none
    for place, (selection, look) in enumerate(LOOKS.items()):
        rows = part[part.selection == selection]
        x = rows.percent + (place - 0.5) * 0.016 * width  # bars beside each other
        axes.plot(x, rows.loss, ms=4, lw=1.2, label=f"by {selection}", **look)
        if rows.low.notna().any():
            ends = np.array([rows.loss - rows.low, rows.high - rows.loss]).clip(0)
            axes.errorbar(x, rows.loss, ends, fmt="none", ecolor=look["color"], elinewidth=0.8)
    rows = part[part.selection == ATTRIBUTION]
    axes.plot(rows.percent, rows.random, color="0.45", lw=1.2, marker=".", label="random, mean")
    ends = np.array([rows.random - rows.random_low, rows.random_high - rows.random]).clip(0)
    look = {"fmt": "none", "ecolor": "0.7", "elinewidth": 5, "alpha": 0.6, "zorder": 0}
    axes.errorbar(rows.percent, rows.random, ends, label="random, range over draws", **look)
    shares = sorted(set(part.percent))
    axes.set_xticks(shares, [f"{share:g}" for share in shares])
    axes.set_xlim(shares[0] - 0.06 * width, shares[-1] + 0.06 * width)
    axes.axhline(0, color="0.4", lw=0.8, zorder=0)
    axes.grid(alpha=0.3)
    axes.tick_params(labelsize=7)


def path(frame: pd.DataFrame, pair: list[str]) -> Figure:
    """The error along the path between the networks, a line for each noise.

    Args:
        frame: faig_path.csv, see `analysis.causal.faig.tables.path`.
        pair: names of the baseline and of its twin.
    """
    figure = new_figure(7.0, 4.4)
    axes = figure.subplots()
    draw_path(axes, frame)
    about = bands(int(frame.photographs.iloc[0])) if frame.low.notna().any() else ""
    shaded = f"\nshaded: {about}" if about else ""
    figure.suptitle(
        f"Error along the path from the weights of {named(pair[0])} (0) to those of "
        f"{named(pair[1])} (1){shaded}",
        fontsize=9,
    )
    names = axes.get_legend_handles_labels()[1]
    columns = legend_columns(names, figure.get_size_inches()[0], 4)
    figure.legend(loc="outside lower center", ncols=columns, fontsize=8)
    return figure


def draw_path(axes: Axes, frame: pd.DataFrame) -> None:
    """The error along the path on given axes."""
    for place, (noise, rows) in enumerate(frame.groupby("noise", sort=False)):
        look = noise_look(place)
        axes.plot(rows.alpha, rows.mse, ms=3, lw=1.2, label=noise_label(noise), **look)
        if rows.low.notna().any():
            axes.fill_between(rows.alpha, rows.low, rows.high, color=look["color"], alpha=0.2, lw=0)
    axes.set_xlabel("share of the way from the baseline to its twin", fontsize=8)
    axes.set_ylabel(MSE_LABEL, fontsize=8)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.tick_params(labelsize=7)
