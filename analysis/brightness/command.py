"""The brightness of outputs as a command, and its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analysis.brightness.settings import BrightnessSettings
from analysis.commands import command
from analysis.commands.analysis import Analysis
from analysis.commands.command import run_in_memory

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from analysis.brightness.observer import BrightnessHistograms
    from analysis.brightness.result import BrightnessResult
    from analysis.commands.inputs import Models, RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.engine.observer import Batch
    from mtd.data.photographs import Photograph

    Frames = Mapping[str, pd.DataFrame]
    Manifest = Mapping[str, Any]

EXAMPLES = """\
  python -m analysis.brightness baseline.pth masked.pth
  python -m analysis.brightness mine.pth theirs.pth --images photos --limit 200 \\
      --noise gaussian:15 --noise gaussian:50 --noise gaussian:0
  python -m analysis.brightness mine.pth --input-mask 0.8
"""


def load_inputs(
    models: Models, settings: BrightnessSettings, photographs: Sequence[Photograph] | None = None
) -> RunInputs:
    """What the settings name, with the noisy input as the last of the models.

    Raises:
        BadInput: no noise, or a model has the name of the noisy input or of the clean images.
    """
    from analysis.brightness.tables import CLEAN_IMAGES
    from analysis.commands.inputs import load_inputs
    from analysis.text.noise_names import NOISY
    from mtd.networks.base import Unchanged
    from mtd.utils.errors import BadInput

    inputs = load_inputs(models, settings, photographs)
    with inputs.ranks.raise_on_all_ranks():
        if not inputs.noises:
            raise BadInput("no noise: give one at least, such as gaussian:15")
        if CLEAN_IMAGES in inputs.models:
            raise BadInput(f"a model is named {CLEAN_IMAGES!r}; rename the file")
        return inputs.with_models({NOISY: Unchanged()})


def observer(
    inputs: RunInputs, settings: BrightnessSettings, batches: Sequence[Batch]
) -> BrightnessHistograms:
    """The observer of brightness."""
    from analysis.brightness.observer import BrightnessHistograms

    return BrightnessHistograms(list(inputs.models))


def tables(histograms: Any, job: AnalysisJob) -> dict[str, pd.DataFrame]:
    """The tables of models, of single images and of histograms."""
    from analysis.brightness import tables

    return tables.tables(histograms, job.inputs)


def figures(frames: Frames, manifest: Manifest) -> dict[str, Figure]:
    """Histograms of the outputs and of the clean images."""
    from analysis.brightness import figures

    shares = frames["histograms"], frames.get("histograms_by_training")
    return {"brightness": figures.histograms(frames["brightness"], *shares)}


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """The numbers of each model under each noise, as a table."""
    from analysis.brightness import reading

    return reading.terminal_table(frames, manifest)


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """What follows from the tables."""
    from analysis.brightness import reading

    return reading.sentences(frames, manifest)


def main_sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """Which models' outputs are too dark or too bright."""
    from analysis.brightness import reading

    return reading.main(frames)


def result() -> type[BrightnessResult]:
    """The class of its results."""
    from analysis.brightness.result import BrightnessResult

    return BrightnessResult


ANALYSIS = Analysis(
    name="brightness",
    title="Brightness",
    description="Measure how far the brightness of what each model outputs is from that of the "
    "clean images: shift and distance of histograms with 95% intervals, and what PSNR would be "
    "with brightness and contrast matched.",
    examples=EXAMPLES,
    settings=BrightnessSettings,
    load_inputs=load_inputs,
    observer=observer,
    tables=tables,
    figures=figures,
    terminal_table=terminal_table,
    sentences=sentences,
    main_sentences=main_sentences,
    result=result,
    table_names=(
        *("brightness", "brightness_by_training", "images", "images_by_training"),
        *("histograms", "histograms_by_training"),
    ),
    trainings=True,
    keys={
        "brightness": ("model", "noise"),
        "images": ("model", "noise", "sha256"),
        "histograms": ("model", "noise", "level"),
    },
)


def measure_brightness(
    models: Any, *, images: Any = None, progress: bool = True, **settings: Any
) -> BrightnessResult:
    """Measure how far the brightness of outputs is from that of the clean images.

    Brightness is the luma of ITU-R BT.601 in 8-bit levels. `shift` is the difference of its mean,
    `distance` the 1-Wasserstein distance of the histograms, `matching` what PSNR gains if
    brightness and contrast of each crop are matched; see `analysis.brightness.observer`. The
    command `python -m analysis.brightness` calls the same code.

    Args:
        models: a mapping from names, a sequence, or one of: an `nn.Module` from (B, C, H, W) in
            [0, 1] to the same shape; the path of a checkpoint; a bundled name.
        images: clean photographs: a folder, files, arrays (H, W, 3) or tensors (3, H, W), `uint8`
            or real in [0, 1]; None for the bundled ones.
        progress: show a progress bar.
        settings: fields of `analysis.brightness.settings.BrightnessSettings`.

    Returns:
        Data frames `brightness`, `images`, `histograms`; `plot_histograms`; `save`.

    Raises:
        BadInput: a model, image or setting that cannot be used; the message says what to do.

    Example:
        >>> result = measure_brightness("masked.pth", crop=32, limit=4, progress=False)
        >>> list(result.brightness.model.unique()), len(result.histograms)
        (['masked', 'noisy input'], 1536)
    """
    from analysis.brightness.result import BrightnessResult

    result = run_in_memory(ANALYSIS, models, images, progress, **settings)
    assert isinstance(result, BrightnessResult)
    return result


def main() -> None:
    """The command."""
    command.main(ANALYSIS)
