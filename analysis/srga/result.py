"""The results of SRGA, and the Python function that computes them."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from analysis.commands.command import run_in_memory
from analysis.commands.result import Result
from analysis.plotting.axes import new_axes
from analysis.srga import figures
from analysis.srga.command import ANALYSIS


class SRGAResult(Result):
    """The scores of SRGA as a data frame, and a figure of them."""

    @property
    def scores(self) -> pd.DataFrame:
        """A row for each model and noise, the reference first.

        `srga` with its 95% interval `low` to `high`, `kl` in nats, `sigma` and `shape` of the
        fitted density, those of the reference, numbers of components, outliers, patches and
        features, and the output's `psnr` in dB.
        """
        return self.frames["srga"]

    def plot_scores(self, ax: Axes | None = None) -> Axes:
        """The score of each model under each unseen noise, with 95% intervals.

        Args:
            ax: where to draw; a new figure's by default.
        """
        ax = ax if ax is not None else new_axes()
        figures.draw_scores(ax, self.scores)
        ax.set_title(figures.heading(self.scores), fontsize=9)
        ax.legend(fontsize=8)
        return ax


def score_models(
    models: Any, *, images: Any = None, progress: bool = True, **settings: Any
) -> SRGAResult:
    """Score how far the features of denoisers under unseen noise are from those under a reference.

    Of each model and noise, the features before the last convolution are projected on their
    principal components, and a generalized Gaussian is fitted to all projections; SRGA is
    log₁₀(KL(reference ‖ noise) + 10⁻⁵) + 5 (see `analysis.srga.srga`). 0 is no distance, more is
    worse. Scores compare noises within a model, and models of similar PSNR. The command
    `python -m analysis.srga` calls the same code.

    Args:
        models: a mapping from names, a sequence, or one of: an `nn.Module` from (B, 3, H, W) in
            [0, 1] to the same shape; the path of a checkpoint; a bundled name.
        images: clean photographs: a folder, files, arrays (H, W, 3) or tensors (3, H, W), `uint8`
            or real in [0, 1]; None for the bundled ones.
        progress: show a progress bar.
        settings: fields of `analysis.srga.settings.SRGASettings`.

    Returns:
        A data frame `scores`; `plot_scores`, `sentences`, `save`.

    Raises:
        BadInput: a model, image or setting that cannot be used; the message says what to do.

    Example:
        >>> noises = ["poisson:3.5", "gaussian:50"]
        >>> result = score_models("baseline.pth", noises=noises, crop=32, limit=4, progress=False)
        >>> dict(zip(result.scores.noise, result.scores.srga > 1))
        {'gaussian:15': False, 'poisson:3.5': True, 'gaussian:50': True}

    Reference: Liu et al., *Evaluating the Generalization Ability of Super-Resolution Networks*,
    IEEE TPAMI 2023.
    """
    result = run_in_memory(ANALYSIS, models, images, progress, **settings)
    assert isinstance(result, SRGAResult)
    return result
