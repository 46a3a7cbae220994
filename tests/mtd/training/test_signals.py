"""Signals to training processes: several of them, and those that read ahead."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from mtd.training import run as training_run
from tests.helpers.processes import HANGS, Forked, environment, free_port, two_started
from tests.helpers.training import SMALL, make, weights_of

ENDS = ("interrupted", "failed", "error", "Traceback")
ENDLESS = (*SMALL, "run.steps=100000", "run.save_every=100000", "run.log_every=10")


def command(photos: Path, *changes: str) -> list[str]:
    arguments = [part for change in changes for part in ("--set", change)]
    given = ["-m", "mtd.train", "small.toml", "--data", str(photos), *arguments, "--quiet"]
    return [*given, "--output-dir", "run"]


def rows(folder: Path) -> int:
    log = folder / "log.csv"
    return log.read_text().count("\n") - 1 if log.exists() else 0


def wait_for(what: Callable[[], bool], *processes: Forked) -> None:
    end = time.monotonic() + HANGS
    while not what():
        assert all(process.running() for process in processes), said(
            *(process for process in processes if not process.running())
        )
        assert time.monotonic() < end, "they hang"
        time.sleep(0.002)


@contextmanager
def ended(*processes: Forked) -> Iterator[None]:
    """Context that leaves no process behind, whatever fails."""
    try:
        yield
    finally:
        for process in processes:
            process.kill()


def said(*processes: Forked) -> list[str]:
    """Why processes ended, and tracebacks; without what gloo, runpy and warnings add."""
    lines = [line for process in processes for line in process.done().stderr.splitlines()]
    return [line for line in lines if line.startswith(ENDS)]


def test_a_signal_to_one_of_two_processes_saves_the_state(photos, tmp_path):
    both = two_started(*command(photos, *ENDLESS), cwd=tmp_path)
    with ended(*both):
        wait_for(lambda: rows(tmp_path / "run") >= 1, *both)
        os.kill(both[1].pid, signal.SIGTERM)
        assert [process.wait() for process in both] == [143, 143], said(*both)
    step = torch.load(tmp_path / "run/state.pt", weights_only=True)["step"]
    assert step and said(*both) == [
        f"interrupted: stopped at step {step}; the same command with --resume continues from there"
    ]


def test_a_signal_to_a_group_with_readers_saves_the_state(photos, tmp_path):
    """As a cluster sends it, to every process of a job."""
    arguments = [*command(photos, *ENDLESS), "--workers", "2"]
    process = Forked(*arguments, cwd=tmp_path, variables=environment(), own_group=True)
    with ended(process):
        wait_for(lambda: rows(tmp_path / "run") >= 1, process)
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait() == 143 and len(said(process)) == 1, said(process)
    assert (tmp_path / "run/state.pt").is_file()
    with pytest.raises(ProcessLookupError):  # none of them is left
        os.killpg(process.pid, 0)


@pytest.mark.attack
@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_processes_of_a_launcher_that_is_killed_save_the_state_and_end(photos, tmp_path):
    port = ("--master-port", str(free_port()))
    start = ("-m", "torch.distributed.run", "--nproc-per-node", "2", *port)
    launcher = Forked(*start, *command(photos, *ENDLESS), cwd=tmp_path, variables=environment())
    children: list[int] = []
    with ended(launcher):
        wait_for(lambda: rows(tmp_path / "run") >= 1, launcher)
        place = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children")
        children = [int(word) for word in place.read_text().split()]
    assert len(children) >= 2
    wait_for(lambda: not any(running(child) for child in children))
    assert torch.load(tmp_path / "run/state.pt", weights_only=True)["step"]


def running(pid: int) -> bool:
    """Whether a process has not ended; one that nobody has waited for has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_another_number_of_processes_continues(photos, tmp_path):
    """Two processes begin, one ends: the same network, but for the order of sums."""
    changes = (*SMALL, "run.precision='float64'", "run.steps=8", "network.drop_path=0.2")
    stop = [*command(photos, *changes), "--seconds", "0.001"]  # after the first step
    for process in two_started(*stop, cwd=tmp_path):
        assert process.done().returncode == 0, process.done().stderr
    step = torch.load(tmp_path / "run/state.pt", weights_only=True)["step"]
    assert step < 8
    plan = make(photos, *changes[len(SMALL) :])
    ended = weights_of(training_run.train(plan, tmp_path / "run", quiet=True, resume=True))
    whole = weights_of(training_run.train(plan, tmp_path / "whole", quiet=True))
    for name, value in whole.items():
        torch.testing.assert_close(ended[name], value, rtol=1e-9, atol=1e-12)
