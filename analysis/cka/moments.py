"""Sums over samples from which the numerator of HSIC follows, for any set of samples.

With rows xᵢ and yᵢ of X (n, p) and Y (n, q), qᵢ = ‖xᵢ‖², rᵢ = ‖yᵢ‖², s = Σ xᵢ and t = Σ yᵢ, the
Gram matrices without their diagonals have the row sums xᵢ·s − qᵢ and yᵢ·t − rᵢ and the totals
‖s‖² − Σq and ‖t‖² − Σr, so that unbiased HSIC₁ has the numerator

    ‖XᵀY‖² − Σ qᵢrᵢ + (‖s‖² − Σq)(‖t‖² − Σr) / ((n−1)(n−2)) − 2/(n−2) Σ (xᵢ·s − qᵢ)(yᵢ·t − rᵢ),

and biased HSIC ‖XᵀY − s tᵀ/n‖². All are made of sums over samples: those of a photograph are
subtracted from those of all to leave it out. X and Y need not be centered, but nearly so, or digits
are lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import add, sub

import torch
from torch import Tensor

from analysis.cka.hsic import Formula
from analysis.stats.arrays import double


@dataclass(frozen=True)
class Samples:
    """Samples of all representations.

    Attributes:
        features: (n, D), nearly centered, in the precision of their products.
        norms: (n, N) float64, squared norm over each representation's features.
    """

    features: Tensor
    norms: Tensor


@dataclass(frozen=True)
class Side:
    """One side of K pairs of groups of representations.

    Attributes:
        columns: (K, P), its features.
        members: (K, A), its representations.
        owner: (P, A) float64, 1 where a feature is a representation's.
    """

    columns: Tensor
    members: Tensor
    owner: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """P and A."""
        return self.columns.shape[1], self.members.shape[1]

    @classmethod
    def of(
        cls, ranges: Sequence[slice], starts: list[int], widths: list[int], device: torch.device
    ) -> Side:
        """K ranges of representations with the same numbers of features.

        Args:
            ranges: of representations.
            starts: first feature of each representation, and the number of all.
            widths: features of each representation.
            device: of the tensors.
        """
        columns = [torch.arange(starts[one.start], starts[one.stop]) for one in ranges]
        members = [torch.arange(one.start, one.stop) for one in ranges]
        owner = indicator(widths[ranges[0]])
        made = (torch.stack(columns), torch.stack(members), owner)
        return cls(*(tensor.to(device) for tensor in made))

    def features(self, samples: Samples) -> Tensor:
        """(K, n, P)."""
        return chosen_columns(samples.features, self.columns)

    def norms(self, samples: Samples) -> Tensor:
        """(K, n, A) float64."""
        return chosen_columns(samples.norms, self.members)


@dataclass(frozen=True)
class Part:
    """K pairs of groups of representations, of the same numbers of features.

    Attributes:
        first: of P features and A representations.
        second: of Q features and B representations.
    """

    first: Side
    second: Side

    @property
    def held(self) -> int:
        """Bytes of its `Moments`."""
        return len(self.first.members) * pair_bytes(self.first.shape, self.second.shape)

    def ends(self) -> tuple[Tensor, Tensor]:
        """The representations of both sides of each numerator."""
        a, b = self.first.members, self.second.members
        first = a[:, :, None].expand(-1, -1, b.shape[1])
        second = b[:, None, :].expand(-1, a.shape[1], -1)
        return first.flatten(), second.flatten()

    def moments(self, x: Samples, y: Samples) -> Moments:
        """The sums over samples x of the first side and y of the second, (K, …) each."""
        first, second = self.first.features(x), self.second.features(y)
        one, two = double(first), double(second)
        norms, others = self.first.norms(x), self.second.norms(y)
        return Moments(
            (
                torch.full((), len(x.features), dtype=torch.float64, device=one.device),
                double(first.mT @ second),
                one.sum(1),
                two.sum(1),
                norms.sum(1),
                others.sum(1),
                norms.mT @ others,
                one.mT @ others,
                two.mT @ norms,
            )
        )

    def numerator(self, moments: Moments, formula: Formula) -> Tensor:
        """(K · A · B,) the numerators, the second side's representations running fastest."""
        count, cross, s, t, q, r, qr, xr, yq = moments.sums
        own, other = self.first.owner, self.second.owner
        n = float(count)
        if formula == "biased":
            centered = cross - s[:, :, None] * t[:, None, :] / n
            return (own.mT @ centered.square() @ other).flatten()
        along, across = own * s[:, :, None], other * t[:, :, None]
        rows = along.mT @ cross @ across - along.mT @ xr - (across.mT @ yq).mT + qr
        first = s.square() @ own - q
        second = t.square() @ other - r
        totals = first[:, :, None] * second[:, None, :] / ((n - 1) * (n - 2))
        pairs = own.mT @ cross.square() @ other - qr
        return (pairs + totals - 2 / (n - 2) * rows).flatten()


@dataclass(frozen=True)
class Moments:
    """Sums over samples of a `Part`: n, XᵀY, s, t, Σq, Σr, Σ qᵢrᵢ, Σ xᵢrᵢ and Σ yᵢqᵢ, float64."""

    sums: tuple[Tensor, ...]

    def __add__(self, other: Moments) -> Moments:
        return Moments(tuple(map(add, self.sums, other.sums)))

    def __sub__(self, other: Moments) -> Moments:
        return Moments(tuple(map(sub, self.sums, other.sums)))

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return int(self.sums[0])


def chosen_columns(values: Tensor, chosen: Tensor) -> Tensor:
    """(K, n, P) of values (n, D): columns chosen (K, P)."""
    if len(chosen) == 1:  # a range, which needs no copy
        start = int(chosen[0, 0])
        return values[None, :, start : start + chosen.shape[1]]
    return values[:, chosen].transpose(0, 1)


def pair_bytes(first: tuple[int, int], second: tuple[int, int]) -> int:
    """Bytes of the sums of a pair of groups, of (P, A) and (Q, B) features and representations."""
    (p, a), (q, b) = first, second
    return 8 * ((p + a + 1) * (q + b + 1) - 1)


def working_bytes(first: tuple[int, int], second: tuple[int, int], samples: int) -> int:
    """Bytes that one pair of groups takes while sums over some samples are made of it.

    Both sides' features, in float32 and float64, and their norms; then what numerators are made of.
    """
    (p, a), (q, b) = first, second
    return max(samples * (12 * (p + q) + 8 * (a + b)), 3 * pair_bytes(first, second))


def portions(parts: Sequence[Part], memory: int) -> Iterator[list[Part]]:
    """Parts, in their order, a few at a time: as many as have sums of `memory` bytes together."""
    some: list[Part] = []
    for part in parts:
        if some and sum(one.held for one in some) + part.held > memory:
            yield some
            some = []
        some.append(part)
    if some:
        yield some


def parts_of(
    widths: list[int],
    pairs: list[tuple[slice, slice]],
    device: torch.device,
    memory: int,
    samples: int,
) -> tuple[list[Part], Tensor]:
    """Pairs of ranges of representations as parts, those of equal shape together.

    Args:
        widths: features of each representation.
        pairs: ranges of representations of both sides.
        device: of the tensors.
        memory: bytes that a part may take, unless a single pair takes more.
        samples: how many are added up at a time.

    Returns:
        The parts, and the order that puts their numerators, one part after another, into that of
        the pairs.
    """
    starts = torch.tensor([0, *widths]).cumsum(0).tolist()
    alike: dict[tuple[tuple[int, ...], ...], list[int]] = {}
    for index, sides in enumerate(pairs):
        shape = tuple(tuple(widths[side]) for side in sides)
        single = max(map(len, shape)) == 1
        alike.setdefault(shape if single else (*shape, (index,)), []).append(index)
    parts, places = [], []
    sizes = [(a.stop - a.start) * (b.stop - b.start) for a, b in pairs]
    firsts = torch.tensor([0, *sizes]).cumsum(0).tolist()
    for of in alike.values():
        shapes = [(sum(widths[side]), side.stop - side.start) for side in pairs[of[0]]]
        most = max(1, memory // working_bytes(shapes[0], shapes[1], samples))
        for indices in (of[start : start + most] for start in range(0, len(of), most)):
            chosen = [[pairs[index][side] for index in indices] for side in (0, 1)]
            first, second = (Side.of(ranges, starts, widths, device) for ranges in chosen)
            parts.append(Part(first, second))
            places += [torch.arange(firsts[i], firsts[i] + sizes[i]) for i in indices]
    order = torch.cat(places).argsort() if places else torch.zeros(0, dtype=torch.int64)
    return parts, order


def indicator(widths: list[int]) -> Tensor:
    """(features, representations) float64, 1 where a feature is a representation's."""
    owner = torch.arange(len(widths)).repeat_interleave(torch.tensor(widths))
    return torch.nn.functional.one_hot(owner, len(widths)).double()
