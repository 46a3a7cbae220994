"""The results of the analysis of local linear maps, and plots of them."""

from __future__ import annotations

from functools import cached_property

import pandas as pd
from matplotlib.axes import Axes

from analysis.commands.result import Result
from analysis.linear import figures
from analysis.linear.settings import FILTERS
from analysis.linear.tables import Filters, read_filters
from analysis.plotting.axes import new_axes
from mtd.utils.errors import BadInput, one_of


class LinearResult(Result):
    """The tables of local linear maps as data frames, filters as arrays, and plots."""

    @property
    def linear(self) -> pd.DataFrame:
        """A row for each model and noise, means over crops; see `analysis.linear.tables.table`."""
        return self.frames["linear"]

    @property
    def difference(self) -> pd.DataFrame:
        """Numbers of model b minus those of model a at the same crops; `measure` names them."""
        return self.frames["linear_difference"]

    @property
    def filters_table(self) -> pd.DataFrame:
        """Place and reach in pixels of the filters of each crop."""
        return self.frames["filters"]

    @property
    def singular_values(self) -> pd.DataFrame:
        """Singular values, mean over crops; of crops above 40 pixels a side the leading ones."""
        return self.frames["singular_values"]

    @property
    def equivariance(self) -> pd.DataFrame:
        """Relative error under each change of the input."""
        return self.frames["equivariance"]

    @property
    def levels(self) -> pd.DataFrame:
        """PSNR in dB over levels of Gaussian noise."""
        return self.frames["levels"]

    @cached_property
    def filters(self) -> Filters:
        """Gray filters (H, W) by (model, noise, crop, kind of pixel).

        Noisy crops (3, H, W) are those of ("", noise, crop, "").

        Raises:
            BadInput: their file is missing or damaged.
        """
        if FILTERS not in self.attachments:
            raise BadInput(f"{FILTERS} is missing: run the analysis again")
        return read_filters(self.attachments[FILTERS])

    def plot_singular_values(self, ax: Axes | None = None, *, noise: str | None = None) -> Axes:
        """Singular values under one noise, a line for each model.

        Args:
            ax: where to draw; a new figure's by default.
            noise: one of the run; the first one by default.

        Raises:
            BadInput: no such noise in the run, or no singular values.
        """
        frame = self.singular_values
        if frame.empty:
            raise BadInput("no singular values in this run: lower --crop or raise --rank")
        noises = [str(name) for name in dict.fromkeys(frame.noise)]
        chosen = noises[0] if noise is None else noise
        one_of("noise", chosen, noises)
        ax = ax if ax is not None else new_axes()
        models = list(dict.fromkeys(frame.model))
        figures.draw_singular_values(ax, frame[frame.noise == chosen], models)
        ax.set_ylabel("singular value", fontsize=9)
        ax.legend(fontsize=8)
        return ax

    def plot_levels(self, ax: Axes | None = None) -> Axes:
        """PSNR over the level of Gaussian noise, a line for each model.

        Args:
            ax: where to draw; a new figure's by default.
        """
        ax = ax if ax is not None else new_axes()
        figures.draw_levels(ax, self.levels, list(dict.fromkeys(self.levels.model)))
        ax.legend(fontsize=8)
        return ax
