"""The features of all crops, read batch by batch, and crops a few at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

Load = Callable[[], Tensor]

ROWS = 1024
"""Samples whose products are added up in the features' own precision, at least one crop's."""

KEPT = 2
"""Batches that stay in memory while crops are read."""


@dataclass
class Features:
    """The features of all crops, read batch by batch.

    Attributes:
        batches: each gives (crops, samples of a crop, D), all representations beside each other.
        sizes: number of crops of each batch.
    """

    batches: Sequence[Load]
    sizes: Sequence[int]
    _read: dict[int, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(self.sizes)

    def take(self, crops: Sequence[int]) -> Tensor:
        """(crops, samples of a crop, D) of some crops, counted over all batches."""
        ends = torch.tensor(self.sizes).cumsum(0)
        chosen = torch.tensor(crops)
        batches = torch.bucketize(chosen, ends, right=True)
        runs, lengths = batches.unique_consecutive(return_counts=True)
        parts = []
        for batch, run in zip(runs.tolist(), chosen.split(lengths.tolist()), strict=True):
            parts.append(self._batch(batch)[run - (ends[batch] - self.sizes[batch])])
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _batch(self, index: int) -> Tensor:
        if index not in self._read:
            while len(self._read) >= KEPT:
                del self._read[next(iter(self._read))]
            self._read[index] = self.batches[index]()
        return self._read[index]


Chunk = tuple[list[int], list[int]]
"""Crops of the first side, and those of the second that they are paired with."""


def chunks(crops: Sequence[int], features: Features) -> Iterator[list[int]]:
    """Crops a few at a time, as many as have `ROWS` samples."""
    if not len(crops):
        return
    each = max(1, ROWS // features.take([crops[0]]).shape[1])
    for start in range(0, len(crops), each):
        yield list(crops[start : start + each])


def pairs_of(first: list[int], second: list[int], features: Features) -> list[Chunk]:
    """Pairs of crops a few at a time."""
    partner = dict(zip(first, second, strict=True))
    return [(part, [partner[crop] for crop in part]) for part in chunks(first, features)]
