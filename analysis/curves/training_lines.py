"""Curves of single trainings: thin lines beside the mean of a run, and the interval of the mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.curves import tables
from analysis.curves.logged import LOSS
from analysis.stats.trainings import half_width


def single_losses(single: pd.DataFrame | None) -> pd.DataFrame | None:
    """The losses of single trainings."""
    return None if single is None else single[single.quantity == LOSS]


def single_tests(single: pd.DataFrame | None) -> pd.DataFrame | None:
    """The test curves of single trainings, as `tables.psnr_curves` chooses them."""
    return None if single is None else tables.psnr_curves(single)


def single_unseen(
    single: pd.DataFrame | None, run: str, noises: Sequence[str] | None, tested: Sequence[str]
) -> pd.DataFrame:
    """As `by_training`, of the means over the unseen noises.

    Args:
        single: test curves of single trainings.
        run: whose trainings are wanted.
        noises: that the run was trained on; None where that is unknown.
        tested: under which all its trainings were tested.
    """
    if single is None or run not in set(single.run):
        return pd.DataFrame()
    rows = single[(single.run == run) & single.noise.isin(tested)]
    curves = {
        str(name): tables.psnr_by_step(part, noises).unseen
        for name, part in rows.groupby("training", sort=False)
    }
    return pd.DataFrame(curves)


def by_training(single: pd.DataFrame | None, run: str) -> pd.DataFrame:
    """One curve of each training of a run: index `step`, rising, a column for each; empty of none.

    Args:
        single: rows of one curve, of single trainings.
        run: whose trainings are wanted.
    """
    if single is None or run not in set(single.run):
        return pd.DataFrame()
    rows = single[single.run == run]
    wide = rows.pivot(index="step", columns="training", values="value").sort_index()
    return wide[list(dict.fromkeys(rows.training))]


def draw_trainings(
    axes: Axes, own: pd.DataFrame, color: str, banded: bool, ring: bool = False
) -> None:
    """Thin lines of a run's trainings, their best points, and the interval of their mean.

    Args:
        axes: where to draw.
        own: see `by_training`.
        color: of the run.
        banded: whether the interval is drawn.
        ring: whether the best points are marked.
    """
    for _, line in own.items():
        curve = line.dropna()
        axes.plot(curve.index, curve, color=color, lw=0.6, alpha=0.6, zorder=1.5)
        if ring and len(curve):
            mark_best(axes, curve, color, 6)
    even = own.dropna()
    half = half_width((even.to_numpy().T,))
    if banded and len(even) and np.isfinite(half).all():
        mean = even.mean(axis=1)
        axes.fill_between(even.index, mean - half, mean + half, color=color, alpha=0.15, lw=0)


def mark_best(axes: Axes, curve: pd.Series, color: Any, size: float) -> None:
    """A ring around the best point of a curve."""
    best = int(curve.argmax())
    about: dict[str, Any] = {"mfc": "none", "mec": color, "ms": size, "mew": 1.4 * size / 10}
    axes.plot(curve.index[[best]], curve.iloc[[best]], "o", **about)
