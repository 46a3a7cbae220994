"""A run folder: manifest, cache, tables, figures, each written whole or not at all.

`manifest.json` holds everything that decides the results. `run.json`, beside it, holds run
metadata: commands, times, host, and the digests of the files that were written, without which a
resumed run believes none of them. `summary.txt` is the text that was printed. `cache/` exists until
the run is finished. Both JSON files have numbers as `mtd.utils.output.plain` makes them.

What `run.json` says holds. A finished run that is computed again stays finished until the first of
its tables, or another file that is not drawn from them, is replaced with other bytes; `run.json`
says so before. A run that begins anew with another manifest names it there by its digest, before
`manifest.json` is replaced; where that did not happen, the next start does it.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

import mtd
from analysis.commands import csv_tables
from analysis.commands.drawing import Drawing
from analysis.commands.run_manifest import (
    DIGESTS,
    DRAWN,
    LOG,
    MANIFEST,
    decisive,
    difference,
    done,
    intact,
    read_digests,
    read_log,
)
from analysis.engine.cache import FOLDER, ActivationCache
from analysis.plotting.files import rendered
from mtd.utils import atomic_write, digests, folder_files, interruptions
from mtd.utils.distributed import SINGLE_PROCESS, Ranks
from mtd.utils.errors import BadInput, Failed
from mtd.utils.file_names import file_name
from mtd.utils.json_text import json_text
from mtd.utils.messages import plural, verb
from mtd.utils.replaced import restore_all
from mtd.utils.user_folders import expanded

TEXT_FILE = "summary.txt"

BEGUN = "manifest"
"""Entry of `run.json`: the digest of the manifest with which a start of the run began anew."""

PACKAGES = (
    *("torch", "torchvision", "numpy", "scipy", "scikit-image", "pillow", "pyvips", "openexr"),
    *("lpips", "scikit-learn", "pandas", "matplotlib"),
)


def versions() -> dict[str, str]:
    """Versions of this project, Python and the packages that results depend on."""
    own = {"mtd": mtd.__version__, "python": platform.python_version()}
    return own | {name: _version(name) for name in PACKAGES}


@cache  # all metadata of a package is read for it
def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


def place(path: str | Path | None, name: str, manifest: Mapping[str, Any]) -> Path:
    """The folder of a run: the given one, or `runs/NAME-DIGEST`; see `RunFolder`."""
    return (
        Path(expanded(str(path)))
        if path
        else Path("runs") / f"{file_name(name, 80)}-{_digest(manifest)[:8]}"
    )


class RunFolder:
    """Where one analysis writes.

    Args:
        path: the folder, or None for `runs/NAME-DIGEST`, the digest being that of the manifest, so
            that the same question has the same folder.
        name: of the analysis and its models.
        manifest: everything that decides the results, ready for JSON.
        resume: go on with the results that are cached, instead of starting anew.
        command: the command line, for `run.json`.
        reopened: the run is finished, and stays so whatever happens until this start is, too.
        ranks: the processes that share the run; only the first one writes here, but for the cache.
        record: more for its entry of `run.json`.
        drawing: how figures and tables are written.

    Raises:
        BadInput: the folder holds another run, or cannot be written.
    """

    def __init__(
        self,
        path: str | Path | None,
        name: str,
        manifest: Mapping[str, Any],
        *,
        resume: bool = False,
        command: str = "",
        ranks: Ranks = SINGLE_PROCESS,
        reopened: bool = False,
        record: Mapping[str, Any] | None = None,
        drawing: Drawing | None = None,
    ) -> None:
        self._record = dict(record or {})
        self.drawing = drawing or Drawing()
        self.path = place(path, name, manifest)
        self.cache, self.ranks, self.command = ActivationCache(self.path), ranks, command
        self._new: list[Path] = []
        self._runs: list[dict[str, Any]] = []
        self._digests: dict[str, str] = {}
        self._intact, self._reopened = False, reopened
        self._stays = False  # until a file is replaced, run.json is that of a finished run
        error = None
        if ranks.first:
            try:
                self._open(manifest, resume, reopened)
            except BadInput as problem:
                error = problem
        ranks.agree(error)

    def _open(self, manifest: Mapping[str, Any], resume: bool, reopened: bool) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise BadInput(f"{self.path} is a file: --output-dir is a folder")
        folder_files.path_of(self.path, FOLDER)  # nothing is written where a link leads
        stored = folder_files.path_of(self.path, MANIFEST)
        change = difference(stored, manifest) if stored.exists() else "it has none"
        if not stored.exists():
            if resume:
                raise BadInput(f"{self.path}: no run to resume in it; leave out --resume")
        elif change and self._begun(read_log(self.path)) != _digest(manifest):
            raise BadInput(f"{self.path} holds another run ({change}): choose another --output-dir")
        folder = self.path
        while not folder.exists() and len(str(folder)) < 4096:
            self._new.append(folder)
            folder = folder.parent
        restore_all(self.path)  # what a write that was killed has left
        if not (resume or reopened):
            if count := self.cache.count():
                raise BadInput(
                    f"{self.path} holds {plural(count, 'cached result')} of this very run: "
                    "use --resume to continue with them; to start anew, remove the folder"
                )
            self.cache.clear()
        if change:
            atomic_write.write(stored, json_text(manifest))
        self._started = datetime.now(UTC)
        entry = {
            "command": self.command,
            "host": platform.node(),
            "processes": self.ranks.size,
            "started": self._started.isoformat(timespec="seconds"),
            "finished": None,
            "seconds": None,
            **self._record,
        }
        earlier = read_log(self.path) if resume or reopened else []
        self._intact = (resume or reopened) and intact(self.path, drawn=False)
        kept = reopened or self._intact
        if kept:
            self._digests = read_digests(self.path)
        self._digests[MANIFEST] = digests.sha256(stored)
        self._runs = [*earlier, entry]
        self._stays = kept or done(self.path)
        if not self._stays:
            self._log()

    def _log(self) -> None:
        about: dict[str, Any] = {"runs": self._runs}
        if self._runs[-1]["finished"]:
            about[DIGESTS] = dict(sorted(self._digests.items()))
        atomic_write.write(self.path / LOG, json_text(about))

    def _unfinish(self) -> None:
        """Record, before anything is replaced, that what was finished is so no more."""
        self._runs = [run | {"finished": None} for run in self._runs]
        self._stays = False
        self._log()

    @staticmethod
    def _begun(runs: Sequence[Mapping[str, Any]]) -> str:
        """The digest of the manifest with which a run began anew; "" if it did not."""
        return str(runs[-1].get(BEGUN, "")) if runs else ""

    def begin_anew(self, manifest: Mapping[str, Any], record: Mapping[str, Any]) -> None:
        """Go on as another run; what is cached is used where it fits.

        Args:
            manifest: everything that decides its results.
            record: for its entry of `run.json`.
        """
        self._runs[-1] |= {**record, BEGUN: _digest(manifest)}
        self._unfinish()
        text = json_text(manifest)
        atomic_write.write(self.path / MANIFEST, text)
        self._digests[MANIFEST] = hashlib.sha256(text.encode()).hexdigest()

    def complete(self) -> bool:
        """Whether an earlier start of this run finished it, so that nothing is left to do.

        Its files have to be as they were written.
        """
        return self._intact and any(name.endswith(".csv") for name in self._digests)

    def discard(self) -> None:
        """Remove the folders that this process made, if the run left no result."""
        empty = not self.cache.count() and not any(self.path.glob("*.csv"))
        if self.ranks.first and self._new and empty:
            for name in (MANIFEST, LOG):
                (self.path / name).unlink(missing_ok=True)
            with suppress(OSError):
                self.cache.clear()
                for folder in self._new:
                    folder.rmdir()

    @contextmanager
    def resumable(self) -> Iterator[None]:
        """Context of the computation: if it stops early, say how to resume."""
        try:
            with interruptions.recognized():
                yield
        except (BadInput, Failed, KeyboardInterrupt) as error:
            count = self.cache.count()
            if not count:
                self.discard()
                raise
            kept = f"{plural(count, 'cached result')} {verb(count, 'is', 'are')} kept"
            hint = f"{kept} in {self.path}; use --resume to continue with them"
            if isinstance(error, BadInput | Failed):
                raise type(error)(f"{error}; {hint}") from None
            raise KeyboardInterrupt(hint) from None

    def finish(self) -> None:
        """Record the time once everything is written, then delete the cache."""
        if self.ranks.first:
            now = datetime.now(UTC)
            self._runs[-1]["finished"] = now.isoformat(timespec="seconds")
            self._runs[-1]["seconds"] = round((now - self._started).total_seconds(), 1)
            self._log()
            self.cache.clear()

    def table(self, name: str, frame: pd.DataFrame) -> Path:
        """Write a table; see `analysis.commands.csv_tables`."""
        return self._write(name, csv_tables.text(frame).encode())

    def write(self, name: str, content: pd.DataFrame | bytes) -> Path:
        """Write a table, or anything else as it is."""
        if isinstance(content, pd.DataFrame):
            return self.table(name, content)
        return self._write(name, content)

    def _write(self, name: str, content: bytes) -> Path:
        digest, place = hashlib.sha256(content).hexdigest(), self.path / name
        drawn = self._reopened or name.endswith(DRAWN)
        if self._stays and not drawn and not (place.is_file() and digests.sha256(place) == digest):
            self._unfinish()
        atomic_write.write(place, content)
        self._digests[name] = digest
        return place

    def figure(self, name: str, figure: Figure) -> Path:
        """Write a figure in the current style, in the format that its name ends in."""
        return self._write(name, rendered(figure, name.rpartition(".")[2]))


def _digest(manifest: Mapping[str, Any]) -> str:
    text = json.dumps(decisive(manifest), sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
