"""Memory of this process."""

from __future__ import annotations

import os
import resource
import sys

import pytest

from mtd.utils.device import keep_freed_memory

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


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc")
def test_freed_memory_is_kept():
    reading, writing = os.pipe()
    child = os.fork()  # whose memory alone is kept
    if child == 0:
        worked = keep_freed_memory()
        use()
        os.write(writing, f"{int(worked)} {faults()}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    worked, kept = map(int, os.read(reading, 100).split())
    os.close(reading)
    os.close(writing)
    if not worked:
        pytest.skip("another C library")
    assert kept < PAGES / 2
