"""The results of filter attribution, and the figures of them."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from analysis.causal.faig import figures
from analysis.commands.result import Result
from analysis.plotting.axes import new_axes
from mtd.utils.errors import BadInput, one_of


class FaigResult(Result):
    """The tables of filter attribution as data frames, and figures of them.

    A is the noise of a row, B the reference; F is the published measure of
    `analysis.causal.faig.attribution`. Values are means over crops; `low` and `high` are the 95%
    jackknife interval over photographs. A value that does not exist is NaN, and `reason` says why.
    """

    @property
    def filters(self) -> pd.DataFrame:
        """A row for each unseen noise and filter, the highest attribution first.

        Columns:
            noise, rank: A, and the filter's place, from 1.
            layer, kind, filter: path of the layer, `convolution` or `linear`, output channel.
            attribution: F(x_A) − F(x_B), in squared 8-bit levels; with `low` and `high`.
            share: of the sum of all attributions above 0.
            absolute, absolute_reference: F(x_A) and F(x_B); squared 8-bit levels.
            signed, signed_reference: Σ (θ̄ − θ) g over the filter under A and B; squared 8-bit
                levels.
            change: Σ |θ̄ − θ| over the filter, in the unit of its weights.
            photographs, reason: their number; why values are missing.
        """
        return self.frames["faig"]

    @property
    def layers(self) -> pd.DataFrame:
        """A row for each unseen noise and layer: sums over its filters.

        The last row of a noise is of all other parameters.

        Columns:
            noise, layer, kind, depth: what the row is of; `depth` in the order of definition.
            filters: their number.
            attribution: Σ F(x_A) − F(x_B), in squared 8-bit levels; with `low` and `high`, and with
                `band_low` and `band_high`, which hold for all layers of the noise at once.
            share: of the sum of all attributions above 0.
            top: how many of its filters are among the highest, the first percentage of all.
            signed: Σ (θ̄ − θ) g under A, in squared 8-bit levels; with `signed_low`, `signed_high`.
            photographs, reason: their number; why values are missing.
        """
        return self.frames["faig_layers"]

    @property
    def errors(self) -> pd.DataFrame:
        """A row for each noise: errors of both networks, and what attributions sum to.

        Columns, in squared 8-bit levels but for the last:
            noise: of the row.
            mse_as_used: of the baseline with its own attention masks.
            mse_baseline, mse_twin: L(θ̄) and L(θ), both in the twin's network.
            difference: mse_baseline − mse_twin; with `low` and `high`.
            filters, others: sums of the signed attributions of filters and of other parameters.
            rest: filters + others − difference, the error of the quadrature.
            absolute, absolute_others: sums of the absolute values.
            highest: the largest mean error on the path.
            halves: Spearman's correlation of the filters' F(x_A) − F(x_B), under the reference of
                F(x_B), between both halves of the photographs; without unit.
            with_mean: the same of F(x_A) − F(x_B) with the mean of both, over all photographs; and
                with_mean_chance, of F(x_A) of each filter beside F(x_B) of another; without unit.
            photographs, reason: their number; why values are missing.
        """
        return self.frames["faig_errors"]

    @property
    def path(self) -> pd.DataFrame:
        """A row for each noise and point of the path between the networks.

        Columns:
            noise: of the row.
            alpha: 0 at the baseline's parameters, 1 at the twin's.
            mse: the error there, in squared 8-bit levels; with `low` and `high`.
            photographs: their number.
        """
        return self.frames["faig_path"]

    @property
    def reverting(self) -> pd.DataFrame:
        """What it costs to give filters the baseline's weights again; empty for a run without.

        Columns:
            noise: A, for which filters were chosen.
            measured: the noise under which the loss is, A or the reference.
            selection: `attribution`, or `weight change` (the filters that differ most).
            percent, filters: how many filters were reverted.
            mse_twin, mse: the twin's error without and with them; squared 8-bit levels.
            loss: 10 log₁₀(mse / mse_twin) in dB; with `low` and `high`.
            random, random_low, random_high: mean loss by as many random filters, and its range over
                draws; dB.
            beyond: loss − random; dB, with `beyond_low` and `beyond_high`.
            specific: beyond minus that under the reference; dB, with `specific_low` and
                `specific_high`.
            minus_change: loss minus that by weight change; dB, with `minus_change_low` and
                `minus_change_high`.
            photographs, reason: their number; why values are missing.
        """
        return self.frames.get("faig_reverting", pd.DataFrame())

    def plot_layers(
        self, ax: Axes | None = None, *, noise: str | None = None, style: str = "screen"
    ) -> Axes:
        """Attribution by layer under one noise.

        Args:
            ax: where to draw; a new figure's by default.
            style: `screen` or `paper`, see `figures`.
            noise: one of the run but the reference; the first one by default.

        Raises:
            BadInput: no such noise in the run.
        """
        ax = ax if ax is not None else new_axes(8.0, 4.8)
        figures.draw_layers(ax, rows_of(self.layers, noise))
        ax.set_ylabel(figures.ATTRIBUTION_LABEL)
        ax.legend(fontsize=8)
        return ax

    def plot_reverting(
        self,
        ax: Axes | None = None,
        *,
        noise: str | None = None,
        measured: str | None = None,
        style: str = "screen",
    ) -> Axes:
        """PSNR lost by reverting filters that were chosen for a noise, by their percentage.

        Args:
            ax: where to draw; a new figure's by default.
            style: `screen` or `paper`, see `figures`.
            noise: one of the run but the reference; the first one by default.
            measured: under which the loss is: the same by default, or the reference.

        Raises:
            BadInput: no such noise in the run, or a run without reverting.
        """
        if self.reverting.empty:
            raise BadInput("no filters were reverted: run it again without --no-reverting")
        rows = rows_of(self.reverting, noise)
        measured = str(rows.noise.iloc[0]) if measured is None else measured
        one_of("measured", measured, dict.fromkeys(rows.measured))
        ax = ax if ax is not None else new_axes()
        figures.draw_reverting(ax, rows[rows.measured == measured])
        ax.set(xlabel=figures.SHARE_LABEL, ylabel=figures.LOSS_LABEL)
        ax.legend(fontsize=8)
        return ax

    def plot_path(self, ax: Axes | None = None, *, style: str = "screen") -> Axes:
        """The error along the path from the baseline to its twin, a line for each noise."""
        ax = ax if ax is not None else new_axes()
        figures.draw_path(ax, self.path)
        ax.legend(fontsize=8)
        return ax


def rows_of(frame: pd.DataFrame, noise: str | None) -> pd.DataFrame:
    """The rows of a noise, by default of the first one.

    Raises:
        BadInput: no such noise.
    """
    noises = list(dict.fromkeys(frame.noise))
    noise = noises[0] if noise is None else noise
    one_of("noise", noise, noises)
    return frame[frame.noise == noise]
