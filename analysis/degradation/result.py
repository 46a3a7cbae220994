"""The results of degradation clusters, and the Python function that measures them."""

from __future__ import annotations

from typing import Any, Literal

import pandas as pd
from matplotlib.axes import Axes

from analysis.commands.result import Result
from analysis.degradation import figures
from analysis.plotting.axes import new_axes
from mtd.utils.errors import one_of


class DegradationResult(Result):
    """Tables of degradation clusters as data frames, and figures of them."""

    @property
    def degradation(self) -> pd.DataFrame:
        """A row for each model and layer: how far its features group by noise and by content.

        `ch_noise` with `low` and `high`, `ch_content`, `ch_within`, `silhouette`, `probe`;
        `last_features` marks what goes into the last convolution, `highest` the layer whose CH by
        noise is highest; `reason` says why there are no numbers. With controls (see
        `analysis.degradation.controls`) also `ceiling`, `untrained`, `untrained_sd`, and of the
        last features `over_ceiling` and `over_untrained`.
        """
        return self.frames["degradation"]

    @property
    def ratio(self) -> pd.DataFrame:
        """CH by noise of model b's last features over that of model a's.

        `value` with its 95% interval `low` to `high`, of logarithms. Empty for run folders from
        before.
        """
        return self.frames.get("degradation_ratio", pd.DataFrame())

    @property
    def embedding(self) -> pd.DataFrame:
        """Every crop under every noise in two principal components (`pca`) and in t-SNE (`tsne`),
        for the layers that `degradation` marks."""
        return self.frames["embedding"]

    def plot_ch(self, ax: Axes | None = None, *, style: str = "screen") -> Axes:
        """Calinski-Harabasz index by noise over depth; dashed, by content.

        Args:
            ax: where to draw; a new figure's by default.
            style: `screen` or `paper`, see `figures`.
        """
        return self._over_depth(figures.draw_ch, ax)

    def plot_ch_within(self, ax: Axes | None = None, *, style: str = "screen") -> Axes:
        """The index by noise over depth, once each crop's mean over noises is removed.

        Args:
            ax: where to draw; a new figure's by default.
            style: `screen` or `paper`, see `figures`.
        """
        return self._over_depth(figures.draw_ch_within, ax)

    def plot_probe(self, ax: Axes | None = None, *, style: str = "screen") -> Axes:
        """How often a linear probe identifies the noise of unseen crops, over depth.

        Args:
            ax: where to draw; a new figure's by default.
            style: `screen` or `paper`, see `figures`.
        """
        return self._over_depth(figures.draw_probe, ax)

    def _over_depth(self, draw: Any, ax: Axes | None) -> Axes:
        ax = ax if ax is not None else new_axes()
        draw(ax, self.degradation, self.frames.get("degradation_by_training"))
        figures.label_depth(ax, self.degradation)
        if draw is not figures.draw_ch:  # whose legend says what solid and dashed lines are
            ax.legend(fontsize=8)
        return ax

    def plot_plane(
        self,
        ax: Axes | None = None,
        *,
        model: str | None = None,
        kind: Literal["pca", "tsne"] = "tsne",
        layer: Literal["last_features", "highest"] = "last_features",
        style: str = "screen",
    ) -> Axes:
        """Crops in the plane, a color for each noise.

        Args:
            ax: where to draw; a new figure's by default.
            style: `screen` or `paper`, see `figures`.
            model: one of the run; the first one by default.
            kind: two principal components, or t-SNE.
            layer: the last features, or the layer whose CH by noise is highest.

        Raises:
            BadInput: no such model, kind or layer in the run.
        """
        frame = self.degradation
        models = list(dict.fromkeys(frame.model))
        for name, value, known in (
            ("model", model or models[0], models),
            ("kind", kind, figures.PLANES),
            ("layer", layer, figures.WHICH),
        ):
            one_of(name, value, known)
        row = figures.marked_row(frame[frame.model == (model or models[0])], layer)
        ax = ax if ax is not None else new_axes()
        noises = list(dict.fromkeys(self.embedding.noise))
        figures.draw_plane(ax, self.embedding, row, kind, noises, figures.WHICH[layer])
        if ax.collections:
            ax.legend(fontsize=8)
        return ax
