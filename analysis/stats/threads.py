"""Linear algebra on one thread."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from typing import Any

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Restrict PyTorch, BLAS and OpenMP to one thread.

    Results then do not depend on the number of cores, and small matrices are faster: on a busy
    machine several threads mostly wait for one another.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with _libraries(len(sys.modules)).limit(limits=1):
            yield
    finally:
        torch.set_num_threads(threads)


@lru_cache(maxsize=1)
def _libraries(_: int) -> Any:
    """The BLAS and OpenMP libraries of this process, looked for again once more was imported.

    Looking for them takes milliseconds, longer than most of what is done with one thread.
    """
    return import_module("threadpoolctl").ThreadpoolController()  # it has no type hints
