"""Kernels of notebooks that are forked from the server, with the libraries that they need."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from jupyter_client.provisioning import local_provisioner

from tests.helpers.processes import Forked


class ForkedKernel:
    """What jupyter_client asks of a kernel's process.

    Args:
        command: Python and its arguments.
        env: the kernel's environment.
    """

    stdin = stdout = stderr = None

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str], **_: object) -> None:
        variables = {"OMP_NUM_THREADS": "1", **env}
        self._forked = Forked(*command[1:], cwd=Path.cwd(), variables=variables, own_group=True)
        self.pid = self._forked.pid
        while self.poll() is None and os.getpgid(self.pid) != self.pid:
            time.sleep(0.001)  # signals are sent to its group, which is this process's until then

    def running(self) -> bool:
        """Whether it has not ended."""
        return self._forked.running()

    def poll(self) -> int | None:
        """Its exit status, None while it runs."""
        return None if self.running() else self._forked.wait()

    def wait(self) -> int:
        """Its exit status, once it has ended."""
        return self._forked.wait()

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def fork_kernels(patch: pytest.MonkeyPatch) -> None:
    """Let kernels be forked: a new Python needs seconds to import what the notebooks use."""
    patch.setattr(local_provisioner, "launch_kernel", ForkedKernel)
