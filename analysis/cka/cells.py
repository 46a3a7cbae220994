"""The pairs of representations that are compared, and the photographs paired for the floor."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Block = tuple[slice, slice]
Pair = tuple[int, int]


@dataclass(frozen=True)
class Cells:
    """Which pairs of N representations are compared; a cell is one pair.

    In every vector of cells come first the N representations with themselves, then the blocks, row
    by row, then the single pairs.

    Attributes:
        count: N.
        blocks: rows and columns of representations, every row with every column.
        pairs: single pairs.
        across: single pairs of which the second side is of other photographs; see `deranged`. They
            have a vector of their own.
    """

    count: int
    blocks: Sequence[Block] = ()
    pairs: Sequence[Pair] = ()
    across: Sequence[Pair] = ()

    @classmethod
    def every(cls, count: int) -> Cells:
        """Every representation with every other, as one block."""
        return cls(count, [(slice(0, count), slice(0, count))])

    @property
    def sizes(self) -> list[int]:
        """Number of cells of each part: with themselves, each block, pairs."""
        sides = [(b.stop - b.start) * (c.stop - c.start) for b, c in self.blocks]
        return [self.count, *sides, len(self.pairs)]

    def own(self, values: Tensor) -> Tensor:
        """(…, N) of a vector of cells (…, cells): each representation with itself."""
        return values[..., : self.count]

    def block(self, values: Tensor, index: int) -> Tensor:
        """(…, rows, columns) of a vector of cells: one block."""
        start = sum(self.sizes[: 1 + index])
        rows, columns = (side.stop - side.start for side in self.blocks[index])
        part = values[..., start : start + rows * columns]
        return part.reshape(*part.shape[:-1], rows, columns)

    def single(self, values: Tensor) -> Tensor:
        """(…, pairs) of a vector of cells: the single pairs."""
        return values[..., sum(self.sizes[:-1]) :]

    def ends(self) -> tuple[Tensor, Tensor]:
        """The two representations of every cell, (cells,) each."""
        own = torch.arange(self.count)
        first, second = [own], [own]
        for rows, columns in self.blocks:
            i = torch.arange(rows.start, rows.stop)
            j = torch.arange(columns.start, columns.stop)
            first.append(i.repeat_interleave(len(j)))
            second.append(j.repeat(len(i)))
        i, j = sides(self.pairs)
        return torch.cat([*first, i]), torch.cat([*second, j])


def sides(pairs: Sequence[Pair]) -> tuple[Tensor, Tensor]:
    """The first and the second representation of single pairs, (pairs,) each."""
    table = torch.tensor(list(pairs), dtype=torch.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def deranged(photographs: Sequence[Hashable]) -> tuple[Tensor, Tensor]:
    """Crops in pairs of different photographs.

    Sorted by photograph, each crop is paired with the one half of all crops further on. Where more
    than half of the crops are of one photograph, only as many of them are paired as there are
    others, evenly spaced.

    Args:
        photographs: that each crop is of.

    Returns:
        First and second crop of each pair, (pairs,) each, every crop at most once on either side;
        none where all are of one photograph.

    >>> deranged(["a", "a", "b", "c"])
    (tensor([0, 1, 2, 3]), tensor([2, 3, 0, 1]))
    """
    members: dict[Hashable, list[int]] = {}
    for index, photograph in enumerate(photographs):
        members.setdefault(photograph, []).append(index)
    largest = max(members.values(), key=len, default=[])
    others = len(photographs) - len(largest)
    if len(largest) > others:
        kept = [largest[(2 * i + 1) * len(largest) // (2 * others)] for i in range(others)]
        members = {k: kept if v is largest else v for k, v in members.items()}
    order = [index for crops in members.values() for index in crops]
    half = len(order) // 2
    first = torch.tensor(order, dtype=torch.int64)
    second = torch.tensor(order[half:] + order[:half], dtype=torch.int64)
    place = first.argsort()
    return first[place], second[place]
