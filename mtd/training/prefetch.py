"""Batches for training, made ahead of time by worker processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from multiprocessing import get_all_start_methods

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mtd.training.pairs import TrainingPairs
from mtd.utils.errors import BadInput

Batch = tuple[Tensor, Tensor]


class Positions(Dataset[Batch | str]):
    """Parts of batches by their first positions; what a part holds depends on nothing else.

    A part that cannot be read is the reason instead.
    """

    def __init__(self, pairs: TrainingPairs, firsts: list[int], size: int) -> None:
        self.pairs, self.firsts, self.size = pairs, firsts, size

    def __len__(self) -> int:
        return len(self.firsts)

    def __getitem__(self, index: int) -> Batch | str:
        try:
            return self.pairs.batch(self.firsts[index], self.size)
        except BadInput as error:
            return str(error)


def batches(
    pairs: TrainingPairs, firsts: list[int], size: int, workers: int = 0, pin: bool = False
) -> Iterator[Batch]:
    """(noisy, clean) parts of batches, in order.

    Args:
        pairs: what they are cut from.
        firsts: the position that each begins at.
        size: pairs in each.
        workers: processes that make them ahead of time; 0 makes each when it is asked for.
        pin: whether they lie in memory from which a GPU copies at once.

    Raises:
        BadInput: workers are asked for where there can be none; or, when it is reached, an image
            that cannot be read.
    """
    if not workers:
        return (pairs.batch(first, size) for first in firsts)
    if "fork" not in get_all_start_methods():
        raise BadInput(f"--workers {workers}: this system cannot fork processes; leave it out")
    loader = DataLoader(
        Positions(pairs, firsts, size),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=4,
        pin_memory=pin,
        worker_init_fn=_alone,
        multiprocessing_context="fork",
    )
    return _read(loader)


def _read(parts: Iterable[Batch | str]) -> Iterator[Batch]:
    for part in parts:
        if isinstance(part, str):
            raise BadInput(part)
        yield part


def _alone(_: int) -> None:
    """A worker takes one thread."""
    torch.set_num_threads(1)
