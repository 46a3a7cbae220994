"""Permutation tests of whether two representations have anything in common, over many pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from mtd.utils import seeds


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
) -> PValues:
    """How often pairing images at random gives a CKA at least as large: (1 + hits) / (1 + count).

    The samples of one side are permuted within each batch, all its layers alike; centered Grams
    are permuted by index, which leaves self-HSICs unchanged. `corrected` counts the permutations
    in which *any* of the pairs tested reaches the value (single-step max-T), so that the
    chance of one false finding among all of them is bounded.

    Args:
        grams: of each batch, (N, n, n), centered as the estimator has it.
        tested: (N, N) boolean, the pairs to test: row i against column j.
        defined: (N,) boolean, the representations that have a CKA.
        count: number of permutations.
        seed: of the permutations.

    Returns:
        NaN for pairs that were not tested or have no CKA.

    Reference: Westfall and Young 1993, *Resampling-Based Multiple Testing*.
    """
    rows = [k.flatten(1) for k in grams]
    own = sum(flat.square().sum(1) for flat in rows)
    assert isinstance(own, Tensor)
    own = torch.where(defined, own, torch.nan)
    scale = (own[:, None] * own[None, :]).sqrt()
    observed = sum(flat @ flat.mT for flat in rows) / scale
    assert isinstance(observed, Tensor)
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
        for k, flat in zip(grams, rows, strict=True):
            order = torch.randperm(k.shape[-1], generator=stream)
            other = k[j][:, order][:, :, order].flatten(1)
            total += flat[i] @ other.mT
        total = (total / scale[i][:, j]).masked_fill(~cells, -torch.inf)
        hit += total >= reached
        hit_any += total.max() >= reached if cells.any() else False
    hits[i[:, None], j], corrected[i[:, None], j] = hit, hit_any
    missing = torch.full_like(observed, torch.nan)
    return PValues(
        torch.where(valid, (1 + hits) / (1 + count), missing),
        torch.where(valid, (1 + corrected) / (1 + count), missing),
    )
