"""Permutation tests of whether two representations have anything in common, over many pairs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import torch
from torch import Tensor

from analysis.stats.jackknife import ENOUGH
from mtd.utils import seeds

LEAST_ORDERS = 21
"""Fewest orders of photographs with which a p-value can be below 0.05."""


class PValues(NamedTuple):
    """(N, N) each: of every pair alone, and corrected for all the pairs tested."""

    alone: Tensor
    corrected: Tensor


def p_values(
    grams: Sequence[Tensor],
    tested: Tensor,
    defined: Tensor,
    count: int = 1000,
    seed: int = 0,
    scenes: Sequence[Sequence[str]] | None = None,
) -> PValues:
    """How often photographs paired at random give as large a CKA: (1 + hits) / (1 + count).

    The photographs of one side are permuted within each batch, each with all its crops and all
    layers alike (see `movable`): crops of a photograph have much in common even where the two sides
    have nothing else in common, so that permuting crops would nearly always find a relation.
    Centered Grams are permuted by index, which leaves self-HSICs unchanged. `corrected` counts the
    permutations in which *any* of the pairs tested reaches the value (single-step max-T), so that
    the chance of one false finding among all of them is bounded.

    Args:
        grams: of each batch, (N, n, n), centered as the estimator has it.
        tested: (N, N) boolean, the pairs to test: row i against column j.
        defined: (N,) boolean, the representations that have a CKA.
        count: number of permutations.
        seed: of the permutations.
        scenes: of each batch, (n,) the photograph of each sample; each is of its own by default.

    Returns:
        NaN for pairs that were not tested or have no CKA, and for all with fewer than `ENOUGH`
        photographs, or so few orders of them that no p could be below 0.05, if these are given.

    Reference: Westfall and Young 1993, *Resampling-Based Multiple Testing*.
    """
    rows = [k.flatten(1) for k in grams]
    own = sum(flat.square().sum(1) for flat in rows)
    assert isinstance(own, Tensor)
    own = torch.where(defined, own, torch.nan)
    scale = (own[:, None] * own[None, :]).sqrt()
    observed = sum(flat @ flat.mT for flat in rows) / scale
    assert isinstance(observed, Tensor)
    missing = torch.full_like(observed, torch.nan)
    if scenes is not None and (len(set(chain(*scenes))) < ENOUGH or orders(scenes) < LEAST_ORDERS):
        return PValues(missing, missing.clone())
    blocks = movable(scenes or alone(grams))
    valid = tested & observed.isfinite()
    i, j = (index.unique() for index in valid.nonzero(as_tuple=True))
    hits, corrected = torch.zeros_like(observed), torch.zeros_like(observed)
    stream = seeds.generator("permutation", seed)
    # the identity permutation must count in spite of rounding
    reached = observed[i][:, j] - 1e-12
    cells = valid[i][:, j]
    hit, hit_any = torch.zeros_like(reached), torch.zeros_like(reached)
    for _ in range(count):
        total = torch.zeros_like(reached)
        for k, flat, own_blocks in zip(grams, rows, blocks, strict=True):
            order = torch.arange(k.shape[-1])
            for block in own_blocks:
                chosen = torch.randperm(len(block), generator=stream)
                order[block.flatten()] = block[chosen].flatten()
            other = k[j][:, order][:, :, order].flatten(1)
            total += flat[i] @ other.mT
        total = (total / scale[i][:, j]).masked_fill(~cells, -torch.inf)
        hit += total >= reached
        hit_any += total.max() >= reached if cells.any() else False
    hits[i[:, None], j], corrected[i[:, None], j] = hit, hit_any
    return PValues(
        torch.where(valid, (1 + hits) / (1 + count), missing),
        torch.where(valid, (1 + corrected) / (1 + count), missing),
    )


def movable(scenes: Sequence[Sequence[str]]) -> list[list[Tensor]]:
    """Which photographs can change places within each batch: those with as many crops as others.

    Photographs that lie in several batches, and those with another number of crops than all others
    of their batch, stay where they are.

    Args:
        scenes: of each batch, the photograph of each sample.

    Returns:
        Of each batch, blocks of samples (photographs, crops); any order of the rows is as likely
        as any other if the two sides have nothing in common.

    >>> [[block.tolist() for block in batch] for batch in movable([["a", "b", "a", "b", "c"]])]
    [[[[0, 2], [1, 3]]]]
    """
    batches_of = Counter(name for batch in scenes for name in set(batch))
    found = []
    for batch in scenes:
        places: dict[str, list[int]] = {}
        for place, name in enumerate(batch):
            places.setdefault(name, []).append(place)
        by_size: dict[int, list[list[int]]] = {}
        for name, own in places.items():
            if batches_of[name] == 1:
                by_size.setdefault(len(own), []).append(own)
        found.append([torch.tensor(rows) for rows in by_size.values() if len(rows) > 1])
    return found


def alone(grams: Sequence[Tensor]) -> list[list[str]]:
    """Scenes of batches in which each sample is of a photograph of its own."""
    return [[f"{i}/{j}" for j in range(k.shape[-1])] for i, k in enumerate(grams)]


def orders(scenes: Sequence[Sequence[str]]) -> int:
    """How many different orders of photographs there are, of which `p_values` draws some.

    >>> orders([["a", "b", "a", "b", "c"], ["d", "e", "f"]])
    12
    """
    return math.prod(math.factorial(len(block)) for batch in movable(scenes) for block in batch)
