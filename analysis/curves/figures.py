"""Loss and test PSNR by step, a panel for each noise (the paper's Figure 13)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray

from analysis.curves import tables, training_lines
from analysis.curves.logged import LOSS
from analysis.curves.tables import Trained, unseen_noises
from analysis.plotting import model_styles
from analysis.plotting.figure_style import new_figure
from analysis.plotting.model_styles import crowded, named, style
from analysis.plotting.trainings import DRAWN
from analysis.stats.trainings import LEAST
from analysis.text.names import wrapped
from analysis.text.noise_names import noise_label

FEW = 30
"""Points of a curve up to which each has a marker."""

WIDE = 5
"""Largest over smallest loss from which its scale is logarithmic."""


def smoothed(values: Sequence[float] | pd.Series, decay: float) -> NDArray[np.float64]:
    """Exponential average over both sides, s_t = Σ β^|i−t| x_i / Σ β^|i−t|, |i − t| ≤ h_t.

    As many values before a point count as after it: of n values, those up to h_t = min(t, n−1−t)
    away. The sum of weights in the denominator corrects the bias towards 0, and the equal sides the
    lag of a one-sided average, which stays far above a loss that falls fast at first. The first
    and the last average are the values themselves, and a straight stretch stays as it is. Steps
    between values do not matter, only their order.

    Args:
        values: (n,), in order.
        decay: β, from 0, which changes nothing, to below 1.

    Example:
        >>> smoothed([1.0, 2.0, 6.0], 0.5)
        array([1.  , 2.75, 6.  ])
    """
    x = np.asarray(values, dtype=np.float64)
    t = np.arange(len(x))
    reach = np.minimum(t, t[::-1])
    far = decay ** (reach + 1)

    def before(x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Σ β^(t−i) x_i over i from t − h_t to t."""
        totals = np.zeros(len(x) + 1)  # one more: nothing before the first
        for i, value in enumerate(x):
            totals[i + 1] = decay * totals[i] + value
        return totals[1:] - far * totals[t - reach]

    total = before(x) + before(x[::-1])[::-1] - x
    one = before(np.ones(len(x)))
    averages: NDArray[np.float64] = total / (2 * one - 1)
    return averages


def figure(
    frame: pd.DataFrame, trained: Trained, decay: float, single: pd.DataFrame | None = None
) -> Figure:
    """Training loss, then PSNR under each noise, those trained on first, then over unseen ones.

    Args:
        frame: columns `analysis.curves.tables.COLUMNS`.
        trained: by run, the noises trained on; None where that is unknown.
        decay: see `smoothed`; test curves are drawn as they are.
        single: curves of single trainings, of which the others are means; None without.
    """
    runs, psnr = list(trained), tables.psnr_curves(frame)
    losses = frame[frame.quantity == LOSS]
    tests, own_losses = training_lines.single_tests(single), training_lines.single_losses(single)
    known = {noise for of in trained.values() for noise in of or ()}
    noises = sorted(dict.fromkeys(psnr.noise), key=lambda noise: noise not in known)
    several = [unseen_noises(psnr[psnr.run == run].noise, of) for run, of in trained.items()]
    unseen = any(len(of) > 1 for of in several) or len({tuple(of) for of in several if of}) > 1
    drawn, panels = empty_panels(max(1, bool(len(losses)) + len(noises) + unseen))
    following = iter(panels)
    if len(losses):
        draw_losses(next(following), losses, runs, decay, own_losses)
    for noise in noises:
        draw_noise(next(following), noise, psnr, trained, tests)
    if unseen:
        draw_unseen(next(following), psnr, trained, tests)
    for axes in panels:
        format_axes(axes)
    lengths = psnr.groupby(["run", "noise"]).size()
    model_styles.add(drawn, runs, marked=bool((lengths <= FEW).any()))
    drawn.suptitle(heading(psnr, losses, decay, bool(known) or unseen, single), fontsize=10)
    return drawn


def empty_panels(count: int) -> tuple[Figure, list[Axes]]:
    """A figure with so many axes, in as many columns as suit their number."""
    columns = {1: 1, 2: 2, 4: 2}.get(count, 3 if count <= 6 or count == 9 else 4)
    rows = -(-count // columns)
    size = (4.2 * columns + (1.5 if count == 1 else 0), 3.1 * rows + 1.1)
    drawn = new_figure(*size)
    panels = list(drawn.subplots(rows, columns, squeeze=False, sharex=True).flat)
    for axes in panels[count:]:
        axes.set_axis_off()
    return drawn, panels[:count]


def heading(
    psnr: pd.DataFrame,
    losses: pd.DataFrame,
    decay: float,
    rings: bool,
    single: pd.DataFrame | None = None,
) -> str:
    """What the figure shows, how it was smoothed, and what rings, thin lines and bands are.

    Args:
        psnr: the test curves.
        losses: of training.
        decay: of their smoothing.
        rings: whether best steps are marked.
        single: curves of single trainings, if some runs have several.
    """
    what = [name for name, rows in (("Training loss", losses), ("test PSNR", psnr)) if len(rows)]
    if not what:
        return "Neither training loss nor test PSNR was logged"
    first = " and ".join(what) + " by step of training"
    lines = [first[:1].upper() + first[1:]]
    if len(losses) and decay:
        tests = "; test curves are not smoothed" if len(psnr) else ""
        means = () if single is None else single.run.unique()
        faint = "" if losses.run.isin(means).all() else "; faint: as logged"
        lines.append(f"loss: smoothed over both sides, weights {decay:g}^distance{faint}{tests}")
    if len(psnr) and rings:
        lines.append(f"rings: each {'run' if single is None else 'training'}'s best step")
    if single is not None:
        runs = [*dict.fromkeys([*psnr.run, *losses.run])]
        enough = single.groupby("run").training.nunique().max() >= LEAST and not crowded(runs)
        bands = "; bands: 95% intervals over trainings" if enough else ""
        lines.append(f"thick lines: means over trainings; {DRAWN}{bands}")
    return "\n".join(lines)


def draw_losses(
    axes: Axes,
    losses: pd.DataFrame,
    runs: list[str],
    decay: float,
    single: pd.DataFrame | None = None,
) -> None:
    """Each run's loss as it was logged, and smoothed.

    Args:
        axes: where to draw.
        losses: rows of losses, columns `analysis.curves.tables.COLUMNS`.
        runs: all runs, in the order that decides their colors.
        decay: see `smoothed`; 0 for none.
        single: losses of single trainings; those of a run with several are drawn smoothed alone.
    """
    for run, curve in losses.sort_values("step").groupby("run", sort=False):
        color, label = str(style(str(run), runs)["color"]), named(str(run))
        own = training_lines.by_training(single, str(run))
        if not own.empty:
            even = own.dropna()
            averages = pd.DataFrame({n: smoothed(v, decay) for n, v in even.items()}, even.index)
            training_lines.draw_trainings(axes, averages, color, not crowded(runs))
            axes.plot(even.index, averages.mean(axis=1), color=color, lw=1.6, label=label)
        elif decay:
            axes.plot(curve.step, curve.value, color=color, alpha=0.3, lw=0.8)
            average = smoothed(curve.value, decay)
            axes.plot(curve.step, average, color=color, lw=1.6, label=label)
        else:
            axes.plot(curve.step, curve.value, color=color, lw=1.2, label=label)
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


def draw_noise(
    axes: Axes,
    noise: str,
    psnr: pd.DataFrame,
    trained: Trained,
    single: pd.DataFrame | None = None,
) -> None:
    """PSNR of each run under one noise.

    Args:
        axes: where to draw.
        noise: of the panel.
        psnr: rows of `analysis.curves.tables.psnr_curves`.
        trained: by run, the noises trained on; None where that is unknown.
        single: test curves of single trainings.
    """
    rows = psnr[psnr.noise == noise]
    under = None if single is None else single[single.noise == noise]
    trained_here = [run for run in dict.fromkeys(rows.run) if noise in (trained[run] or ())]
    for run in dict.fromkeys(rows.run):
        curve = rows[rows.run == run].set_index("step").value.sort_index()
        own = training_lines.by_training(under, run)
        draw_curve(axes, run, curve, list(trained), ring=run in trained_here, own=own)
    title = wrapped(noise_label(noise), 40, 2)
    if trained_here:
        every = len(trained_here) == rows.run.nunique()
        whose = "" if every else f" by {', '.join(trained_here)}"
        title += ("\n" if whose else " ") + wrapped(f"(trained on{whose})", 40, 2)
        axes.set_facecolor("0.96")
    axes.set_title(title, fontsize=10)
    axes.set_ylabel("PSNR (dB)", fontsize=9)


def unseen_means(psnr: pd.DataFrame, trained: Trained) -> dict[str, pd.Series]:
    """By run, the mean over the noises that it was not trained on, by step; no empty ones."""
    means = {
        run: tables.psnr_by_step(psnr[psnr.run == run], noises).unseen.dropna()
        for run, noises in trained.items()
    }
    return {run: curve for run, curve in means.items() if len(curve)}


def draw_unseen(
    axes: Axes, psnr: pd.DataFrame, trained: Trained, single: pd.DataFrame | None = None
) -> None:
    """Each run's mean over the noises that it was not trained on; see `draw_noise`."""
    for run, curve in unseen_means(psnr, trained).items():
        own = training_lines.single_unseen(
            single, run, trained[run], list(psnr[psnr.run == run].noise.unique())
        )
        draw_curve(axes, run, curve, list(trained), ring=True, own=own)
    sets = {
        frozenset(unseen_noises(psnr[psnr.run == run].noise, of)) for run, of in trained.items()
    }
    one = len(sets - {frozenset()}) < 2
    title = "mean over the unseen noises" if one else "mean over each run's own unseen noises"
    axes.set_title(title, fontsize=10, fontweight="bold")
    axes.set_ylabel("PSNR (dB)", fontsize=9)


def draw_curve(
    axes: Axes, run: str, curve: pd.Series, runs: list[str], ring: bool, own: pd.DataFrame
) -> None:
    """A test curve by step, and a ring around its best point, or around that of each training.

    Args:
        axes: where to draw.
        run: its name.
        curve: of the run.
        runs: all, in the order that decides their colors.
        ring: whether the best point is marked.
        own: the curves of its trainings, see `by_training`; empty of a single one.
    """
    look = style(run, runs) | ({} if len(curve) <= FEW else {"marker": None})
    axes.plot(curve.index, curve, lw=1.4, label=named(run), **look)  # type: ignore[arg-type]
    if not own.empty:
        training_lines.draw_trainings(axes, own, str(look["color"]), not crowded(runs), ring)
    elif ring:
        training_lines.mark_best(axes, curve, look["color"], 10)


def format_axes(axes: Axes) -> None:
    """What all panels have in common: steps below, a grid, small labels."""
    axes.set_xlabel("step", fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: step_label(step)))
    axes.tick_params(labelsize=8, labelbottom=True)
    axes.grid(alpha=0.3)


def step_label(step: float) -> str:
    """A step on an axis.

    >>> [step_label(step) for step in (500, 2500, 200_000, 1_500_000)]
    ['500', '2.5k', '200k', '1.5M']
    """
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(step) >= size:
            return f"{step / size:g}{letter}"
    return f"{step:g}"
