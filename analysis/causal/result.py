"""The results of causal tracing, and the figures of them."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from analysis.causal import figures
from analysis.commands.result import Result
from analysis.plotting.axes import new_axes
from mtd.utils.errors import BadInput, one_of


class CausalResult(Result):
    """The tables of causal tracing as data frames, and figures of them.

    A is the reference noise, B the noise of a row, L the mean squared error of the raw output. In
    every table `photographs` is the number of photographs; `low` and `high` are the 95% jackknife
    interval over these, `band_low` and `band_high` bounds that hold for all patched branches of a
    model under a noise at once. A value that does not exist is NaN, and `reason` says why.
    """

    @property
    def causal(self) -> pd.DataFrame:
        """A row for each model, noise and branch, in the order in which branches are computed.

        Columns:
            model, noise, branch, kind, note: what the row is of.
            depth: the branch's place in that order, from 0.
            recovery: Σ (L_B − L_B←A) / Σ (L_B − L_A) over crops, without unit; with `low`, `high`,
                `band_low` and `band_high`.
            estimate: the same to first order, by attribution patching.
            patched: `exact`; in a screened network `top`, `random`, or `screened` (not patched).
            status: `changed`, `unchanged` (the same under both noises) or `whole stream` (a cut
                through the network).
            mse_reference, mse: L_A and L_B, means over crops; squared 8-bit levels.
            photographs, crops: counts.
            reason: why there is no recovery.
        """
        return self.frames["causal"]

    @property
    def together(self) -> pd.DataFrame:
        """A row for each model, noise and kind: all its branches patched at once.

        Columns:
            model, noise, kind: what the row is of.
            branches: their number.
            recovery: by all at once, without unit; with `low` and `high`.
            sum: of the recoveries by single branches; with `sum_low` and `sum_high`.
            interaction: recovery − sum; with `interaction_low` and `interaction_high`.
            held_out: recovery by the one branch that recovers most, chosen on one half of the
                photographs and measured on the other, in the last row of a model and noise among
                all branches; with `held_out_low` and `held_out_high`.
            photographs: their number.
            reason: why there is no recovery by all.
        """
        return self.frames["causal_together"]

    @property
    def ablation(self) -> pd.DataFrame:
        """A row for each model, noise and branch at its channels' means; empty without ablation.

        Columns:
            model, noise, branch, kind, depth: what the row is of.
            mse, mse_without: error of the network, and with the branch at its mean; squared 8-bit
                levels.
            loss: 10 log₁₀(mse_without / mse), the PSNR that is lost, in dB; with `low`, `high`,
                `band_low` and `band_high`.
            photographs: their number.
            reason: why there is no loss.
        """
        return self.frames.get("ablation", pd.DataFrame())

    @property
    def difference(self) -> pd.DataFrame:
        """Joint recoveries of model b minus those of model a, by noise.

        Columns:
            measure: the kind of the branches that are patched at once.
            model_a, model_b, noise: what is compared.
            value, low, high: the difference of recoveries, without unit, with its 95% interval.
            band_low, band_high: bounds that hold for all noises of two models at once.
            photographs: their number.
        """
        return self.frames["causal_difference"]

    def plot_recovery(
        self, ax: Axes | None = None, *, noise: str | None = None, style: str = "screen"
    ) -> Axes:
        """Recovery per branch over depth under one noise, a line for each model and kind.

        Args:
            ax: where to draw; a new figure's by default.
            style: `screen` or `paper`, see `figures`.
            noise: one of the run but the reference; the first one by default.

        Raises:
            BadInput: no such noise in the run.
        """
        return self._plot(self.causal, "recovery", figures.RECOVERY, ax, noise)

    def plot_ablation(
        self, ax: Axes | None = None, *, noise: str | None = None, style: str = "screen"
    ) -> Axes:
        """Loss per branch that is replaced by its mean, over depth; see `plot_recovery`.

        Raises:
            BadInput: no such noise in the run, or a run without ablation.
        """
        if self.ablation.empty:
            raise BadInput("this run has no ablation: run it again without --no-ablation")
        return self._plot(self.ablation, "loss", figures.LOSS, ax, noise)

    def _plot(
        self, frame: pd.DataFrame, column: str, label: str, ax: Axes | None, noise: str | None
    ) -> Axes:
        noises = list(dict.fromkeys(frame.noise))
        noise = noises[0] if noise is None else noise
        one_of("noise", noise, noises)
        ax = ax if ax is not None else new_axes()
        figures.draw(ax, frame[frame.noise == noise], list(dict.fromkeys(frame.model)), column)
        ax.set_ylabel(label)
        ax.legend(fontsize=8)
        return ax
