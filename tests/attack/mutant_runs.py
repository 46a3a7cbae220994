"""The tests of a module with one change in it, in forked processes; see `tests.attack.mutants`."""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType
from typing import Any

from tests.attack.core_tests import CORE
from tests.attack.mutant_places import Mutant, mutated
from tests.attack.replaced_code import replaced
from tests.helpers.paths import ROOT

CPU_FACTOR, CPU_LEAST = 5, 20
"""A mutant has timed out after `CPU_FACTOR` times the processor time of its tests, and as many
seconds more as `CPU_LEAST`."""

NOT_HERE = 71
"""Exit status where more than functions must be replaced."""


def serve(path: Path, source: str) -> None:
    """Let the import of one module find another source."""
    get_code = importlib.machinery.SourceFileLoader.get_code

    def changed(self: Any, fullname: str) -> CodeType | None:
        if Path(self.path).resolve() == path.resolve():
            return compile(source, str(path), "exec")
        return get_code(self, fullname)

    importlib.machinery.SourceFileLoader.get_code = changed  # type: ignore[method-assign]


class Quick:
    """A plugin of pytest: failing examples need not be small, the first failure is noted, and what
    is done with the collected tests may be another thing than to run them once."""

    def __init__(self, each: Callable[[Callable[[], int]], None] | None = None) -> None:
        self.failed, self.each = "", each

    def pytest_collection(self) -> None:
        import hypothesis

        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile("mutants", hypothesis.settings(), phases=phases)
        hypothesis.settings.load_profile("mutants")

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def pytest_runtestloop(self, session: Any) -> bool | None:
        """Give `each` a function that runs the tests: 0 where all pass."""
        if self.each is None:
            return None

        def once() -> int:
            from _pytest.main import pytest_runtestloop

            with contextlib.suppress(session.Failed):
                pytest_runtestloop(session)
            return 1 if session.testsfailed else 0

        self.each(once)
        return True


def collected(tests: Sequence[str], folder: Path, plugin: Quick) -> int:
    """Collect tests and run them, or do with them what the plugin does."""
    import pytest

    options = ["-x", "-q", "--no-header", "--tb=short", "-p", "no:cacheprovider"]
    options += ["--assert=plain"]  # else modules with doctests are read from their files
    options += ["-p", "_hypothesis_pytestplugin", "--hypothesis-seed=0"]
    options += [f"--basetemp={folder / 'tmp'}"]
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(folder / "hypothesis")
    return int(pytest.main([*options, *tests], plugins=[plugin]))


def forked(work: Callable[[], int], failed: Callable[[], str], cpu: int) -> dict[str, Any]:
    """Fork, work, wait: what came of it, the first failing test and the processor time."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, began = Path(scratch), time.monotonic()
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                os.setpgrp()
                out = os.open(folder / "out", os.O_WRONLY | os.O_CREAT)
                os.dup2(out, 1)
                os.dup2(out, 2)
                resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 5))
                resource.setrlimit(resource.RLIMIT_DATA, (6 << 30, 6 << 30))
                code = work()
                (folder / "failed").write_text(failed())
            finally:
                os._exit(code)
        while True:
            ended, status, used = os.wait4(pid, os.WNOHANG)
            if ended:
                break
            if time.monotonic() - began > max(600, 20 * cpu):
                os.killpg(pid, signal.SIGKILL)
            time.sleep(0.02)
        code = os.waitstatus_to_exitcode(status)
        what = "timed out" if code in (-signal.SIGXCPU, -signal.SIGKILL) else "killed"
        by = folder / "failed"
        return {
            "outcome": "survived" if code == 0 else what,
            "exit": code,
            "by": by.read_text() if by.exists() else "",
            "cpu": round(used.ru_utime + used.ru_stime, 2),
        }


def imported_anew(path: str, source: str | None, cpu: int) -> dict[str, Any]:
    """The tests of a module in a process that imports it from another source."""
    plugin = Quick()

    def work() -> int:
        if source is not None:
            serve(ROOT / path, source)
        with tempfile.TemporaryDirectory() as folder:
            return collected([*CORE[path], path], Path(folder), plugin)

    return forked(work, lambda: plugin.failed, cpu)


def of_module(path: str, mutants: Sequence[Mutant], results: Path) -> None:
    """Run the mutants of a module: those that change functions after its tests were collected, the
    others, and those that survive this, in processes that import it anew."""
    original = (ROOT / path).read_text()
    sources = {m.key: mutated(path, "core/" + m.operator, m.occurrence) or "" for m in mutants}
    left: list[Mutant] = []

    def done(mutant: Mutant, found: dict[str, Any]) -> None:
        with results.open("a") as file:
            file.write(json.dumps(mutant._asdict() | found) + "\n")
        said = f"{found['outcome']} {path}:{mutant.line} {mutant.before} -> {mutant.after}"
        say(f"{found['cpu']} s {said} [{found['by']}]")

    def each(once: Callable[[], int]) -> None:
        importlib.import_module(path.removesuffix(".py").replace("/", "."))
        plain = forked(once, lambda: plugin.failed, 600)
        if plain["outcome"] != "survived":
            say(f"{path}: its tests fail as it is: {plain}")
            return
        limits.append(int(CPU_FACTOR * plain["cpu"]) + CPU_LEAST)
        say(f"{path}: {plain['cpu']} s")
        for mutant in mutants:

            def work(source: str = sources[mutant.key]) -> int:
                return once() if replaced(ROOT / path, original, source) else NOT_HERE

            found = forked(work, lambda: plugin.failed, limits[0])
            if found["exit"] in (0, NOT_HERE):
                left.append(mutant)
            else:
                done(mutant, found)

    plugin, limits = Quick(each), list[int]()
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "notes"
        pid = os.fork()  # so that this process never imports the module
        if pid == 0:
            try:
                collected([*CORE[path], path], Path(folder), plugin)
                notes.write_text(json.dumps([limits, [mutant.key for mutant in left]]))
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        limits, keys = json.loads(notes.read_text())
    if not limits:
        sys.exit(f"{path}: its tests cannot be collected, or fail as it is")
    for mutant in mutants:
        if mutant.key in keys:
            done(mutant, imported_anew(path, sources[mutant.key], limits[0]))


def say(text: str) -> None:
    """A line of progress, on the terminal's own stream although pytest holds stdout."""
    sys.__stderr__.write(f"{text}\n")
    sys.__stderr__.flush()
