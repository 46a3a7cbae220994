"""Parts of a batch: gradient accumulation, and smaller parts where memory does not suffice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from mtd.utils.distributed import Ranks
from mtd.utils.errors import BadInput
from mtd.utils.messages import plural


class BatchParts:
    """How each process's share of a batch is divided into parts of equal size.

    Args:
        batch: images, over all processes.
        ranks: the processes.
        accumulate: parts for each process.

    Attributes:
        accumulate: parts for each process.
        size: images in a part.
        out_of_memory_at: steps, from 1, at which the parts were halved for want of memory.

    Raises:
        BadInput: parts of equal size are not possible.
    """

    def __init__(self, batch: int, ranks: Ranks, accumulate: int) -> None:
        self.batch, self.ranks = batch, ranks
        self.out_of_memory_at: list[int] = []
        self.divide(accumulate)

    def divide(self, accumulate: int) -> None:
        """Divide each process's share into so many parts.

        Raises:
            BadInput: parts of equal size are not possible.
        """
        parts = self.ranks.size * accumulate
        if self.batch % parts:
            raise BadInput(
                f"[run] batch_size = {self.batch}: expected a multiple of {parts}, for "
                f"{plural(self.ranks.size, 'process', 'es')} with {plural(accumulate, 'part')} "
                "(accumulate) each"
            )
        self.accumulate, self.size = accumulate, self.batch // parts

    @property
    def halved(self) -> str:
        """A line about the last lack of memory."""
        return (
            f"out of memory at step {self.out_of_memory_at[-1]}: from there on in parts of "
            f"{plural(self.size, 'image')} (accumulate = {self.accumulate})"
        )

    def first(self, part: int) -> int:
        """Index in the batch of the first image of one of this process's parts."""
        return (self.ranks.rank * self.accumulate + part) * self.size

    def halve(self, step: int, whole: bool) -> None:
        """Halve the parts for the rest of the run, after a lack of memory.

        Args:
            step: from 1, at which memory did not suffice.
            whole: whether the network needs whole batches, for batch normalization.

        Raises:
            BadInput: they cannot be halved.
        """
        where = f"out of memory at step {step}, in parts of {plural(self.size, 'image')}"
        if whole:
            raise BadInput(
                f"{where}: batch normalization needs whole batches; start anew with a smaller "
                "[run] batch_size"
            )
        if self.size % 2:
            raise BadInput(
                f"{where}, which cannot be halved: start anew with a smaller [data] crop, or a "
                "[run] batch_size that is a power of 2"
            )
        if self.ranks.size > 1:  # the others may be waiting for this one's gradients already
            raise BadInput(
                f"{where} on each of {self.ranks.size} processes: start anew with --set "
                f"run.accumulate={2 * self.accumulate}"
            )
        self.divide(2 * self.accumulate)
        self.out_of_memory_at.append(step)


class Firsts(Sequence[int]):
    """The first position of each of a process's parts of the batches of some steps, in order.

    They are computed when they are needed: a run may have very many.

    >>> from mtd.utils.distributed import SINGLE_PROCESS
    >>> list(Firsts(BatchParts(4, SINGLE_PROCESS, 2), range(1, 3)))
    [4, 6, 8, 10]
    """

    def __init__(self, parts: BatchParts, steps: range) -> None:
        self.batch, self.steps = parts.batch, steps
        self.own = [parts.first(part) for part in range(parts.accumulate)]

    def __len__(self) -> int:
        return len(self.steps) * len(self.own)

    @overload
    def __getitem__(self, index: int) -> int: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[int]: ...

    def __getitem__(self, index: int | slice) -> int | Sequence[int]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        step, part = divmod(index, len(self.own))
        return self.steps[step] * self.batch + self.own[part]
