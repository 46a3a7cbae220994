"""Shared fixtures: development data where it is there, small networks, golden files."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# Threads that wait for each other sleep: spinning, as is OpenMP's default, takes the core from the
# one that is waited for wherever anything else runs (read when PyTorch is first imported).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Numbers are those of the CPU; tests/gpu names its device.
os.environ["MTD_DEVICE"] = "cpu"

import torch

from mtd.loading import checkpoint_file
from mtd.masking import MaskPolicy
from mtd.utils import cli, home
from tests.helpers import paths
from tests.helpers.networks import MASKED, TINY, tiny_network

try:
    import hypothesis
except ImportError:  # on a machine that runs tests/gpu alone
    pass
else:  # no test hangs on how long anything takes
    hypothesis.settings.register_profile("tests", parent=hypothesis.settings(), deadline=None)
    hypothesis.settings.load_profile("tests")

# Commands leave ignored signals ignored, as under `nohup` or after `&`, where tests may be run too.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

MOST_WORKERS = 8
"""Test processes of `-n auto`: each holds PyTorch and its networks, over a gigabyte."""


@pytest.hookimpl(optionalhook=True)  # without pytest-xdist, one process runs all tests
def pytest_xdist_auto_num_workers() -> int:
    """The processes of `-n auto`: one for each core, at most `MOST_WORKERS`, unless the variable of
    pytest-xdist says how many."""
    if wanted := os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS", ""):
        return int(wanted)
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    return min(cores, MOST_WORKERS)


@pytest.fixture(autouse=True, scope="session")
def no_home_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or writes the models and test sets that the user has downloaded.

    Tests that need the development data name it; see `tests.helpers.paths`.
    """
    os.environ[home.VARIABLE] = str(tmp_path_factory.mktemp("home"))
    os.environ["TORCH_HOME"] = str(tmp_path_factory.mktemp("torch"))
    os.environ.pop(paths.VARIABLE, None)


@pytest.fixture
def mtd_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of downloads, of this test alone."""
    folder = tmp_path / "home"
    monkeypatch.setenv(home.VARIABLE, str(folder))
    return folder


@pytest.fixture(autouse=True)
def few_threads() -> None:
    """Tests compare runs bit for bit, and share two cores."""
    torch.set_num_threads(2)


@pytest.fixture
def in_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs a command's `main` in this process: exit code, stdout, stderr."""

    def call(main: Callable[[], None], *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["command", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.run(main)
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out, err

    return call


@pytest.fixture(scope="session")
def tiny_pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two tiny checkpoints, plain.pth and hidden.pth, that no test changes."""
    folder = tmp_path_factory.mktemp("pair")
    for seed, (name, policy) in enumerate({"plain": MaskPolicy(), "hidden": MASKED}.items()):
        weights = tiny_network(seed).state_dict()
        about = {"noise": "gaussian:15"}
        place = folder / f"{name}.pth"
        checkpoint_file.save(place, weights, network=TINY, mask=policy, training=about)
    return folder


@pytest.fixture
def pair(tiny_pair: Path, tmp_path: Path) -> Path:
    """A copy of the tiny pair."""
    for path in tiny_pair.glob("*.pth"):
        shutil.copy(path, tmp_path)
    return tmp_path
