"""Figures of the comparison: the PSNR drop against every index."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.commands.index import Index
from analysis.compare.candidates import among
from analysis.compare.predictors import DROP, TARGETS
from analysis.plotting import model_styles
from analysis.plotting.figure_style import new_figure
from analysis.plotting.model_styles import style
from analysis.text.markdown import number

LOGARITHMIC = 30
"""Largest over smallest value of an index from which its scale is logarithmic."""


def draw_index(
    axes: Axes,
    frame: pd.DataFrame,
    correlations: pd.DataFrame,
    index: Index,
    target: str = DROP,
    single: pd.DataFrame | None = None,
) -> None:
    """A target against an index on given axes, a point for each model.

    Args:
        axes: where to draw.
        frame: see `analysis.compare.predictors.gather`.
        correlations: see `analysis.compare.tables.correlations`.
        index: on the horizontal axis.
        target: on the vertical axis.
        single: see `analysis.compare.predictors.gather_by_training`; None if no model has several
            trainings.
    """
    models = list(frame.model)
    for row in frame.to_dict("records"):
        look: dict[str, Any] = style(row["model"], models) | {"ls": "none", "ms": 6}
        axes.plot(row[index.name], row[target], label=row["model"], **look)
        if single is not None:
            x, y = (half_width_of(row, name) for name in (index.name, target))
            axes.errorbar(row[index.name], row[target], y, x, "none", ecolor=look["color"], lw=1)
            own = single[single.model == row["model"]]
            axes.plot(own[index.name], own[target], ".", ms=4, alpha=0.5, color=look["color"])
    pair = correlations[
        (correlations["index"] == index.name) & (correlations.target == target)
    ].iloc[0]
    interval = "" if math.isnan(pair.low) else f" [{pair.low:.2f}, {pair.high:.2f}]"
    axes.set_title(f"Spearman's ρ {number(pair.spearman, 2)}{interval}", fontsize=9)
    beside = (
        "\n(computed with the clean images of the unseen noises)"
        if pair.get("describes", False)
        else ""
    )
    axes.set_xlabel(f"{index.label}{beside}", fontsize=8)
    values = frame[index.name].dropna()
    if (values > 0).all() and values.max() > LOGARITHMIC * values.min():
        axes.set_xscale("log")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.grid(alpha=0.3)


def half_width_of(row: Mapping[Any, Any], name: str) -> float:
    """Half the width of a value's interval over trainings; 0 without one."""
    half = float(row[f"{name}_high_trainings"] - row[name])
    return 0.0 if math.isnan(half) else half


def figure(
    frame: pd.DataFrame, correlations: pd.DataFrame, single: pd.DataFrame | None = None
) -> Figure:
    """The PSNR drop against every index."""
    every = [one.index for one in among(frame)]
    chosen = [index for index in every if frame[index.name].notna().any()] or every
    columns = min(3, len(chosen))
    rows = -(-len(chosen) // columns)
    drawn = new_figure(4 * columns, 3.6 * rows + 0.6)
    grid = drawn.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(chosen) :]:
        axes.set_axis_off()
    for axes, index in zip(grid.flat, chosen, strict=False):
        draw_index(axes, frame, correlations, index, single=single)
    for axes in grid[:, 0]:
        axes.set_ylabel(TARGETS[DROP], fontsize=8)
    models = list(frame.model)
    model_styles.add(drawn, models, lines=False)
    title = f"Do the indices predict the PSNR drop of {len(models)} models?"
    if single is not None:
        title += "\nsmall dots: single trainings"
        names = [*(index.name for index in chosen), DROP]
        if any(half_width_of(row, n) for row in frame.to_dict("records") for n in names):
            title += "; bars: 95% intervals over trainings"
    drawn.suptitle(title, fontsize=10)
    return drawn
