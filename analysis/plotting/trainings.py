"""Single trainings of a model as thin lines beside their mean."""

from __future__ import annotations

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
