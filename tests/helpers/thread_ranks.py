"""Processes of one run as threads of this one, so that tests can look at their observers."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from mtd.utils.distributed import Ranks

Result = TypeVar("Result")


class Exchange:
    """Where all of them leave something for the others."""

    def __init__(self, size: int) -> None:
        self.barrier, self.items = threading.Barrier(size, timeout=60), [None] * size

    def gather(self, rank: int, item: Any) -> list[Any]:
        self.items[rank] = item
        self.barrier.wait()
        items = list(self.items)
        self.barrier.wait()
        return items


@dataclass(frozen=True)
class ThreadRanks(Ranks):
    exchange: Exchange | None = None

    def gather(self, item: Any) -> list[Any]:
        assert self.exchange is not None
        return self.exchange.gather(self.rank, item)

    def sum(self, *tensors: Tensor) -> list[Tensor]:
        parts = zip(*self.gather(tensors), strict=True)
        return [sum(part[1:], part[0].clone()) for part in parts]


def in_threads(work: Callable[[Ranks], Result], size: int = 2) -> list[Result]:
    """What some work gives in each of several processes, in order of rank."""
    exchange = Exchange(size)
    ranks = [ThreadRanks(rank, size, exchange=exchange) for rank in range(size)]
    try:
        with ThreadPoolExecutor(size) as pool:
            return list(pool.map(work, ranks))
    finally:  # which each thread sets and puts back, at the same time as the others
        if "torch._dynamo" in sys.modules and hasattr(torch.compiler, "set_stance"):
            torch.compiler.set_stance("default")
