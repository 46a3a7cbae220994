"""The local linear map as a command, and its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analysis.commands import command
from analysis.commands.analysis import Analysis
from analysis.commands.command import run_in_memory
from analysis.linear.settings import FILTERS, PHOTOGRAPHS, LinearSettings

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from analysis.commands.inputs import Models, RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.commands.run_folder import RunFolder
    from analysis.linear.result import LinearResult
    from analysis.text.answers import Answer
    from mtd.data.photographs import Photograph

    Frames = Mapping[str, pd.DataFrame]
    Manifest = Mapping[str, Any]

EXAMPLES = """\
  python -m analysis.linear baseline.pth masked.pth
  python -m analysis.linear mine.pth --images photos --crop 40 --noise gaussian:25 --no-quantize
  python -m analysis.linear mine.pth theirs.pth --crop 64 --rank 32 --levels 5,15,25,50
"""


def load_inputs(
    models: Models, settings: LinearSettings, photographs: Sequence[Photograph] | None = None
) -> RunInputs:
    """What the settings name: unless they say how many crops, one of each photograph.

    Raises:
        BadInput: see `analysis.commands.inputs.load_inputs`.
    """
    from analysis.commands.inputs import one_of_each

    return one_of_each(models, settings, PHOTOGRAPHS, photographs)


def prepare(inputs: RunInputs, settings: LinearSettings) -> LinearSettings:
    """The settings, once it is seen that the models are networks.

    Raises:
        BadInput: a model is none.
    """
    from analysis.commands.inputs import check_networks

    check_networks(inputs)
    return settings


def manifest(inputs: RunInputs, settings: LinearSettings, observer: None) -> dict[str, Any]:
    """What decides the values beside the shared settings."""
    return {
        "probes": 0 if settings.is_whole else settings.probes,
        "rank": 0 if settings.is_whole else settings.rank,
        "levels": list(settings.sigmas),
    }


def compute(job: AnalysisJob, folder: RunFolder | None, quiet: bool) -> Mapping[str, Any]:
    """The maps, which need gradients and so a pass of their own, and the tables of them."""
    from analysis.linear import maps

    return job.analysis.tables(maps.collect(job, folder), job)


def tables(maps: Any, job: AnalysisJob) -> dict[str, pd.DataFrame | bytes]:
    """The tables of the maps, and the file of the filters."""
    from analysis.linear import tables

    files = tables.filters_file(maps, job.inputs.trainings)
    return {**tables.tables(maps, job.inputs, job.settings), FILTERS: files}


def figures(frames: Frames, manifest: Manifest) -> dict[str, Figure]:
    """SURE beside the MSE, singular values, equivariance, PSNR by level."""
    from analysis.linear import figures

    return figures.all_of(frames)


def pictures(
    frames: Frames, manifest: Manifest, attachments: Mapping[str, bytes]
) -> dict[str, Figure]:
    """The filters of three pixels of an example."""
    from analysis.linear import filter_figure, tables

    if FILTERS not in attachments or frames["linear"].trace.isna().all():
        return {}
    known = tables.read_filters(attachments[FILTERS])
    return {"filters": filter_figure.filters(frames["filters"], known)}


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """Means over crops of each model under each noise, as a table."""
    from analysis.linear import reading

    return reading.terminal_table(frames, manifest)


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """What follows from the tables."""
    from analysis.linear import reading

    return reading.sentences(frames, manifest)


def answer(frames: Frames, manifest: Manifest) -> Answer:
    """The answer to its heading, in one sentence."""
    from analysis.linear import answer as answers

    return answers.answer(frames)


def main_sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """Effective dimension and SURE of each model."""
    from analysis.linear import reading

    return reading.main(frames)


def report_settings(settings: LinearSettings) -> LinearSettings:
    """The settings of a report's section."""
    return settings.for_report()


def result() -> type[LinearResult]:
    """The class of its results."""
    from analysis.linear.result import LinearResult

    return LinearResult


ANALYSIS = Analysis(
    name="linear",
    title="Local linear map",
    description="Linearize each network at each noisy crop (its Jacobian): the filters of a flat "
    "pixel, an edge and texture, singular values and effective dimension, asymmetry, how far "
    "filters reach, and Stein's estimate of the error (SURE) beside the true one. Also whether "
    "outputs follow changes of contrast, brightness and orientation, and PSNR over levels of "
    "Gaussian noise.",
    examples=EXAMPLES,
    settings=LinearSettings,
    load_inputs=load_inputs,
    prepare=prepare,
    manifest=manifest,
    compute=compute,
    tables=tables,
    figures=figures,
    attachments=(FILTERS,),
    pictures=pictures,
    terminal_table=terminal_table,
    sentences=sentences,
    main_sentences=main_sentences,
    answer=answer,
    result=result,
    trainings=True,
    table_names=(
        *("linear", "linear_difference", "filters", "singular_values", "equivariance", "levels"),
        *("linear_by_training", "equivariance_by_training", "levels_by_training"),
    ),
    keys={"linear": ("model", "noise")},
    version=2,
    report_crops=PHOTOGRAPHS,
    report_settings=report_settings,
)


def local_map(
    models: Any, *, images: Any = None, progress: bool = True, **settings: Any
) -> LinearResult:
    """Measure the linear map that each network is near each noisy crop, its Jacobian J = ∂f/∂y.

    Up to 40 x 40 pixels the whole of J: singular values, effective dimension Σs², asymmetry
    ‖J − Jᵀ‖ / ‖J‖, affine rest ‖f(y) − J y‖ / ‖f(y)‖. For larger crops the leading singular values
    by a randomized SVD; trace, norm and asymmetry by random vectors. Attention masks are the same
    for all rows. See `analysis.linear.measures` for the formulas. The command
    `python -m analysis.linear` calls the same code.

    Args:
        models: a mapping from names, a sequence, or one of: an `nn.Module` from (B, C, H, W) in
            [0, 1] to the same shape; the path of a checkpoint; a bundled name.
        images: clean photographs: a folder, files, arrays (H, W, 3) or tensors (3, H, W), `uint8`
            or real in [0, 1]; None for the bundled ones.
        progress: show a progress bar.
        settings: fields of `analysis.linear.settings.LinearSettings`.

    Returns:
        Data frames `linear`, `difference`, `singular_values`, `filters_table`, `equivariance`,
        `levels`; arrays `filters`; `plot_singular_values`, `plot_levels`; `save`.

    Raises:
        BadInput: a model, image or setting that cannot be used; the message says what to do.

    Example:
        >>> result = local_map(
        ...     "baseline.pth", noises="gaussian:50", crop=8, limit=1, levels="15", progress=False
        ... )
        >>> row = result.linear.iloc[0]
        >>> int(row.dimensions), len(result.singular_values)
        (192, 192)

    Reference: Mohan et al., *Robust and Interpretable Blind Image Denoising via Bias-Free
    Convolutional Neural Networks*, ICLR 2020.
    """
    from analysis.linear.result import LinearResult

    result = run_in_memory(ANALYSIS, models, images, progress, **settings)
    assert isinstance(result, LinearResult)
    return result


def main() -> None:
    """The command."""
    command.main(ANALYSIS)
