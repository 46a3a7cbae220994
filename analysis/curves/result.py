"""The results of training and test curves, and the Python functions that make them."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from analysis.commands.result import Result
from analysis.curves import figures
from analysis.curves.log_readers import LOSS
from analysis.curves.settings import CurvesSettings
from analysis.curves.tables import psnr_curves
from analysis.plotting.axes import new_axes
from mtd.utils.errors import BadInput, one_of


class CurvesResult(Result):
    """Training and test curves as data frames, and figures of them."""

    @property
    def curves(self) -> pd.DataFrame:
        """A row for each value: run, source, quantity, noise, step of training, value."""
        return self.frames["curves"]

    @property
    def summary(self) -> pd.DataFrame:
        """A row for each run: best and last PSNR under the noise trained on and unseen noise."""
        return self.frames["summary"]

    @property
    def trained(self) -> dict[str, str]:
        """The noise that each run was trained on; empty for runs without test curves."""
        return {str(run): str(noise) for run, noise in self.manifest["trained"].items()}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {', '.join(self.trained)}: {len(self.curves)} values>"

    def plot_loss(self, ax: Axes | None = None, *, smooth: float | None = None) -> Axes:
        """Each run's training loss, smoothed over the logged values.

        Args:
            ax: where to draw; a new figure's by default.
            smooth: decay of the moving average, 0 for none; by default that of the result.

        Raises:
            BadInput: no run has logged a loss, or no such decay.
        """
        decay = CurvesSettings.of(smooth=self.manifest["smooth"] if smooth is None else smooth)
        losses = self.curves[self.curves.quantity == LOSS]
        if losses.empty:
            raise BadInput("no run has logged a loss; give its log as a run")
        ax = ax if ax is not None else new_axes()
        figures.draw_losses(ax, losses, list(self.trained), decay.smooth)
        figures.format_axes(ax)
        ax.legend(fontsize=8)
        return ax

    def plot_psnr(self, noise: str | None = None, ax: Axes | None = None) -> Axes:
        """Each run's PSNR under one noise over the steps of training.

        Args:
            noise: a noise or test set; by default the mean over the noises that a run was not
                trained on.
            ax: where to draw; a new figure's by default.

        Raises:
            BadInput: no such test curve.
        """
        rows = psnr_curves(self.curves)
        known = list(dict.fromkeys(rows.noise))
        if not known:
            raise BadInput("no run has test curves; evaluate_checkpoints makes them")
        if noise is not None:
            one_of("noise", noise, known)
        if noise is None and not figures.unseen_means(rows, self.trained):
            raise BadInput("no run was tested under a noise that it was not trained on; give one")
        ax = ax if ax is not None else new_axes()
        if noise is None:
            figures.draw_unseen(ax, rows, self.trained)
        else:
            figures.draw_noise(ax, noise, rows, self.trained)
        figures.format_axes(ax)
        ax.legend(fontsize=8)
        return ax
