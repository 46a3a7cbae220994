"""HSIC from products of features: for many samples of few features, such as positions.

Every sum is over the samples of all crops, however these are cut into batches and shared out over
processes; see `analysis.cka.moments` for the sums. Photographs are left out exactly, by the sums of
their own samples, without a Gram matrix over them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from analysis.cka.cells import Cells
from analysis.cka.feature_sums import MEMORY, FeatureSums
from analysis.cka.features import Features, chunks, pairs_of
from analysis.cka.hsic import Formula, need
from analysis.cka.hsic_sums import HSIC
from analysis.stats.arrays import full_precision
from mtd.utils.distributed import SINGLE_PROCESS, Ranks


@full_precision()
def from_features(
    features: Features,
    widths: Sequence[int],
    cells: Cells | None = None,
    *,
    formula: Formula = "unbiased",
    photographs: Sequence[Sequence[int]] = (),
    across: tuple[Tensor, Tensor] | None = None,
    crops: Sequence[int] | None = None,
    ranks: Ranks = SINGLE_PROCESS,
    device: torch.device | str = "cpu",
    memory: int = MEMORY,
) -> HSIC:
    """HSIC of the whole set of samples from sums over features.

    Args:
        features: of all crops.
        widths: features of each representation.
        cells: the pairs; by default every representation with every other.
        formula: `unbiased` or `biased`.
        photographs: the crops of each photograph that is left out in turn, whether they count or
            not.
        across: for `Cells.across`, crops of the first side, and the crop of the second side that
            each is paired with.
        crops: those that count; by default all.
        ranks: the processes that share the work; each can read all crops.
        device: where to compute.
        memory: bytes that the sums over pairs of features may take; the pairs are cut into portions
            of this size, down to one pair, and the features are read again for each.

    Raises:
        BadInput: too few samples.
    """
    cells = cells or Cells.every(len(widths))
    everything = range(len(features)) if crops is None else crops
    sums = FeatureSums(features, list(widths), formula, device, memory)
    own = list(chunks(everything, features))
    sums.center(own, ranks)
    need(sums.samples, formula)
    first, second = across if across is not None else 2 * (torch.zeros(0, dtype=torch.int64),)
    counted, away = [], []
    for crops_of in photographs:
        members = torch.tensor(crops_of, dtype=torch.int64)
        gone = (torch.isin(first, members) | torch.isin(second, members)).nonzero().flatten()
        away.append(pairs_of(first[gone].tolist(), second[gone].tolist(), features))
        here = [crop for crop in crops_of if crop in everything]
        counted.append([(part, part) for part in chunks(here, features)])
    singles = [(slice(i, i + 1), slice(i, i + 1)) for i in range(cells.count)]
    pairs = [(slice(i, i + 1), slice(j, j + 1)) for i, j in cells.pairs]
    paired = [(slice(i, i + 1), slice(j, j + 1)) for i, j in cells.across]
    main = sums.of(
        [*singles, *cells.blocks, *pairs], [(part, part) for part in own], counted, ranks
    )
    other = sums.of(
        paired, pairs_of(first.tolist(), second.tolist(), features), away, ranks, across=True
    )
    return HSIC(cells, main, other, sums.power.cpu(), sums.samples, sums.spectra)
