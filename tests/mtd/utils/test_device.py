"""Which device a name stands for; memory of this process."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest
import torch

from mtd.utils import device
from mtd.utils.errors import BadInput

ROUNDS, PAGES = 4, 12_000


def use() -> None:
    """Write to a new block of memory, and free it."""
    _ = b"1" * (PAGES * resource.getpagesize())


def faults() -> int:
    """Pages that the system clears while a block of `PAGES` pages is used `ROUNDS` times."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(ROUNDS):
        use()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


IN_A_PROCESS = """
from mtd.utils.device import keep_freed_memory
from tests.mtd.utils.test_device import faults, use

worked = keep_freed_memory()
use()
print(int(worked), faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc")
def test_freed_memory_is_kept():
    """In a process of its own: a copy of this one has a heap in which other tests left gaps."""
    run = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS], capture_output=True, text=True, check=True
    )
    worked, kept = map(int, run.stdout.split())
    if not worked:
        pytest.skip("another C library")
    assert kept < PAGES / 2


def has(monkeypatch: pytest.MonkeyPatch, cuda: bool = False, mps: bool = False) -> None:
    """Make this machine seem to have GPUs, and to leave the choice to `auto`."""
    monkeypatch.delenv("MTD_DEVICE", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a GPU")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "found"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_is_a_gpu_if_there_is_one(monkeypatch, cuda, mps, found):
    has(monkeypatch, cuda, mps)
    assert device.chosen("auto") == found
    assert device.chosen("cpu") == "cpu" and device.chosen("cuda:1") == "cuda:1"
    name = " (a GPU)" if found == "cuda" else ""
    assert device.described("auto") == device.described(found) == f"device: {found}{name}"


def test_the_environment_may_say_what_auto_is(monkeypatch):
    has(monkeypatch, cuda=True)
    monkeypatch.setenv("MTD_DEVICE", "cpu")
    assert device.chosen("auto") == "cpu" and device.chosen("cuda") == "cuda"
    assert device.resolve_device("auto") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "auto:1"])
def test_an_unknown_device_is_one_line(name):
    with pytest.raises(BadInput, match=f"device '{name}': expected auto, cpu, cuda, cuda:1 or mps"):
        device.resolve_device(name)


def test_sums_of_a_device_without_float64_are_on_the_cpu():
    assert device.exact("mps") == device.exact(torch.device("cpu")) == torch.device("cpu")
    assert device.exact("cuda") == torch.device("cuda")
