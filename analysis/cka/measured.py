"""Values of other measures than CKA, for every cell of a comparison."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from analysis.cka import hsic
from analysis.cka.cells import Cells, Pair
from analysis.cka.feature_measures import FEATURE_MEASURES
from analysis.cka.hsic_sums import Similarity
from analysis.cka.leaving_out import LEAVING_OUT, Rest
from analysis.cka.other_measures import MEASURES as GRAM_MEASURES
from analysis.stats.arrays import double

NOT_DEFINED = "its activations are not finite, or do not vary"
"""Why a representation has no value, for measures that compare Gram matrices."""

Photographs = Sequence[Sequence[int]]
"""The crops of each photograph that is left out in turn."""


@dataclass(frozen=True)
class Values:
    """The values of a measure.

    Attributes:
        blocks: of each pair of views.
        pairs: of the single pairs.
        across: of those whose second side is of other photographs.
        own: (N,) of each representation with itself; NaN where it has no values.
        reasons: why a representation has no values, by its index.
        nulls: for each block the values with the photographs of the second side exchanged; none
            for measures without.
        block_reasons: for each block, why cells have no values, (rows, columns) of texts; none for
            measures whose cells all have values if the representations have.
    """

    blocks: Sequence[Similarity]
    pairs: Similarity
    across: Similarity
    own: Tensor
    reasons: dict[int, str]
    nulls: Sequence[Tensor] = ()
    block_reasons: Sequence[list[list[str]]] = ()


def from_grams(
    name: str,
    grams: Tensor,
    cells: Cells,
    across: tuple[Tensor, Tensor],
    photographs: Photographs = (),
) -> Values:
    """Of whole images.

    Args:
        name: of the measure.
        grams: (N, n, n), centered.
        cells: which pairs.
        across: crops of the first side, and those of other photographs beside them.
        photographs: the crops of each that is left out in turn.
    """
    whole, rest = _from_grams(name, grams, cells, across), []
    for members in photographs:
        gone = torch.tensor(members, dtype=torch.int64)
        kept = torch.ones(grams.shape[-1], dtype=torch.bool)
        kept[gone] = False
        place = kept.cumsum(0) - 1
        first, second = (place[side[~_either(across, gone)]] for side in across)
        left = hsic.center(grams[:, kept][:, :, kept])
        rest.append(_from_grams(name, left, cells, (first, second)))
    if not rest:
        return whole

    def beside(one: Similarity, others: Sequence[Similarity]) -> Similarity:
        return Similarity(one.value, torch.stack([other.value for other in others]))

    return replace(
        whole,
        blocks=[
            beside(block, [one.blocks[index] for one in rest])
            for index, block in enumerate(whole.blocks)
        ],
        pairs=beside(whole.pairs, [one.pairs for one in rest]),
        across=beside(whole.across, [one.across for one in rest]),
    )


def _from_grams(name: str, grams: Tensor, cells: Cells, across: tuple[Tensor, Tensor]) -> Values:
    """`from_grams` with no photograph left out."""
    chosen = GRAM_MEASURES[name]
    ready = [chosen.prepare(k) for k in grams]
    first, second = across
    floors = [math.nan] * len(cells.across)
    if len(first) >= chosen.least:
        sides = [
            {i: chosen.prepare(hsic.center(grams[i][side][:, side])) for i in set(ends)}
            for side, ends in zip((first, second), zip(*cells.across, strict=True), strict=False)
        ]
        floors = [chosen.compare(sides[0][i], sides[1][j]) for i, j in cells.across]
    own = torch.tensor([chosen.compare(one, one) for one in ready], dtype=torch.float64)
    return Values(
        [
            _similar(
                [chosen.compare(ready[i], ready[j]) for i in _range(rows) for j in _range(columns)],
                *_shape(rows, columns),
            )
            for rows, columns in cells.blocks
        ],
        _similar([chosen.compare(ready[i], ready[j]) for i, j in cells.pairs]),
        _similar(floors),
        own,
        dict.fromkeys(own.isnan().nonzero().flatten().tolist(), NOT_DEFINED),
    )


def from_features(
    name: str,
    features: Sequence[Tensor],
    cells: Cells,
    across: tuple[Tensor, Tensor],
    photographs: Photographs = (),
) -> Values:
    """Of positions.

    Args:
        name: of the measure.
        features: (crops, positions, channels) of each representation.
        cells: which pairs.
        across: crops of the first side, and those of other photographs beside them.
        photographs: the crops of each that is left out in turn.
    """
    chosen = FEATURE_MEASURES[name]
    every = torch.arange(len(features[0]))

    def prepared(crops: Tensor) -> list[Any]:
        return [chosen.prepare(_samples(of, crops)) for of in features]

    ready, value = prepared(every), chosen.value
    first, second = across
    enough = len(first) * features[0].shape[1] >= chosen.least
    alike = torch.equal(first, every)
    sides = (ready if alike else prepared(first), prepared(second)) if enough else None

    def other(i: int, j: int) -> float:
        return value(sides[0][i], sides[1][j]) if sides else math.nan

    same, beside = (Without(name, features, pair, photographs) for pair in ((every, every), across))
    blocks, nulls, reasons = [], [], []
    for rows, columns in cells.blocks:
        ends = [(i, j) for i in _range(rows) for j in _range(columns)]
        shape = _shape(rows, columns)
        own = [value(ready[i], ready[j]) for i, j in ends]
        blocks.append(_similar(own, *shape, without=same.of(ends, own, together=True)))
        nulls.append(_similar([other(i, j) for i, j in ends], *shape).value)
        why = [chosen.reason(ready[i], ready[j]) for i, j in ends]
        reasons.append([why[start : start + shape[1]] for start in range(0, len(why), shape[1])])
    pairs = [value(ready[i], ready[j]) for i, j in cells.pairs]
    floors = [other(i, j) for i, j in cells.across]
    return Values(
        blocks,
        _similar(pairs, without=same.of(cells.pairs, pairs)),
        _similar(floors, without=beside.of(cells.across, floors)),
        torch.tensor([value(one, one) for one in ready], dtype=torch.float64),
        {i: one.reason for i, one in enumerate(ready) if one.reason},
        nulls,
        reasons,
    )


class Without:
    """Values of positions without each photograph.

    Args:
        name: of the measure.
        features: (crops, positions, channels) of each representation.
        crops: of the first side, and those of the second beside them.
        photographs: the crops of each; samples of which either side is of one leave with it.
    """

    def __init__(
        self,
        name: str,
        features: Sequence[Tensor],
        crops: tuple[Tensor, Tensor],
        photographs: Photographs,
    ) -> None:
        self.measure, self.features, self.crops = LEAVING_OUT[name], features, crops
        gone = [_either(crops, torch.tensor(members)) for members in photographs]
        each = features[0].shape[1]
        self.rows = [crop.repeat_interleave(each).nonzero().flatten() for crop in gone]

    def prepared(self, i: int, side: int) -> Rest:
        """A representation as the first or second side."""
        return self.measure.prepare(_samples(self.features[i], self.crops[side]), self.rows)

    def of(self, ends: Sequence[Pair], values: Sequence[float], together: bool = False) -> Tensor:
        """(photographs, pairs); NaN where there is no value of all samples.

        Args:
            ends: the two representations of each pair.
            values: of all samples.
            together: keep every representation in memory, for pairs that share them.
        """
        found = torch.full((len(values), len(self.rows)), torch.nan, dtype=torch.float64)
        kept = cache(self.prepared) if together else self.prepared
        for at, (i, j) in enumerate(ends if self.rows else ()):
            if math.isfinite(values[at]):
                left = self.measure.compare(kept(i, 0), kept(j, 1))
                found[at] = torch.tensor(left, dtype=torch.float64)
        return found.mT


def _samples(features: Tensor, crops: Tensor) -> Tensor:
    """(samples, channels) of some crops, in float64."""
    return double(features[crops].flatten(0, 1))


def _either(crops: tuple[Tensor, Tensor], gone: Tensor) -> Tensor:
    """Whether either of two crops beside each other is among some."""
    return torch.isin(crops[0], gone) | torch.isin(crops[1], gone)


def _range(part: slice) -> range:
    return range(part.start, part.stop)


def _shape(rows: slice, columns: slice) -> tuple[int, int]:
    return len(_range(rows)), len(_range(columns))


def _similar(values: Sequence[float], *shape: int, without: Tensor | None = None) -> Similarity:
    shape = shape or (len(values),)
    value = torch.tensor(list(values), dtype=torch.float64).reshape(shape)
    left = torch.zeros(0, *shape) if without is None else without.reshape(len(without), *shape)
    return Similarity(value, left.double())
