"""Commands as processes of their own: one, two that know of each other, those of torchrun.

Most are forked from a server that holds the libraries already: starting Python and importing
PyTorch takes seconds, and is what a test is about only where it says so (`fresh`, `torchrun`).
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from analysis.commands.registry import BUILT_IN
from tests.helpers import figures
from tests.helpers.paths import ROOT

HANGS = 600
"""Seconds after which a process is taken to hang; nothing is ever as slow as that."""

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    [
        *("pytest", "tests.helpers.processes", "torch._dynamo", "torch.utils.tensorboard"),
        *("torchvision", "pandas", "scipy.stats", "sklearn.manifold", "safetensors.torch"),
        *("matplotlib.figure", "matplotlib.backends.backend_agg", "seaborn", "skimage.io"),
        *("mtd.loading.load", "mtd.train", "mtd.training.run", "analysis.engine.run"),
        *("ipykernel.kernelapp", "analysis.report.publish", "tests.attack.readers"),
        *("analysis.curves.result", "analysis.compare_cards.cards"),
        *(f"analysis.{name}.command" for name in BUILT_IN),
    ]
)


def environment() -> dict[str, str]:
    """Variables of a process that runs this checkout, with one thread."""
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def fresh(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Python as from a shell, with all that its start takes."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=HANGS,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
    )


class Forked:
    """`python ARGUMENTS` in a process that is forked from the server.

    Args:
        arguments: `-m MODULE ...` or `SCRIPT ...`.
        cwd: its folder.
        variables: its environment.
        own_group: whether it is in a process group of its own.
    """

    def __init__(
        self,
        *arguments: str,
        cwd: str | Path,
        variables: Mapping[str, str],
        own_group: bool = False,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._said = [Path(self._folder.name) / name for name in ("stdout", "stderr")]
        for path in self._said:
            path.touch()
        said = tuple(map(str, self._said))
        given = (arguments, str(cwd), dict(variables), said, own_group)
        self._process = SERVER.Process(target=_python, args=given)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None, "it was started"
        return self._process.pid

    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.is_alive()

    def kill(self) -> None:
        """End it at once, and wait for that."""
        self._process.kill()
        self.wait()

    def wait(self) -> int:
        """Its exit status, once it has ended; below 0 it is the signal that ended it."""
        self._process.join(HANGS)
        assert self._process.exitcode is not None, "it hangs"
        return self._process.exitcode

    def done(self) -> subprocess.CompletedProcess[str]:
        """What it was and said, once it has ended."""
        code = self.wait()
        return subprocess.CompletedProcess((), code, *(path.read_text() for path in self._said))


def _python(
    arguments: tuple[str, ...],
    cwd: str,
    variables: dict[str, str],
    said: tuple[str, str],
    own_group: bool,
) -> None:
    """Runs in the forked process."""
    import torch
    from threadpoolctl import threadpool_limits

    gc.freeze()  # no collection, such as a kernel's at its end, goes through all that is imported
    if own_group:
        os.setpgrp()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's & ignores
    os.chdir(cwd)
    added = variables.get("PYTHONPATH", "").split(os.pathsep)  # which Python reads when it starts
    sys.path[:0] = [cwd, *(place for place in added if place and place not in sys.path)]
    os.environ.clear()
    os.environ.update(variables)
    threads = int(variables["OMP_NUM_THREADS"])  # which libraries read when they are imported
    threadpool_limits(threads)
    torch.set_num_threads(threads)
    for number, (path, stream) in enumerate(zip(said, (sys.stdout, sys.stderr), strict=True), 1):
        stream.flush()
        os.dup2(os.open(path, os.O_WRONLY), number)
    if variables.get(figures.VARIABLE):
        figures.leave_unrendered(pytest.MonkeyPatch())
        figures.leave_pictures_blank(pytest.MonkeyPatch())
    if arguments[0] == "-m":
        sys.argv = list(arguments[1:])
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(arguments)
        runpy.run_path(arguments[0], run_name="__main__")


def forked(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own, without what its start takes."""
    return Forked(*arguments, cwd=cwd, variables=environment() | variables).done()


def two_started(*arguments: str, cwd: Path) -> list[Forked]:
    """Two processes as SLURM starts them, which nobody watches."""
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    ranks = [{"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(2)]
    return [Forked(*arguments, cwd=cwd, variables=environment() | shared | own) for own in ranks]


def two_processes(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Two processes as SLURM starts them, once both have ended: what they said together."""
    both = [process.done() for process in two_started(*arguments, cwd=cwd)]
    out, err = "".join(one.stdout for one in both), "".join(one.stderr for one in both)
    return subprocess.CompletedProcess(
        arguments, max((one.returncode for one in both), key=abs), out, err
    )


def torchrun(*arguments: str, cwd: Path, processes: int = 2) -> subprocess.CompletedProcess[str]:
    """Processes as torchrun starts and watches them."""
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node", str(processes))
    port = ("--master-port", str(free_port()))
    return forked(*launcher, *port, *arguments, cwd=cwd)  # which starts Python itself


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
