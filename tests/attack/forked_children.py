"""Many inputs in a forked process, under limits of time and memory: what became of each.

The process is forked from one that has imported the libraries. It says what became of an input
before it goes on with the next one; if it dies, that was the doing of the input that it had begun,
and another process goes on after it.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mtd.utils import output
from mtd.utils.errors import BadInput, Failed, Partial
from tests.attack.outcomes import ACCEPTED, REFUSED, Outcome, of_message, out_of_memory
from tests.attack.reader import Files, Reader, input_of
from tests.attack.watch import Watch, begin_peak, closed, memory, open_files
from tests.helpers.processes import SERVER


@dataclass(frozen=True)
class Limits:
    """What one input may take.

    Attributes:
        seconds: of the processor.
        waiting: seconds that it may take in all, as of a reader that waits for ever.
        memory: bytes more than before it.
        disk: bytes of files, the input among them.
        mapped: bytes that the process may map beside what it has; what is more cannot be had.
    """

    seconds: float = 5
    waiting: float = 120
    memory: int = 256 * 2**20
    disk: int = 64 * 2**20
    mapped: int = 3 * 2**30


LIMITS = Limits()

MEGAPIXELS = "8"
"""The limit of images, which are decoded to some hundred megabytes below the usual one."""

BEGUN = "begun"
"""What is logged before an input is read."""

MOST_DEATHS = 25
"""Processes that may die before the rest of the inputs is left out."""


def outcomes(
    reader: Reader,
    module: str,
    seed: int,
    count: int,
    *,
    first: int = 0,
    limits: Limits = LIMITS,
    seeds: Sequence[Files] | None = None,
    context: Any = SERVER,
) -> list[Outcome]:
    """What became of some inputs of a reader.

    Args:
        reader: under attack.
        module: whose `READERS` hold it.
        seed: of the inputs.
        count: of inputs.
        first: number of the first one.
        limits: of each input.
        seeds: its sound files, if they are made already.
        context: of multiprocessing, which forks from a process that has imported the libraries.
    """
    found: list[Outcome] = []
    seeds = reader.seeds() if seeds is None else seeds
    deaths, end = 0, first + count
    with tempfile.TemporaryDirectory(prefix="attack-", dir=_memory_disk()) as name:
        while first < end and deaths < MOST_DEATHS:
            log = Path(name, f"outcomes-{first}")
            about = (reader.name, module, seeds, seed, first, end, name, str(log), limits)
            process = context.Process(target=_attack, args=about)
            process.start()
            process.join()
            code = process.exitcode
            lines = log.read_text("utf-8").splitlines() if log.exists() else []
            own = [Outcome(**json.loads(line)) for line in lines]
            begun = [one for one in own if one.kind == BEGUN]
            found += (ended := [one for one in own if one.kind != BEGUN])
            if code == 0 and len(ended) == end - first:
                break
            assert begun, f"{reader.name}: its process ended ({code}) before the first input"
            first = begun[-1].number + 1
            deaths += 1
            kind = "time" if code in (-signal.SIGPROF, -signal.SIGALRM) else "crash"
            said = Path(f"{log}-printed").read_text("utf-8", errors="replace")[-300:]
            found.append(Outcome(begun[-1].number, kind, f"exit status {code} {said!r}"))
    return found


def _memory_disk() -> str | None:
    """A folder in memory where there is one, since every input is written to a file."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def _attack(
    name: str,
    module: str,
    seeds: Sequence[Files],
    seed: int,
    first: int,
    end: int,
    place: str,
    log: str,
    limits: Limits,
) -> None:
    """Runs in the forked process."""
    reader = next(one for one in importlib.import_module(module).READERS if one.name == name)
    folder = Path(tempfile.mkdtemp(dir=place)).resolve()
    os.environ |= {"TMPDIR": str(folder), "MTD_HOME": str(folder / "home")}
    os.environ["MTD_MAX_MEGAPIXELS"] = MEGAPIXELS
    tempfile.tempdir = str(folder)
    printed = os.open(f"{log}-printed", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(printed, number)
    warnings.simplefilter("always")
    for quiet in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", quiet)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    with open(log, "w", encoding="utf-8", buffering=1) as file:  # noqa: PTH123
        gc.freeze()  # no collection looks at what the server has imported
        child = _Child(reader, folder, printed, limits)
        child.warm(seeds)
        mapped = memory("VmSize") + limits.mapped
        resource.setrlimit(resource.RLIMIT_AS, (mapped, mapped))
        for number in range(first, end):
            file.write(json.dumps(vars(Outcome(number, BEGUN))) + "\n")
            begin = time.process_time()
            signal.setitimer(signal.ITIMER_PROF, limits.seconds)
            signal.setitimer(signal.ITIMER_REAL, limits.waiting)
            gc.disable()  # or it would look again and again at all parts of a large one
            files = input_of(reader, seeds, seed, number)
            gc.enable()
            found = child.outcome(number, files, sound=number < len(seeds))
            found = replace(found, seconds=time.process_time() - begin)
            file.write(json.dumps(vars(found)) + "\n")


def _size(folder: str) -> int:
    """Bytes of all files and folders below a folder."""
    size, folders = 0, [folder]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                size += entry.stat(follow_symlinks=False).st_size
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
    return size


class _Child:
    """One process that reads many inputs."""

    def __init__(self, reader: Reader, folder: Path, printed: int, limits: Limits) -> None:
        self.reader, self.folder, self.limits = reader, folder, limits
        self.printed = printed
        self.watch, self.notes = Watch(folder, reader.starts), list[str]()
        output.message = self.notes.append  # which `note` calls with all that it prints

    def warm(self, seeds: Sequence[Files]) -> None:
        """Read the sound files once, so that all that is imported or cached is."""
        for files in seeds:
            self._read(self._written(files, "warm"))
        gc.freeze()

    def _written(self, files: Files, name: str) -> Path:
        place = self.folder / name
        for file, content in files.items():
            path = place / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return place

    def _read(self, place: Path) -> BaseException | None:
        try:
            self.reader.read(place)
        except Exception as error:
            return error
        except SystemExit as error:
            return error
        return None

    def outcome(self, number: int, files: Files, sound: bool) -> Outcome:
        """Read one input."""
        for one in self.folder.iterdir():
            shutil.rmtree(one, ignore_errors=True)
        place = self._written(files, "input")
        said = os.fstat(self.printed).st_size
        held, before = open_files(), begin_peak()
        self.watch.found.clear()
        self.notes.clear()
        signal.setitimer(signal.ITIMER_PROF, self.limits.seconds)
        signal.setitimer(signal.ITIMER_REAL, self.limits.waiting)
        self.watch.on = True
        error = self._read(place)
        self.watch.on = False
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        grown = memory("VmHWM") - before
        sys.stdout.flush()
        sys.stderr.flush()
        text = self._said(said)
        kind, detail = self._judged(error, grown, text, sound)
        if kind in (REFUSED, ACCEPTED) and (size := _size(str(self.folder))) > self.limits.disk:
            kind, detail = "disk", f"{size >> 20} MiB"
        del error
        if kind in (REFUSED, ACCEPTED) and not closed(held):
            kind, detail = "left open", f"{open_files() - held} more than before"
        return Outcome(number, kind, detail)

    def _said(self, start: int) -> str:
        if os.fstat(self.printed).st_size == start:
            return ""
        path = f"/proc/self/fd/{self.printed}"
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            file.seek(start)
            return file.read(20_000)

    def _judged(
        self, error: BaseException | None, grown: int, text: str, sound: bool
    ) -> tuple[str, str]:
        """The kind of an outcome, and its detail: the worst first."""
        if self.watch.found:
            return self.watch.found[0]
        if grown > self.limits.memory:
            return "memory", f"{grown >> 20} MiB"
        if error is not None and (failed := out_of_memory(error)):
            return "memory", failed
        if error is not None and not isinstance(error, BadInput | Failed | Partial):
            frames = traceback.extract_tb(error.__traceback__)
            own = [one for one in frames if "/tests/" not in one.filename] or list(frames)
            at = f"{'/'.join(Path(own[-1].filename).parts[-3:])}:{own[-1].lineno}"
            last = "".join(traceback.format_exception_only(error)).strip()
            return "traceback", f"{last[:300]} ({at})"
        for note in self.notes:
            if wrong := of_message(note.replace("\n", " ")):
                return "message", f"note: {wrong}"
            text = text.replace(f"{note}\n", "")
        if text.strip():
            return "printed", text[:300]
        if error is None:
            return ACCEPTED, ""
        if wrong := of_message(str(error)):
            return "message", wrong
        return ("seed" if sound else REFUSED), str(error)
