"""The results of training and test curves: frames, and plots of them."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from analysis.commands.result import Result
from analysis.curves import figures, training_lines
from analysis.curves.logged import LOSS
from analysis.curves.settings import CurvesSettings
from analysis.curves.tables import psnr_curves, trained_curves
from analysis.plotting.axes import new_axes
from mtd.utils.errors import BadInput, one_of
from mtd.utils.messages import plural


class CurvesResult(Result):
    """Training and test curves as data frames, and figures of them."""

    @property
    def curves(self) -> pd.DataFrame:
        """A row for each value.

        Columns: `run`; `source`, `checkpoints` or the kind of log; `quantity`: `loss`,
        `learning_rate` or `psnr`; `noise`, that or the test set of a PSNR; `step` of training;
        `value`, of a PSNR in dB. Where some run has several trainings the values are means over
        them, with `trainings`, their number, and the interval `low` to `high` from three on;
        `frames["curves_by_training"]` has the single ones.
        """
        return self.frames["curves"]

    @property
    def summary(self) -> pd.DataFrame:
        """A row for each run: best and last PSNR under the noise trained on and unseen noise.

        PSNR is in dB: *in* is the plain mean over the noises trained on, *out* that over the
        unseen noises, at steps where all of them were tested.

        Columns: `run`; `trained`, the noises trained on or `unknown`; `unseen`, number of others;
        `best_in_step`, `best_in_psnr`, `best_out_step`, `best_out_psnr`; `out_at_best_in`, *out*
        at the step that is best *in*; `overfitting_gap`, `best_out_psnr` − `out_at_best_in`;
        `last_step` with any test; `last_in_step`, `last_in_psnr`, `last_out_step`,
        `last_out_psnr`; `final_out_drop`, `best_out_psnr` − `last_out_psnr`; `last_loss_step`,
        `last_loss`. NaN where there is none. Where some run has several trainings, values are means
        over them, with `trainings` and intervals such as `best_out_psnr_low`;
        `frames["summary_by_training"]` has the single ones.
        """
        return self.frames["summary"]

    @property
    def trained(self) -> dict[str, tuple[str, ...] | None]:
        """By run, its test curves of noises that it was trained on; None where that is unknown."""
        return trained_curves(self.manifest["trained"])

    def __repr__(self) -> str:
        values = plural(len(self.curves), "value")
        return f"<{type(self).__name__} of {', '.join(self.trained)}: {values}>"

    def plot_loss(
        self, ax: Axes | None = None, *, smooth: float | None = None, style: str = "screen"
    ) -> Axes:
        """Each run's training loss, smoothed over the logged values.

        Args:
            ax: where to draw; a new figure's by default.
            style: `screen` or `paper`, see `figures`.
            smooth: decay of the average, 0 for none; by default that of the result.

        Raises:
            BadInput: no run has logged a loss, or no such decay.
        """
        decay = CurvesSettings.of(smooth=self.manifest["smooth"] if smooth is None else smooth)
        losses = self.curves[self.curves.quantity == LOSS]
        if losses.empty:
            raise BadInput("no run has logged a loss; give its log as a run")
        ax = ax if ax is not None else new_axes()
        single = training_lines.single_losses(self.frames.get("curves_by_training"))
        figures.draw_losses(ax, losses, list(self.trained), decay.smooth, single)
        figures.format_axes(ax)
        ax.legend(fontsize=8)
        return ax

    def plot_psnr(
        self, noise: str | None = None, ax: Axes | None = None, *, style: str = "screen"
    ) -> Axes:
        """Each run's PSNR under one noise over the steps of training.

        Args:
            noise: a noise or test set; by default the mean over the noises that a run was not
                trained on.
            ax: where to draw; a new figure's by default.
            style: `screen` or `paper`, see `figures`.

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
            raise BadInput("no run is known to be tested under unseen noise; give a noise")
        ax = ax if ax is not None else new_axes()
        single = training_lines.single_tests(self.frames.get("curves_by_training"))
        if noise is None:
            figures.draw_unseen(ax, rows, self.trained, single)
        else:
            figures.draw_noise(ax, noise, rows, self.trained, single)
        figures.format_axes(ax)
        ax.legend(fontsize=8)
        return ax
