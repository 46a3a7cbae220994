"""The curves of training runs, read from their logs or evaluated from their checkpoints."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.text.names import shortest
from mtd.utils.errors import BadInput, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from analysis.curves.log_readers import Log


GENERIC_FILES, GENERIC_FOLDERS = ("train", "log"), ("events", "models")
"""Names that say nothing of a run; that of the folder around does."""


@dataclass
class Found:
    """What is drawn: curves, the noise each run was trained on, what was read, and notes."""

    frames: list[pd.DataFrame]
    trained: dict[str, str]
    files: dict[str, dict[str, str]]
    notes: list[str]

    def tables(self) -> dict[str, pd.DataFrame]:
        """What is written."""
        import pandas as pd

        from analysis.curves.tables import summary

        frame = pd.concat(self.frames, ignore_index=True)
        return {"curves.csv": frame, "summary.csv": summary(frame, self.trained)}

    def manifest(self, args: argparse.Namespace) -> dict[str, Any]:
        """What decides the results, but for evaluations."""
        return {
            "logs": self.files,
            "trained": self.trained,
            "smooth": args.smooth,
            "notes": self.notes,
        }


def root(path: Path) -> Path:
    """The folder or file that has a run's name: the file, unless its name says nothing."""
    from analysis.curves.log_readers import EVENTS, LOG, VALIDATION

    path = path.resolve()
    if path.is_dir():
        return path.parent if path.name in GENERIC_FOLDERS else path
    nameless = path.stem in GENERIC_FILES or path.name in (LOG, VALIDATION)
    return root(path.parent) if nameless or path.name.startswith(EVENTS) else path


def named(roots: Iterable[Path]) -> dict[Path, str]:
    """Names of runs: the last part, with as many folders before it as tell them apart."""
    return shortest(
        {path: (*path.parts[1:-1], path.name if path.is_dir() else path.stem) for path in roots}
    )


def apart(places: Sequence[str], names: Mapping[Path, str]) -> dict[str, str]:
    """Places by the name of their run.

    Raises:
        BadInput: two of one run.
    """
    found: dict[str, str] = {}
    for place in places:
        name = names[root(Path(place))]
        if name in found:
            raise BadInput(f"{found[name]} and {place} are of one run; give one of them")
        found[name] = place
    return found


def from_logs(logs: Mapping[str, Log], trained: str | None) -> Found:
    """Curves of logs, and the noise of each that counts as trained on, if it is not given.

    Raises:
        BadInput: a run has test curves, but not that one.
    """
    from analysis.curves.log_readers import PSNR
    from analysis.curves.tables import settle

    found = Found([], {}, {}, [])
    for run, log in logs.items():
        known = dict.fromkeys(point.name for point in log.points if point.quantity == PSNR)
        if trained and known and trained not in known:
            raise BadInput(
                f"--in-distribution {trained}: not tested by {run}; {nearest(trained, known)}"
            )
        frame, notes = settle(run, log.points, log.together)
        if log.guessed and not trained:
            notes.append(f"the log does not say what was trained on; {log.trained} is taken for it")
        found.frames.append(frame)
        found.trained[run] = trained or log.trained if known else ""
        found.files[run] = log.files
        found.notes += [f"{run}: {note}" for note in notes]
    return found


def written(args: argparse.Namespace, found: Found, name: str, command: str) -> Path:
    """Write and report what logs hold."""
    from analysis.commands.job import report as reported
    from analysis.commands.run_folder import RunFolder, versions
    from analysis.curves.summary import report

    manifest = {"analysis": "curves", "versions": versions(), **found.manifest(args)}
    folder = RunFolder(args.output_dir, name, manifest, resume=args.resume, command=command)
    for file, frame in found.tables().items():
        folder.table(file, frame)
    reported(folder, report)
    return folder.path
