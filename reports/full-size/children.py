"""Commands in processes of their own, with their output in a file and an end in time.

None outlives the process that started it, unless that is killed.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


PATIENCE = 3.0
"""Seconds for a process to stop those that it started itself."""


def leave_when_told() -> None:
    """Let a signal to end stop what this process started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


class Child:
    """Python in a process of its own, which writes what it says into a file.

    Args:
        arguments: of Python.
        log: the file.
        variables: of the environment, beside those of this process.
    """

    def __init__(self, arguments: Sequence[str], log: Path, **variables: str) -> None:
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.log, self.started, self.stopped = log, time.monotonic(), False
        atexit.register(self.stop)
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"} | variables,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def wait(self, deadline: float) -> int | None:
        """Its exit status; None if it had to be stopped, `deadline` being reached."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.1, deadline - time.monotonic()))
        self.stop()
        return None if self.stopped else self.process.returncode

    def stop(self) -> None:
        """End it, and all processes that it started, if it is running."""
        atexit.unregister(self.stop)
        if not self.running:
            return
        self.stopped = True
        for end in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(self.process.pid, end)
                self.process.wait(PATIENCE)

    @property
    def said(self) -> str:
        """All that it said."""
        return self.log.read_text(errors="replace")

    @property
    def last_line(self) -> str:
        """The last line that it said."""
        lines = [line.strip() for line in self.said.splitlines() if line.strip()]
        return lines[-1][:300] if lines else "nothing was said"
