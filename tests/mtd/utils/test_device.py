"""Memory of this process."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

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
