"""The results of the analysis of local linear maps, and plots of them."""

from __future__ import annotations

from functools import cached_property

import pandas as pd
from matplotlib.axes import Axes

from analysis.commands.result import Result
from analysis.linear import figures
from analysis.linear.settings import FILTERS
from analysis.linear.tables import Filters, read_filters
from analysis.plotting.axes import new_axes
from mtd.utils.errors import BadInput, one_of


class LinearResult(Result):
    """The tables of local linear maps as data frames, filters as arrays, and plots.

    J = ∂f/∂y is the Jacobian at a noisy crop y, (n, n) for n = C · H · W. Values are means over
    crops, and over the trainings of a model; a value `NAME` has its 95% jackknife interval over
    photographs in `NAME_low` and `NAME_high`. A value that does not exist is NaN, and `reason` says
    why.
    """

    @property
    def linear(self) -> pd.DataFrame:
        """A row for each model and noise.

        Columns:
            model, noise, kind, level, note: what the row is of; `kind`, `level` of the noise.
            dimensions: n, the number of input values.
            trace: tr J / n.
            effective_dimension: Σs² = ‖J‖_F², of n.
            largest: the largest singular value.
            asymmetry: ‖J − Jᵀ‖_F / ‖J‖_F.
            affine_rest: ‖f(y) − J y‖ / ‖f(y)‖.
            row_sum, row_sum_sd: mean and standard deviation of the sums of J's rows.
            image_share, noise_share: shares of the clean crop (without its mean) and of the noise
                in the leading input directions; `chance_share` that of a random direction, and
                `directions` how many directions these are.
            reach50, reach95: radius in pixels that holds 50% and 95% of a filter's energy.
            sure, mse, sure_error: Stein's estimate, the true error, and their difference;
                `noise_mse` that of the noisy crop. Squared 8-bit levels.
            trace_error, dimension_error, asymmetry_error: standard errors of estimates by random
                vectors; NaN of a whole Jacobian.
            singular_error: largest bound of the errors of the leading singular values.
            photographs, crops: counts.
            reason: why values are missing.
        """
        return self.frames["linear"]

    @property
    def difference(self) -> pd.DataFrame:
        """Numbers of model b minus those of model a at the same crops, by noise.

        Columns:
            measure: a column of `linear`, whose unit the values have.
            model_a, model_b, noise: what is compared.
            value, low, high: the difference with its 95% interval.
            band_low, band_high: bounds that hold for all noises of two models at once.
            photographs: their number.
        """
        return self.frames["linear_difference"]

    @property
    def filters_table(self) -> pd.DataFrame:
        """A row for each model, noise, crop and kind of pixel: place and reach of its filter.

        Columns:
            model, noise, crop, image: what the row is of; `crop` a number from 0.
            pixel: `flat`, `edge` or `texture`; `top`, `left` its row and column in the crop.
            center: weight of the pixel itself in its gray filter.
            reach50, reach95: radius in pixels that holds 50% and 95% of the filter's energy.
        """
        return self.frames["filters"]

    @property
    def singular_values(self) -> pd.DataFrame:
        """Singular values, mean over crops; of crops above 40 pixels a side the leading ones.

        Columns:
            model, noise: what the row is of.
            index: 0 for the largest.
            value: the singular value, without unit.
            error: J has a singular value at most this far away; 0 of a whole Jacobian.
        """
        return self.frames["singular_values"]

    @property
    def equivariance(self) -> pd.DataFrame:
        """A row for each model, noise and change T of the input.

        Columns:
            model, noise, photographs: what the row is of.
            change: such as `contrast x 2` or `flip up-down`.
            error: ‖f(T y) − T f(y)‖ / ‖T f(y)‖, without unit.
        """
        return self.frames["equivariance"]

    @property
    def levels(self) -> pd.DataFrame:
        """A row for each model and level of Gaussian noise.

        Columns:
            model, photographs: what the row is of.
            sigma: standard deviation of the noise, in 8-bit levels.
            psnr: of outputs that are neither clipped nor rounded, in dB.
            input_psnr: of the noisy crops, in dB.
            gain: psnr − input_psnr, in dB.
        """
        return self.frames["levels"]

    @cached_property
    def filters(self) -> Filters:
        """Gray filters (H, W) without unit by (model, noise, crop, kind of pixel).

        Noisy crops (3, H, W) are those of ("", noise, crop, "").

        Raises:
            BadInput: their file is missing or damaged.
        """
        if FILTERS not in self.attachments:
            raise BadInput(f"{FILTERS} is missing: run the analysis again")
        return read_filters(self.attachments[FILTERS])

    def plot_singular_values(
        self, ax: Axes | None = None, *, noise: str | None = None, style: str = "screen"
    ) -> Axes:
        """Singular values under one noise, a line for each model.

        Args:
            ax: where to draw; a new figure's by default.
            style: `screen` or `paper`, see `figures`.
            noise: one of the run; the first one by default.

        Raises:
            BadInput: no such noise in the run, or no singular values.
        """
        frame = self.singular_values
        if frame.empty:
            raise BadInput("no singular values in this run: lower --crop or raise --rank")
        noises = [str(name) for name in dict.fromkeys(frame.noise)]
        chosen = noises[0] if noise is None else noise
        one_of("noise", chosen, noises)
        ax = ax if ax is not None else new_axes()
        models = list(dict.fromkeys(frame.model))
        figures.draw_singular_values(ax, frame[frame.noise == chosen], models)
        ax.set_ylabel("singular value", fontsize=9)
        ax.legend(fontsize=8)
        return ax

    def plot_levels(self, ax: Axes | None = None, *, style: str = "screen") -> Axes:
        """PSNR over the level of Gaussian noise, a line for each model.

        Args:
            ax: where to draw; a new figure's by default.
            style: `screen` or `paper`, see `figures`.
        """
        ax = ax if ax is not None else new_axes()
        figures.draw_levels(ax, self.levels, list(dict.fromkeys(self.levels.model)))
        ax.legend(fontsize=8)
        return ax
