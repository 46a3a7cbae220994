"""Training batches, loaded ahead of time by worker processes."""

from __future__ import annotations

import mmap
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing import get_all_start_methods
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mtd.training.pairs import Pairs
from mtd.utils import distributed, interruptions
from mtd.utils.errors import BadInput
from mtd.utils.resumable import megabytes

Batch = tuple[Tensor, Tensor]

AHEAD = 4
"""Parts of batches that each worker loads ahead of time."""

SHARED = Path("/dev/shm")
"""Shared memory of Linux, in which workers hand parts over."""

HEADER = 64
"""Bytes that PyTorch puts before each tensor in shared memory."""

LONGEST = 75
"""Bytes of the folder for temporary files, in which workers make sockets: their paths have 107."""


class Positions(Dataset[Batch | str]):
    """Parts of batches by first position, on which alone they depend.

    An item is the reason, as text, if a part cannot be read.
    """

    def __init__(self, pairs: Pairs, firsts: Sequence[int], size: int) -> None:
        self.pairs, self.firsts, self.size = pairs, firsts, size

    def __len__(self) -> int:
        return len(self.firsts)

    def __getitem__(self, index: int) -> Batch | str:
        try:
            return self.pairs.batch(self.firsts[index], self.size)
        except BadInput as error:
            return str(error)


def batches(
    pairs: Pairs, firsts: Sequence[int], size: int, workers: int = 0, pin: bool = False
) -> Iterator[Batch]:
    """(noisy, clean) parts of batches, in order.

    Args:
        pairs: of noisy and clean crops.
        firsts: first position of each part.
        size: pairs in each part.
        workers: processes that load parts ahead of time, see `check`; 0 loads each when it is
            needed.
        pin: whether parts are in pinned memory, for fast copies to a GPU.

    Raises:
        BadInput: when it is reached, an image that cannot be read.
    """
    if not workers:
        return (pairs.batch(first, size) for first in firsts)
    loader = DataLoader(
        Positions(pairs, firsts, size),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=AHEAD,
        pin_memory=pin,
        worker_init_fn=_begin,
        multiprocessing_context="fork",
    )
    return _read(loader)


def check(pairs: Pairs, parts: int, size: int, workers: int) -> None:
    """Check, before any process of a run reads ahead, that workers can hand over what they load.

    Else they, or who reads from them, would wait for ever.

    Args:
        pairs: of noisy and clean crops.
        parts: number of parts that are read.
        size: pairs in each part.
        workers: see `batches`.

    Raises:
        BadInput: a system that cannot fork, has too little shared memory for all processes of the
            run on this machine, or whose folder for temporary files has too long a path for
            sockets.
    """
    if not workers:
        return
    if "fork" not in get_all_start_methods():
        raise BadInput(f"--workers {workers}: this system cannot fork processes; leave it out")
    _check_shared_memory(pairs, parts, size, workers)
    _check_sockets(workers)


def _check_shared_memory(pairs: Pairs, parts: int, size: int, workers: int) -> None:
    """Check that parts of batches can be handed over.

    Each process has the parts that are loaded ahead, and the one that it works on.

    Raises:
        BadInput: there is too little shared memory.
    """
    if not sys.platform.startswith("linux"):
        return
    channels = pairs.photographs[0].channels
    pages = -(-(size * channels * pairs.crop**2 * 4 + HEADER) // mmap.PAGESIZE)  # of float32
    part = 2 * pages * mmap.PAGESIZE  # noisy and clean
    processes = distributed.processes_here()
    need = processes * min(workers * AHEAD + 1, parts) * part
    free = shutil.disk_usage(SHARED).free if SHARED.is_dir() else 0
    if free < need:
        of = f" for {processes} processes" if processes > 1 else ""
        raise BadInput(
            f"--workers {workers}: needs {megabytes(need)} of shared memory{of}, and {SHARED} has "
            f"{megabytes(free)}: give fewer, leave it out, or make {SHARED} larger"
        )


def _check_sockets(workers: int) -> None:
    """Check that workers can make their sockets, or parts would be waited for for ever.

    Raises:
        BadInput: the path of the folder for temporary files is too long.
    """
    place = tempfile.gettempdir()
    if len(os.fsencode(place)) > LONGEST:
        raise BadInput(
            f"--workers {workers}: {place} is too long for the paths of sockets in it: set TMPDIR "
            f"to a folder whose path has up to {LONGEST} bytes, or leave it out"
        )


def _read(parts: Iterable[Batch | str]) -> Iterator[Batch]:
    for part in parts:
        if isinstance(part, str):
            raise BadInput(part)
        yield part


def _begin(_: int) -> None:
    """Begin a worker: it ends with the process that reads its parts, not by a signal to both."""
    torch.set_num_threads(1)
    for number in (signal.SIGINT, *interruptions.ENDING):
        signal.signal(number, signal.SIG_IGN)
