"""What every analysis' command and Python function do: load, plan, compute, save."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from analysis.commands.parser import (
    ConfiguredParser,
    OutputOptions,
    build,
    output_options,
    settings_from,
)
from analysis.commands.registry import command_of
from mtd.loading import cli_options
from mtd.utils import cli, messages, output_folders, progress, user_folders

if TYPE_CHECKING:
    from analysis.commands.analysis import Analysis
    from analysis.commands.inputs import Models, RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.commands.result import Result
    from analysis.commands.settings import Settings


def main(analysis: Analysis) -> None:
    """The command of an analysis, on this process's arguments.

    Raises:
        BadInput: see `mtd.utils.errors`.
    """
    known = parser(analysis)
    parsed = known.parse_args()
    request = checked(analysis, parsed, known.command(cli.command(command_of(analysis.name))))
    messages.importing(quiet=parsed.quiet)
    from mtd.utils.device import keep_freed_memory

    keep_freed_memory()  # else the system clears every page again: a fifth of the time
    run(*request)


def run_arguments(analysis: Analysis, arguments: Sequence[str], command: str = "") -> Path:
    """Run an analysis on the arguments of a command line; returns the run folder.

    Raises:
        BadInput: see `mtd.utils.errors`.
    """
    known = parser(analysis)
    parsed = known.parse_args(list(arguments))
    return run(*checked(analysis, parsed, known.command(command)))


class Request(NamedTuple):
    """A command line, checked as far as that takes no PyTorch; the arguments of `run`."""

    analysis: Analysis
    models: Models
    settings: Settings
    output: OutputOptions


def checked(analysis: Analysis, parsed: Namespace, command: str) -> Request:
    """What parsed arguments ask for, without importing PyTorch.

    Raises:
        BadInput: names, files, folders or values that cannot be used.
    """
    from analysis.commands import checks  # not for --help

    settings = settings_from(analysis.settings, parsed)
    record = analysis.mode(settings) if analysis.mode is not None else analysis
    requests = record.requests
    models = requests(settings, parsed) if requests else cli_options.resolve_requests(parsed)
    if isinstance(models, Sequence):
        checks.models(models)
    settings.check_names()
    output = output_options(parsed, command)
    output_folders.check(output.output_dir)
    return Request(analysis, models, settings, output)


def parser(analysis: Analysis) -> ConfiguredParser:
    """The command's options."""
    module = command_of(analysis.name)
    return build(
        analysis.settings,
        module,
        analysis.description,
        analysis.examples,
        measure=cli.inside(analysis.title),
    )


def run(
    analysis: Analysis, models: Models, settings: Settings, output: OutputOptions | None = None
) -> Path:
    """Run an analysis into a run folder, and print its tables in short; returns the folder.

    With `resume`, an interrupted run is continued, and a finished one is only reported again.

    Raises:
        BadInput: in all processes, if any of them finds some.
    """
    from analysis.commands import network_pass, recovery
    from analysis.commands.job import plan

    output = output or OutputOptions()
    analysis = analysis.mode(settings) if analysis.mode is not None else analysis
    with progress.running(network_pass.STEPS, quiet=output.quiet):
        progress.step(network_pass.LOADING)
        inputs = load(analysis, models, settings)
        with inputs.ranks.raise_on_all_ranks():
            job = plan(analysis, inputs, settings)
        path = into_folder(job, output)
    inputs.ranks.leave()
    if inputs.ranks.first:
        recovery.report(path)
    return path


def load(
    analysis: Analysis, models: Models, settings: Settings, photographs: Any = None
) -> RunInputs:
    """Models, noises and crops, by the analysis' own rule or by the shared one."""
    from analysis.commands.inputs import load_inputs

    return (analysis.load_inputs or load_inputs)(models, settings, photographs)


def into_folder(job: AnalysisJob, output: OutputOptions) -> Path:
    """Run a job in a folder of its own; the folder.

    Raises:
        BadInput: in all processes, if any of them finds some.
    """
    from analysis.commands import printed, recovery
    from analysis.commands.result import finish, write_tables
    from analysis.commands.run_folder import RunFolder, place
    from analysis.commands.run_manifest import disbelieved

    ranks = job.inputs.ranks
    name = f"{job.name}-{job.inputs.label}"
    path = place(output.output_dir, name, job.with_batches(job.batches))
    with ranks.raise_on_all_ranks():
        job = recovery.as_recorded(job, path, output.quiet)
        reason = disbelieved(path) if output.resume and ranks.first else ""
    folder = RunFolder(
        path,
        name,
        job.with_batches(job.batches),
        resume=output.resume,
        command=output.command,
        ranks=ranks,
        record=recovery.record(job.changes),
        drawing=output.drawing,
    )
    if reason:
        messages.note(f"{path} is computed anew: {reason}", quiet=output.quiet)
    with folder.resumable():
        if not ranks.gather(output.resume and folder.complete())[0]:
            job, files = recovery.computed(
                job, lambda one: compute(one, folder, output.quiet), folder, output.quiet
            )
            with ranks.raise_on_all_ranks():
                if ranks.first:
                    write_tables(folder, files)
        with ranks.raise_on_all_ranks():
            if ranks.first:
                text = finish(folder, job.analysis)
                if output.printed:
                    printed.show(folder.path, job.analysis, text)
                    if not output.quiet:
                        ended(folder.path, job.analysis, text)
    return folder.path


def ended(folder: Path, analysis: Analysis, text: str) -> None:
    """Say at the end, on stderr, what matters most, how long it took, and where to look first.

    Args:
        folder: of the run.
        analysis: that ran.
        text: that was printed before; what of it can still be seen is not said again.
    """
    from analysis.commands import printed
    from analysis.commands.result import WIDTH
    from analysis.text.terminal import filled

    headline = filled(printed.headline(folder, analysis), WIDTH)
    files = printed.first_files(folder, analysis)
    look = ", then ".join(str(folder / name) for name in files) or folder
    said = "" if printed.on_screen(text, headline) else f"{headline}\n"
    messages.say(f"\n{said}done in {progress.spent()}; look first at {look}")


def compute(job: AnalysisJob, folder: Any = None, quiet: bool = False) -> Mapping[str, Any]:
    """The tables of a job; called in every process.

    Args:
        job: planned.
        folder: a run folder that keeps activations until the run is finished; None for memory.
        quiet: no progress bar.
    """
    from analysis.commands import network_pass

    if job.analysis.compute is None:
        more = job.inputs.controls
        network_pass.run_pass(
            job.inputs, job.batches, [job.watch], folder, controls=more, quiet=quiet
        )
    elif folder is not None and job.inputs.ranks.first:
        network_pass.report_models(job.inputs, quiet)
    return job.all_files(folder, quiet)


def run_in_memory(
    analysis: Analysis,
    models: Models,
    images: Any = None,
    progress: bool = True,
    **settings: Any,
) -> Result:
    """Run an analysis from Python; nothing is written.

    Args:
        analysis: its record.
        models: a mapping from names, a sequence, or one of: `nn.Module` from (B, C, H, W) in [0, 1]
            to the same, path of a checkpoint, bundled name.
        images: a folder, files, arrays or tensors of clean photographs; None for the bundled ones.
        progress: show a progress bar.
        settings: fields of the analysis' settings, checked like the command's options.

    Returns:
        The result: frames, figures, sentences; `save` writes a run folder.

    Raises:
        BadInput: anything that cannot be used.
    """
    from analysis.commands import network_pass, recovery
    from analysis.commands.job import plan
    from analysis.commands.modules import (
        device_of,
        evaluation_mode,
        named_models,
        other_sources,
        photographs_from,
    )
    from analysis.commands.result import Result
    from mtd.utils import progress as shown  # the keyword has its name

    chosen = analysis.settings.of(**settings)
    chosen.check_names()
    if isinstance(images, str | Path) and Path(user_folders.expanded(str(images))).is_dir():
        chosen, images = replace(chosen, images=(str(images),)), None
    photographs = None if images is None else photographs_from(images, chosen.page)
    given: Any = models if other_sources(models) else named_models(models)
    chosen = replace(chosen, device=device_of(given, chosen.device))
    with (
        evaluation_mode(given.values() if isinstance(given, Mapping) else ()),
        shown.running(network_pass.STEPS, quiet=not progress),
    ):
        shown.step(network_pass.LOADING)
        inputs = load(analysis, given, chosen, photographs)
        job = plan(analysis, inputs, chosen)
        job, files = recovery.computed(
            job, lambda one: compute(one, quiet=not progress), quiet=not progress
        )
    kind = analysis.result() if analysis.result is not None else Result
    return kind.of(job, files)
