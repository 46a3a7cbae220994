"""A run folder: manifest, cache, tables, figures, each written whole or not at all.

`manifest.json` holds everything that decides the results. `run.json`, beside it, holds run
metadata: commands, times, host. `summary.txt` is the text that was printed. `cache/` exists until
the run is finished.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

import mtd
from analysis.commands import csv_tables
from analysis.engine.cache import FOLDER, ActivationCache
from analysis.plotting.literal_text import literal
from mtd.metrics.registry import remember
from mtd.utils import atomic_write
from mtd.utils.distributed import SINGLE_PROCESS, Ranks
from mtd.utils.errors import BadInput, Failed
from mtd.utils.messages import plural, verb

MANIFEST = "manifest.json"
LOG = "run.json"
TEXT_FILE = "summary.txt"
PACKAGES = (
    *("torch", "torchvision", "numpy", "scipy", "scikit-image", "pillow", "pyvips", "openexr"),
    *("lpips", "scikit-learn", "pandas", "matplotlib"),
)
TEXT = {
    *("model", "model_a", "model_b", "noise", "noise_a", "noise_b", "layer", "layer_a", "layer_b"),
    *("training", "training_a", "training_b"),
    *("image", "scene", "sha256", "reason", "estimator", "unit", "kernel", "centering", "pairs"),
    *("kind", "metric", "run", "source", "quantity", "trained", "reference", "compared_with"),
    "testset",
    *(
        "worst_noise",
        "worst_image",
        "protocol",
        "channel",
        "training",
        "note",
        "checkpoint",
        "masks",
    ),
}
"""Columns that hold names."""


def versions() -> dict[str, str]:
    """Versions of this project, Python and the packages that results depend on."""
    by_package = {"mtd": mtd.__version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            by_package[name] = version(name)
        except PackageNotFoundError:
            by_package[name] = "unknown"
    return by_package


class RunFolder:
    """Where one analysis writes.

    Args:
        path: the folder, or None for `runs/NAME-DIGEST`, the digest being that of the manifest, so
            that the same question has the same folder.
        name: of the analysis and its models.
        manifest: everything that decides the results, ready for JSON.
        resume: go on with the results that are cached, instead of starting anew.
        command: the command line, for `run.json`.
        ranks: the processes that share the run; only the first one writes here, but for the cache.

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
    ) -> None:
        digest = hashlib.sha256(_identity(manifest).encode()).hexdigest()[:8]
        plain = re.sub(r"[^\w.-]+", "_", name)[:80]
        self.path = Path(path) if path else Path("runs") / f"{plain}-{digest}"
        self.cache, self.ranks, self.command = ActivationCache(self.path), ranks, command
        self._new: list[Path] = []
        error = None
        if ranks.first:
            try:
                self._open(manifest, resume)
            except BadInput as problem:
                error = problem
        ranks.agree(error)

    def _open(self, manifest: Mapping[str, Any], resume: bool) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise BadInput(f"{self.path} is a file: --output-dir is a folder")
        stored = self.path / MANIFEST
        if stored.exists():
            if difference := _difference(stored, manifest):
                raise BadInput(
                    f"{self.path} holds another run ({difference}): choose another --output-dir"
                )
        elif resume:
            raise BadInput(f"{self.path}: no run to resume in it; leave out --resume")
        folder = self.path
        while not folder.exists() and len(str(folder)) < 4096:
            self._new.append(folder)
            folder = folder.parent
        for partial in self.path.glob(f"{atomic_write.TEMPORARY}*"):  # of a write that was killed
            partial.unlink(missing_ok=True)
        if not resume:
            if count := self.cache.count():
                raise BadInput(
                    f"{self.path} holds {plural(count, 'cached result')} of this very run: "
                    "use --resume to continue with them; to start anew, remove the folder"
                )
            self.cache.clear()
        if not stored.exists():
            atomic_write.write(stored, json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
        self._started = datetime.now(UTC)
        entry = {
            "command": self.command,
            "host": platform.node(),
            "processes": self.ranks.size,
            "started": self._started.isoformat(timespec="seconds"),
            "finished": None,
            "seconds": None,
        }
        self._runs = [*(read_log(self.path) if resume else []), entry]
        self._log()

    def _log(self) -> None:
        text = json.dumps({"runs": self._runs}, indent=2, ensure_ascii=False)
        atomic_write.write(self.path / LOG, text + "\n")

    def complete(self) -> bool:
        """Whether an earlier start of this run finished it, so that nothing is left to do."""
        return not unfinished(self.path) and any(self.path.glob("*.csv"))

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
        """Delete the cache once everything is written, and record the time."""
        if self.ranks.first:
            self.cache.clear()
            now = datetime.now(UTC)
            self._runs[-1]["finished"] = now.isoformat(timespec="seconds")
            self._runs[-1]["seconds"] = round((now - self._started).total_seconds(), 1)
            self._log()

    def table(self, name: str, frame: pd.DataFrame) -> Path:
        """Write a table; see `analysis.commands.csv_tables`."""
        path = self.path / name
        atomic_write.write(path, csv_tables.text(frame))
        return path

    def write(self, name: str, content: pd.DataFrame | bytes) -> Path:
        """Write a table, or anything else as it is."""
        if isinstance(content, pd.DataFrame):
            return self.table(name, content)
        atomic_write.write(self.path / name, content)
        return self.path / name

    def figure(self, name: str, figure: Figure) -> Path:
        """Write a figure as PNG."""
        path = self.path / name
        buffer = io.BytesIO()
        # without the name of the software, the same figure is the same bytes
        literal(figure).savefig(
            buffer, format="png", metadata={"Software": None}, bbox_inches="tight"
        )
        atomic_write.write(path, buffer.getvalue())
        return path


def finished(path: Path, manifest: Mapping[str, Any]) -> bool:
    """Whether a folder holds this run, finished.

    Raises:
        BadInput: it holds another one.
    """
    if not (path / MANIFEST).exists():
        return False
    if difference := _difference(path / MANIFEST, manifest):
        raise BadInput(f"{path} holds another run ({difference}): choose another --output-dir")
    return done(path)


def done(path: Path) -> bool:
    """Whether the run of a folder is finished."""
    runs = read_log(path)
    return bool(runs and runs[-1].get("finished"))


def unfinished(path: Path) -> bool:
    """Whether the run of a folder was started and not finished; a folder without log was copied."""
    runs = read_log(path)
    return (path / FOLDER).exists() or (bool(runs) and not any(run.get("finished") for run in runs))


def _identity(manifest: Mapping[str, Any]) -> str:
    return json.dumps(manifest, sort_keys=True)


def _difference(path: Path, manifest: Mapping[str, Any]) -> str:
    """The first entry in which a stored manifest differs from another one; "" if none does."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "its manifest is damaged"
    plain = json.loads(json.dumps(manifest))
    if not isinstance(stored, dict):
        return "its manifest is damaged"
    for name in [*plain, *stored]:
        if stored.get(name) != plain.get(name):
            return f"it differs in {name.replace('_', ' ')}"
    return ""


def read_log(path: str | Path) -> list[dict[str, Any]]:
    """The entries of a run folder's `run.json`, one for each start and resumption."""
    try:
        runs = json.loads((Path(path) / LOG).read_text(encoding="utf-8"))["runs"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return runs if isinstance(runs, list) else []


def newest(analysis: str, parent: str | Path = "runs") -> Path | None:
    """The run folder of an analysis whose manifest was written last, whatever it is called.

    Args:
        analysis: its name.
        parent: folder of run folders; those inside a report or a comparison count too.
    """
    manifests = [*Path(parent).glob(f"*/{MANIFEST}"), *Path(parent).glob(f"*/*/{MANIFEST}")]
    for manifest in sorted(manifests, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        with suppress(BadInput):
            if read_manifest(manifest.parent).get("analysis") == analysis:
                return manifest.parent
    return None


def read_manifest(path: str | Path) -> dict[str, Any]:
    """The manifest of a run folder.

    Raises:
        BadInput: not a run folder.
    """
    file = Path(path) / MANIFEST
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except OSError:
        raise BadInput(f"{path}: no run folder, {MANIFEST} is missing") from None
    except ValueError as error:
        raise BadInput(f"{file}: damaged ({error})") from None
    if not isinstance(manifest, dict):
        raise BadInput(f"{file}: damaged, not a JSON object")
    remember(manifest.get("metrics"))  # so that its tables can be read without their packages
    return manifest


def read_tables(path: str | Path, names: Iterable[str]) -> dict[str, pd.DataFrame]:
    """The named tables that a run folder has, all if none is named; columns of names stay text.

    A named table may be compressed, `NAME.csv.gz`.

    Raises:
        BadInput: one is damaged.
    """
    stems = list(names) or [file.stem for file in sorted(Path(path).glob("*.csv"))]
    places = [(name, Path(path) / f"{name}{end}") for name in stems for end in (".csv.gz", ".csv")]
    files = {name: file for name, file in places if file.is_file()}
    return {name: csv_tables.read(file, TEXT) for name, file in files.items()}
