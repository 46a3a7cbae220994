"""The results of causal tracing, and the figures of them."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from analysis.causal import figures
from analysis.commands.result import Result
from analysis.plotting.axes import new_axes
from mtd.utils.errors import BadInput, one_of


class CausalResult(Result):
    """The tables of causal tracing as data frames, and figures of them."""

    @property
    def causal(self) -> pd.DataFrame:
        """A row for each model, noise and branch: `recovery` with its 95% interval.

        `band_low` to `band_high` hold for all patched branches of a model under a noise at once;
        `estimate` is the recovery by attribution patching; `status` is `changed`, `unchanged` or
        `whole stream`.
        """
        return self.frames["causal"]

    @property
    def together(self) -> pd.DataFrame:
        """All branches of a kind patched at once: `recovery`, the `sum` of single ones, and the
        `interaction`, what they recover together beyond that sum."""
        return self.frames["causal_together"]

    @property
    def ablation(self) -> pd.DataFrame:
        """A row for each model, noise and branch: `loss` in dB with the branch at its mean; empty
        for a run without."""
        return self.frames.get("ablation", pd.DataFrame())

    @property
    def difference(self) -> pd.DataFrame:
        """Joint recoveries of model b minus those of model a; `measure` names the branches."""
        return self.frames["causal_difference"]

    def plot_recovery(self, ax: Axes | None = None, *, noise: str | None = None) -> Axes:
        """Recovery per branch over depth under one noise, a line for each model and kind.

        Args:
            ax: where to draw; a new figure's by default.
            noise: one of the run but the reference; the first one by default.

        Raises:
            BadInput: no such noise in the run.
        """
        return self._plot(self.causal, "recovery", figures.RECOVERY, ax, noise)

    def plot_ablation(self, ax: Axes | None = None, *, noise: str | None = None) -> Axes:
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
