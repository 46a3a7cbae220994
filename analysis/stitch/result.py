"""The results of stitching, and figures of them."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from analysis.commands.result import Result
from analysis.plotting.axes import new_axes
from analysis.stitch import figures


class StitchResult(Result):
    """The tables of stitching as data frames, and figures of them.

    Of models with several trainings values are means over pairs of these. `low` and `high` are the
    95% jackknife interval over photographs; a value that does not exist is NaN.
    """

    @property
    def stitch(self) -> pd.DataFrame:
        """A row for each sender, receiver and layer of the receiver.

        Columns:
            kind: `noises` (one model under two noises) or `models` (two models under one).
            sender, receiver, noise_sender, noise_receiver: models and noises.
            layer_sender, layer_receiver: the layer whose features are mapped, and the one whose
                features they replace.
            index, depth: place of the receiver's layer from 0, and the same from 0 to 1.
            cost: PSNR of the receiver minus that of the stitched network, in dB; with `low` and
                `high`.
            r2: of the fit, on photographs that it was not fitted to.
            cka: linear CKA of both layers, positions being the samples.
            floor_cost: dB, the receiver's own features through a map fitted to other photographs.
            ceiling_cost: dB, the receiver's own features under another draw of its noise.
            psnr: of the receiver as it is, in dB.
            photographs, crops: counts.
            reason: why there is no value.
        """
        return self.frames["stitch"]

    @property
    def mean(self) -> pd.DataFrame:
        """A row for each sender and receiver.

        Columns:
            kind, sender, receiver, noise_sender, noise_receiver: see `stitch`.
            cost: mean over layers, in dB; with `low` and `high`.
            spearman: rank correlation of cost and CKA over layers; −1 if the less similar of any
                two layers costs more.
            above_ceiling: mean over layers of cost − ceiling, in dB; with `above_ceiling_low` and
                `above_ceiling_high`.
            layers, photographs: counts; `layers` of those that have values.
        """
        return self.frames["stitch_mean"]

    @property
    def difference(self) -> pd.DataFrame:
        """Mean cost over layers across two noises of model b minus that of model a.

        Columns:
            model_a, model_b: what is compared.
            noise: both noises, `SENDER's into RECEIVER's`.
            value, low, high: the difference in dB with its 95% interval.
            band_low, band_high: bounds that hold for all noises of two models at once.
            photographs: their number.
        """
        return self.frames.get("stitch_difference", pd.DataFrame())

    def plot_cost(
        self, ax: Axes | None = None, *, kind: str = "noises", panel: int = 0, style: str = "screen"
    ) -> Axes:
        """Cost of every layer over depth, a line for each sender and receiver.

        Args:
            ax: where to draw; a new figure's by default.
            style: `screen` or `paper`, see `figures`.
            kind: `noises` for one model under two noises, `models` for two models under one.
            panel: which two noises, or which noise, in the order of the table.

        Raises:
            BadInput: no such stitches in the run.
        """
        return self._plot(ax, "cost", kind, panel)

    def plot_cka(
        self, ax: Axes | None = None, *, kind: str = "noises", panel: int = 0, style: str = "screen"
    ) -> Axes:
        """Linear CKA of the same layers over depth; see `plot_cost`."""
        return self._plot(ax, "cka", kind, panel)

    def _plot(self, ax: Axes | None, column: str, kind: str, panel: int) -> Axes:
        part = figures.panel(self.stitch, kind, panel)
        ax = ax if ax is not None else new_axes()
        models = list(dict.fromkeys([*self.stitch.sender, *self.stitch.receiver]))
        figures.draw(ax, part, column, models)
        figures.set_scale(ax, part, column)
        ax.set_title(figures.titled(part), fontsize=9)
        ax.set_ylabel(figures.LABELS[column])
        ax.legend(fontsize=8)
        return ax
