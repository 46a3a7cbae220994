"""The results of sensitivity, and the Python function that measures it."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from analysis.commands.result import Result
from analysis.plotting.axes import new_axes
from analysis.sensitivity import figures
from mtd.utils.errors import one_of


class SensitivityResult(Result):
    """The table of sensitivity as a data frame, and figures of it."""

    @property
    def sensitivity(self) -> pd.DataFrame:
        """A row for each model, noise and layer: `change` and `gain` with 95% intervals.

        Layers are the noisy image, the recorded layers as they fire, and the denoised image. Of a
        model with several trainings values are means; `frames["sensitivity_by_training"]` has the
        single ones.
        """
        return self.frames["sensitivity"]

    @property
    def ratio(self) -> pd.DataFrame:
        """Gain of the denoised image of model b over that of model a, by noise and in the mean.

        `value` with its 95% interval `low` to `high`, of logarithms; `band_low` to `band_high` hold
        for all noises of two models at once. Empty for run folders from before.
        """
        return self.frames.get("sensitivity_ratio", pd.DataFrame())

    def plot_gain(
        self, ax: Axes | None = None, *, noise: str | None = None, style: str = "screen"
    ) -> Axes:
        """Gain of every layer over depth under one noise, a line for each model.

        Args:
            ax: where to draw; a new figure's by default.
            style: `screen` or `paper`, see `figures`.
            noise: one of the run; the first one by default.

        Raises:
            BadInput: no such noise in the run.
        """
        frame = self.sensitivity
        noises = list(dict.fromkeys(frame.noise))
        noise = noises[0] if noise is None else noise
        one_of("noise", noise, noises)
        part = frame[frame.noise == noise]
        ax = ax if ax is not None else new_axes()
        single = self.frames.get("sensitivity_by_training")
        single = None if single is None else single[single.noise == noise]
        figures.draw_gain(ax, part, list(dict.fromkeys(frame.model)), single)
        figures.set_ticks(ax, part.gain)
        ax.set_ylabel(figures.LABEL)
        ax.legend(fontsize=8)
        return ax
