"""The results of sensitivity, and the Python function that measures it."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from analysis.commands.command import run_in_memory
from analysis.commands.result import Result
from analysis.plotting.axes import new_axes
from analysis.sensitivity import figures
from analysis.sensitivity.command import ANALYSIS
from mtd.utils.errors import BadInput, nearest


class SensitivityResult(Result):
    """The table of sensitivity as a data frame, and figures of it."""

    @property
    def sensitivity(self) -> pd.DataFrame:
        """A row for each model, noise and layer: `change` and `gain` with 95% intervals.

        Layers are the noisy image, the recorded layers as they fire, and the denoised image.
        """
        return self.frames["sensitivity"]

    def plot_gain(self, ax: Axes | None = None, *, noise: str | None = None) -> Axes:
        """Gain of every layer over depth under one noise, a line for each model.

        Args:
            ax: where to draw; a new figure's by default.
            noise: one of the run; the first one by default.

        Raises:
            BadInput: no such noise in the run.
        """
        frame = self.sensitivity
        noises = list(dict.fromkeys(frame.noise))
        if noise is not None and noise not in noises:
            raise BadInput(f"noise {noise!r}: {nearest(noise, noises)}")
        part = frame[frame.noise == (noises[0] if noise is None else noise)]
        ax = ax if ax is not None else new_axes()
        figures.draw_gain(ax, part, list(dict.fromkeys(frame.model)))
        figures.set_ticks(ax, part.gain)
        ax.set_ylabel(figures.LABEL)
        ax.legend(fontsize=8)
        return ax


def measure_sensitivity(
    models: Any, *, images: Any = None, progress: bool = True, **settings: Any
) -> SensitivityResult:
    """Measure how far each layer moves from a clean image to its noisy version.

    The change of a layer f is √(Σ ‖f(noisy) − f(clean)‖² / Σ ‖f(clean) − m‖²), sums over crops and
    positions, m being the channels' means over them; its gain is the change over that of the noisy
    image. Below 1 a network dampens the noise, above 1 it amplifies it. The command
    `python -m analysis.sensitivity` calls the same code.

    Args:
        models: a mapping from names, a sequence, or one of: an `nn.Module` from (B, 3, H, W) in
            [0, 1] to the same shape; the path of a checkpoint; a bundled name.
        images: clean photographs: a folder, files, arrays (H, W, 3) or tensors (3, H, W), `uint8`
            or real in [0, 1]; None for the bundled ones.
        progress: show a progress bar.
        settings: fields of `analysis.sensitivity.settings.SensitivitySettings`.

    Returns:
        Data frame `sensitivity`; `plot_gain`; `save`.

    Raises:
        BadInput: a model, image or setting that cannot be used; the message says what to do.

    Example:
        >>> result = measure_sensitivity(
        ...     "masked.pth", noises=["gaussian:50"], crop=32, limit=4, progress=False
        ... )
        >>> result.sensitivity.layer.iloc[-1], bool(result.sensitivity.gain.iloc[-1] < 1)
        ('denoised image', True)
    """
    result = run_in_memory(ANALYSIS, models, images, progress, **settings)
    assert isinstance(result, SensitivityResult)
    return result
