"""The cells of a comparison: those of the pairs of views, and those of their controls."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

from analysis.cka.cells import Cells
from analysis.cka.view_pairs import Pair
from analysis.engine.controls import NONE, Controls
from analysis.engine.layers import last_quarter
from analysis.engine.observer import View


class Row(NamedTuple):
    """One representation: a layer's entry in a view, with its number of features."""

    view: View
    layer: str
    features: int


@dataclass(frozen=True)
class Wanted:
    """What is to be compared.

    Attributes:
        pairs: of views.
        controls: of their views.
        outputs: layers that hold the output, by model; see `analysis.engine.layers.last_quarter`.
    """

    pairs: Sequence[Pair]
    controls: Controls = NONE
    outputs: Mapping[str, Collection[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class ControlCells:
    """The cells of a comparison, and where among them the controls of each are.

    Attributes:
        cells: the pairs of views as blocks, the controls as single pairs.
        pairs: the pairs of views, in the order of the blocks.
        controlled: of each pair of views, those cells (i, j) that have controls: each layer with
            itself; between models with other layers, those of both last quarters.
        ceilings: by representation i, the single pair of i with itself under another draw.
        floors: by (i, j), the pair across photographs.
        untrained: by (i, j), the single pairs of untrained networks.
        rows: the representations.
    """

    cells: Cells
    pairs: Sequence[Pair]
    controlled: Mapping[Pair, Sequence[tuple[int, int]]]
    ceilings: Mapping[int, int]
    floors: Mapping[tuple[int, int], int]
    untrained: Mapping[tuple[int, int], Sequence[int]]
    rows: Sequence[Row] = ()

    @classmethod
    def of(cls, rows: Sequence[Row], wanted: Wanted) -> ControlCells:
        """The cells of a comparison.

        Args:
            rows: all representations, controls among them.
            wanted: what is to be compared.
        """
        places = view_slices(rows)
        pairs = [pair for pair in wanted.pairs if all(view in places for view in pair)]
        blocks = [(places[a], places[b]) for a, b in pairs]
        index = {(row.view, row.layer): i for i, row in enumerate(rows)}
        controlled = {pair: controlled_cells(rows, pair, wanted, places) for pair in pairs}
        singles: dict[tuple[int, int], int] = {}
        ceilings: dict[int, int] = {}
        untrained: dict[tuple[int, int], list[int]] = {}
        floors: dict[tuple[int, int], int] = {}
        for pair, (i, j) in ((pair, cell) for pair, cells in controlled.items() for cell in cells):
            for end in (i, j):
                view, layer, _ = rows[end]
                other = wanted.controls.other_draw(view)
                again = None if other is None else index.get((other, layer))
                if again is not None:
                    ceilings[end] = singles.setdefault((end, again), len(singles))
            for a, b in wanted.controls.untrained_pairs(*pair):
                ends = index.get((a, rows[i].layer)), index.get((b, rows[j].layer))
                if ends[0] is not None and ends[1] is not None:
                    at = singles.setdefault((ends[0], ends[1]), len(singles))
                    untrained.setdefault((i, j), []).append(at)
            floors.setdefault((i, j), len(floors))
        cells = Cells(len(rows), blocks, list(singles), list(floors))
        return cls(cells, pairs, controlled, ceilings, floors, untrained, rows)


def view_slices(rows: Sequence[Row]) -> dict[View, slice]:
    """Where the representations of each view are."""
    slices: dict[View, slice] = {}
    for i, row in enumerate(rows):
        slices[row.view] = slice(slices.get(row.view, slice(i, i)).start, i + 1)
    return slices


def controlled_cells(
    rows: Sequence[Row], pair: Pair, wanted: Wanted, places: Mapping[View, slice]
) -> list[tuple[int, int]]:
    """Those cells of a pair of views that have controls; none without controls."""
    a, b = pair
    if not wanted.controls.floor or a == b:
        return []
    ranges = [range(places[view].start, places[view].stop) for view in pair]
    names = [[rows[i].layer for i in side] for side in ranges]
    aligned = names[0] == names[1]
    diagonal = list(zip(*ranges, strict=True)) if aligned else []
    quarters = [
        [
            side[layers.index(name)]
            for name in last_quarter(layers, wanted.outputs.get(view.model, ()))
        ]
        for side, layers, view in zip(ranges, names, pair, strict=True)
    ]
    offsets = [
        [i - side.start for i in quarter] for quarter, side in zip(quarters, ranges, strict=True)
    ]
    if aligned and offsets[0] == offsets[1]:
        return diagonal
    return list(dict.fromkeys([*diagonal, *product(*quarters)]))
