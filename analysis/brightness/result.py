"""The results of brightness, and the Python function that measures it."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from analysis.brightness import figures
from analysis.commands.result import Result
from analysis.plotting.axes import new_axes
from mtd.utils.errors import one_of


class BrightnessResult(Result):
    """Tables of brightness as data frames, and figures of them."""

    @property
    def brightness(self) -> pd.DataFrame:
        """A row for each model and noise: `shift` and `distance` with 95% intervals, `matching`.

        The noisy input is the last of the models. Of a model with several trainings each value is
        their mean; `frames["brightness_by_training"]` has the single ones.
        """
        return self.frames["brightness"]

    @property
    def images(self) -> pd.DataFrame:
        """The numbers of every single crop, with `slope` and `offset` of the match."""
        return self.frames["images"]

    @property
    def histograms(self) -> pd.DataFrame:
        """Share of pixels at each level of brightness; `clean` stands among the models."""
        return self.frames["histograms"]

    def plot_histograms(
        self, ax: Axes | None = None, *, noise: str | None = None, style: str = "screen"
    ) -> Axes:
        """Histograms of the outputs under one noise, dashed those of the clean images.

        Args:
            ax: where to draw; a new figure's by default.
            style: `screen` or `paper`, see `figures`.
            noise: one of the run; the first one by default.

        Raises:
            BadInput: no such noise in the run.
        """
        frame, shares = self.brightness, self.histograms
        noises = list(dict.fromkeys(frame.noise))
        noise = noises[0] if noise is None else noise
        one_of("noise", noise, noises)
        ax = ax if ax is not None else new_axes()
        part, models = frame[frame.noise == noise], list(dict.fromkeys(frame.model))
        single = self.frames.get("histograms_by_training")
        single = None if single is None else single[single.noise == noise]
        under = shares[shares.noise == noise]
        figures.draw_histograms(ax, part, under, models, named=True, single=single)
        ax.set_ylim(bottom=0)
        ax.set_ylabel(figures.LABEL, fontsize=8)
        return ax
