"""The curves of training runs, and how runs are named after their files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.commands import training_noises
from analysis.commands.run_folder import versions
from analysis.curves import log_readers, tables
from analysis.curves.csv_logs import LOG, VALIDATION
from analysis.curves.event_files import EVENTS
from analysis.curves.logged import PSNR
from analysis.curves.tables import Trained
from analysis.text.markdown import code, codes
from analysis.text.names import shortest
from mtd.noise.training_noise import TrainingNoise
from mtd.utils.errors import BadInput

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
        tested: by run, the noises and test sets of its test curves.
        said: by run, the noises that it was trained on, as its log or checkpoints say.
        logs: SHA-256 of each run's log files, by name.
        notes: what a reader must know of how they were made, as Markdown sentences.
        trained: by run, those of its test curves that are of noises trained on; None where that is
            unknown; see `decided`.
    """

    curves: pd.DataFrame
    tested: Mapping[str, Sequence[str]]
    said: Mapping[str, Sequence[str]]
    logs: Mapping[str, Mapping[str, str]]
    notes: tuple[str, ...] = ()
    trained: Trained = field(default_factory=dict)

    def evaluated(self, specs: Sequence[str], said: Mapping[str, Sequence[str]]) -> RunCurves:
        """The same with runs whose checkpoints are evaluated, in place of their logged tests.

        Args:
            specs: the noises.
            said: by run, the noises that it was trained on; where there is none, its log says so.
        """
        more = {run: noises or self.said.get(run, ()) for run, noises in said.items()}
        tested = {**self.tested, **dict.fromkeys(said, specs)}
        return replace(self, tested=tested, said={**self.said, **more})

    def decided(
        self,
        given: Sequence[str],
        notes: Iterable[str] = (),
        levels: training_noises.LevelsOf = dict,
    ) -> RunCurves:
        """The same with the test curves that are of noises trained on, and further notes.

        Args:
            given: values of `--in-distribution`, `[RUN=]SPEC[..SPEC]` or a test set; they go before
                what logs and checkpoints say.
            notes: further ones.
            levels: see `analysis.commands.training_noises.within`.

        Raises:
            BadInput: no such run or noise.
        """
        names = {run: [run] for run in self.tested}
        every = list(dict.fromkeys(noise for noises in self.tested.values() for noise in noises))
        of_all, of_one = training_noises.by_name(given, names, every, "run")
        trained: dict[str, tuple[str, ...] | None] = {}
        for run, tested in self.tested.items():
            noise = training_noises.recorded_by_checkpoint(*self.said[run])
            if texts := of_one.get(run) or of_all:
                noise = TrainingNoise.parse(texts, every)
            known = noise != TrainingNoise() or not tested
            trained[run] = training_noises.within(noise, tested, levels) if known else None
        return replace(self, trained=trained, notes=(*self.notes, *notes))

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
            "trained": {run: tables.trained_entry(of) for run, of in self.trained.items()},
            "smooth": smooth,
            "notes": list(self.notes),
        }

    def manifest_of_logs(self, smooth: float) -> dict[str, Any]:
        """The whole manifest, where nothing is evaluated."""
        return {"analysis": "curves", "versions": versions(), **self.manifest(smooth)}


def read_logs(logs: Mapping[str, Path]) -> RunCurves:
    """The curves that logs hold, before it is decided which noises runs were trained on.

    Args:
        logs: by the names of their runs; see `analysis.curves.log_readers.read`.

    Raises:
        BadInput: not a log.
    """
    curves, tested, said, files = [], {}, {}, {}
    notes: list[str] = []
    for run, path in logs.items():
        log = log_readers.read(path)
        try:
            frame, notes_of_run = tables.curves_of_log(run, log.lines)
        except BadInput as error:
            raise BadInput(f"{path}: {error}") from None
        curves.append(frame)
        tested[run] = [str(n) for n in dict.fromkeys(frame[frame.quantity == PSNR].noise)]
        said[run], files[run] = [log.trained] if log.trained else [], log.files
        notes += notes_of_run
        if log.cut:
            notes.append(
                f"Of {code(run)}, the last line of {codes(log.cut)} is left out: it has no end, as "
                "where a run was killed or still writes."
            )
    return RunCurves(tables.concatenated(curves), tested, said, files, tuple(notes))
