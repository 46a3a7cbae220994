"""Loss and test PSNR by step, a panel for each noise (the paper's Figure 13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

from analysis.curves import tables
from analysis.curves.log_readers import LOSS
from analysis.plotting import model_styles
from analysis.plotting.model_styles import DPI, style
from analysis.text.names import wrapped

FEW = 30
"""Points of a curve up to which each has a marker."""

WIDE = 5
"""Largest over smallest loss from which its scale is logarithmic."""

NAME = 30
"""Letters of a run's name in a line of the legend."""


def smoothed(values: Sequence[float] | pd.Series, decay: float) -> NDArray[np.float64]:
    """Exponential moving average s_t = Σ β^(t−i) x_i / Σ β^(t−i), i up to t.

    The sum of weights in the denominator keeps the first values from being drawn towards 0, or
    the later ones towards the first. Steps between values do not matter, only their order.

    Args:
        values: (n,), in order.
        decay: β, from 0, which changes nothing, to below 1.

    Example:
        >>> smoothed([1.0, 2.0], 0.5)
        array([1.        , 1.66666667])
    """
    total, weight, found = 0.0, 0.0, []
    for value in values:
        total, weight = decay * total + value, decay * weight + 1
        found.append(total / weight)
    return np.array(found)


def figure(frame: pd.DataFrame, trained: Mapping[str, str], decay: float) -> Figure:
    """Training loss, then PSNR under each noise, those trained on first, then over unseen ones.

    Args:
        frame: columns `analysis.curves.tables.COLUMNS`.
        trained: by run, the noise trained on.
        decay: see `smoothed`; test curves are drawn as they are.
    """
    runs, part = list(trained), tables.shown(frame)
    losses = frame[frame.quantity == LOSS]
    known = set(trained.values())
    noises = sorted(dict.fromkeys(part.noise), key=lambda noise: noise not in known)
    unseen = sum(noise not in known for noise in noises) > 1 or len(known - {""}) > 1
    count = max(1, bool(len(losses)) + len(noises) + unseen)
    columns = {1: 1, 2: 2, 4: 2}.get(count, 3 if count <= 6 or count == 9 else 4)
    rows = -(-count // columns)
    size = (4.2 * columns + (1.5 if count == 1 else 0), 3.1 * rows + 1.1)
    drawn = Figure(figsize=size, dpi=DPI, layout="constrained")
    grid = drawn.subplots(rows, columns, squeeze=False, sharex=True)
    panels = list(grid.flat)
    for axes in panels[count:]:
        axes.set_axis_off()
    places = iter(panels)
    if len(losses):
        draw_losses(next(places), losses, runs, decay)
    for noise in noises:
        draw_noise(next(places), noise, part, trained)
    if unseen:
        draw_unseen(next(places), part, trained)
    for axes in panels[:count]:
        dress(axes)
    lengths = part.groupby(["run", "noise"]).size()
    model_styles.add(drawn, runs, marked=bool((lengths <= FEW).any()))
    drawn.suptitle(heading(part, losses, decay), fontsize=10)
    return drawn


def heading(part: pd.DataFrame, losses: pd.DataFrame, decay: float) -> str:
    """What is shown, and how it was smoothed."""
    what = [name for name, held in (("Training loss", losses), ("test PSNR", part)) if len(held)]
    first = " and ".join(what) + " by step of training"
    lines = [first[:1].upper() + first[1:]]
    if len(losses) and decay:
        tests = "; test curves are not smoothed" if len(part) else ""
        lines.append(f"loss: smoothed, EMA {decay:g}; faint: as logged{tests}")
    if len(part):
        lines.append("rings: each run's best step")
    return "\n".join(lines)


def draw_losses(axes: Axes, losses: pd.DataFrame, runs: list[str], decay: float) -> None:
    """Each run's loss as it was logged, and smoothed."""
    for run, curve in losses.sort_values("step").groupby("run", sort=False):
        colour = str(style(str(run), runs)["color"])
        faint = {"alpha": 0.3, "lw": 0.8} if decay else {"lw": 1.2}
        axes.plot(curve.step, curve.value, color=colour, **faint)  # type: ignore[arg-type]
        if decay:
            axes.plot(curve.step, smoothed(curve.value, decay), color=colour, lw=1.6)
    low, high = losses.value.min(), losses.value.max()
    if low > 0 and high > WIDE * low:
        axes.set_yscale("log")
        powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
        ticks = [power * digit for power in powers for digit in (1, 2, 5)]
        axes.yaxis.set_major_locator(FixedLocator(ticks))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.set_title("training loss", fontsize=10)
    axes.set_ylabel("loss", fontsize=9)


def draw_noise(axes: Axes, noise: str, part: pd.DataFrame, trained: Mapping[str, str]) -> None:
    """PSNR of each run under one noise."""
    here = part[part.noise == noise]
    on = [run for run in dict.fromkeys(here.run) if trained[run] == noise]
    for run in dict.fromkeys(here.run):
        curve = here[here.run == run].set_index("step").value.sort_index()
        line(axes, run, curve, list(trained), ring=run in on)
    title = wrapped(noise, 40, 2)
    if on:
        whose = "" if len(on) == here.run.nunique() else f" by {', '.join(on)}"
        title += ("\n" if whose else " ") + wrapped(f"(trained on{whose})", 40, 2)
        axes.set_facecolor("0.96")
    axes.set_title(title, fontsize=10)
    axes.set_ylabel("PSNR (dB)", fontsize=9)


def draw_unseen(axes: Axes, part: pd.DataFrame, trained: Mapping[str, str]) -> None:
    """Each run's mean over the noises that it was not trained on."""
    for run, noise in trained.items():
        curve = tables.means(part[part.run == run], noise).unseen.dropna()
        if len(curve):
            line(axes, run, curve, list(trained), ring=True)
    axes.set_title("mean over the unseen noises", fontsize=10, fontweight="bold")
    axes.set_ylabel("PSNR (dB)", fontsize=9)


def line(axes: Axes, run: str, curve: pd.Series, runs: list[str], ring: bool) -> None:
    """A test curve by step, and a ring around its best point."""
    look = style(run, runs) | ({} if len(curve) <= FEW else {"marker": None})
    axes.plot(curve.index, curve, lw=1.4, **look)  # type: ignore[arg-type]
    if ring:
        best = int(curve.argmax())
        about = {"mfc": "none", "mec": look["color"], "ms": 10, "mew": 1.4}
        axes.plot(curve.index[[best]], curve.iloc[[best]], "o", **about)  # type: ignore[arg-type]


def dress(axes: Axes) -> None:
    """What all panels have in common."""
    axes.set_xlabel("step", fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: steps(step)))
    axes.tick_params(labelsize=8, labelbottom=True)
    axes.grid(alpha=0.3)


def steps(step: float) -> str:
    """A step on an axis.

    >>> steps(500), steps(2500), steps(200_000), steps(1_500_000)
    ('500', '2.5k', '200k', '1.5M')
    """
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(step) >= size:
            return f"{step / size:g}{letter}"
    return f"{step:g}"
