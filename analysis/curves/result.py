"""The results of training and test curves, and the Python functions that make them."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from analysis.commands.command import run_in_memory
from analysis.commands.result import Result
from analysis.curves import figures
from analysis.curves.command import ANALYSIS
from analysis.curves.log_readers import LOSS
from analysis.curves.run_curves import Places, RunSources, read_logs
from analysis.curves.settings import CurvesSettings
from analysis.curves.tables import psnr_curves
from analysis.plotting.axes import new_axes
from mtd.utils.errors import BadInput, nearest


class CurvesResult(Result):
    """Training and test curves as data frames, and figures of them."""

    @property
    def curves(self) -> pd.DataFrame:
        """A row for each value: run, source, quantity, noise, step of training, value."""
        return self.frames["curves"]

    @property
    def summary(self) -> pd.DataFrame:
        """A row for each run: best and last PSNR under the noise trained on and unseen noise."""
        return self.frames["summary"]

    @property
    def trained(self) -> dict[str, str]:
        """The noise that each run was trained on; empty for runs without test curves."""
        return {str(run): str(noise) for run, noise in self.manifest["trained"].items()}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {', '.join(self.trained)}: {len(self.curves)} values>"

    def plot_loss(self, ax: Axes | None = None, *, smooth: float | None = None) -> Axes:
        """Each run's training loss, smoothed over the logged values.

        Args:
            ax: where to draw; a new figure's by default.
            smooth: decay of the moving average, 0 for none; by default that of the result.

        Raises:
            BadInput: no run has logged a loss, or no such decay.
        """
        decay = CurvesSettings.of(smooth=self.manifest["smooth"] if smooth is None else smooth)
        losses = self.curves[self.curves.quantity == LOSS]
        if losses.empty:
            raise BadInput("no run has logged a loss; give its log as a run")
        ax = ax if ax is not None else new_axes()
        figures.draw_losses(ax, losses, list(self.trained), decay.smooth)
        figures.format_axes(ax)
        ax.legend(fontsize=8)
        return ax

    def plot_psnr(self, noise: str | None = None, ax: Axes | None = None) -> Axes:
        """Each run's PSNR under one noise over the steps of training.

        Args:
            noise: a noise or test set; by default the mean over the noises that a run was not
                trained on.
            ax: where to draw; a new figure's by default.

        Raises:
            BadInput: no such test curve.
        """
        rows = psnr_curves(self.curves)
        known = list(dict.fromkeys(rows.noise))
        if not known:
            raise BadInput("no run has test curves; evaluate_checkpoints makes them")
        if noise is not None and noise not in known:
            raise BadInput(f"noise {noise!r}: {nearest(noise, known)}")
        if noise is None and not figures.unseen_means(rows, self.trained):
            raise BadInput("no run was tested under a noise that it was not trained on; give one")
        ax = ax if ax is not None else new_axes()
        if noise is None:
            figures.draw_unseen(ax, rows, self.trained)
        else:
            figures.draw_noise(ax, noise, rows, self.trained)
        figures.format_axes(ax)
        ax.legend(fontsize=8)
        return ax


def read_curves(
    runs: Places, *, smooth: float = 0.9, in_distribution: str | None = None
) -> CurvesResult:
    """Read the training and test curves of runs from their logs.

    Args:
        runs: folders of `mtd.train`, TensorBoard events, text logs of KAIR or BasicSR, or folders
            of one: a mapping from names, a sequence, or one.
        smooth: decay β of the loss's exponential moving average, from 0 (none) to below 1.
        in_distribution: the test curve that counts as trained on; by default the noise that a log
            names, else its first test curve.

    Returns:
        Data frames `curves` and `summary`; `plot_loss`, `plot_psnr`; `save`.

    Raises:
        BadInput: a log or setting that cannot be used; the message says what to do.

    Example:
        >>> from pathlib import Path
        >>> import mtd
        >>> runs = Path(mtd.__file__).parent / "pretrained"
        >>> result = read_curves([runs / "baseline", runs / "masked"])
        >>> result.summary[["run", "last_loss_step"]].values.tolist()
        [['baseline', 10000], ['masked', 10000]]
    """
    settings = CurvesSettings.of(smooth=smooth, in_distribution=in_distribution)
    curves = read_logs(RunSources.of(runs).logs, settings.in_distribution)
    return CurvesResult(ANALYSIS, curves.tables(), curves.manifest_of_logs(settings.smooth))


def evaluate_checkpoints(
    folders: Places,
    *,
    runs: Places = (),
    images: Any = None,
    progress: bool = True,
    **settings: Any,
) -> CurvesResult:
    """Evaluate the checkpoints that training runs have saved: mean PSNR by step and noise.

    The command `python -m analysis.curves --checkpoints` calls the same code.

    Args:
        folders: of each run's checkpoints, such as `snapshot-002500.pth`: a mapping from names, a
            sequence, or one.
        runs: logs, see `read_curves`; of a run that is among the folders, the evaluated
            checkpoints take the place of its logged test curves.
        images: clean photographs: a folder, files, arrays (H, W, 3) or tensors (3, H, W), `uint8`
            or real in [0, 1]; None for the bundled ones.
        progress: show a progress bar.
        settings: fields of `analysis.curves.settings.CurvesSettings`.

    Returns:
        Data frames `curves` and `summary`; `plot_loss`, `plot_psnr`; `save`.

    Raises:
        BadInput: a checkpoint, image or setting that cannot be used; the message says what to do.

    Example:
        >>> from pathlib import Path
        >>> from shutil import copy
        >>> from tempfile import TemporaryDirectory
        >>> import mtd
        >>> weights = Path(mtd.__file__).parent / "pretrained" / "masked.pth"
        >>> with TemporaryDirectory() as folder:
        ...     _ = copy(weights, Path(folder) / "snapshot-010000.pth")
        ...     result = evaluate_checkpoints(
        ...         {"masked": folder}, crop=32, limit=4, progress=False,
        ...         noises=["gaussian:15", "poisson:3.5"],
        ...     )
        >>> result.curves[["noise", "step"]].values.tolist()
        [['gaussian:15', 10000], ['poisson:3.5', 10000]]
    """
    sources: Any = RunSources.of(runs, folders)
    result = run_in_memory(ANALYSIS, sources, images, progress, **settings)
    assert isinstance(result, CurvesResult)
    return result
