"""The run folders of a report: computed in one pass, or copied from existing runs."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.commands.parser import OutputOptions
from analysis.commands.run_folder import (
    MANIFEST,
    RunFolder,
    done,
    finished,
    read_manifest,
    versions,
)
from analysis.commands.several import run_together
from analysis.commands.trainings import several
from analysis.compare import command as compare_command
from analysis.compare.inputs import too_few, without_drop
from analysis.compare.predictors import indices
from analysis.curves import command as curves_command
from analysis.curves.csv_logs import LOG
from analysis.curves.log_readers import RECIPE
from analysis.curves.run_curves import read_logs
from analysis.curves.run_sources import RunSources
from analysis.engine.cache import FOLDER
from analysis.generalization.inputs import trained_on
from analysis.report import plan as report_plan
from analysis.report import sections as report_sections
from analysis.report.settings import BENCHMARK, ReportOptions, ReportSettings
from analysis.stats.rank_correlation import LEAST
from analysis.text.terminal import plural
from mtd.loading import checkpoint_file
from mtd.utils.distributed import SINGLE_PROCESS, Ranks
from mtd.utils.errors import BadInput
from mtd.utils.messages import note

if TYPE_CHECKING:
    from analysis.commands.inputs import RunInputs
    from mtd.loading.cli_options import ModelRequest
    from mtd.networks.base import Denoiser


@dataclass(frozen=True)
class Report:
    """A folder with a run folder for each section.

    Attributes:
        folder: of the report.
        sections: the chosen ones that it has, in the order of the page.
        ranks: the processes that computed it.
    """

    folder: RunFolder
    sections: list[str]
    ranks: Ranks = SINGLE_PROCESS


def present(folder: Path, chosen: Sequence[str]) -> list[str]:
    """The chosen sections whose runs are finished in a report's folder."""
    return [name for name in chosen if done(folder / name)]


def computed(chosen: Sequence[str]) -> list[str]:
    """The chosen sections that are computed from images, the benchmark last."""
    names = [name for name in report_sections.computed() if name in chosen]
    return sorted(names, key=lambda name: name == BENCHMARK)


def compute(
    models: Sequence[ModelRequest],
    settings: ReportSettings,
    options: ReportOptions,
    output: OutputOptions,
) -> Report:
    """Compute those of the chosen sections that are missing.

    Raises:
        BadInput: see `mtd.utils.errors`.
    """
    chosen = report_sections.choose(options.sections)
    named = report_sections.named(options.sections)
    plan = report_plan.make(models, settings, scored=BENCHMARK in chosen, quiet=output.quiet)
    ranks = plan.inputs.ranks
    quiet = output.quiet or not ranks.first
    with ranks.raise_on_all_ranks():
        logs = training_logs(options, plan.inputs) if "curves" in chosen else []
        if logs:  # unreadable ones are reported before anything is computed
            sources = RunSources.of(logs)
            read_logs(sources.logs, sources.trainings)
        few = uncomparable(plan) if "compare" in chosen else ""
        check_possible(named, few, logs)
        if few and len(plan.inputs.trainings) >= LEAST:
            note(f"skipped section compare: {few}", quiet=quiet)
        jobs = plan.jobs(computed(chosen), named, quiet)
    folder = RunFolder(
        output.output_dir,
        f"report-{'-'.join(plan.inputs.trainings)}",
        plan.manifest(),
        resume=output.resume,
        command=output.command,
        ranks=ranks,
    )
    with folder.resumable():
        if jobs:
            run_together(jobs, plan.whole(jobs), plan.batches, folder, output.quiet)
        with ranks.raise_on_all_ranks():
            if ranks.first:
                if jobs:
                    folder.cache.clear()  # the tables are written
                if "compare" in chosen and not few:
                    compare(folder.path, output)
                if logs:
                    shutil.rmtree(folder.path / "curves", ignore_errors=True)  # logs grow
                    curves_command.from_logs(logs, inside(folder.path / "curves", output))
    return Report(folder, present(folder.path, chosen), ranks)


def inside(path: Path, output: OutputOptions) -> OutputOptions:
    """Output options of a section outside the shared pass: into its folder, silently."""
    resume = (path / MANIFEST).is_file() and not done(path)
    return OutputOptions(path, resume or done(path), True, output.command, printed=False)


def compare(folder: Path, output: OutputOptions) -> None:
    """Indices against the PSNR drop, where there is an index."""
    parts = compared(folder)
    if len(parts) < 2 or parts[0].name != BENCHMARK:
        return
    place = folder / "compare"
    runs = {path.name: read_manifest(path) for path in parts}
    remove_other(place, {"analysis": "compare", "versions": versions(), "runs": runs})
    compare_command.from_folders(parts, inside(place, output), names=list(runs))


def uncomparable(plan: report_plan.ReportPlan) -> str:
    """Why models cannot be compared, or "": too few, or of unknown training."""
    specs = plan.noises.benchmark
    trained = trained_on(plan.inputs, plan.benchmark_settings, plan.noises.suite, specs)
    return too_few(plan.inputs.models) or without_drop(trained, specs)


def check_possible(named: Sequence[str], few: str, logs: Sequence[str]) -> None:
    """Check that sections that were named are possible.

    Args:
        named: their names.
        few: why models cannot be compared; see `uncomparable`.
        logs: of the models' training.

    Raises:
        BadInput: models that cannot be compared, or no log.
    """
    if few and "compare" in named:
        raise BadInput(f"--sections compare: {few}")
    if "curves" in named and not logs:
        raise BadInput("--sections curves: no log beside the checkpoints; give --training RUN")


def remove_other(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Remove the folder of a different run, for a section that is quick to recompute."""
    try:
        finished(folder, manifest)
    except BadInput:
        shutil.rmtree(folder)


def compared(folder: Path) -> list[Path]:
    """The run folders in a report that indices are read from."""
    named = [BENCHMARK, *indices()]
    return [folder / name for name in dict.fromkeys(present(folder, named))]


def training_logs(options: ReportOptions, inputs: RunInputs) -> list[str]:
    """Training logs of the models: the given ones, else those beside the checkpoints.

    Those of several trainings have the name of their model before them, `NAME=FOLDER`.
    """
    if options.training:
        return list(options.training)
    folders: dict[Path, str] = {}
    for name, network in inputs.models.items():
        if network.has_layers and (folder := logged(network)) is not None:
            folders.setdefault(folder, name)
    model_of = {own: f"{m}=" for m, names in several(inputs.trainings).items() for own in names}
    return [f"{model_of.get(name, '')}{folder}" for folder, name in folders.items()]


def logged(network: Denoiser) -> Path | None:
    """The folder of the log beside a network's checkpoint; None without one."""
    path = checkpoint_file.locate(network.source["path"])
    places = (path.parent, path.with_suffix(""))
    return next((p for p in places if (p / LOG).is_file() and (p / RECIPE).is_file()), None)


def collect(folders: Sequence[Path], options: ReportOptions, output: OutputOptions) -> Report:
    """A report from run folders, which are copied into its folder.

    Raises:
        BadInput: no run folder, an analysis that is not a section, two runs of one section, or
            output inside a run folder.
    """
    chosen = report_sections.choose(options.sections or ",".join(report_sections.headings()))
    runs = runs_of(folders, chosen)
    names = [name for name in chosen if name in runs]
    if not names:
        raise BadInput(f"no section among {plural(len(folders), 'run folder')}")
    own = read_manifest(folders[0])
    if len(folders) == 1 and own.get("analysis") == "report" and not output.output_dir:
        return Report(RunFolder(folders[0], "report", own, command=output.command), names)
    check_outside(Path(output.output_dir or "runs"), [runs[name] for name in names])
    manifests = {name: read_manifest(runs[name]) for name in names}
    models: dict[str, Any] = {}
    for name, manifest in manifests.items():
        for model, about in manifest.get("models", {}).items():
            if models.setdefault(model, about)["sha256"] != about["sha256"]:
                raise BadInput(f"{runs[name]}: {model} is not the same file as in the other runs")
    folder = RunFolder(
        output.output_dir,
        f"report-{'-'.join(models)}",
        {"analysis": "report", "versions": versions(), "models": models, "runs": manifests},
        resume=output.resume,
        command=output.command,
    )
    for name in names:
        target = folder.path / name
        if runs[name].resolve() != target.resolve():
            ignored = shutil.ignore_patterns(FOLDER, "cka-*", "report*")
            shutil.copytree(runs[name], target, ignore=ignored, dirs_exist_ok=True)
    return Report(folder, names)


def check_outside(output: Path, sources: Sequence[Path]) -> None:
    """Check that the output is not inside a run folder that is copied into it.

    Raises:
        BadInput: it is.
    """
    place = output.resolve()
    for source in sources:
        if place.is_relative_to(source.resolve()):
            raise BadInput(
                f"{output}: inside {source}, which is copied into it; choose another --output-dir"
            )


def runs_of(folders: Sequence[Path], chosen: Sequence[str]) -> dict[str, Path]:
    """The run folder of each section, from run folders, reports and comparisons.

    Raises:
        BadInput: no run folder, an unfinished one, an analysis that is not a section, or two runs
            of one section.
    """
    runs: dict[str, Path] = {}
    known = list(report_sections.headings())
    for path in folders:
        manifest = read_manifest(path)
        if not done(path):
            raise BadInput(f"{path}: a run that is not finished; continue it with --resume")
        kind = str(manifest.get("analysis"))
        inner = present(path, chosen) if kind in ("report", "compare") else []
        for name, place in [(kind, path), *((name, path / name) for name in inner)]:
            if name == "report":
                continue
            if name not in known:
                raise BadInput(f"{place}: a run of {name}; expected one of {', '.join(known)}")
            if name in runs:
                raise BadInput(f"{place}: a second run of {name}, after {runs[name]}; give one")
            runs[name] = place
    return runs
