"""The results of noisy pictures: tables, outputs, and plots."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from PIL import Image

from analysis.commands.result import Result
from analysis.commands.trainings import TRAINING
from analysis.generalization.noisy import figures
from analysis.generalization.noisy.tables import quantities_of
from analysis.plotting.axes import new_axes
from mtd.data.image_io import Pixels
from mtd.utils.errors import BadInput, one_of


class NoisyResult(Result):
    """What was measured on noisy pictures that have no clean one."""

    @property
    def no_reference(self) -> pd.DataFrame:
        """A row for each model and picture: noise level before and after, residual, correlations.

        The noisy input and a Gaussian blur stand beside the models; levels are 8-bit levels.
        """
        return self.frames["no_reference"]

    @property
    def means(self) -> pd.DataFrame:
        """The mean of each quantity over pictures by model, with its 95% interval; also of the
        `difference` between every two outputs."""
        return self.frames["means"]

    @property
    def agreement(self) -> pd.DataFrame:
        """The root mean square difference of every two outputs of each picture, in 8-bit levels."""
        return self.frames["agreement"]

    @property
    def features(self) -> pd.DataFrame:
        """CKA and SRGA of each model between a synthetic noise and the recorded one."""
        return self.frames["features"]

    @property
    def depth(self) -> pd.DataFrame:
        """CKA of each layer between a synthetic noise and the recorded one."""
        return self.frames["depth"]

    @property
    def strips(self) -> pd.DataFrame:
        """Which square of which picture each strip shows."""
        return self.frames["strips"]

    def output(self, model: str, image: str) -> Pixels:
        """A denoised picture, (H, W, 3) in 8 bits; of a picture in crops, the first one.

        Args:
            model: its name; of a model with several trainings, that of one of them.
            image: name of the picture.

        Raises:
            BadInput: no such model or picture, or a result read from a folder, whose outputs lie
                there as files.
        """
        column = TRAINING if TRAINING in self.no_reference else "model"
        one_of("model", model, dict.fromkeys(self.agreement[column + "_a"]))
        rows = self.no_reference[self.no_reference[column] == model].set_index("image").output
        one_of("picture", image, rows.index)
        file = str(rows.loc[[image]].iloc[0])
        if file not in self.attachments:
            raise BadInput(f"outputs are files of the run folder: {file}")
        with Image.open(io.BytesIO(self.attachments[file])) as opened:
            return np.asarray(opened)

    def plot_quantity(
        self, quantity: str = "coarse_noise_level", ax: Axes | None = None, *, style: str = "screen"
    ) -> Axes:
        """One quantity of every model: pictures as points, and their mean with its interval.

        Args:
            quantity: a column of `no_reference`.
            ax: where to draw; a new figure's by default.
            style: `screen` or `paper`, see `figures`.

        Raises:
            BadInput: no such quantity.
        """
        one_of("quantity", quantity, quantities_of(self.no_reference))
        ax = ax if ax is not None else new_axes()
        models = figures.order_of(self.no_reference)
        single = self.frames.get("means_by_training")
        figures.draw_quantity(ax, self.no_reference, self.means, quantity, models, single)
        return ax

    def plot_agreement(self, ax: Axes | None = None, *, style: str = "screen") -> Axes:
        """How far every two outputs are apart, as a matrix.

        Args:
            ax: where to draw; a new figure's by default.
            style: `screen` or `paper`, see `figures`.
        """
        ax = ax if ax is not None else new_axes()
        figures.draw_agreement(ax, self.means)
        return ax
