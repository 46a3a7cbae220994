"""The results of a CKA comparison, and the Python function that makes one."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from analysis.cka import figures
from analysis.commands.result import Result
from analysis.plotting.axes import new_axes
from analysis.plotting.model_styles import short
from mtd.utils.errors import BadInput, one_of


class CKAResult(Result):
    """Tables of a CKA comparison as data frames, and figures of them."""

    @property
    def cells(self) -> pd.DataFrame:
        """A row for each pair of layers.

        Columns:
            model_a, noise_a, layer_a, index_a: side a, `index_a` being the layer's place from 0;
                the same of side b.
            cka: the similarity, without unit; under another `--measure` the column has its name.
            low, high: 95% jackknife interval over photographs.
            p, p_corrected: of a permutation test, single and for all cells.
            estimator, unit, samples, crops, kernel, centering: how it was computed.
            null: what features that have nothing in common give: of biased CKA its limit, of
                `cosine`, `cca`, `svcca`, `pwcca` and `soft_matching` the value between different
                photographs.
        """
        return figures.cells(self.frames)

    @property
    def depth(self) -> pd.DataFrame:
        """Each layer under one noise against itself under another, with its 95% interval."""
        return self.frames["depth"]

    @property
    def last_quarter(self) -> pd.DataFrame:
        """Means over the last quarter of the blocks, with 95% intervals."""
        return self.frames["last_quarter"]

    @property
    def difference(self) -> pd.DataFrame:
        """Differences between two models' curves over depth; empty without intervals."""
        return self.frames.get("difference", pd.DataFrame())

    @property
    def quarter_difference(self) -> pd.DataFrame:
        """Differences between two models' means of `last_quarter`; empty without intervals."""
        return self.frames.get("quarter_difference", pd.DataFrame())

    @property
    def controls(self) -> pd.DataFrame:
        """The cells of ceilings, floors and untrained networks; empty without controls."""
        return self.frames.get("controls", pd.DataFrame())

    @property
    def influence(self) -> pd.DataFrame:
        """How much each photograph moves the values; empty without intervals."""
        return self.frames.get("influence", pd.DataFrame())

    @property
    def layers(self) -> pd.DataFrame:
        """Every layer under every noise: features, HSIC with itself, why a value is NaN."""
        return self.frames["layers"]

    @property
    def diagonal(self) -> pd.DataFrame:
        """`depth` side by side: a row for each layer, a column for each model and two noises."""
        rows = self.depth
        alike = rows.groupby("index").layer.nunique().max() == 1
        layers = rows.layer.map(short) if alike else rows["index"].astype(str)
        views = rows.model + ", " + rows.noise_a + " against " + rows.noise_b
        wide = rows.assign(layer=layers, view=views).pivot(
            index=["index", "layer"], columns="view", values=figures.measure(rows)
        )[list(dict.fromkeys(views))]
        return wide.rename_axis(columns=None).reset_index().drop(columns="index")

    def plot_matrix(
        self,
        ax: Axes | None = None,
        *,
        models: tuple[str, str] | str | None = None,
        noises: tuple[str, str] | str | None = None,
        style: str = "screen",
    ) -> Axes:
        """Layer × layer heat map of one pair of views; the first of the run by default.

        Rows and columns are as the run has them, in whichever order the pair is named.

        Args:
            ax: where to draw; a new figure's by default.
            style: `screen` or `paper`, see `figures`.
            models: a model, or two.
            noises: a noise, or two.

        Raises:
            BadInput: no such pair of views in the run.
        """
        frame = self.cells
        as_named = reverse = pd.Series(True, index=frame.index)
        for kind, chosen in (("model", models), ("noise", noises)):
            if chosen is None:
                continue
            a, b = (chosen, chosen) if isinstance(chosen, str) else chosen
            side_a, side_b = frame[f"{kind}_a"], frame[f"{kind}_b"]
            known = list(dict.fromkeys([*side_a, *side_b]))
            for name in (a, b):
                one_of(kind, name, known)
            as_named = as_named & (side_a == a) & (side_b == b)
            reverse = reverse & (side_a == b) & (side_b == a)
        frame = frame[as_named if as_named.any() else reverse]
        if frame.empty:
            raise BadInput(f"models {models}, noises {noises}: the run does not compare them")
        views = ["model_a", "noise_a", "model_b", "noise_b"]
        first = frame.iloc[0][views]
        panel = figures.all_panels(frame[(frame[views] == first).all(axis=1)])[0]
        ax = ax if ax is not None else new_axes()
        figures.draw(ax, panel, figures.scale(self.cells))
        return ax

    def plot_depth(
        self,
        ax: Axes | None = None,
        *,
        noises: tuple[str, str] | None = None,
        style: str = "screen",
    ) -> Axes:
        """Each layer under one noise against itself under another, over depth.

        Args:
            ax: where to draw; a new figure's by default.
            style: `screen` or `paper`, see `figures`.
            noises: the reference and another noise; the first pair of the run by default.

        Raises:
            BadInput: the run compares no two noises, or not these.
        """
        frame = self.depth
        if frame.empty:
            raise BadInput("the run compares no layer with itself under two noises")
        if noises is not None:
            known = list(dict.fromkeys([*frame.noise_a, *frame.noise_b]))
            for noise in noises:
                one_of("noise", noise, known)
            frame = frame[frame.noise_a.isin(noises) & frame.noise_b.isin(noises)]
        if frame.empty:
            raise BadInput(f"noises {noises}: the run does not compare them")
        first = frame.iloc[0]
        part = frame[(frame.noise_a == first.noise_a) & (frame.noise_b == first.noise_b)]
        ax = ax if ax is not None else new_axes()
        models = list(dict.fromkeys(self.depth.model))
        single = self.frames.get("depth_by_training")
        rows = figures.under(single, str(first.noise_a), str(first.noise_b))
        figures.draw_depth(ax, part, models, rows)
        figures.limit(ax)
        ax.set_ylabel(figures.MEASURES[figures.measure(frame)])
        ax.legend(fontsize=8)
        return ax
