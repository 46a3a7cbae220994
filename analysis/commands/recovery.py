"""Runs that go on with less: in smaller batches, or without a network that fails.

Where memory runs out, the run begins anew in batches of half the size: its results are those of
that `--batch-size`. A network that raises an error on a batch is left out, and the others finish.
Either is recorded in `run.json`, and holds when the run is resumed. Several processes do neither,
since the others may be anywhere: they end with the line that says why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.commands.changes import CHANGES, Changes
from analysis.commands.run_folder import RunFolder
from analysis.engine.failures import NetworkFailed
from mtd.utils.errors import BadInput, OutOfMemory, Partial
from mtd.utils.messages import note, plural

if TYPE_CHECKING:
    from analysis.commands.job import AnalysisJob

    Files = Mapping[str, Any]


def as_recorded(job: AnalysisJob, folder: Path, quiet: bool = False) -> AnalysisJob:
    """A job as its folder's run was changed before; a note says so where another was given.

    Raises:
        BadInput: what is left cannot be run.
    """
    changes = Changes.recorded(folder)
    if changes == Changes() or job.changed is None:
        return job
    asked, size = job.settings.batch_size, changes.batch_size
    if size is not None and asked not in (None, size):
        note(
            f"{folder}: in batches of {plural(size, 'crop')}, as recorded when memory ran out, "
            f"instead of --batch-size {asked}; to have these, give another --output-dir",
            quiet=quiet or not job.inputs.ranks.first,
        )
    return job.changed(changes)


def record(changes: Changes) -> dict[str, Any]:
    """Changes for an entry of `run.json`; nothing for none."""
    return {} if changes == Changes() else {CHANGES: changes.record()}


def computed(
    job: AnalysisJob,
    compute: Callable[[AnalysisJob], Files],
    folder: RunFolder | None = None,
    quiet: bool = False,
) -> tuple[AnalysisJob, Files]:
    """The tables of a job, with less if it cannot be done as it is; the job that was done.

    Raises:
        BadInput: see `mtd.utils.errors`.
        Failed: nothing is left to do with less.
    """
    while True:
        try:
            return job, compute(job)
        except (OutOfMemory, NetworkFailed) as error:
            job, said = _with_less(job, error)
            note(said, quiet=quiet)
            if folder is not None:
                manifest = job.with_batches(job.batches)
                folder.begin_anew(manifest, record(job.changes))


def _with_less(job: AnalysisJob, error: OutOfMemory | NetworkFailed) -> tuple[AnalysisJob, str]:
    """A job that may be possible, and what to say of it.

    Raises:
        Failed: the error; there is none.
    """
    if job.changed is None or job.inputs.ranks.size > 1:
        raise error
    changes = job.changes
    if isinstance(error, OutOfMemory):
        before = largest(job)
        changes = replace(changes, batch_size=max(1, before // 2))
        said = f"out of memory: going on in batches of {plural(max(1, before // 2), 'crop')}"
    else:
        reasons = {**changes.left_out, error.model: error.reason}
        changes = replace(changes, left_out=reasons)
        said = f"{error}: going on without it"
    try:
        less = job.changed(changes)
    except BadInput:
        raise error from None
    if isinstance(error, OutOfMemory) and not largest(less) < before:
        raise error
    return less, said


def largest(job: AnalysisJob) -> int:
    """Crops of its largest batch; of analyses with batches of their own, what they may take."""
    return max((len(batch.crops) for batch in job.batches), default=job.batch_size)


def report(folder: Path) -> None:
    """Say which networks are missing in a run that is written otherwise.

    Raises:
        Partial: some are.
    """
    if out := Changes.recorded(folder).left_out:
        reasons = "; ".join(f"{name} ({reason})" for name, reason in out.items())
        raise Partial(
            f"{plural(len(out), 'model')} left out, the others are written to {folder}: {reasons}; "
            "to try again, give another --output-dir"
        )
