"""The tables of a comparison: every cell, the diagonal over depth, differences, influence.

Values of depth and of the last quarter stand beside their controls.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial, reduce
from itertools import combinations, product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.cka import view_pairs
from analysis.cka.control_cells import Row
from analysis.cka.controls import CellControl
from analysis.cka.view_pairs import Pair
from analysis.engine import layers
from analysis.stats import controls, jackknife, trainings
from analysis.stats.controls import COLUMNS, NOTHING, Series, columns, interval, plain
from analysis.stats.jackknife import LEVEL

Array = NDArray[np.float64]

VIEWS = ["model_a", "noise_a", "model_b", "noise_b"]

CONTROLS = ["ceiling", "floor", "untrained", "untrained_sd", "normalised"]
"""Columns of the controls of a value; see `analysis.cka.controls`."""

GAPS = [
    f"{name}{end}" for name in ("below_ceiling", "above_untrained") for end in ("", "_low", "_high")
]
"""Columns of how far a mean is from its controls; see `CellControl.gaps`."""


@dataclass(frozen=True)
class Block:
    """One pair of views: layer x layer values, without each photograph, and of each training.

    Attributes:
        pair: the two views.
        rows: the representations of the first.
        columns: those of the second.
        value: (rows, columns).
        without: (photographs, rows, columns); no photographs where none was left out.
        p: p-values alone and corrected, (rows, columns) each; NaN where there are none.
        controls: by row and column, of those cells that have controls.
        trainings: (trainings, rows, columns), of which the values are the means; none for single
            networks.
        null: values with the photographs of one side exchanged, (rows, columns), or none; of
            measures that declare it.
        reasons: why cells have no values, (rows, columns) of texts, empty where they have; none
            for measures whose cells have values wherever both layers have.
    """

    pair: Pair
    rows: list[Row]
    columns: list[Row]
    value: Array
    without: Array
    p: tuple[Array, Array]
    controls: dict[tuple[int, int], CellControl]
    trainings: Array = field(default_factory=lambda: np.zeros(0))
    null: Array | None = None
    reasons: NDArray[np.object_] | None = None

    @classmethod
    def over_trainings(cls, pair: Pair, blocks: Sequence[Block]) -> Block:
        """The mean over pairs of networks, of which two models have several; one is itself.

        Args:
            pair: the views of the models.
            blocks: those of the networks, with the same layers.
        """
        first = blocks[0]
        if len(blocks) == 1:
            rows, columns = (
                [row._replace(view=view) for row in side]
                for side, view in zip((first.rows, first.columns), pair, strict=True)
            )
            return replace(first, pair=pair, rows=rows, columns=columns)
        blank = np.full(first.value.shape, np.nan)
        return cls(
            pair,
            [row._replace(view=pair[0]) for row in first.rows],
            [column._replace(view=pair[1]) for column in first.columns],
            np.mean([block.value for block in blocks], axis=0),
            np.mean([block.without for block in blocks], axis=0),
            (blank, blank),
            {
                cell: CellControl.over_trainings([block.controls[cell] for block in blocks])
                for cell in first.controls
            },
            np.stack([block.value for block in blocks]),
            *nulls_and_reasons(blocks),
        )

    @property
    def views(self) -> tuple[str, str, str, str]:
        """Model and noise of both sides."""
        return (*self.pair[0], *self.pair[1])

    @property
    def aligned(self) -> bool:
        """Whether both sides have the same layers, so that there is a diagonal."""
        return [r.layer for r in self.rows] == [c.layer for c in self.columns]

    def mean(self, rows: Sequence[int], columns: Sequence[int]) -> Series:
        """The mean over some cells."""
        return Series(
            float(self.value[rows, columns].mean()),
            self.without[:, rows, columns].mean(-1),
            tuple(of[:, rows, columns].mean(-1) for of in self.samples),
        )

    def diagonal(self) -> list[Series]:
        """Each layer with itself."""
        return [self.mean([i], [i]) for i in range(len(self.rows))]

    @property
    def samples(self) -> tuple[Array, ...]:
        """`trainings` as the samples of a `Series`."""
        return (self.trainings,) if len(self.trainings) else ()

    def bounds(self) -> tuple[Array, Array]:
        """The 95% interval of every value."""
        low, high = jackknife.interval(self.value, self.without)
        half = trainings.half_width(self.samples)
        return trainings.both((low, high), self.value, half)


def nulls_and_reasons(
    blocks: Sequence[Block],
) -> tuple[Array | None, NDArray[np.object_] | None]:
    """`null` of the mean over networks, and `reasons`: of each cell the first network's that has
    one."""
    nulls = [block.null for block in blocks if block.null is not None]
    reasons = [block.reasons for block in blocks if block.reasons is not None]
    why = reduce(lambda a, b: np.where(a == "", b, a), reasons) if reasons else None
    return np.mean(nulls, axis=0) if nulls else None, why


def cells(blocks: Sequence[Block], measure: str, about: Mapping[str, Any]) -> pd.DataFrame:
    """Every pair of layers of every pair of views, in long form; `about` is the same for all.

    Rows are side a, columns side b: of a measure that is not symmetric, no value stands for its
    mirror image. The column `null` is what layers that have nothing in common would have: for
    biased linear CKA by a formula, for measures that declare it with the photographs of side b
    exchanged. The column `reason`, of some measures, says why there is no value.
    """
    parts = []
    for block in blocks:
        low, high = block.bounds()
        i, j = (index.ravel() for index in np.indices(block.value.shape))
        one = dict(zip(VIEWS, block.views, strict=True))
        parts.append(
            pd.DataFrame(
                {
                    "model_a": one["model_a"],
                    "noise_a": one["noise_a"],
                    "layer_a": [block.rows[k].layer for k in i],
                    "index_a": i,
                    "model_b": one["model_b"],
                    "noise_b": one["noise_b"],
                    "layer_b": [block.columns[k].layer for k in j],
                    "index_b": j,
                    measure: block.value.ravel(),
                    **{k: about[k] for k in ("estimator", "unit", "samples", "crops")},
                    "low": low.ravel(),
                    "high": high.ravel(),
                    "p": block.p[0].ravel(),
                    "p_corrected": block.p[1].ravel(),
                    **{k: about[k] for k in ("kernel", "centering")},
                    "null": _null(block, i, j, about),
                    **({} if block.reasons is None else {"reason": block.reasons.ravel()}),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _null(block: Block, i: Any, j: Any, about: Mapping[str, Any]) -> Array | float:
    """The column `null` of `cells`; NaN where there is none."""
    if block.null is not None:
        return block.null.ravel()
    if (about["estimator"], about["kernel"]) != ("biased", "linear"):
        return np.nan
    p = np.array([row.features for row in block.rows], dtype=float)[i]
    q = np.array([column.features for column in block.columns], dtype=float)[j]
    return null_value(p, q, about["samples"])


def null_value(p: Array, q: Array, n: int) -> Array:
    """√(p·q / ((p+n)(q+n))): what biased CKA tends to for independent Gaussian data.

    p and q are numbers of features, n is the number of samples. Reference: Murphy et al. 2024,
    arXiv 2405.01012.
    """
    null: Array = np.sqrt(p * q / ((p + n) * (q + n)))
    return null


def depth(blocks: Sequence[Block], measure: str, several: bool = False) -> pd.DataFrame:
    """Each layer under one noise against itself under another, with its interval and controls.

    Args:
        blocks: pairs of views.
        measure: name of the column of values.
        several: whether models have several trainings; see `analysis.stats.controls.COLUMNS`.
    """
    rows = []
    for block in blocks:
        if view_pairs.kind(block.pair) == "cross_noise" and block.aligned:
            model, noise_a, _, noise_b = block.views
            rows += [
                (
                    *(model, noise_a, noise_b, row.layer, i, of.value, *interval(of)),
                    *beside(block.controls.get((i, i)), of),
                    *(columns(of).values() if several else ()),
                )
                for i, (row, of) in enumerate(zip(block.rows, block.diagonal(), strict=True))
            ]
    names = ["model", "noise_a", "noise_b", "layer", "index", measure, "low", "high", *CONTROLS]
    return pd.DataFrame(rows, columns=[*names, *(COLUMNS if several else ())])


def beside(own: CellControl | None, of: Series) -> list[float]:
    """The columns `CONTROLS` of a value; NaN without controls."""
    return list((own or CellControl(NOTHING, NOTHING, ())).columns(of).values())


def difference(blocks: Sequence[Block]) -> pd.DataFrame:
    """Two models' `depth` curves for the same noises: model b minus model a, layer by layer.

    The interval is that of the difference, the same photographs left out on both sides, and the
    trainings of two models being independent; `band_low` and `band_high` hold for all layers of a
    curve at once (Bonferroni: for L layers, intervals of level 1 − 0.05/L). Models of different
    numbers of layers are not compared.
    """
    rows = []
    chosen = [b for b in blocks if view_pairs.kind(b.pair) == "cross_noise" and b.aligned]
    for a, b in combinations(chosen, 2):
        same = (a.views[1], a.views[3]) == (b.views[1], b.views[3])
        if same and len(a.rows) == len(b.rows):
            level = 1 - (1 - LEVEL) / len(a.rows)
            about = (a.views[0], b.views[0], a.views[1], a.views[3])
            sides = zip(a.rows, a.diagonal(), b.diagonal(), strict=True)
            for i, (row, own, other) in enumerate(sides):
                of = controls.difference(other, own, same_networks=False)
                band = interval(of, partial(plain, level=level), level)
                rows.append((*about, row.layer, i, of.value, *interval(of), *band))
    names = ["model_a", "model_b", "noise_a", "noise_b", "layer", "index", "difference"]
    return pd.DataFrame(rows, columns=[*names, "low", "high", "band_low", "band_high"])


@dataclass(frozen=True)
class Quarter:
    """The mean over the last quarter of both sides of a pair of views.

    Attributes:
        views: model and noise of both sides.
        pairs: `same` or `all`, see `quarters`.
        mean: its value, and the same without each photograph.
        controls: of the mean.
    """

    views: tuple[str, str, str, str]
    pairs: str
    mean: Series
    controls: CellControl


def quarters(
    blocks: Sequence[Block], outputs: Mapping[str, Collection[str]] | None = None
) -> list[Quarter]:
    """Means over the last quarter of the blocks of both sides.

    Where a model has no blocks, it is the last quarter of its layers but those that hold its
    output; see `analysis.engine.layers.last_quarter`. `pairs` names the statistic. `same`: both
    sides have the same layers, and each layer is compared with itself, which is 1 for a model and
    its copy. `all`: the sides differ in their layers, and each of the last quarter is compared with
    each.

    Args:
        blocks: pairs of views.
        outputs: layers that hold the output, by model.
    """
    means, held = [], outputs or {}
    for block in (b for b in blocks if view_pairs.kind(b.pair) != "self"):
        sides = [[row.layer for row in side] for side in (block.rows, block.columns)]
        a, b = (
            [names.index(name) for name in layers.last_quarter(names, held.get(view.model, ()))]
            for names, view in zip(sides, block.pair, strict=True)
        )
        same = block.aligned and a == b
        cells = list(zip(a, b, strict=True)) if same else list(product(a, b))
        rows, facing = (list(side) for side in zip(*cells, strict=True))
        mean = block.mean(rows, facing)
        known = [block.controls[cell] for cell in cells if cell in block.controls]
        beside_it = CellControl.mean(known if len(known) == len(cells) else [])
        means.append(Quarter(block.views, "same" if same else "all", mean, beside_it))
    return means


def last_quarter(means: Sequence[Quarter], measure: str, several: bool = False) -> pd.DataFrame:
    """The means over the last quarter with their 95% intervals, controls and gaps to these.

    Args:
        means: of `quarters`.
        measure: name of the column of values.
        several: whether models have several trainings; see `analysis.stats.controls.COLUMNS`.
    """
    rows = []
    for quarter in means:
        of = quarter.mean
        beside_it = [*quarter.controls.columns(of).values(), *quarter.controls.gaps(of).values()]
        about = (*quarter.views, quarter.pairs, of.value, *interval(of))
        more = columns(of).values() if several else ()
        rows.append((*about, len(of.without), *beside_it, *more))
    names = [*VIEWS, "pairs", measure, "low", "high", "photographs", *CONTROLS, *GAPS]
    return pd.DataFrame(rows, columns=[*names, *(COLUMNS if several else ())])


def quarter_difference(quarters: Sequence[Quarter], several: bool = False) -> pd.DataFrame:
    """Two models' means over the last quarter for the same noises: model b minus model a.

    The interval is that of the difference, the same photographs left out on both sides, and the
    trainings of two models being independent.

    Args:
        quarters: means of all models.
        several: whether models have several trainings; see `analysis.stats.controls.COLUMNS`.
    """
    rows = []
    own = [quarter for quarter in quarters if quarter.views[0] == quarter.views[2]]
    for a, b in combinations(own, 2):
        if (a.views[1], a.views[3]) == (b.views[1], b.views[3]):
            of = controls.difference(b.mean, a.mean, same_networks=False)
            about = (a.views[0], b.views[0], a.views[1], a.views[3])
            more = columns(of).values() if several else ()
            rows.append((*about, of.value, *interval(of), len(a.mean.without), *more))
    names = ["model_a", "model_b", "noise_a", "noise_b", "difference", "low", "high"]
    return pd.DataFrame(rows, columns=[*names, "photographs", *(COLUMNS if several else ())])


def influence(blocks: Sequence[Block], photographs: Sequence[str]) -> pd.DataFrame:
    """How much each photograph moves the values of each pair of views.

    `mean_change` and `largest_change` are over the cells that have a value whichever photograph is
    left out, of the value with the photograph minus that without it; `share` is the photograph's
    part of the cells' summed jackknife variance, 1/n each if all photographs are alike.
    """
    rows: list[tuple[Any, ...]] = []
    for block in blocks:
        exists = np.isfinite(block.value) & np.isfinite(block.without).all(0)
        if not exists.any():
            continue
        change = np.where(exists, block.value - block.without, 0.0)
        spread = np.square(change - change.mean(0)).sum((1, 2))
        equal = np.full(len(spread), 1 / max(1, len(spread)))
        share = spread / spread.sum() if spread.sum() > 0 else equal
        for photograph, cell, part in zip(photographs, change, share, strict=True):
            i, j = np.unravel_index(np.abs(cell).argmax(), cell.shape)
            largest = (block.rows[i].layer, block.columns[j].layer)
            rows.append((*block.views, photograph, part, cell[exists].mean(), cell[i, j], *largest))
    names = [*VIEWS, "photograph", "share", "mean_change"]
    return pd.DataFrame(rows, columns=[*names, "largest_change", "layer_a", "layer_b"])
