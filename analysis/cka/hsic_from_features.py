"""HSIC from products of features: for many samples of few features, such as positions.

Every sum is over the samples of all crops, however these are cut into batches and shared out over
processes; see `analysis.cka.moments` for the sums. Photographs are left out exactly, by the sums of
their own samples, without a Gram matrix over them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from analysis.cka.cells import Cells
from analysis.cka.hsic import Formula, need, weight
from analysis.cka.hsic_sums import HSIC, Sums
from analysis.cka.moments import Moments, Part, Samples, parts_of
from analysis.stats.arrays import double, full_precision, single
from mtd.utils.distributed import SINGLE_PROCESS, Ranks

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

    Raises:
        BadInput: too few samples.
    """
    cells = cells or Cells.every(len(widths))
    everything = range(len(features)) if crops is None else crops
    sums = FeatureSums(features, list(widths), cells, formula, device)
    sums.center(chunks(everything, features), ranks)
    need(sums.samples, formula)
    total, power = sums.total([(part, part) for part in chunks(everything, features)], ranks)
    first, second = across if across is not None else 2 * (torch.zeros(0, dtype=torch.int64),)
    paired = pairs_of(first.tolist(), second.tolist(), features)
    total_across, _ = sums.total(paired, ranks, across=True)
    without: dict[int, list[Tensor]] = {}
    for index in range(ranks.rank, len(photographs), ranks.size):
        members = torch.tensor(photographs[index], dtype=torch.int64)
        gone = (torch.isin(first, members) | torch.isin(second, members)).nonzero().flatten()
        away = pairs_of(first[gone].tolist(), second[gone].tolist(), features)
        counted = [crop for crop in photographs[index] if crop in everything]
        without[index] = [
            *sums.left(total, [(part, part) for part in chunks(counted, features)]),
            *sums.left(total_across, away, across=True),
        ]
    merged = [values for _, values in sorted(ranks.merge(without).items())]
    main = sums.result(total, [values[:2] for values in merged])
    other = sums.result(total_across, [values[2:] for values in merged], across=True)
    return HSIC(cells, main, other, power.cpu(), sums.samples, sums.spectra(total))


Chunk = tuple[list[int], list[int]]
"""Crops of the first side, and those of the second that they are paired with."""


def chunks(crops: Sequence[int], features: Features) -> Iterator[list[int]]:
    """Crops a few at a time, as many as have `ROWS` samples."""
    if not len(crops):
        return
    each = max(1, ROWS // features.take([crops[0]]).shape[1])
    for start in range(0, len(crops), each):
        yield list(crops[start : start + each])


def pairs_of(first: list[int], second: list[int], features: Features) -> Iterator[Chunk]:
    """Pairs of crops a few at a time."""
    partner = dict(zip(first, second, strict=True))
    return ((part, [partner[crop] for crop in part]) for part in chunks(first, features))


class FeatureSums:
    """The sums behind `from_features`, over any crops."""

    def __init__(
        self,
        features: Features,
        widths: list[int],
        cells: Cells,
        formula: Formula,
        device: torch.device | str,
    ) -> None:
        self.widths, self.formula = widths, formula
        device = torch.device(device)
        self.device = torch.device("cpu") if device.type == "mps" else device
        # the second sides of pairs across photographs are read on their own, so that batches that
        # both sides need stay in memory
        self.first = features
        self.second = Features(features.batches, features.sizes)
        singles = [(slice(i, i + 1), slice(i, i + 1)) for i in range(cells.count)]
        pairs = [(slice(i, i + 1), slice(j, j + 1)) for i, j in cells.pairs]
        across = [(slice(i, i + 1), slice(j, j + 1)) for i, j in cells.across]
        self.parts, self.order = parts_of(widths, [*singles, *cells.blocks, *pairs], self.device)
        self.across, self.order_across = parts_of(widths, across, self.device)
        self.samples = 0

    def center(self, crops: Iterator[list[int]], ranks: Ranks) -> None:
        """Compute the features' means, and which representations are not finite."""
        total = torch.zeros(sum(self.widths) + 1, dtype=torch.float64)  # features, then samples
        for place, part in enumerate(crops):
            if place % ranks.size == ranks.rank:
                z = self.first.take(part)
                total[:-1] += double(z.to(self.device)).sum((0, 1)).cpu()
                total[-1] += z.shape[:2].numel()
        (total,) = ranks.sum(total)
        self.samples = int(total[-1])
        mean = (total[:-1] / max(1, self.samples)).to(self.device)
        self.broken = torch.stack([~part.isfinite().all() for part in mean.split(self.widths)])
        self.unusable = self.broken.repeat_interleave(torch.tensor(self.widths).to(self.device))
        self.mean = mean.masked_fill(self.unusable, 0.0)

    def read(self, features: Features, crops: list[int]) -> Samples:
        """The samples of crops, less the means; those that are not finite are 0."""
        z = features.take(crops).flatten(0, 1).to(self.device)
        near = (double(z) - self.mean).to(single(z).dtype)
        if bool(self.broken.any()):
            near = near.masked_fill(self.unusable, 0.0)
        # squared norms are of the features as they are multiplied
        squares = double(near).square().split(self.widths, dim=-1)
        return Samples(near, torch.stack([part.sum(-1) for part in squares], dim=-1))

    def _moments(self, chunk: Chunk, across: bool) -> list[Moments]:
        first, second = chunk
        x = self.read(self.first, first)
        y = self.read(self.second, second) if across else x
        return [part.moments(x, y) for part in (self.across if across else self.parts)]

    def total(
        self, chunks: Sequence[Chunk] | Iterator[Chunk], ranks: Ranks, *, across: bool = False
    ) -> tuple[list[Moments], Tensor]:
        """The sums over crops, those of all processes, and Σ ‖x‖² of every representation."""
        parts = self.across if across else self.parts
        found: list[Moments] | None = None
        for place, chunk in enumerate(chunks if parts else ()):
            if place % ranks.size == ranks.rank:
                found = added(found, self._moments(chunk, across))
        found = found if found is not None else self._nothing(across)
        reduced = [Moments(tuple(ranks.sum(*moments.sums))) for moments in found]
        power = torch.zeros(len(self.widths), dtype=torch.float64, device=self.device)
        if not across:
            for part, moments in zip(parts, reduced, strict=True):
                power[part.first.members.flatten()] = moments.sums[4].flatten()
        return reduced, power

    def spectra(self, total: list[Moments]) -> list[Tensor]:
        """The eigenvalues of each representation's covariance; NaN where it is not finite."""
        found: dict[int, Tensor] = {}
        for part, moments in zip(self.parts, total, strict=True):
            if part.first.members.shape[1] > 1 or part.second.members.shape[1] > 1:
                continue  # a block
            count, cross, s, t = moments.sums[:4]
            covariance = cross - s[:, :, None] * t[:, None, :] / count
            ends = zip(part.first.members.flatten(), part.second.members.flatten(), strict=True)
            for at, (i, j) in enumerate(ends):
                if int(i) == int(j):
                    found[int(i)] = torch.linalg.eigvalsh(covariance[at]).cpu()
        broken = self.broken.tolist()
        return [found[i] * torch.nan if broken[i] else found[i] for i in range(len(self.widths))]

    def _nothing(self, across: bool) -> list[Moments]:
        """The sums over no samples."""
        none = Samples(
            torch.zeros(0, sum(self.widths), device=self.device),
            torch.zeros(0, len(self.widths), dtype=torch.float64, device=self.device),
        )
        return [part.moments(none, none) for part in (self.across if across else self.parts)]

    def left(
        self,
        total: list[Moments],
        chunks: Sequence[Chunk] | Iterator[Chunk],
        *,
        across: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """The numerators without some crops, and their denominator."""
        gone: list[Moments] | None = None
        for chunk in chunks if total else ():
            gone = added(gone, self._moments(chunk, across))
        rest = total
        if gone is not None:
            rest = [whole - part for whole, part in zip(total, gone, strict=True)]
        return self._numerators(rest, across)

    def _numerators(self, moments: list[Moments], across: bool) -> tuple[Tensor, Tensor]:
        parts, order = (self.across, self.order_across) if across else (self.parts, self.order)
        samples = moments[0].samples if moments else 0
        denominator = weight(samples, self.formula)
        if not denominator:
            nothing = torch.zeros(len(order), dtype=torch.float64)
            return nothing, torch.zeros((), dtype=torch.float64)
        values = [
            part.numerator(sums, self.formula) for part, sums in zip(parts, moments, strict=True)
        ]
        numerator = torch.cat(values).cpu()[order]
        broken = self.broken.double().cpu()
        ends = [torch.cat([side.flatten().cpu() for side in sides]) for sides in self._ends(parts)]
        unknown = (broken[ends[0]] + broken[ends[1]])[order] > 0
        numerator = torch.where(unknown, torch.nan, numerator)
        return numerator, torch.tensor(denominator, dtype=torch.float64)

    @staticmethod
    def _ends(parts: list[Part]) -> tuple[list[Tensor], list[Tensor]]:
        """The representations of both sides of each part's numerators, in their order."""
        first, second = [], []
        for part in parts:
            a, b = part.first.members, part.second.members
            first.append(a[:, :, None].expand(-1, -1, b.shape[1]))
            second.append(b[:, None, :].expand(-1, a.shape[1], -1))
        return first, second

    def result(
        self, total: list[Moments], without: list[list[Tensor]], *, across: bool = False
    ) -> Sums:
        """The sums of all samples, and without each photograph."""
        numerator, denominator = self._numerators(total, across)
        count = len(numerator)
        stacked = torch.stack([one for one, _ in without]) if without else torch.zeros(0, count)
        weights = torch.stack([of for _, of in without]) if without else torch.zeros(0)
        return Sums(numerator, float(denominator), stacked.double(), weights.double())


def added(total: list[Moments] | None, part: list[Moments]) -> list[Moments]:
    """Sums so far and those of more samples."""
    if total is None:
        return part
    return [first + second for first, second in zip(total, part, strict=True)]
