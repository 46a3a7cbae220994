"""Causal tracing as a command, and its record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from analysis.causal.settings import REPORT_CROPS, CausalSettings
from analysis.commands import command
from analysis.commands.analysis import Analysis
from analysis.commands.command import run_in_memory

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from analysis.causal.result import CausalResult
    from analysis.commands.inputs import RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.commands.run_folder import RunFolder
    from analysis.text.answers import Answer

    Frames = Mapping[str, pd.DataFrame]
    Manifest = Mapping[str, Any]

EXAMPLES = """\
  python -m analysis.causal baseline.pth masked.pth
  python -m analysis.causal mine.pth theirs.pth --images photos --limit 48 \\
      --noise gaussian:50 --noise spatial:60
  python -m analysis.causal dncnn.pth --branches channels --groups 8 --confirm 24 --no-ablation
"""


def prepare(inputs: RunInputs, settings: CausalSettings) -> CausalSettings:
    """The settings, once it is seen that every model is a network with such branches.

    Raises:
        BadInput: one is not.
    """
    from analysis.causal import branches
    from analysis.commands.inputs import check_networks
    from mtd.utils.errors import BadInput

    check_networks(inputs)
    for name, model in inputs.models.items():
        try:
            branches.find(model, settings.kinds, settings.groups)
        except BadInput as error:
            raise BadInput(f"{name}: {error}") from None
    return settings


def manifest(inputs: RunInputs, settings: CausalSettings, observer: None) -> dict[str, Any]:
    """What decides the values beside the shared settings."""
    return {
        "reference": settings.reference,
        "branches": settings.branches,
        "groups": settings.groups,
        "confirm": settings.confirm,
        "ablation": settings.ablation,
    }


def compute(job: AnalysisJob, folder: RunFolder | None, quiet: bool) -> Mapping[str, Any]:
    """The patched runs, a pass of their own, and the tables of them."""
    from analysis.causal import passes

    return job.analysis.tables(passes.collect(job, folder), job)


def tables(results: Any, job: AnalysisJob) -> dict[str, pd.DataFrame]:
    """The tables of recoveries, ablations and differences between models."""
    from analysis.causal import tables

    return tables.tables(results, job.inputs)


def figures(frames: Frames, manifest: Manifest) -> dict[str, Figure]:
    """Recovery over depth, and what branches are worth."""
    from analysis.causal import figures

    found = {"causal": figures.recovery(frames["causal"], str(manifest["reference"]))}
    if "ablation" in frames:
        found["ablation"] = figures.ablation(frames["ablation"])
    return found


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """The branch that recovers most of each model under each noise, as a table."""
    from analysis.causal import reading

    return reading.terminal_table(frames, manifest)


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """What follows from the tables."""
    from analysis.causal import reading

    return reading.sentences(frames, manifest)


def answer(frames: Frames, manifest: Manifest) -> Answer:
    """The answer to its heading, in one sentence."""
    from analysis.causal import answer as answers

    return answers.answer(frames)


def main_sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """Which branches are shown to recover some of the error, and how far; or why none has a
    recovery."""
    from analysis.causal import reading

    return reading.main(frames, manifest) or reading.undefined(frames["causal"])


def report_settings(settings: CausalSettings) -> CausalSettings:
    """The settings of a report's section."""
    return settings.for_report()


def result() -> type[CausalResult]:
    """The class of its results."""
    from analysis.causal.result import CausalResult

    return CausalResult


ANALYSIS = Analysis(
    name="causal",
    title="Causal tracing",
    description="Measure which branches of a network decide how well it removes an unseen noise: "
    "replace the features of one branch by those of the same image under the reference noise, and "
    "see how much of the additional error that removes; and replace branches by their means.",
    examples=EXAMPLES,
    settings=CausalSettings,
    prepare=prepare,
    manifest=manifest,
    compute=compute,
    tables=tables,
    figures=figures,
    terminal_table=terminal_table,
    sentences=sentences,
    main_sentences=main_sentences,
    answer=answer,
    result=result,
    table_names=(
        *("causal", "causal_together", "ablation", "causal_difference"),
        *("causal_by_training", "causal_together_by_training", "ablation_by_training"),
    ),
    trainings=True,
    keys={"causal": ("model", "noise", "branch")},
    report_crops=REPORT_CROPS,
    report_settings=report_settings,
)


def trace(
    models: Any, *, images: Any = None, progress: bool = True, **settings: Any
) -> CausalResult:
    """Measure which branches of a network decide how well it removes an unseen noise.

    A is the reference noise and B an unseen one on the same clean images. In a run under B, one
    branch at a time returns what it returns under A. Its recovery is
    R = Σ (L_B − L_B←A) / Σ (L_B − L_A), L being the mean squared error of an image and sums over
    images: 0 if the branch has no part in the additional error, 1 if it removes all of it. The
    command `python -m analysis.causal` calls the same code.

    Args:
        models: a mapping from names, a sequence, or one of: an `nn.Module` from (B, C, H, W) in
            [0, 1] to the same shape; the path of a checkpoint; a bundled name.
        images: clean photographs: a folder, files, arrays (H, W, 3) or tensors (3, H, W), `uint8`
            or real in [0, 1]; None for the bundled ones.
        progress: show a progress bar.
        settings: fields of `analysis.causal.settings.CausalSettings`.

    Returns:
        Data frames `causal`, `together`, `ablation` and `difference`; `plot_recovery`,
        `plot_ablation`; `save`.

    Raises:
        BadInput: a model, image or setting that cannot be used; the message says what to do.

    Example:
        >>> from torch import nn
        >>> network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 3, 3, padding=1))
        >>> result = trace(
        ...     {"own": network}, noises="gaussian:50", crop=16, limit=2, progress=False
        ... )
        >>> result.causal[["branch", "status"]].values.tolist()
        [['0', 'whole stream'], ['1', 'whole stream']]

    Reference: Zhang and Nanda, *Towards Best Practices of Activation Patching*, ICLR 2024.
    """
    from analysis.causal.result import CausalResult

    result = run_in_memory(ANALYSIS, models, images, progress, **settings)
    assert isinstance(result, CausalResult)
    return result


def main() -> None:
    """The command."""
    command.main(ANALYSIS)
