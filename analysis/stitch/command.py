"""Stitching as a command, and its record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from analysis.commands import command
from analysis.commands.analysis import Analysis
from analysis.commands.command import run_in_memory
from analysis.stitch.settings import REPORT_CROPS, StitchSettings

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from analysis.commands.inputs import RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.commands.run_folder import RunFolder
    from analysis.stitch.result import StitchResult

    Frames = Mapping[str, pd.DataFrame]
    Manifest = Mapping[str, Any]

EXAMPLES = """\
  python -m analysis.stitch baseline.pth masked.pth
  python -m analysis.stitch mine.pth theirs.pth --images photos --limit 48 \\
      --noise gaussian:15 --noise spatial:60
  python -m analysis.stitch mine.pth --layers 'layers.*.residual_group.blocks.*'
"""


def prepare(inputs: RunInputs, settings: StitchSettings) -> StitchSettings:
    """The settings, once it is seen that there is something to stitch, and that it has layers.

    Raises:
        BadInput: one model under one noise, a model that is no network, or one photograph.
    """
    from analysis.commands.inputs import check_networks
    from analysis.stitch.recordings import folds
    from mtd.utils.errors import BadInput

    check_networks(inputs)
    if len(inputs.trainings) < 2 and len(inputs.noises) < 2:
        raise BadInput("1 model under 1 noise: nothing to stitch; name another model or --noise")
    folds(inputs.crops)
    return settings


def manifest(inputs: RunInputs, settings: StitchSettings, observer: None) -> dict[str, Any]:
    """What decides the values beside the shared settings."""
    from analysis.stitch.pairs import chosen_layers

    return {
        "layers": chosen_layers(inputs.models, settings.layers),
        "ridge": settings.ridge,
        "controls": inputs.controls.manifest() if inputs.controls is not None else None,
    }


def compute(job: AnalysisJob, folder: RunFolder | None, quiet: bool) -> Mapping[str, Any]:
    """The stitches, which need patched passes of the networks, and the tables of them."""
    from analysis.stitch import costs

    return job.analysis.tables(costs.collect(job, folder), job)


def tables(measured: Any, job: AnalysisJob) -> dict[str, pd.DataFrame]:
    """The tables of costs by layer, of means over layers, and of differences between models."""
    from analysis.stitch import tables

    return tables.tables(measured, job)


def figures(frames: Frames, manifest: Manifest) -> dict[str, Figure]:
    """Cost and CKA over depth."""
    from analysis.stitch import figures

    return {"stitch": figures.cost_over_depth(frames["stitch"])}


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """Means over layers and the most expensive layer of each pair, as a table."""
    from analysis.stitch import reading

    return reading.terminal_table(frames, manifest)


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """What follows from the tables."""
    from analysis.stitch import reading

    return reading.sentences(frames, manifest)


def main_sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """What stitches cost, and where cost and CKA disagree."""
    from analysis.stitch import reading

    return reading.main(frames)


def report_settings(settings: StitchSettings) -> StitchSettings:
    """The settings of a report's section."""
    return settings.for_report()


def result() -> type[StitchResult]:
    """The class of its results."""
    from analysis.stitch.result import StitchResult

    return StitchResult


ANALYSIS = Analysis(
    name="stitch",
    title="Stitching",
    description="Feed features of another model, or of the same model under another noise, through "
    "a fitted linear map into the rest of a network, and measure the PSNR that it costs, layer by "
    "layer, beside CKA of the same layers. This tests whether a difference inside matters to the "
    "output.",
    examples=EXAMPLES,
    settings=StitchSettings,
    prepare=prepare,
    manifest=manifest,
    compute=compute,
    tables=tables,
    figures=figures,
    terminal_table=terminal_table,
    sentences=sentences,
    main_sentences=main_sentences,
    result=result,
    table_names=("stitch", "stitch_mean", "stitch_difference"),
    trainings=True,
    keys={
        "stitch": (
            *("kind", "sender", "receiver", "noise_sender", "noise_receiver", "layer_receiver"),
        )
    },
    report_crops=REPORT_CROPS,
    report_settings=report_settings,
    report_default=False,
)


def stitch_models(
    models: Any, images: Any = None, *, progress: bool = True, **settings: Any
) -> StitchResult:
    """Measure what it costs to feed another network's features into the rest of a network.

    W, b = argmin (1/n) Σ ‖W h_A + b − h_B‖² + λ‖W‖² over n positions, a 1 × 1 map between the
    channels of layer h of the sender A and of the receiver B, is fitted on half of the photographs;
    on the other half B runs on with W h_A + b in place of its own features. The cost is the PSNR of
    B as it is minus that of the stitched network. A and B are one model under two noises, and every
    two models under one noise. The command `python -m analysis.stitch` calls the same code.

    Args:
        models: a mapping from names, a sequence, or one of: an `nn.Module` from (B, C, H, W) in
            [0, 1] to the same shape; the path of a checkpoint; a bundled name.
        images: clean photographs: a folder, files, arrays (H, W, 3) or tensors (3, H, W), `uint8`
            or real in [0, 1]; None for the bundled ones.
        progress: show a progress bar.
        settings: fields of `analysis.stitch.settings.StitchSettings`.

    Returns:
        Data frames `stitch`, `mean` and `difference`; `plot_cost`, `plot_cka`; `save`.

    Raises:
        BadInput: a model, image or setting that cannot be used; the message says what to do.

    Example:
        >>> result = stitch_models(
        ...     "masked.pth", crop=16, limit=4, layers="conv_first", controls=False, progress=False
        ... )
        >>> list(result.stitch.noise_sender), bool(result.stitch.cka.iloc[0] > 0.5)
        (['gaussian:50', 'gaussian:15'], True)

    Reference: Csiszárik et al. 2021, *Similarity and Matching of Neural Network Representations*.
    """
    from analysis.stitch.result import StitchResult

    result = run_in_memory(ANALYSIS, models, images, progress, **settings)
    assert isinstance(result, StitchResult)
    return result


def main() -> None:
    """The command."""
    command.main(ANALYSIS)
