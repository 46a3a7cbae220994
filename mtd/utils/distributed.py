"""The processes of a distributed run: torch.distributed under torchrun or SLURM.

Batches of fixed composition are distributed round-robin, so that a batch is the same whichever
process works on it; sums over processes are taken in float64.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from mtd.utils import device as devices
from mtd.utils import interruptions, progress
from mtd.utils.errors import BadInput, Failed

Item = TypeVar("Item")
Key = TypeVar("Key")
Result = TypeVar("Result")

PATIENCE = timedelta(hours=2)
"""How long one process waits for another that is still working. A process that has died breaks the
connection and is not waited for."""

TORCHRUN = "TORCHELASTIC_RUN_ID"
"""What torchrun sets, which starts the processes itself."""

FAILED = "failed"
"""Name in the store under which a process says that it failed."""


class Store(Protocol):
    """Keys and values that all processes share, as `torch.distributed.Store`."""

    def set(self, key: str, value: str, /) -> Any:
        """Write a value."""

    def check(self, keys: list[str], /) -> bool:
        """Whether all of these keys were written; does not wait."""


@dataclass(frozen=True)
class Ranks:
    """The rank of this process among `size` processes; a single process returns its inputs.

    Attributes:
        rank: from 0.
        size: number of processes.
        device: on which tensors are reduced.
        store: what all processes can write to and read from at any time.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"
    store: Store | None = field(default=None, repr=False, compare=False)

    @property
    def first(self) -> bool:
        """Whether this is rank 0, which writes files and messages."""
        return self.rank == 0

    def indices_for_rank(self, count: int) -> range:
        """The indices, out of `count`, that this process works on: rank, rank + size, …

        >>> list(Ranks(rank=1, size=3).indices_for_rank(7))
        [1, 4]
        """
        return range(self.rank, count, self.size)

    def sum(self, *tensors: Tensor) -> list[Tensor]:
        """The sum of each tensor over all processes, in every process."""
        if self.size == 1:
            return list(tensors)
        totals = []
        for tensor in tensors:
            total = tensor.to(self.device, copy=True)
            with collective():
                dist.all_reduce(total)
            totals.append(total.to(tensor.device))
        return totals

    def gather(self, item: Item) -> list[Item]:
        """The items of all processes, in order of rank, in every process."""
        if self.size == 1:
            return [item]
        items: list[Item | None] = [None] * self.size
        with collective():
            dist.all_gather_object(items, item)
        return items  # type: ignore[return-value]

    def merge(self, entries: Mapping[Key, Item]) -> dict[Key, Item]:
        """The union of all processes' mappings, in every process; no key is in two of them."""
        merged: dict[Key, Item] = {}
        for part in self.gather(entries):
            merged |= part
        return merged

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item], step: str = ""
    ) -> list[Result]:
        """`function` of each item, in every process; items are distributed round-robin.

        Args:
            function: of an item.
            items: of all processes.
            step: under which the progress of the command counts them; "" if it does not.

        >>> SINGLE_PROCESS.map(abs, [-1, 2])
        [1, 2]
        """
        own = self.indices_for_rank(len(items))
        counted = progress.track(own, len(own), step, "") if step else own
        results = self.merge({i: function(items[i]) for i in counted})
        return [results[i] for i in range(len(items))]

    def agree(self, error: BadInput | Failed | None) -> None:
        """If any process has an error, raise it in rank 0 and exit the others without a message.

        Raises:
            BadInput: in rank 0, or in a single process.
            Failed: likewise.
            SystemExit: in the other ranks.
        """
        if error:
            self.announce_failure()
        errors = self.gather((type(error), str(error)) if error else None)
        if self.size == 1 and error:
            raise error
        failures = [(rank, *failure) for rank, failure in enumerate(errors) if failure]
        if not failures:
            return
        rank, kind, text = failures[0]
        where = "" if len(failures) == self.size else f"process {rank}: "
        self.leave()  # before the launcher, which kills all processes once one fails
        if self.first:
            raise kind(where + text)
        raise SystemExit(2 if issubclass(kind, BadInput) else 1)

    def announce_failure(self) -> None:
        """Let the others know at once, before they come to `agree`, that this process failed."""
        if self.store is not None:
            self.store.set(FAILED, str(self.rank))

    @property
    def another_failed(self) -> bool:
        """Whether any process has failed, so that long work may as well stop."""
        try:
            return self.store is not None and self.store.check([FAILED])
        except dist.DistError:  # rank 0 ended, and the store with it
            return True

    @contextmanager
    def raise_on_all_ranks(self) -> Iterator[None]:
        """Around code that may fail: either every process goes on, or none, with one line in all.

        Raises:
            BadInput: of the first rank that has one, in rank 0 only; see `agree`.
            Failed: likewise.
        """
        try:
            yield
        except (BadInput, Failed) as error:
            self.agree(error)
            raise
        except Exception:
            self.announce_failure()
            raise
        self.agree(None)

    def leave(self) -> None:
        """Wait for all processes, then disconnect."""
        if self.size > 1:
            with collective():
                dist.barrier()
            dist.destroy_process_group()


@contextmanager
def collective() -> Iterator[None]:
    """Around a collective operation: if another process has died, `Failed` says so.

    Raises:
        Failed: the connection to another process broke.
    """
    try:
        yield
    except RuntimeError as error:
        first = str(error).strip().split("\n")[0]
        raise Failed(f"another process ended before its work was done ({first[:200]})") from error


SINGLE_PROCESS = Ranks()


def _from_environment(name: str, default: int, lowest: int = 0) -> int:
    """A whole number that a launcher sets.

    Raises:
        BadInput: it is none, or too small.
    """
    text = os.environ.get(name, str(default))
    if not text.isdecimal() or int(text) < lowest:
        raise BadInput(
            f"{name} is {text!r}: expected a whole number, {lowest} or more; start with torchrun, "
            "or unset WORLD_SIZE"
        )
    return int(text)


def processes_here() -> int:
    """How many processes a launcher has started on this machine, this one included.

    Raises:
        BadInput: LOCAL_WORLD_SIZE, which torchrun sets, is no number of processes.
    """
    return _from_environment("LOCAL_WORLD_SIZE", 1, lowest=1)


def start(device: str, steady: bool = True) -> tuple[Ranks, str]:
    """Join the process group of a launcher, if there is one, and choose this process's device.

    torchrun sets RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT. With `cuda`, each
    process takes the GPU of its local rank.

    Args:
        device: of the command line; see `mtd.utils.device.chosen`.
        steady: whether numbers must not depend on the number of threads that a launcher sets.

    Returns:
        The process among the others, and its device.

    Raises:
        BadInput: an incomplete environment, or fewer GPUs than processes.
    """
    # With one thread PyTorch convolves small batches by other code, whose last bits differ: numbers
    # would depend on the number of processes, since torchrun gives each of them one thread.
    if steady:
        torch.set_num_threads(max(2, torch.get_num_threads()))
    # Float32 means float32, on GPUs too.
    torch.backends.cudnn.allow_tf32 = False
    device = devices.chosen(device)
    size = _from_environment("WORLD_SIZE", 1, lowest=1)
    if size == 1:
        return SINGLE_PROCESS, device
    if "RANK" not in os.environ:
        raise BadInput(
            f"WORLD_SIZE is {size} but RANK is not set: start with torchrun, or unset it"
        )
    _from_environment("RANK", 0)
    if TORCHRUN in os.environ:  # else a launcher need not be what started this process
        interruptions.end_with_parent()
    local = _from_environment("LOCAL_RANK", 0)
    if device.startswith("cuda"):
        if device != "cuda":
            raise BadInput(f"--device {device}: several processes take one GPU each; give cuda")
        if local >= torch.cuda.device_count():
            raise BadInput(
                f"process {local} of this machine has no GPU, there are "
                f"{torch.cuda.device_count()}: lower --nproc-per-node"
            )
        device = f"cuda:{local}"
    cuda = device.startswith("cuda") and torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(device)
    store: Any = None
    if not dist.is_initialized():
        try:
            store, rank, size = next(rendezvous("env://", timeout=PATIENCE))
        except ValueError as error:  # such as MASTER_ADDR, which is missing
            raise BadInput(f"{error}: start with torchrun, or unset WORLD_SIZE") from None
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if cuda else "gloo",
            store=store,
            rank=rank,
            world_size=size,
            timeout=PATIENCE,
        )
    return Ranks(dist.get_rank(), size, device if cuda else "cpu", store), device
