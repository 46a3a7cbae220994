"""The results of SRGA, and the Python function that computes them."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from analysis.commands.result import Result
from analysis.plotting.axes import new_axes
from analysis.srga import figures


class SRGAResult(Result):
    """The scores of SRGA as a data frame, and a figure of them."""

    @property
    def scores(self) -> pd.DataFrame:
        """A row for each model and noise, the reference first.

        `srga` with its 95% interval `low` to `high`, `kl` in nats, `sigma` and `shape` of the
        fitted density, those of the reference, numbers of components, outliers, patches,
        photographs and features, and the output's `psnr` in dB. `reason`: why there is no score.
        With controls (see `analysis.srga.controls`) also `ceiling`, `floor`, `untrained` and
        `untrained_sd`, and how far the score is `above_ceiling` and `above_untrained`, with
        intervals. `floor` is from half the patches and half the components, and so on another scale
        than `srga`.
        """
        return self.frames["srga"]

    @property
    def difference(self) -> pd.DataFrame:
        """Scores of model b minus those of model a, by noise and in the mean over noises.

        `value` with its 95% interval `low` to `high`; `band_low` to `band_high` hold for all noises
        of two models at once. Empty for run folders from before.
        """
        return self.frames.get("srga_difference", pd.DataFrame())

    @property
    def robustness(self) -> pd.DataFrame:
        """Mean scores and ceilings by numbers of patches and components, a row for each model.

        See `analysis.srga.robustness`.
        """
        return self.frames["robustness"]

    def plot_scores(self, ax: Axes | None = None, *, style: str = "screen") -> Axes:
        """The score of each model under each noise but the reference, with 95% intervals.

        Args:
            ax: where to draw; a new figure's by default.
            style: `screen` or `paper`, see `figures`.
        """
        ax = ax if ax is not None else new_axes()
        figures.draw_scores(ax, self.scores, self.frames.get("srga_by_training"))
        ax.set_title(figures.heading(self.scores), fontsize=9)
        ax.legend(fontsize=8)
        return ax
