"""Where the curves of training runs come from, and how runs are named after their files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from analysis.commands.trainings import Trainings
from analysis.curves.csv_logs import LOG, VALIDATION
from analysis.curves.event_files import EVENTS
from analysis.text.names import shortest
from mtd.loading.model_names import matching, named_files
from mtd.utils.errors import BadInput

GENERIC_FILES, GENERIC_FOLDERS = ("train", "log"), ("events", "models")
"""Names that say nothing of a run; that of the folder around does."""

Place = str | PathLike[str]
Places = Mapping[str, Place | Sequence[Place]] | Sequence[Place] | Place

Named = list[tuple[str, Path]]
"""Paths, each with the name that it was given; empty for that of its file."""

EXPECTED = "the logs or folders of one run's trainings, as in NAME=runs/b*"


@dataclass(frozen=True)
class RunSources:
    """Where the curves of training runs come from.

    Attributes:
        logs: the folder or log of each training, by its name.
        checkpoints: the folder of checkpoints of each training, by its name.
        trainings: the runs in order, each with its trainings; a single one has the name of its run.
    """

    logs: Mapping[str, Path]
    checkpoints: Mapping[str, Path]
    trainings: Trainings

    @classmethod
    def of(cls, runs: Places = (), checkpoints: Places = ()) -> RunSources:
        """Runs by names that tell them apart; logs and checkpoints of one training by one name.

        Args:
            runs: folders or logs: a mapping from names, a sequence, or one. `NAME=PATTERN`, several
                of one name, and a list or a pattern in a mapping are the trainings of one run.
            checkpoints: folders of checkpoints, likewise.

        Raises:
            BadInput: none, two of one training, or two runs of one name.
        """
        logs, folders = named_places(runs), named_places(checkpoints)
        if not logs and not folders:
            raise BadInput("nothing to draw: give RUN, or --checkpoints FOLDER")
        names = training_names(logs, folders)
        trainings: dict[str, dict[str, None]] = {}
        for name, path in (*logs, *folders):
            own = names[name, path]
            trainings.setdefault(name or own, {})[own] = None
        of_logs, of_folders = by_training(logs, names), by_training(folders, names)
        for run, own_names in trainings.items():
            sides = [[name for name in own_names if name in of] for of in (of_logs, of_folders)]
            if all(sides) and sides[0] != sides[1]:
                raise BadInput(
                    f"--checkpoints: the folders of {run} are of other trainings than its logs; "
                    "give both of the same runs"
                )
        return cls(of_logs, of_folders, {run: tuple(own) for run, own in trainings.items()})

    @property
    def label(self) -> str:
        """The names of all runs, for the name of a run folder."""
        return "-".join(self.trainings)


def named_places(places: Places) -> Named:
    """All paths, each with the name that it was given.

    Raises:
        BadInput: something else than paths, or a pattern that matches none.
    """
    if isinstance(places, Mapping):
        return [(str(n), path) for n, given in places.items() for path in listed(given)]
    named: Named = []
    for place in listed(places, patterns=False):
        text = str(place)
        given = named_files(text, EXPECTED) if isinstance(place, str) else [("", text)]
        named += [(name, Path(path)) for name, path in given]
    return named


def listed(given: Any, patterns: bool = True) -> list[Any]:
    """Paths, given as one or several; a pattern stands for those that it matches.

    Raises:
        BadInput: something else than paths, or none.
    """
    if isinstance(given, str) and patterns:
        return [Path(path) for path in matching(given, expected=EXPECTED)]
    several = isinstance(given, Iterable) and not isinstance(given, str | PathLike)
    places: list[Any] = list(given) if several else [given]
    for place in places:
        if not isinstance(place, str | PathLike):
            raise BadInput(
                f"{place!r}: expected the path of a log or folder, several, or a mapping from names"
            )
    if patterns and not places:
        raise BadInput("a run has an empty list of trainings; expected one at least")
    return [Path(place) for place in places] if patterns else places


def training_names(*sides: Named) -> dict[tuple[str, Path], str]:
    """The name of each training: that of its run, with that of its own folder if there are several.

    Args:
        sides: logs and folders of checkpoints.

    Raises:
        BadInput: a name of two runs.
    """
    found: dict[tuple[str, Path], str] = {}
    every = [entry for side in sides for entry in side]
    for given in dict.fromkeys(name for name, _ in every):
        short = run_names({run_path(path): None for name, path in every if name == given})
        single = max([name for name, _ in side].count(given) for side in sides) == 1
        for name, path in every:
            if name == given:
                own = short[run_path(path)]
                found[name, path] = f"{given} ({own})" if given and not single else given or own
    unnamed = {own for (name, _), own in found.items() if not name}
    for name, _ in found:
        if name in unnamed:
            raise BadInput(f"two runs are named {name!r}: give one of them another name")
    return found


def by_training(places: Named, names: Mapping[tuple[str, Path], str]) -> dict[str, Path]:
    """Paths by the name of their training.

    Raises:
        BadInput: two of one training.
    """
    paths: dict[str, Path] = {}
    for name, path in places:
        own = names[name, path]
        if own in paths:
            raise BadInput(f"{paths[own]} and {path} are of one run; give one of them")
        paths[own] = path
    return paths


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
