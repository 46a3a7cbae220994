"""The results of the error decomposition, and plots of them."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from analysis.commands.result import Result
from analysis.error import figures
from analysis.plotting.axes import new_axes
from mtd.utils.errors import one_of


class ErrorResult(Result):
    """The tables of the error decomposition as data frames, and plots of them.

    In every table `photographs` is the number of photographs, and a value `NAME` has its 95%
    jackknife interval over them in `NAME_low` and `NAME_high`. Errors are in squared 8-bit levels
    of outputs that are neither clipped nor rounded. A value that does not exist is NaN, and
    `reason` says why. Of a model with several trainings values are means over these, with the
    columns of `analysis.stats.controls.columns` beside them.
    """

    @property
    def error(self) -> pd.DataFrame:
        """A row for each model and noise: the parts of the MSE, and PSNR without each.

        Columns:
            model, noise, kind, level, note: what the row is of; `kind`, `level` of the noise.
            mse: mean squared error, bias2 + variance + mask_variance; squared 8-bit levels.
            bias2: damage, the same whatever the draw of the noise; squared 8-bit levels.
            variance: leak, noise that is let through; squared 8-bit levels.
            mask_variance: due to random attention masks, 0 without them; squared 8-bit levels.
            psnr, psnr_without_leak, psnr_without_damage: 10 log₁₀(255² / E) in dB for E the MSE,
                bias², and variance + mask variance.
            noise_mse, noise_variance: mean square and variance over draws of the noisy image's own
                error; squared 8-bit levels.
            noise_left: variance / noise_variance, a share.
            leak_share: variance / mse, a share.
            cutoff: frequency above which the content gain stays below 1/√2; cycles per pixel.
            photographs, crops, noise_draws, mask_draws: counts.
            reason: why a value is missing.

        `frames["error_by_training"]` has the values of single trainings.
        """
        return self.frames["error"]

    @property
    def difference(self) -> pd.DataFrame:
        """PSNR of model b minus that of model a by noise, and its parts, in dB.

        Columns:
            measure: `psnr`, `damage` or `leak` (with the variance over masks); the last two add up
                to the first.
            model_a, model_b, noise: what is compared.
            value, low, high: the difference in dB with its 95% interval.
            band_low, band_high: bounds that hold for all noises of two models at once.
            photographs: their number.
        """
        return self.frames["error_difference"]

    @property
    def transfer(self) -> pd.DataFrame:
        """A row for each model, noise and ring of frequencies; see `analysis.error.spectra`.

        Columns:
            model, noise: what the row is of.
            frequency: middle of the ring, in cycles per pixel.
            content_gain, noise_gain: |Hx| and |Hn|; 1 where content, or noise, stays as it is.
            unexplained: share of the output's power that the best linear filter does not explain.
        """
        return self.frames["transfer"]

    @property
    def filter(self) -> pd.DataFrame:
        """A row for each model: the largest change of its gains between two noises of the run.

        Columns:
            model, noises, photographs: the model and counts.
            content_change, noise_change: largest difference of the gain between two noises, over
                all frequencies; 0 for one fixed filter.
        """
        return self.frames["filter"]

    @property
    def residual(self) -> pd.DataFrame:
        """A row for each model and noise: checks of the residual y − f(y), all without unit.

        Columns:
            model, noise, photographs: what the row is of.
            leak: ⟨e, n⟩ / ‖n‖²; 1 if the noise stays as it is, 0 if nothing of it is left.
            autocorrelation_horizontal, autocorrelation_vertical: of the residual at a distance of
                one pixel; 0 of white noise.
            detail: correlation of the residual with the clean image minus its 3 × 3 mean.
            reason: why a value is missing.
        """
        return self.frames["residual"]

    @property
    def mask_averaging(self) -> pd.DataFrame:
        """What averaging over draws of random masks gains; empty without such networks.

        Columns:
            model, noise, photographs: what the row is of.
            mask_draws: N, how many times as many masks are averaged as the network itself uses.
            mse: of the network as it is, under the first draw of the noise; squared 8-bit levels.
            predicted_mse: mse − mask variance · (1 − 1/N); squared 8-bit levels.
            measured_mse: of the mean over other draws of the masks; squared 8-bit levels.
            difference: measured − predicted; squared 8-bit levels.
        """
        return self.frames.get("mask_averaging", pd.DataFrame())

    def plot_parts(
        self, ax: Axes | None = None, *, noise: str | None = None, style: str = "screen"
    ) -> Axes:
        """The parts of the MSE under one noise, a stacked bar for each model.

        Args:
            ax: where to draw; a new figure's by default.
            style: `screen` or `paper`, see `figures`.
            noise: one of the run; the first one by default.

        Raises:
            BadInput: no such noise in the run.
        """
        frame = self.error
        ax = ax if ax is not None else new_axes()
        models = list(dict.fromkeys(frame.model))
        figures.draw_parts(ax, frame[frame.noise == self._noise(noise)], models)
        ax.set_ylabel(figures.LABEL, fontsize=8)
        ax.legend(handles=figures.legend(models, frame), fontsize=8)
        return ax

    def plot_transfer(
        self, ax: Axes | None = None, *, noise: str | None = None, style: str = "screen"
    ) -> Axes:
        """Gain of content and of noise by frequency under one noise, two lines for each model.

        Args:
            ax: where to draw; a new figure's by default.
            style: `screen` or `paper`, see `figures`.
            noise: one of the run; the first one by default.

        Raises:
            BadInput: no such noise in the run.
        """
        frame = self.transfer
        ax = ax if ax is not None else new_axes()
        models = list(dict.fromkeys(frame.model))
        figures.draw_transfer(ax, frame[frame.noise == self._noise(noise)], models)
        ax.set_ylabel("gain", fontsize=8)
        ax.legend(handles=figures.lines(models), fontsize=8)
        return ax

    def _noise(self, noise: str | None) -> str:
        noises = [str(name) for name in dict.fromkeys(self.error.noise)]
        chosen = noises[0] if noise is None else noise
        one_of("noise", chosen, noises)
        return chosen
