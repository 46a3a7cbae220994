"""The results of stitching, and figures of them."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from analysis.commands.result import Result
from analysis.plotting.axes import new_axes
from analysis.stitch import figures


class StitchResult(Result):
    """The tables of stitching as data frames, and figures of them."""

    @property
    def stitch(self) -> pd.DataFrame:
        """A row for each sender, receiver and layer: `cost` in dB with its 95% interval.

        Beside it `r2` of the linear fit, `cka` of the two layers, and the costs of the controls,
        `floor_cost` and `ceiling_cost`.
        """
        return self.frames["stitch"]

    @property
    def mean(self) -> pd.DataFrame:
        """A row for each sender and receiver: the mean `cost` over layers with its 95% interval."""
        return self.frames["stitch_mean"]

    @property
    def difference(self) -> pd.DataFrame:
        """Mean cost over layers across two noises of model b minus that of model a."""
        return self.frames.get("stitch_difference", pd.DataFrame())

    def plot_cost(self, ax: Axes | None = None, *, kind: str = "noises", panel: int = 0) -> Axes:
        """Cost of every layer over depth, a line for each sender and receiver.

        Args:
            ax: where to draw; a new figure's by default.
            kind: `noises` for one model under two noises, `models` for two models under one.
            panel: which two noises, or which noise, in the order of the table.

        Raises:
            BadInput: no such stitches in the run.
        """
        return self._plot(ax, "cost", kind, panel)

    def plot_cka(self, ax: Axes | None = None, *, kind: str = "noises", panel: int = 0) -> Axes:
        """Linear CKA of the same layers over depth; see `plot_cost`."""
        return self._plot(ax, "cka", kind, panel)

    def _plot(self, ax: Axes | None, column: str, kind: str, panel: int) -> Axes:
        part = figures.panel(self.stitch, kind, panel)
        ax = ax if ax is not None else new_axes()
        models = list(dict.fromkeys([*self.stitch.sender, *self.stitch.receiver]))
        figures.draw(ax, part, column, models)
        figures.set_scale(ax, part, column)
        ax.set_title(figures.titled(part), fontsize=9)
        ax.set_ylabel(figures.LABELS[column])
        ax.legend(fontsize=8)
        return ax
