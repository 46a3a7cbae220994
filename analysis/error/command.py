"""The error decomposition as a command, and its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from analysis.commands import command
from analysis.commands.analysis import Analysis
from analysis.commands.command import run_in_memory
from analysis.error.settings import ErrorSettings

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from analysis.commands.inputs import RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.engine.observer import Batch
    from analysis.error.observer import ErrorDraws
    from analysis.error.result import ErrorResult
    from analysis.text.answers import Answer

    Frames = Mapping[str, pd.DataFrame]
    Manifest = Mapping[str, Any]

EXAMPLES = """\
  python -m analysis.error baseline.pth masked.pth
  python -m analysis.error mine.pth theirs.pth --images photos --limit 96 \\
      --noise gaussian:15 --noise gaussian:50 --noise spatial:60
  python -m analysis.error mine.pth classical:blur:0.9 --draws 8
"""


def prepare(inputs: RunInputs, settings: ErrorSettings) -> ErrorSettings:
    """The settings, once it is seen that outputs depend on the input alone.

    Raises:
        BadInput: a network's do not.
    """
    from analysis.error import repeatable

    repeatable.check(inputs)
    return settings


def observer(inputs: RunInputs, settings: ErrorSettings, batches: Sequence[Batch]) -> ErrorDraws:
    """The observer of errors over draws."""
    from analysis.error.observer import ErrorDraws

    assert inputs.controls is not None
    return ErrorDraws(list(inputs.models), inputs.specs, inputs.controls.controls)


def manifest(inputs: RunInputs, settings: ErrorSettings, observer: ErrorDraws) -> dict[str, Any]:
    """What decides the values beside the shared settings."""
    masked = bool(observer.controls.other_masks)
    more = {"masks": settings.masks, "mask_mean": settings.mask_mean} if masked else {}
    return {"draws": settings.draws, **more}


def tables(errors: Any, job: AnalysisJob) -> dict[str, pd.DataFrame]:
    """The tables of the decomposition, of its differences, of gains and of the residual."""
    from analysis.error import tables

    return tables.tables(errors, job.inputs, job.settings)


def figures(frames: Frames, manifest: Manifest) -> dict[str, Figure]:
    """The parts of the error under every noise, and the gains by frequency."""
    from analysis.error import figures

    found = {"error": figures.parts(frames["error"])}
    if len(frames["transfer"]):
        photographs = int(frames["error"].photographs.iloc[0])
        found["transfer"] = figures.transfer(
            frames["transfer"], int(manifest["draws"]), photographs
        )
    return found


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """The parts of each model's error under each noise, as a table."""
    from analysis.error import reading

    return reading.terminal_table(frames, manifest)


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """What follows from the tables."""
    from analysis.error import reading

    return reading.sentences(frames, manifest)


def notes(frames: Frames, manifest: Manifest) -> list[str]:
    """What must be known of the numbers wherever they are shown."""
    from analysis.error import reading

    return reading.notes(frames, manifest)


def answer(frames: Frames, manifest: Manifest) -> Answer:
    """The answer to its heading, in one sentence."""
    from analysis.error import answer as answers

    return answers.answer(frames)


def main_sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """What the error consists of, and what makes models differ."""
    from analysis.error import reading

    return reading.main(frames)


def report_settings(settings: ErrorSettings) -> ErrorSettings:
    """Two draws of each noise, which is enough for unbiased parts; averaging is not measured."""
    return replace(settings, draws=2, masks=2, mask_mean=1)


def result() -> type[ErrorResult]:
    """The class of its results."""
    from analysis.error.result import ErrorResult

    return ErrorResult


ANALYSIS = Analysis(
    name="error",
    title="Error decomposition",
    description="Measure what the error of a denoiser consists of: damage to the image, which is "
    "the same whatever the noise (bias), and noise that leaks through (variance), over several "
    "draws of each noise; and by how much image content and noise are attenuated at each spatial "
    "frequency. Only outputs are needed: any denoiser will do.",
    examples=EXAMPLES,
    settings=ErrorSettings,
    prepare=prepare,
    observer=observer,
    manifest=manifest,
    tables=tables,
    figures=figures,
    terminal_table=terminal_table,
    sentences=sentences,
    notes=notes,
    main_sentences=main_sentences,
    answer=answer,
    result=result,
    trainings=True,
    needs_layers=False,
    table_names=(
        *("error", "error_difference", "transfer", "filter", "residual", "mask_averaging"),
        *("error_by_training", "transfer_by_training"),
    ),
    keys={
        "error": ("model", "noise"),
        "transfer": ("model", "noise", "frequency"),
        "residual": ("model", "noise"),
    },
    report_crops=24,
    report_settings=report_settings,
)


def decompose(
    models: Any, *, images: Any = None, progress: bool = True, **settings: Any
) -> ErrorResult:
    """Measure what the error of denoisers consists of, and their gain by spatial frequency.

    Over draws n₁, n₂, … of a noise, with e_k = f(x + n_k) − x: damage is bias² = mean ⟨e₁, e₂⟩,
    what leaks is the variance ½ mean ‖f(y₁) − f(y₂)‖², and their sum is the MSE; networks with
    random masks have a mask variance as well. See `analysis.error.decomposition`,
    `analysis.error.spectra` and `analysis.error.residual` for all formulas and their sources. The
    command `python -m analysis.error` calls the same code.

    Args:
        models: a mapping from names, a sequence, or one of: an `nn.Module` from (B, C, H, W) in
            [0, 1] to the same shape; the path of a checkpoint; a bundled name.
        images: clean photographs: a folder, files, arrays (H, W, 3) or tensors (3, H, W), `uint8`
            or real in [0, 1]; None for the bundled ones.
        progress: show a progress bar.
        settings: fields of `analysis.error.settings.ErrorSettings`.

    Returns:
        Data frames `error`, `difference`, `transfer`, `filter`, `residual`, `mask_averaging`;
        `plot_parts`, `plot_transfer`; `save`.

    Raises:
        BadInput: a model, image or setting that cannot be used; the message says what to do.

    Example:
        >>> result = decompose(
        ...     "baseline.pth", noises=["gaussian:50"], crop=32, limit=4, progress=False
        ... )
        >>> row = result.error.iloc[0]
        >>> bool(row.variance > row.bias2), bool(abs(row.mse - row.bias2 - row.variance) < 1e-6)
        (True, True)
    """
    from analysis.error.result import ErrorResult

    result = run_in_memory(ANALYSIS, models, images, progress, **settings)
    assert isinstance(result, ErrorResult)
    return result


def main() -> None:
    """The command."""
    command.main(ANALYSIS)
