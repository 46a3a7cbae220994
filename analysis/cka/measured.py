"""Values of other measures than CKA, for every cell of a comparison."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from analysis.cka import hsic
from analysis.cka.cells import Cells
from analysis.cka.feature_measures import FEATURE_MEASURES
from analysis.cka.hsic_sums import Similarity
from analysis.cka.other_measures import MEASURES as GRAM_MEASURES
from analysis.stats.arrays import double

NOT_DEFINED = "its activations are not finite, or do not vary"
"""Why a representation has no value, for measures that compare Gram matrices."""


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


def from_grams(name: str, grams: Tensor, cells: Cells, across: tuple[Tensor, Tensor]) -> Values:
    """Of whole images.

    Args:
        name: of the measure.
        grams: (N, n, n), centered.
        cells: which pairs.
        across: crops of the first side, and those of other photographs beside them.
    """
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
        _blocks(cells, lambda i, j: chosen.compare(ready[i], ready[j])),
        _similar([chosen.compare(ready[i], ready[j]) for i, j in cells.pairs]),
        _similar(floors),
        own,
        dict.fromkeys(own.isnan().nonzero().flatten().tolist(), NOT_DEFINED),
    )


def from_features(
    name: str, features: Sequence[Tensor], cells: Cells, across: tuple[Tensor, Tensor]
) -> Values:
    """Of positions.

    Args:
        name: of the measure.
        features: (crops, positions, channels) of each representation.
        cells: which pairs.
        across: crops of the first side, and those of other photographs beside them.
    """
    chosen = FEATURE_MEASURES[name]
    every = torch.arange(len(features[0]))

    def prepared(crops: Tensor) -> list[Any]:
        return [chosen.prepare(double(of[crops].flatten(0, 1))) for of in features]

    ready, value = prepared(every), chosen.value
    first, second = across
    enough = len(first) * features[0].shape[1] >= chosen.least
    alike = torch.equal(first, every)
    sides = (ready if alike else prepared(first), prepared(second)) if enough else None

    def other(i: int, j: int) -> float:
        return value(sides[0][i], sides[1][j]) if sides else math.nan

    return Values(
        _blocks(cells, lambda i, j: value(ready[i], ready[j])),
        _similar([value(ready[i], ready[j]) for i, j in cells.pairs]),
        _similar([other(i, j) for i, j in cells.across]),
        torch.tensor([value(one, one) for one in ready], dtype=torch.float64),
        {i: one.reason for i, one in enumerate(ready) if one.reason},
        [block.value for block in _blocks(cells, other)],
        [
            [[chosen.reason(ready[i], ready[j]) for j in _range(columns)] for i in _range(rows)]
            for rows, columns in cells.blocks
        ],
    )


def _range(part: slice) -> range:
    return range(part.start, part.stop)


def _blocks(cells: Cells, value: Callable[[int, int], float]) -> list[Similarity]:
    return [
        _similar(
            [value(i, j) for i in _range(rows) for j in _range(columns)],
            len(_range(rows)),
            len(_range(columns)),
        )
        for rows, columns in cells.blocks
    ]


def _similar(values: Sequence[float], *shape: int) -> Similarity:
    value = torch.tensor(list(values), dtype=torch.float64).reshape(shape or (len(values),))
    return Similarity(value, value.new_zeros(0, *value.shape))
