"""Linear algebra on one thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

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
        with import_module("threadpoolctl").threadpool_limits(1):  # it has no type hints
            yield
    finally:
        torch.set_num_threads(threads)
