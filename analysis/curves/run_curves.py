"""The curves of training runs, and how runs are named after their files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.commands.inputs import canonical
from analysis.commands.run_folder import versions
from analysis.curves import log_readers, tables
from analysis.curves.csv_logs import LOG, VALIDATION
from analysis.curves.event_files import EVENTS
from analysis.curves.logged import PSNR
from analysis.text.markdown import code
from analysis.text.names import shortest
from mtd.utils.errors import BadInput, nearest

GENERIC_FILES, GENERIC_FOLDERS = ("train", "log"), ("events", "models")
"""Names that say nothing of a run; that of the folder around does."""

Place = str | PathLike[str]
Places = Mapping[str, Place] | Sequence[Place] | Place


@dataclass(frozen=True)
class RunSources:
    """Where the curves of training runs come from.

    Attributes:
        logs: a run's folder or log, by its name.
        checkpoints: the folder of a run's checkpoints, by its name.
    """

    logs: Mapping[str, Path]
    checkpoints: Mapping[str, Path]

    @classmethod
    def of(cls, runs: Places = (), checkpoints: Places = ()) -> RunSources:
        """Runs by names that tell them apart; logs and checkpoints of one run by one name.

        Args:
            runs: folders or logs: a mapping from names, a sequence, or one.
            checkpoints: folders of checkpoints, likewise.

        Raises:
            BadInput: none, or two of one run.
        """
        unnamed_paths = [unnamed(places) for places in (runs, checkpoints)]
        names = run_names([run_path(Path(place)) for places in unnamed_paths for place in places])
        logs, folders = (
            {str(name): Path(place) for name, place in places.items()}
            if isinstance(places, Mapping)
            else paths_by_run(paths, names)
            for places, paths in zip((runs, checkpoints), unnamed_paths, strict=True)
        )
        if not logs and not folders:
            raise BadInput("nothing to draw: give RUN, or --checkpoints FOLDER")
        return cls(logs, folders)

    @property
    def label(self) -> str:
        """The names of all runs, for the name of a run folder."""
        return "-".join(dict.fromkeys((*self.logs, *self.checkpoints)))


def unnamed(places: Places) -> list[Place]:
    """The paths without names, as a list.

    Raises:
        BadInput: something else than paths.
    """
    given: list[Any] = [places]
    if isinstance(places, Mapping):
        given = list(places.values())
    elif isinstance(places, Iterable) and not isinstance(places, str | PathLike):
        given = list(places)
    for place in given:
        if not isinstance(place, str | PathLike):
            raise BadInput(
                f"{place!r}: expected the path of a log or folder, several, or a mapping from names"
            )
    return [] if isinstance(places, Mapping) else given


def run_path(path: Path) -> Path:
    """The folder or file that has a run's name: the file, unless its name says nothing."""
    path = path.resolve()
    if path.is_dir():
        return path.parent if path.name in GENERIC_FOLDERS else path
    nameless = path.stem in GENERIC_FILES or path.name in (LOG, VALIDATION)
    return run_path(path.parent) if nameless or path.name.startswith(EVENTS) else path


def run_names(paths: Iterable[Path]) -> dict[Path, str]:
    """Names of runs: the last part, with as many folders before it as tell them apart."""
    return shortest(
        {path: (*path.parts[1:-1], path.name if path.is_dir() else path.stem) for path in paths}
    )


def paths_by_run(places: Sequence[Place], names: Mapping[Path, str]) -> dict[str, Path]:
    """Paths by the name of their run.

    Raises:
        BadInput: two of one run.
    """
    paths: dict[str, Path] = {}
    for place in places:
        name = names[run_path(Path(place))]
        if name in paths:
            raise BadInput(f"{paths[name]} and {place} are of one run; give one of them")
        paths[name] = Path(place)
    return paths


@dataclass(frozen=True)
class RunCurves:
    """The curves of training runs.

    Attributes:
        curves: a row for each value, columns `analysis.curves.tables.COLUMNS`.
        trained: the noise that each run was trained on; empty for runs without test curves.
        logs: SHA-256 of each run's log files, by name.
        notes: what a reader must know of how they were made, as Markdown sentences.
    """

    curves: pd.DataFrame
    trained: Mapping[str, str]
    logs: Mapping[str, Mapping[str, str]]
    notes: tuple[str, ...] = ()

    def with_trained(self, trained: Mapping[str, str], notes: Iterable[str]) -> RunCurves:
        """The same with more runs, or another noise trained on, and further notes."""
        return replace(self, trained={**self.trained, **trained}, notes=(*self.notes, *notes))

    def with_curves(self, curves: Iterable[pd.DataFrame]) -> RunCurves:
        """The same with more curves."""
        return replace(self, curves=tables.concatenated([self.curves, *curves]))

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables of a run folder, by file name."""
        return {
            "curves.csv": self.curves,
            "summary.csv": tables.summary(self.curves, self.trained),
        }

    def manifest(self, smooth: float) -> dict[str, Any]:
        """The part of a manifest that decides them, evaluations aside."""
        return {
            "logs": {run: dict(files) for run, files in self.logs.items()},
            "trained": dict(self.trained),
            "smooth": smooth,
            "notes": list(self.notes),
        }

    def manifest_of_logs(self, smooth: float) -> dict[str, Any]:
        """The whole manifest, where nothing is evaluated."""
        return {"analysis": "curves", "versions": versions(), **self.manifest(smooth)}


def read_logs(logs: Mapping[str, Path], in_distribution: str | None = None) -> RunCurves:
    """The curves that logs hold.

    Args:
        logs: by the names of their runs; see `analysis.curves.log_readers.read`.
        in_distribution: the test curve that counts as trained on, if it is not the log's own.

    Raises:
        BadInput: not a log, or a run has test curves, but not that one.
    """
    curves, trained, files, notes = [], {}, {}, []
    for run, path in logs.items():
        log = log_readers.read(path)
        try:
            frame, notes_of_run = tables.curves_of_log(run, log.lines, log.nameless)
        except BadInput as error:
            raise BadInput(f"{path}: {error}") from None
        tested = list(dict.fromkeys(frame[frame.quantity == PSNR].noise))
        chosen = log.trained
        if in_distribution and tested:
            chosen = test_curve(in_distribution, tested, f"not tested by {run}")
        if log.guessed and not in_distribution:
            notes_of_run.append(
                f"The log of {code(run)} does not name the noise trained on: {code(log.trained)} "
                "is taken for it."
            )
        curves.append(frame)
        trained[run] = chosen if tested else ""
        files[run] = log.files
        notes += notes_of_run
    return RunCurves(tables.concatenated(curves), trained, files, tuple(notes))


def test_curve(name: str, known: Sequence[str], otherwise: str) -> str:
    """The test curve that is meant by a name: a test set, or a noise in any spelling.

    Args:
        name: such as `gaussian:15.0`.
        known: the names of all test curves.
        otherwise: what an unknown one is, for the message.

    Raises:
        BadInput: none of them.
    """
    if name in known:
        return name
    with suppress(BadInput):
        if (spec := canonical(name)) in known:
            return spec
    raise BadInput(f"--in-distribution {name}: {otherwise}; {nearest(name, known)}")
