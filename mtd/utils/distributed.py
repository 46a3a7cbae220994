"""The processes that share one run's work, with torch.distributed under torchrun or SLURM.

Batches of fixed composition are dealt out in turn, so that a batch is the same whichever process
works on it; sums are added up over processes in float64.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from mtd.utils.errors import BadInput, Failed

Item = TypeVar("Item")
Key = TypeVar("Key")
Result = TypeVar("Result")

PATIENCE = timedelta(hours=2)
"""How long one process waits for another that is still at work. One that is gone is not waited
for: the connection to it breaks."""


@dataclass(frozen=True)
class Ranks:
    """This process among `size` ones; alone, everything is as it was given."""

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def first(self) -> bool:
        """Whether this is the process that writes tables and talks."""
        return self.rank == 0

    def indices_for_rank(self, count: int) -> range:
        """Which of `count` batches are this process's."""
        return range(self.rank, count, self.size)

    def sum(self, *tensors: Tensor) -> list[Tensor]:
        """Sums over processes, in each of them."""
        if self.size == 1:
            return list(tensors)
        found = []
        for tensor in tensors:
            total = tensor.to(self.device, copy=True)
            with together():
                dist.all_reduce(total)
            found.append(total.to(tensor.device))
        return found

    def gather(self, item: Item) -> list[Item]:
        """What every process gave, in order of rank, in each of them."""
        if self.size == 1:
            return [item]
        items: list[Item | None] = [None] * self.size
        with together():
            dist.all_gather_object(items, item)
        return items  # type: ignore[return-value]

    def merge(self, held: Mapping[Key, Item]) -> dict[Key, Item]:
        """What all processes hold, in each of them, by keys that no two of them share."""
        found: dict[Key, Item] = {}
        for part in self.gather(held):
            found |= part
        return found

    def share(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """What some work gives for each item, in each process; items are shared out."""
        found = self.merge({i: work(items[i]) for i in self.indices_for_rank(len(items))})
        return [found[i] for i in range(len(items))]

    def agree(self, error: BadInput | None) -> None:
        """Raise in the first process, and leave the others quietly, if any of them has an error."""
        errors = self.gather(str(error) if error else "")
        if not any(errors):
            return
        if self.size == 1 and error:
            raise error
        worst = next(rank for rank, text in enumerate(errors) if text)
        where = "" if all(errors) else f"process {worst}: "
        self.leave()  # before the launcher, which ends all once one has an error
        if self.first:
            raise BadInput(where + errors[worst])
        raise SystemExit(2)

    @contextmanager
    def raise_on_all_ranks(self) -> Iterator[None]:
        """Around what may find bad input: one line in all, and all go on, or none."""
        try:
            yield
        except BadInput as error:
            self.agree(error)
            raise
        self.agree(None)

    def leave(self) -> None:
        """End together: nobody goes before everybody is done."""
        if self.size > 1:
            with together():
                dist.barrier()
            dist.destroy_process_group()


@contextmanager
def together() -> Iterator[None]:
    """Around what all processes do together: if one of them is gone, the others fail too."""
    try:
        yield
    except RuntimeError as error:
        first = str(error).strip().split("\n")[0]
        raise Failed(f"another process ended before its work was done ({first[:200]})") from error


SINGLE_PROCESS = Ranks()


def start(device: str, steady: bool = True) -> tuple[Ranks, str]:
    """Join the processes that a launcher has started, if it has, and choose this one's device.

    torchrun sets RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT. With `cuda`, each
    process takes the GPU of its place on its machine.

    Args:
        device: as asked for.
        steady: whether numbers must not depend on how many threads a launcher gives.
    """
    # With one thread PyTorch convolves small batches by other code, whose last bits differ: numbers
    # would depend on the number of processes, since torchrun gives each of them one thread.
    if steady:
        torch.set_num_threads(max(2, torch.get_num_threads()))
    # Float32 means float32, on GPUs too.
    torch.backends.cudnn.allow_tf32 = False
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return SINGLE_PROCESS, device
    if "RANK" not in os.environ:
        raise BadInput(
            f"WORLD_SIZE is {size} but RANK is not set: start with torchrun, or unset it"
        )
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if device.startswith("cuda"):
        if device != "cuda":
            raise BadInput(f"--device {device}: several processes take a GPU each, use cuda")
        if local >= torch.cuda.device_count():
            raise BadInput(
                f"process {local} of this machine has no GPU, there are "
                f"{torch.cuda.device_count()}: lower --nproc-per-node"
            )
        device = f"cuda:{local}"
    cuda = device.startswith("cuda") and torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=PATIENCE)
    return Ranks(dist.get_rank(), size, device if cuda else "cpu"), device
