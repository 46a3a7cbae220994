"""Sums over the features of crops, for a portion of the pairs of representations at a time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from analysis.cka.features import Chunk, Features
from analysis.cka.hsic import Formula, weight
from analysis.cka.hsic_sums import Sums
from analysis.cka.moments import Moments, Part, Samples, parts_of, portions
from analysis.stats.arrays import double, single
from mtd.utils import progress
from mtd.utils.distributed import Ranks

WITHIN, ACROSS = "sums of pairs of layers", "sums across photographs"
"""What is computed, as the progress of a command names it."""

MEMORY = 2**29
"""Bytes that sums over pairs of features take unless something else is wanted."""


class FeatureSums:
    """The sums behind `from_features`, over any crops.

    Sums of products of two representations' features are held for a portion of the pairs at a time;
    the crops are read again for each portion.

    Attributes:
        samples: how many there are.
        rows: how many are read at a time.
        power: (N,) Σ ‖x‖² of every representation.
    """

    def __init__(
        self,
        features: Features,
        widths: list[int],
        formula: Formula,
        device: torch.device | str,
        memory: int,
    ) -> None:
        self.widths, self.formula, self.memory = widths, formula, memory
        device = torch.device(device)
        self.device = torch.device("cpu") if device.type == "mps" else device
        # the second sides of pairs across photographs are read on their own, so that batches that
        # both sides need stay in memory
        self.first = features
        self.second = Features(features.batches, features.sizes)
        self.samples = self.rows = 0
        self.power = torch.zeros(len(widths), dtype=torch.float64, device=self.device)
        self._spectra: dict[int, Tensor] = {}

    def center(self, chunks: Sequence[list[int]], ranks: Ranks) -> None:
        """Compute the features' means, and which representations are not finite."""
        total = torch.zeros(sum(self.widths) + 1, dtype=torch.float64)  # features, then samples
        for part in chunks[ranks.rank :: ranks.size]:
            z = self.first.take(part)
            total[:-1] += double(z.to(self.device)).sum((0, 1)).cpu()
            total[-1] += z.shape[:2].numel()
        (total,) = ranks.sum(total)
        self.samples = int(total[-1])
        of_a_crop = self.samples // max(1, sum(map(len, chunks)))
        self.rows = of_a_crop * max(map(len, chunks), default=0)
        mean = (total[:-1] / max(1, self.samples)).to(self.device)
        self.broken = torch.stack([~part.isfinite().all() for part in mean.split(self.widths)])
        self.unusable = self.broken.repeat_interleave(torch.tensor(self.widths).to(self.device))
        self.mean = mean.masked_fill(self.unusable, 0.0)

    def read(self, features: Features, crops: list[int]) -> Samples:
        """The samples of crops, less the means; those that are not finite are 0."""
        z = features.take(crops).flatten(0, 1).to(self.device)
        near = torch.empty_like(z, dtype=single(z).dtype)
        norms = torch.empty(len(z), len(self.widths), dtype=torch.float64, device=self.device)
        sides = (value.split(self.widths, dim=-1) for value in (z, near, self.mean, self.unusable))
        for at, (given, own, mean, unusable) in enumerate(zip(*sides, strict=True)):
            own.copy_(double(given) - mean)
            if bool(self.broken[at]):
                own.masked_fill_(unusable, 0.0)
            # squared norms are of the features as they are multiplied
            norms[:, at] = double(own).square().sum(-1)
        return Samples(near, norms)

    def of(
        self,
        pairs: list[tuple[slice, slice]],
        every: Sequence[Chunk],
        gone: Sequence[Sequence[Chunk]],
        ranks: Ranks,
        *,
        across: bool = False,
    ) -> Sums:
        """The sums of pairs of ranges of representations, and without each photograph.

        Args:
            pairs: of ranges of representations.
            every: the crops.
            gone: those of each photograph.
            ranks: the processes that share the work.
            across: whether the second sides are of other photographs.
        """
        parts, order = parts_of(self.widths, pairs, self.device, self.memory // 2, self.rows)
        whole: list[Tensor] = []
        without: list[list[Tensor]] = [[] for _ in gone]
        counts = torch.zeros(1 + len(gone), dtype=torch.int64)
        # the sums of all samples, and those of a photograph
        together = list(portions(parts, self.memory // 4))
        own = [every[ranks.rank :: ranks.size], *gone[ranks.rank :: ranks.size]]
        reads = sum(map(len, own))
        progress.step(ACROSS if across else WITHIN, len(together) * reads)
        for portion in together:
            total = self._total(portion, every, across, ranks)
            whole.append(self._numerators(portion, total))
            left = {
                index: self._left(portion, total, gone[index], across)
                for index in range(ranks.rank, len(gone), ranks.size)
            }
            counts[0] = total[0].samples
            for index, (numerator, count) in ranks.merge(left).items():
                without[index].append(numerator)
                counts[1 + index] = count
            if not across:
                self._note(portion, total)
            del total  # before those of the next portion
        joined = [torch.cat(values)[order] for values in ((whole, *without) if parts else ())]
        none = torch.zeros(0, dtype=torch.float64)
        numerator, *rest = joined or [none] * len(counts)
        stacked = torch.stack(rest) if rest else torch.zeros(0, len(numerator)).double()
        weights = [weight(count, self.formula) for count in counts.tolist()]
        return Sums(
            numerator, float(weights[0]), stacked, torch.tensor(weights[1:], dtype=torch.float64)
        )

    def _add(
        self, parts: Sequence[Part], chunks: Sequence[Chunk], across: bool
    ) -> list[Moments] | None:
        """The sums over crops; None without any."""
        found: list[Moments] | None = None
        for first, second in chunks:
            x = self.read(self.first, first)
            y = self.read(self.second, second) if across else x
            if found is None:
                found = [part.moments(x, y) for part in parts]
            else:
                for at, part in enumerate(parts):
                    found[at] = found[at] + part.moments(x, y)
            progress.advance()
        return found

    def _total(
        self, parts: Sequence[Part], chunks: Sequence[Chunk], across: bool, ranks: Ranks
    ) -> list[Moments]:
        """The sums over crops, those of all processes."""
        found = self._add(parts, chunks[ranks.rank :: ranks.size], across)
        if found is None:
            none = Samples(
                torch.zeros(0, sum(self.widths), device=self.device),
                torch.zeros(0, len(self.widths), dtype=torch.float64, device=self.device),
            )
            found = [part.moments(none, none) for part in parts]
        for at, moments in enumerate(found):
            found[at] = Moments(tuple(ranks.sum(*moments.sums)))
        return found

    def _left(
        self, parts: Sequence[Part], total: list[Moments], chunks: Sequence[Chunk], across: bool
    ) -> tuple[Tensor, int]:
        """The numerators without some crops, and how many samples are left."""
        gone = self._add(parts, chunks, across)
        if gone is None:
            return self._numerators(parts, total), total[0].samples
        return self._numerators(parts, total, gone), total[0].samples - gone[0].samples

    def _numerators(
        self, parts: Sequence[Part], total: list[Moments], gone: list[Moments] | None = None
    ) -> Tensor:
        """The numerators of parts, one after another, without what is gone."""
        found = []
        for at, part in enumerate(parts):
            sums = total[at] if gone is None else total[at] - gone[at]
            i, j = part.ends()
            if weight(sums.samples, self.formula):
                values = part.numerator(sums, self.formula)
                found.append(torch.where(self.broken[i] | self.broken[j], torch.nan, values).cpu())
            else:
                found.append(torch.zeros(len(i), dtype=torch.float64))
        return torch.cat(found)

    def _note(self, parts: Sequence[Part], total: list[Moments]) -> None:
        """Keep what is known of each representation alone."""
        for part, moments in zip(parts, total, strict=True):
            members = part.first.members
            self.power[members.flatten()] = moments.sums[4].flatten()
            if members.shape[1] > 1 or part.second.members.shape[1] > 1:
                continue  # a block
            count, cross, s, t = moments.sums[:4]
            ends = zip(members.flatten().tolist(), part.second.members.flatten(), strict=True)
            for at, (i, j) in enumerate(ends):
                if i == int(j) and i not in self._spectra:
                    covariance = cross[at] - s[at][:, None] * t[at][None, :] / count
                    self._spectra[i] = torch.linalg.eigvalsh(covariance).cpu()

    @property
    def spectra(self) -> list[Tensor]:
        """The eigenvalues of each representation's covariance; NaN where it is not finite."""
        broken = self.broken.tolist()
        of = [self._spectra[i] for i in range(len(self.widths))]
        return [of[i] * torch.nan if broken[i] else of[i] for i in range(len(of))]
