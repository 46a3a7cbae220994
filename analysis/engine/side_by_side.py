"""Networks that run side by side on the CPU, each on a share of its cores.

Two cores finish two passes, one each, in less time than one pass after the other on both: the many
small operations of a network do not divide well. A view's numbers do not depend on what runs beside
it: each network has its own modules and hooks, and two threads of PyTorch at least, as everywhere
(see `mtd.utils.distributed.start`).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import torch
from torch import nn

from analysis.engine.forward import ForwardSettings
from analysis.engine.observer import Batch
from mtd.inference import tiling
from mtd.networks.base import Denoiser, Unchanged
from mtd.networks.classical import WithoutLayers
from mtd.networks.untrained import registered

Result = TypeVar("Result")

STEADY = 2
"""Fewest threads of a network: with one, PyTorch convolves by other code, of other last bits."""


@dataclass(frozen=True)
class Workers:
    """Threads for networks that run side by side.

    Attributes:
        count: of threads; 1 for none beside the caller's.
        cores: threads of PyTorch that they share.
        pool: the threads.
    """

    count: int
    cores: int
    pool: ThreadPoolExecutor | None = None

    def run(self, tasks: Sequence[Callable[[], Result]], beside: int) -> Iterator[Result]:
        """Run tasks, and yield their results in order.

        Args:
            tasks: each on a network of its own.
            beside: at most how many at a time.
        """
        beside = min(self.count, beside)
        if self.pool is None or beside < 2:
            yield from (task() for task in tasks)
            return
        each = max(STEADY, self.cores // beside)

        def alone(task: Callable[[], Result]) -> Result:
            torch.set_num_threads(each)
            with torch.no_grad():
                return task()

        waiting = iter(tasks)
        running = deque(self.pool.submit(alone, task) for task in islice(waiting, beside))
        try:
            while running:
                result = running.popleft().result()
                running.extend(self.pool.submit(alone, task) for task in islice(waiting, 1))
                yield result
        finally:
            for future in running:
                future.cancel()


@contextmanager
def workers(models: Mapping[str, nn.Module], device: torch.device | str) -> Iterator[Workers]:
    """Context of threads for the networks of a run.

    There are none on other devices, with a single core or network, for networks that are not of
    this package, whose code may not be safe in threads, and for networks that share modules.

    Args:
        models: all networks of the run, so that a resumed run computes as an uninterrupted one.
        device: of the networks.
    """
    cores = torch.get_num_threads()
    count = min(cores, own_cores(), len(models))
    if torch.device(device).type != "cpu" or count < 2 or not independent(models):
        yield Workers(1, cores)
        return
    with ThreadPoolExecutor(count, thread_name_prefix="network") as pool:
        try:
            yield Workers(count, cores, pool)
        finally:
            torch.set_num_threads(cores)  # of MKL, the number is the process's


def own_cores() -> int:
    """The cores of this process, a share of them where a launcher runs several on this machine."""
    affinity = getattr(os, "sched_getaffinity", None)
    every = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    beside = os.environ.get("LOCAL_WORLD_SIZE", "1")
    return max(1, every // int(beside)) if beside.isdecimal() and int(beside) else every


def independent(models: Mapping[str, nn.Module]) -> bool:
    """Whether networks are of this package, and none shares a module with another."""
    if not all(of_this_package(model) for model in models.values()):
        return False
    modules = [id(module) for model in models.values() for module in model.modules()]
    return len(set(modules)) == len(modules)


def of_this_package(model: nn.Module) -> bool:
    """Whether a model is a network of the registry, a classical denoiser or the identity."""
    if isinstance(model, WithoutLayers | Unchanged):
        return True
    return isinstance(model, Denoiser) and registered(model)


def at_a_time(models: Sequence[nn.Module], batch: Batch, settings: ForwardSettings) -> int:
    """How many networks may run at a time on a batch, within the memory of the settings."""
    height, width = batch.size
    pixels = len(batch.crops) * height * width
    need = max((pixels * tiling.bytes_per_pixel(model) for model in models), default=0)
    return max(1, int(settings.memory // need)) if need else max(1, len(models))
