"""Single trainings of a model as thin lines or dots beside their mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

DRAWN = "thin lines: single trainings"
"""What the lines of `thin_lines` are, for a caption."""


def thin_lines(
    axes: Axes, frame: pd.DataFrame | None, model: str, x: str, y: str, color: Any
) -> bool:
    """Draw a line for each training of a model, in its color; whether there are any.

    Args:
        axes: with the model's own line.
        frame: a table of single trainings, see `analysis.commands.trainings.by_training`.
        model: whose trainings are drawn.
        x: column of the abscissa.
        y: column of the values.
        color: of the model's line.
    """
    if frame is None or frame.empty:
        return False
    rows = frame[frame.model == model]
    for _, line in rows.groupby("training", sort=False):
        axes.plot(line[x], line[y], color=color, lw=0.6, alpha=0.6, zorder=1.5)
    return not rows.empty


DOTTED = "dots: single trainings"
"""What the dots of `dots` are, for a caption."""


def dots(
    axes: Axes,
    frame: pd.DataFrame | None,
    model: str,
    places: Mapping[str, float],
    x: str,
    y: str,
    color: Any,
) -> bool:
    """Draw a dot for each training of a model and each place; whether there are any.

    Args:
        axes: with the model's own points.
        frame: a table of single trainings, see `analysis.commands.trainings.by_training`.
        model: whose trainings are drawn.
        places: on the abscissa, by the values of column `x`.
        x: column of what is on the abscissa.
        y: column of the values.
        color: of the model's points.
    """
    if frame is None or frame.empty:
        return False
    rows = frame[(frame.model == model) & frame[x].isin(list(places))]
    axes.plot(rows[x].map(places), rows[y], ".", color=color, ms=3, alpha=0.6, zorder=1.5)
    return not rows.empty
