"""The distributions of features as results, and the Python function that measures them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from analysis.commands.result import Result
from analysis.distributions import figures
from analysis.plotting.axes import new_axes
from analysis.plotting.figure_style import noise_look
from analysis.plotting.model_styles import named, short
from mtd.utils.errors import one_of


class DistributionsResult(Result):
    """Distances and histograms of features as data frames, and figures of them."""

    @property
    def distances(self) -> pd.DataFrame:
        """A row for each model, noise and layer, with 95% intervals (`_low`, `_high`).

        `w1`, the Wasserstein-1 distance from the features under the reference, in their own units;
        `w1_relative`, the same in standard deviations under the reference; `js`, the
        Jensen-Shannon divergence in bits; `mean`, `sigma`, `skewness`, `kurtosis` (0 for a
        Gaussian) and the fitted `shape`. Intervals of `kurtosis` and `shape` are too narrow: they
        cover the true value in 84% of cases or more. `last_features` marks what goes into the last
        convolution. `reason`: why there are no numbers. With controls (see
        `analysis.distributions.controls`) also `w1_relative_` and `js_` with `ceiling`, `floor`,
        `untrained`, `untrained_sd`, `above_ceiling` and `above_untrained`.
        """
        return self.frames["distributions"]

    @property
    def difference(self) -> pd.DataFrame:
        """W1 in σ and JS of model b minus those of model a, by noise and in the mean over noises.

        Of the last features; `measure` is `w1_relative` or `js`. `value` with its 95% interval
        `low` to `high`; `band_low` to `band_high` hold for all noises of two models at once. Empty
        for run folders from before.
        """
        return self.frames.get("distributions_difference", pd.DataFrame())

    @property
    def histograms(self) -> pd.DataFrame:
        """The curves of the figure: the density between `left` and `right`, bin by bin."""
        return self.frames["histograms"]

    def plot_histogram(
        self,
        ax: Axes | None = None,
        *,
        model: str | None = None,
        noise: str | None = None,
        layer: str | None = None,
        style: str = "screen",
    ) -> Axes:
        """A layer's histogram under one noise over that under the reference, with fitted densities.

        Args:
            ax: where to draw; a new figure's by default.
            style: `screen` or `paper`, see `figures`.
            model: the first of the run by default.
            noise: the first beside the reference by default.
            layer: what goes into the last convolution by default.

        Raises:
            BadInput: no such model, noise or layer in the run.
        """
        frame = self.distances
        frame = frame[frame.model == known("model", model, frame.model)]
        first = frame[frame.last_features.astype(bool)].layer
        layer = known("layer", layer, frame.layer, first=None if first.empty else first.iloc[0])
        frame = frame[frame.layer == layer]
        noises = list(dict.fromkeys(frame.noise[frame.noise != frame.reference]))
        noise = known("noise", noise, noises)
        curves = self.histograms
        own = curves[(curves.model == frame.model.iloc[0]) & (curves.layer == layer)]
        ax = ax if ax is not None else new_axes()
        figures.draw_histogram(ax, frame, own, noise, noise_look(noises.index(noise))["color"])
        ax.set_title(named(str(frame.model.iloc[0])), fontsize=10)
        ax.set_xlabel(f"feature value: {short(layer)}", fontsize=9)
        ax.set_ylabel("density", fontsize=9)
        if ax.get_legend_handles_labels()[0]:
            ax.legend(fontsize=8, loc="upper left")
        return ax


def known(what: str, name: str | None, values: Iterable[Any], first: str | None = None) -> str:
    """A name that is among the values of a column; the first of them, or `first`, by default.

    Raises:
        BadInput: it is not.
    """
    names = list(dict.fromkeys(map(str, values)))
    if name is None:
        return first or names[0]
    one_of(what, name, names)
    return name
