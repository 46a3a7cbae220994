"""The results of filter attribution, and the figures of them."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from analysis.causal.faig import figures
from analysis.commands.result import Result
from analysis.plotting.axes import new_axes
from mtd.utils.errors import BadInput, one_of


class FaigResult(Result):
    """The tables of filter attribution as data frames, and figures of them."""

    @property
    def filters(self) -> pd.DataFrame:
        """A row for each unseen noise and filter, the highest `attribution` first, with its 95%
        interval, `share`, and the signed values."""
        return self.frames["faig"]

    @property
    def layers(self) -> pd.DataFrame:
        """A row for each unseen noise and layer: sums over its filters; the last row of a noise is
        of all other parameters."""
        return self.frames["faig_layers"]

    @property
    def errors(self) -> pd.DataFrame:
        """A row for each noise: errors of both networks in squared 8-bit levels, their
        `difference`, and what the signed attributions sum to."""
        return self.frames["faig_errors"]

    @property
    def path(self) -> pd.DataFrame:
        """A row for each noise and point of the path between the networks: the error there."""
        return self.frames["faig_path"]

    @property
    def reverting(self) -> pd.DataFrame:
        """What it costs, in dB, to give filters the baseline's weights again, beside random ones;
        empty for a run without."""
        return self.frames.get("faig_reverting", pd.DataFrame())

    def plot_layers(self, ax: Axes | None = None, *, noise: str | None = None) -> Axes:
        """Attribution by layer under one noise.

        Args:
            ax: where to draw; a new figure's by default.
            noise: one of the run but the reference; the first one by default.

        Raises:
            BadInput: no such noise in the run.
        """
        ax = ax if ax is not None else new_axes(8.0, 4.8)
        figures.draw_layers(ax, rows_of(self.layers, noise))
        ax.set_ylabel(figures.ATTRIBUTION_LABEL)
        ax.legend(fontsize=8)
        return ax

    def plot_reverting(
        self, ax: Axes | None = None, *, noise: str | None = None, measured: str | None = None
    ) -> Axes:
        """PSNR lost by reverting filters that were chosen for a noise, by their percentage.

        Args:
            ax: where to draw; a new figure's by default.
            noise: one of the run but the reference; the first one by default.
            measured: under which the loss is: the same by default, or the reference.

        Raises:
            BadInput: no such noise in the run, or a run without reverting.
        """
        if self.reverting.empty:
            raise BadInput("no filters were reverted: run it again without --no-reverting")
        rows = rows_of(self.reverting, noise)
        measured = str(rows.noise.iloc[0]) if measured is None else measured
        one_of("measured", measured, dict.fromkeys(rows.measured))
        ax = ax if ax is not None else new_axes()
        figures.draw_reverting(ax, rows[rows.measured == measured])
        ax.set_ylabel(figures.LOSS_LABEL)
        ax.legend(fontsize=8)
        return ax

    def plot_path(self, ax: Axes | None = None) -> Axes:
        """The error along the path from the baseline to its twin, a line for each noise."""
        ax = ax if ax is not None else new_axes()
        figures.draw_path(ax, self.path)
        ax.legend(fontsize=8)
        return ax


def rows_of(frame: pd.DataFrame, noise: str | None) -> pd.DataFrame:
    """The rows of a noise, by default of the first one.

    Raises:
        BadInput: no such noise.
    """
    noises = list(dict.fromkeys(frame.noise))
    noise = noises[0] if noise is None else noise
    one_of("noise", noise, noises)
    return frame[frame.noise == noise]
