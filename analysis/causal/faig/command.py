"""Filter attribution as a command, and its record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from analysis.causal.faig.settings import FaigSettings
from analysis.commands import command
from analysis.commands.analysis import Analysis
from analysis.commands.command import run_in_memory

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from analysis.causal.faig.result import FaigResult
    from analysis.commands.inputs import RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.commands.run_folder import RunFolder

    Frames = Mapping[str, pd.DataFrame]
    Manifest = Mapping[str, Any]

NAME = "faig"
"""Of the analysis, in manifests and run folders."""

EXAMPLES = """\
  python -m analysis.causal.faig baseline.pth masked.pth
  python -m analysis.causal.faig before.pth finetuned.pth --images photos --limit 24 \\
      --noise gaussian:50 --noise spatial:60 --steps 100
  python -m analysis.causal.faig baseline.pth masked.pth --attention-mask off --no-reverting
"""


def prepare(inputs: RunInputs, settings: FaigSettings) -> FaigSettings:
    """The settings, once it is seen that there are two networks of one architecture.

    Raises:
        BadInput: there are not.
    """
    from analysis.causal.faig.pair import pair_of

    pair_of(inputs)
    return settings


def manifest(inputs: RunInputs, settings: FaigSettings, observer: None) -> dict[str, Any]:
    """What decides the values beside the shared settings."""
    return {
        "pair": list(inputs.models),
        "reference": settings.reference,
        "steps": settings.steps,
        "percent": list(settings.percent),
        "random": settings.random,
        "reverting": settings.reverting,
        "masked_alike": masked_alike(inputs),
    }


def masked_alike(inputs: RunInputs) -> bool:
    """Whether both networks draw their attention masks alike."""
    found = [
        (how.policy.attention_percent, how.samples) if how.active else None
        for how in (model.inference for model in inputs.models.values())
    ]
    return found[0] == found[1]


def compute(job: AnalysisJob, folder: RunFolder | None, quiet: bool) -> Mapping[str, Any]:
    """The gradients and reverted runs, a pass of their own, and the tables of them."""
    from analysis.causal.faig import passes

    return job.analysis.tables(passes.collect(job, folder), job)


def tables(results: Any, job: AnalysisJob) -> dict[str, pd.DataFrame]:
    """The tables of filters, layers, errors, the path and reverted filters."""
    from analysis.causal.faig import tables

    return tables.tables(results, job.inputs, job.settings)


def figures(frames: Frames, manifest: Manifest) -> dict[str, Figure]:
    """Attribution by layer, what reverted filters cost, and the error along the path."""
    from analysis.causal.faig import figures

    return figures.all_figures(frames, manifest)


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """Errors, and what reverted filters cost, as a table."""
    from analysis.causal.faig import reading

    return reading.terminal_table(frames, manifest)


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """What follows from the tables."""
    from analysis.causal.faig import reading

    return reading.sentences(frames, manifest)


def main_sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """What it costs to revert the filters with the highest attribution."""
    from analysis.causal.faig import reading

    return reading.main(frames, manifest)


def result() -> type[FaigResult]:
    """The class of its results."""
    from analysis.causal.faig.result import FaigResult

    return FaigResult


ANALYSIS = Analysis(
    name=NAME,
    title="Discriminative filters",
    description="Find the filters in which a network differs from a baseline of the same "
    "architecture such that it matters for an unseen noise more than for the reference (FAIG): "
    "integrated gradients over the path from the baseline's weights to the other's. Then revert "
    "the filters with the highest attribution, on other photographs, beside random ones.",
    examples=EXAMPLES,
    settings=FaigSettings,
    prepare=prepare,
    manifest=manifest,
    compute=compute,
    tables=tables,
    figures=figures,
    terminal_table=terminal_table,
    sentences=sentences,
    main_sentences=main_sentences,
    result=result,
    table_names=("faig", "faig_layers", "faig_errors", "faig_path", "faig_reverting"),
    keys={"faig": ("noise", "layer", "filter")},
)


def discriminative_filters(
    models: Any, *, images: Any = None, progress: bool = True, **settings: Any
) -> FaigResult:
    """Find the filters by which a network differs from its baseline, for an unseen noise.

    Filter attribution integrated gradients, see `analysis.causal.faig.attribution`: how far each
    filter lowers the error on the straight path from the baseline's weights to those of its twin,
    in absolute values, under an unseen noise minus the same under the reference. The filters with
    the highest attribution are then given the baseline's weights again, on photographs that had no
    part in choosing them, and compared with as many random ones. The command
    `python -m analysis.causal.faig` calls the same code.

    Args:
        models: two of one architecture, the baseline first: a mapping from names or a sequence, of
            `nn.Module`s from (B, C, H, W) in [0, 1] to the same shape, paths of checkpoints, or
            bundled names.
        images: clean photographs: a folder, files, arrays (H, W, 3) or tensors (3, H, W), `uint8`
            or real in [0, 1]; None for the bundled ones.
        progress: show a progress bar.
        settings: fields of `analysis.causal.faig.settings.FaigSettings`.

    Returns:
        Data frames `filters`, `layers`, `errors`, `path` and `reverting`; `plot_layers`,
        `plot_reverting`, `plot_path`; `save`.

    Raises:
        BadInput: models of two architectures, or an image or setting that cannot be used; the
            message says what to do.

    Example:
        >>> import copy, torch
        >>> from torch import nn
        >>> baseline = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 3, 3, padding=1))
        >>> twin = copy.deepcopy(baseline)
        >>> with torch.no_grad():
        ...     _ = twin[0].weight[2].mul_(0.5)
        >>> result = discriminative_filters(
        ...     {"baseline": baseline, "twin": twin},
        ...     noises="gaussian:50", crop=16, limit=2, steps=4, reverting=False, progress=False,
        ... )
        >>> moved = result.filters[result.filters.absolute > 0]
        >>> moved[["layer", "filter"]].values.tolist()
        [['0', 2]]

    Reference: Xie et al., *Finding Discriminative Filters for Specific Degradations in Blind
    Super-Resolution*, NeurIPS 2021.
    """
    from analysis.causal.faig.result import FaigResult

    result = run_in_memory(ANALYSIS, models, images, progress, **settings)
    assert isinstance(result, FaigResult)
    return result


def main() -> None:
    """The command."""
    command.main(ANALYSIS)
