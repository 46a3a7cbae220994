"""The results of the error decomposition, and plots of them."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from analysis.commands.result import Result
from analysis.error import figures
from analysis.plotting.axes import new_axes
from mtd.utils.errors import one_of


class ErrorResult(Result):
    """The tables of the error decomposition as data frames, and plots of them."""

    @property
    def error(self) -> pd.DataFrame:
        """A row for each model and noise: the parts of the MSE, and PSNR without each.

        mse = bias2 + variance + mask_variance, in squared 8-bit levels. Of a model with several
        trainings values are means; `frames["error_by_training"]` has the single ones.
        """
        return self.frames["error"]

    @property
    def difference(self) -> pd.DataFrame:
        """PSNR of model b minus that of model a by noise, and its parts.

        `measure` is `psnr`, `damage` or `leak`; the last two add up to the first.
        """
        return self.frames["error_difference"]

    @property
    def transfer(self) -> pd.DataFrame:
        """Gain of content and of noise by frequency, in cycles per pixel."""
        return self.frames["transfer"]

    @property
    def filter(self) -> pd.DataFrame:
        """The largest change of each model's gains between noises."""
        return self.frames["filter"]

    @property
    def residual(self) -> pd.DataFrame:
        """Checks of the residual y − f(y)."""
        return self.frames["residual"]

    @property
    def mask_averaging(self) -> pd.DataFrame:
        """What averaging over draws of random masks gains; empty without such networks."""
        return self.frames.get("mask_averaging", pd.DataFrame())

    def plot_parts(self, ax: Axes | None = None, *, noise: str | None = None) -> Axes:
        """The parts of the MSE under one noise, a stacked bar for each model.

        Args:
            ax: where to draw; a new figure's by default.
            noise: one of the run; the first one by default.

        Raises:
            BadInput: no such noise in the run.
        """
        frame = self.error
        ax = ax if ax is not None else new_axes()
        models = list(dict.fromkeys(frame.model))
        figures.draw_parts(ax, frame[frame.noise == self._noise(noise)], models)
        ax.set_ylabel(figures.LABEL, fontsize=8)
        ax.legend(handles=figures.legend(models, frame), fontsize=8)
        return ax

    def plot_transfer(self, ax: Axes | None = None, *, noise: str | None = None) -> Axes:
        """Gain of content and of noise by frequency under one noise, two lines for each model.

        Args:
            ax: where to draw; a new figure's by default.
            noise: one of the run; the first one by default.

        Raises:
            BadInput: no such noise in the run.
        """
        frame = self.transfer
        ax = ax if ax is not None else new_axes()
        models = list(dict.fromkeys(frame.model))
        figures.draw_transfer(ax, frame[frame.noise == self._noise(noise)], models)
        ax.set_ylabel("gain", fontsize=8)
        ax.legend(handles=figures.lines(models), fontsize=8)
        return ax

    def _noise(self, noise: str | None) -> str:
        noises = [str(name) for name in dict.fromkeys(self.error.noise)]
        chosen = noises[0] if noise is None else noise
        one_of("noise", chosen, noises)
        return chosen
