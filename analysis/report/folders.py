"""The run folders of a report: computed in one pass, or copied from existing runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.commands.network_pass import LOADING
from analysis.commands.parser import OutputOptions
from analysis.commands.run_folder import RunFolder
from analysis.commands.run_manifest import MANIFEST, unfinished
from analysis.commands.several import run_together
from analysis.commands.trainings import several
from analysis.compare import command as compare_command
from analysis.compare.inputs import too_few, without_drop
from analysis.compare.predictors import indices
from analysis.curves import command as curves_command
from analysis.curves.csv_logs import LOG as TRAINING_LOG
from analysis.curves.log_readers import RECIPE
from analysis.curves.run_curves import read_logs
from analysis.curves.run_sources import RunSources
from analysis.generalization.inputs import trained_on
from analysis.report import plan as report_plan
from analysis.report import sections as report_sections
from analysis.report.settings import BENCHMARK, ReportOptions, ReportSettings
from analysis.stats.rank_correlation import LEAST
from mtd.loading import locations
from mtd.utils import folder_files, progress
from mtd.utils.distributed import SINGLE_PROCESS, Ranks
from mtd.utils.errors import BadInput
from mtd.utils.messages import note
from mtd.utils.replaced import replaced

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
    held = [name for name in chosen if folder_files.holds(folder, f"{name}/{MANIFEST}")]
    return [name for name in held if not unfinished(folder / name)]


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
    progress.step(LOADING)
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
        drawing=output.drawing,
    )
    with folder.resumable():
        if jobs:
            run_together(jobs, plan.whole(jobs), plan.batches, folder, output.quiet)
        with ranks.raise_on_all_ranks():
            if ranks.first:
                if jobs:
                    folder.cache.clear()  # the tables are written
                if "compare" in chosen and not few:
                    progress.step(report_sections.headings()["compare"])
                    compare(folder.path, output)
                if logs:
                    progress.step(report_sections.headings()["curves"])
                    with replaced(place_of(folder.path, "curves")) as new:  # logs grow
                        curves_command.from_logs(logs, inside(new, output))
    return Report(folder, present(folder.path, chosen), ranks)


def inside(path: Path, output: OutputOptions) -> OutputOptions:
    """Output options of a section outside the shared pass: into a new folder, silently."""
    return OutputOptions(path, False, True, output.command, False, output.drawing)


def place_of(folder: Path, section: str) -> Path:
    """The folder of a section in a report's folder.

    Raises:
        BadInput: it is a link.
    """
    return folder_files.path_of(folder, section)


def compare(folder: Path, output: OutputOptions) -> None:
    """Indices against the PSNR drop, where there is an index."""
    parts = compared(folder)
    if len(parts) < 2 or parts[0].name != BENCHMARK:
        return
    with replaced(place_of(folder, "compare")) as new:
        names = [path.name for path in parts]
        compare_command.from_folders(parts, inside(new, output), names=names)


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
    path = locations.locate(network.source["path"])
    places = (path.parent, path.with_suffix(""))
    return next(
        (p for p in places if (p / TRAINING_LOG).is_file() and (p / RECIPE).is_file()), None
    )
