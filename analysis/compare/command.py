"""Do indices predict the PSNR drop? The comparison as a command and as a function, and its record.

`python -m analysis.compare a.pth b.pth c.pth d.pth` computes all indices in one pass; given run
folders instead, it reads their tables.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.commands import command, parser
from analysis.commands.analysis import Analysis
from analysis.commands.parser import OutputOptions
from analysis.compare.settings import CompareSettings
from mtd.utils import cli, messages
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from analysis.commands.inputs import Models, RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.commands.run_folder import RunFolder
    from analysis.compare.inputs import CompareInputs
    from analysis.compare.result import CompareResult
    from analysis.compare.runs import Run
    from mtd.data.photographs import Photograph

    Frames = Mapping[str, pd.DataFrame]
    Manifest = Mapping[str, Any]

EXAMPLES = """\
  python -m analysis.compare a.pth b.pth c.pth d.pth e.pth
  python -m analysis.compare snapshots/*.pth --images photos --limit 200 --reference gaussian:50 \\
      --noise poisson:3.5 --noise spatial:60 --skip sensitivity
  python -m analysis.compare runs/generalization-… runs/srga-… runs/cka-… runs/linear-…
"""


OF_RUNS = "the runs of the folders have their own; leave it out"
"""Why settings are refused beside run folders."""


def load_inputs(
    models: Models, settings: CompareSettings, photographs: Sequence[Photograph] | None
) -> CompareInputs:
    """Models, noises and crops, with the analyses of them."""
    from analysis.compare import inputs

    return inputs.load_inputs(models, settings, photographs)


def prepare(inputs: RunInputs, settings: CompareSettings) -> CompareSettings:
    """The settings with noises in the form that tables hold."""
    from analysis.compare import inputs as compare_inputs

    return compare_inputs.completed(settings)


def manifest(inputs: RunInputs, settings: CompareSettings, observer: None) -> dict[str, Any]:
    """Entries of the manifest beside the shared settings."""
    from analysis.compare import inputs as compare_inputs

    assert isinstance(inputs, compare_inputs.CompareInputs)
    return compare_inputs.manifest(inputs, settings)


def compute(job: AnalysisJob, folder: RunFolder | None, quiet: bool) -> dict[str, Any]:
    """Run every analysis in one pass, each in a folder inside, and compare them.

    Every process returns the tables of the comparison. Without a folder, the files of the analyses
    are returned as well, in folders of their names, as far as a process has them.
    """
    from analysis.commands.several import compute_together, run_together
    from analysis.compare.inputs import CompareInputs
    from analysis.compare.predictors import read_runs
    from analysis.compare.runs import Run

    inputs = job.inputs
    assert isinstance(inputs, CompareInputs)
    inner: dict[str, Any] = {}
    paths: list[Path] = []
    if folder is not None:
        paths = run_together(inputs.jobs, inputs, inputs.batches, folder, quiet)
    else:
        together = compute_together(inputs.jobs, inputs, inputs.batches, quiet)
        for part, files in zip(inputs.jobs, together, strict=True):
            inner |= {f"{part.name}/{name}": content for name, content in files.items()}
    own: dict[str, Any] = {}
    with inputs.ranks.raise_on_all_ranks():
        if inputs.ranks.first:  # other processes may lack tables of the analyses
            runs = read_runs(paths) or [
                Run(part.name, part.manifest, frames_of(part.name, inner)) for part in inputs.jobs
            ]
            own = tables(runs, job)
    return {**inputs.ranks.gather(own)[0], **inner}


def frames_of(name: str, files: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """The tables of one analysis among files in folders, by table name."""
    return {
        path.removeprefix(f"{name}/").removesuffix(".csv"): content
        for path, content in files.items()
        if path.rpartition("/")[0] == name and path.endswith(".csv")
    }


def tables(runs: Sequence[Run], job: AnalysisJob | None = None) -> dict[str, pd.DataFrame]:
    """The tables of a comparison of runs, by file name."""
    from analysis.compare import tables

    return tables.tables(runs)


def figures(frames: Frames, manifest: Manifest) -> dict[str, Figure]:
    """The PSNR drop against every index."""
    from analysis.compare import figures

    single = frames.get("compare_by_training")
    return {"compare": figures.figure(frames["compare"], frames["correlations"], single)}


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """Indices of every model, and the rank correlations."""
    from analysis.compare import reading

    return reading.terminal_table(frames, manifest)


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """What follows from the tables."""
    from analysis.compare import reading

    return reading.sentences(frames, manifest)


def main_sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """Which indices correlate with the PSNR drop."""
    from analysis.compare import reading

    return reading.main(frames)


def about_trainings(manifest: Manifest) -> list[str]:
    """What the points of models with several trainings are."""
    from analysis.compare import reading

    return reading.about_trainings(manifest)


def result() -> type[CompareResult]:
    """The class of its results."""
    from analysis.compare.result import CompareResult

    return CompareResult


ANALYSIS = Analysis(
    name="compare",
    title="Indices against the PSNR drop",
    description="Compare SRGA, CKA between noises, separability, distances of distributions and "
    "sensitivity of four or more models, leak and cutoff under the noise trained on, with their "
    "PSNR drop on unseen noise, by rank correlations: does any index predict it? All are computed "
    "in one pass; given run folders, their tables are read, those of linear, causal and stitch "
    "too.",
    examples=EXAMPLES,
    settings=CompareSettings,
    load_inputs=load_inputs,
    prepare=prepare,
    manifest=manifest,
    compute=compute,
    tables=tables,
    figures=figures,
    terminal_table=terminal_table,
    sentences=sentences,
    main_sentences=main_sentences,
    result=result,
    table_names=("compare", "compare_by_training", "correlations", "notes"),
    keys={"compare": ("model",), "correlations": ("index", "target")},
    trainings=True,
    about_trainings=about_trainings,
)


OF_OUTPUT = ("output_dir", "resume", "quiet", "figures", "style", "latex")
"""Options that are heeded with run folders, too."""


def main() -> None:
    """The command.

    Raises:
        BadInput: see `mtd.utils.errors`.
    """
    run_arguments(sys.argv[1:], cli.command("analysis.compare"))


def run_arguments(arguments: Sequence[str], command_line: str = "") -> Path:
    """Run the comparison on the arguments of a command line; returns the run folder.

    Raises:
        BadInput: see `mtd.utils.errors`.
    """
    known = parser.build(
        CompareSettings,
        "analysis.compare",
        ANALYSIS.description,
        EXAMPLES,
        models="checkpoint files or bundled names; or run folders of these analyses",
    )
    options = known.parse_args(list(arguments))
    output = parser.output_options(options, known.command(command_line))
    if folders := parser.run_folders(options):
        given = parser.given_options(options, known.parse_args([]), CompareSettings)
        parser.refuse(given, ("models", *OF_OUTPUT), OF_RUNS)
        return from_folders(folders, output)
    request = command.checked(ANALYSIS, options, output.command)
    messages.importing(quiet=output.quiet)
    return command.run(*request)


def from_folders(
    folders: Sequence[Path],
    output: OutputOptions | None = None,
    names: Sequence[str] | None = None,
) -> Path:
    """Compare the runs of some folders into a run folder, and print the tables; the folder.

    Args:
        folders: runs of `analysis.generalization` and of analyses that an index is of.
        output: where and how results are written.
        names: of the runs in the manifest; their paths by default.

    Raises:
        BadInput: no run folder, or runs that cannot be compared.
    """
    from analysis.commands import printed
    from analysis.commands.result import finish, write_tables
    from analysis.commands.run_folder import RunFolder
    from analysis.compare.predictors import read_runs

    output = output or OutputOptions()
    runs = read_runs(folders)
    files = tables(runs)
    folder = RunFolder(
        output.output_dir,
        "compare",
        manifest_of_runs(runs, names or [str(path) for path in folders]),
        resume=output.resume,
        command=output.command,
        drawing=output.drawing,
    )
    write_tables(folder, files)
    text = finish(folder, ANALYSIS)
    if output.printed:
        printed.show(folder.path, ANALYSIS, text)
    return folder.path


def manifest_of_runs(runs: Sequence[Run], names: Sequence[str]) -> dict[str, Any]:
    """The manifest of a comparison of runs."""
    from analysis.commands.run_folder import versions

    return {
        "analysis": "compare",
        "versions": versions(),
        "runs": {name: dict(run.manifest) for name, run in zip(names, runs, strict=True)},
    }


def folders_among(models: Any) -> list[Path]:
    """The models as run folders; none if they are models.

    Raises:
        BadInput: some of both.
    """
    from analysis.commands.run_manifest import MANIFEST

    if isinstance(models, Mapping):
        sequence = list(models.values())
    else:
        sequence = models if isinstance(models, list) else [models]
    paths = [Path(model) for model in sequence if isinstance(model, str | Path)]
    folders = [path for path in paths if (path / MANIFEST).is_file()]
    if folders and len(folders) < len(sequence):
        raise BadInput("models and run folders: give one or the other")
    return folders


def correlate(
    models: Any, *, images: Any = None, progress: bool = True, **settings: Any
) -> CompareResult:
    """Rank correlations between indices of models and their PSNR drop on unseen noise.

    Spearman's ρ is Pearson's correlation of the models' ranks, ties sharing theirs, with the 95%
    interval tanh(atanh ρ ± 1.96 √((1 + ρ²/2) / (n − 3))) over n models (none at |ρ| = 1) and a
    two-sided p-value, exact for up to 8 models. Holm's correction multiplies the k-th smallest p
    of m indices by m − k + 1; none is below the one before it or above 1.

    What is correlated, for each model:

    - `ood_drop`: mean PSNR under the noises trained on minus that under all others, in dB; and
      `unseen`: the latter, in dB.
    - `drop_leak` and `drop_damage`: how much of the drop in the PSNR of the mean squared error is
      leaked noise, and how much damaged content, in dB; from runs of `analysis.error`.
    - `srga`: mean SRGA over the unseen noises, the distance between features under the reference
      and an unseen noise; 0 is no distance. See `analysis.srga`.
    - `cka`: mean over the unseen noises of the CKA between the reference and that noise, a mean
      over the last quarter of the blocks, at most 1. See `analysis.cka`.
    - `separability`: Calinski-Harabasz index of the last features, grouped by noise. See
      `analysis.degradation`.
    - `distance`: mean over the unseen noises of the Wasserstein-1 distance between the last
      features under the reference and that noise, in standard deviations under the reference. See
      `analysis.distributions`.
    - `sensitivity`: mean over the unseen noises of the output's gain, its relative change from the
      clean to the noisy image over that of the image. See `analysis.sensitivity`.
    - `leak_share` and `cutoff`, under the noises trained on: the share of the MSE that is leaked
      noise, and the frequency above which the content gain is below 1/√2 (0.5 if it never is). See
      `analysis.error`. They are not held against `drop_leak` and `drop_damage`, which are computed
      from the same errors.
    - from run folders only: `effective_dimension` (share of all) and `affine_rest` under the noises
      trained on, see `analysis.linear`; `recovery`, the largest by one branch, mean over the unseen
      noises, see `analysis.causal`; `stitching_cost`, mean over layers and unseen noises of their
      features in the network under the reference, in dB, see `analysis.stitch`.

    `sensitivity`, `recovery` and `stitching_cost` need the clean images of the unseen noises, as
    the drop does: they describe it, and predict nothing (column `describes`).

    Means are over those unseen noises under which every model has a value; `notes` says so if
    there are others.

    Args:
        models: four or more: a mapping from names, or several, of `nn.Module` from (B, C, H, W)
            in [0, 1] to the same, paths of checkpoints, bundled names. Or run folders of
            `analysis.generalization` and of the analyses that indices are of, whose tables are
            read.
        images: clean photographs: a folder, files, arrays (H, W, 3) or tensors (3, H, W), `uint8`
            or real in [0, 1]; by default the bundled ones.
        progress: show a progress bar.
        settings: fields of `analysis.compare.settings.CompareSettings`; none with run folders.

    Returns:
        Data frames `models`, `correlations` and `notes`, figures and sentences, and in `parts` the
        result of each analysis. Nothing is written; `save` does.

    Raises:
        BadInput: fewer than four models, a model and its copy, or a model, image, setting or run
            that cannot be used.

    Reference: Bonett and Wright 2000, Psychometrika 65 (interval); Holm 1979, Scandinavian Journal
    of Statistics 6.

    Example:
        >>> import analysis
        >>> from torch import nn
        >>> def network():
        ...     return nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.ReLU(), nn.Conv2d(8, 3, 3, 1, 1))
        >>> result = analysis.compare.correlate(
        ...     {name: network() for name in "abcd"},
        ...     noises=["poisson:3.5", "spatial:60"],
        ...     in_distribution="gaussian:15",
        ...     skip=["cka", "degradation", "sensitivity", "distributions", "error"],
        ...     crop=16,
        ...     limit=8,
        ...     progress=False,
        ... )
        >>> list(result.models)
        ['model', 'checkpoint', 'ood_drop', 'unseen', 'srga', 'srga_untrained']
        >>> list(result.correlations.target), list(result.parts)
        (['ood_drop', 'unseen'], ['generalization', 'srga'])
    """
    from torch import nn

    from analysis.compare.predictors import read_runs
    from analysis.compare.result import CompareResult

    if isinstance(models, Iterable) and not isinstance(models, str | Path | Mapping | nn.Module):
        models = list(models)  # which may be read only once
    if folders := folders_among(models):
        if settings or images is not None:
            names = ", ".join([*settings, *(["images"] if images is not None else [])])
            raise BadInput(f"{names}: {OF_RUNS}")
        runs = read_runs(folders)
        manifest = manifest_of_runs(runs, [str(path) for path in folders])
        return CompareResult(ANALYSIS, tables(runs), manifest)
    result = command.run_in_memory(ANALYSIS, models, images, progress, **settings)
    assert isinstance(result, CompareResult)
    return result
