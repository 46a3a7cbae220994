"""Several analyses in one pass, each with its own models, noises and crops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.commands import controls, network_pass
from analysis.commands.drawing import Drawing
from analysis.commands.result import finish, write_tables
from analysis.commands.run_folder import RunFolder
from analysis.commands.run_manifest import MANIFEST, disbelieved, finished
from mtd.utils import folder_files, progress
from mtd.utils.messages import note, verb

if TYPE_CHECKING:
    from analysis.commands.inputs import RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.engine.observer import Batch


def run_together(
    jobs: Sequence[AnalysisJob],
    inputs: RunInputs,
    batches: Sequence[Batch],
    folder: RunFolder,
    quiet: bool = False,
) -> list[Path]:
    """Run the unfinished ones of several analyses; returns all their folders, in order.

    Args:
        jobs: planned on these batches, under names that differ.
        inputs: all their models, noises and crops.
        batches: of all crops; each analysis observes whole batches.
        folder: in which each has a folder; activations are kept there until all are finished.
        quiet: no messages.

    Raises:
        BadInput: in all processes, if any of them finds some.
    """
    ranks = inputs.ranks
    manifests = {job.name: job.with_batches(batches) for job in jobs}
    with ranks.raise_on_all_ranks():
        unfinished = [
            job
            for job in jobs
            if not finished(folder_files.path_of(folder.path, job.name), manifests[job.name])
        ]
    if ranks.first:
        say_anew(folder.path, [job.name for job in unfinished], quiet)
    pass_through(unfinished, inputs, batches, folder, quiet)
    for job in unfinished:
        inner = RunFolder(
            folder_files.path_of(folder.path, job.name),
            job.name,
            manifests[job.name],
            resume=(folder.path / job.name / MANIFEST).is_file(),
            command=folder.command,
            ranks=ranks,
            drawing=folder.drawing,
        )
        progress.step(job.analysis.title)
        files = job.all_files(inner, quiet)
        with ranks.raise_on_all_ranks():
            if ranks.first:
                write_tables(inner, files)
                finish(inner, job.analysis)
    with ranks.raise_on_all_ranks():
        if ranks.first and folder.drawing != Drawing():
            for job in jobs:
                if job not in unfinished:
                    draw_again(folder, job, manifests[job.name])
    return [folder.path / job.name for job in jobs]


def draw_again(folder: RunFolder, job: AnalysisJob, manifest: Mapping[str, Any]) -> None:
    """Draw the figures of a finished analysis again, as this start of the run wants them."""
    inner = RunFolder(
        folder_files.path_of(folder.path, job.name),
        job.name,
        manifest,
        command=folder.command,
        reopened=True,
        drawing=folder.drawing,
    )
    finish(inner, job.analysis)


def say_anew(folder: Path, names: Sequence[str], quiet: bool) -> None:
    """Say which finished runs in a folder are computed again, and why."""
    reasons = {name: disbelieved(folder / name) for name in names}
    for reason in dict.fromkeys(filter(None, reasons.values())):
        again = [name for name in names if reasons[name] == reason]
        are = verb(len(again), "is", "are")
        note(f"{folder}: {', '.join(again)} {are} computed anew: {reason}", quiet=quiet)


def compute_together(
    jobs: Sequence[AnalysisJob],
    inputs: RunInputs,
    batches: Sequence[Batch],
    quiet: bool = False,
) -> list[Mapping[str, Any]]:
    """The tables of several analyses by file name, in their order; nothing is written.

    Args and errors as in `run_together`.
    """
    pass_through(jobs, inputs, batches, None, quiet)
    return [job.all_files(None, quiet) for job in jobs]


def pass_through(
    jobs: Sequence[AnalysisJob],
    inputs: RunInputs,
    batches: Sequence[Batch],
    folder: RunFolder | None,
    quiet: bool,
) -> None:
    """Show every view to the observers of those analyses that have no pass of their own."""
    observing = [job for job in jobs if job.analysis.compute is None]
    if observing:
        together = controls.together(job.inputs.controls for job in observing)
        watches = [job.watch for job in observing]
        network_pass.run_pass(inputs, batches, watches, folder, controls=together, quiet=quiet)
