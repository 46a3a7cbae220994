"""The tables of a comparison: every cell, the diagonal over depth, differences, influence."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.cka import view_pairs
from analysis.cka.observer import Row
from analysis.cka.view_pairs import Pair
from analysis.engine import layers
from analysis.stats.jackknife import interval
from mtd.data.crops import Crop

Array = NDArray[np.float64]

VIEWS = ["model_a", "noise_a", "model_b", "noise_b"]


@dataclass(frozen=True)
class Block:
    """One pair of views: layer x layer values, and the same without each image.

    Attributes:
        pair: the two views.
        rows: the representations of the first.
        columns: those of the second.
        value: (rows, columns).
        without: (images, rows, columns); no images where nothing was left out.
        p: p-values alone and corrected, (rows, columns) each; NaN where there are none.
    """

    pair: Pair
    rows: list[Row]
    columns: list[Row]
    value: Array
    without: Array
    p: tuple[Array, Array]

    @property
    def views(self) -> tuple[str, str, str, str]:
        """Model and noise of both sides."""
        return (*self.pair[0], *self.pair[1])

    @property
    def aligned(self) -> bool:
        """Whether both sides have the same layers, so that there is a diagonal."""
        return [r.layer for r in self.rows] == [c.layer for c in self.columns]

    def diagonal(self) -> tuple[Array, Array]:
        """Values of each layer with itself, (layers,), and without each image."""
        return self.value.diagonal(), self.without.diagonal(axis1=1, axis2=2)


def cells(blocks: Sequence[Block], measure: str, about: Mapping[str, Any]) -> pd.DataFrame:
    """Every pair of layers of every pair of views, in long form; `about` is the same for all."""
    parts = []
    for block in blocks:
        bounds = interval(block.value, block.without)
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
                    "low": bounds.low.ravel(),
                    "high": bounds.high.ravel(),
                    "p": block.p[0].ravel(),
                    "p_corrected": block.p[1].ravel(),
                    **{k: about[k] for k in ("kernel", "centering")},
                    "null": _null(block, i, j, about),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _null(block: Block, i: Any, j: Any, about: Mapping[str, Any]) -> Array | float:
    """What biased linear CKA tends to where there is nothing in common; NaN for anything else."""
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


def depth(blocks: Sequence[Block], measure: str) -> pd.DataFrame:
    """Each layer under one noise against itself under another, with its interval."""
    rows = []
    for block in blocks:
        if view_pairs.kind(block.pair) == "cross_noise" and block.aligned:
            value, without = block.diagonal()
            low, high = interval(value, without)
            model, noise_a, _, noise_b = block.views
            rows += [
                (model, noise_a, noise_b, row.layer, i, value[i], low[i], high[i])
                for i, row in enumerate(block.rows)
            ]
    columns = ["model", "noise_a", "noise_b", "layer", "index", measure, "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def difference(blocks: Sequence[Block]) -> pd.DataFrame:
    """Two models' `depth` curves for the same noises: model b minus model a, layer by layer.

    The interval is that of the difference, from the same images left out on both sides. Models of
    different numbers of layers are not compared.
    """
    rows = []
    chosen = [b for b in blocks if view_pairs.kind(b.pair) == "cross_noise" and b.aligned]
    for a, b in combinations(chosen, 2):
        same = (a.views[1], a.views[3]) == (b.views[1], b.views[3])
        if same and len(a.rows) == len(b.rows):
            (value_a, without_a), (value_b, without_b) = a.diagonal(), b.diagonal()
            low, high = interval(value_b - value_a, without_b - without_a)
            names = (a.views[0], b.views[0], a.views[1], a.views[3])
            rows += [
                (*names, row.layer, i, value_b[i] - value_a[i], low[i], high[i])
                for i, row in enumerate(a.rows)
            ]
    columns = ["model_a", "model_b", "noise_a", "noise_b", "layer", "index"]
    return pd.DataFrame(rows, columns=[*columns, "difference", "low", "high"])


def last_quarter(
    blocks: Sequence[Block], measure: str, outputs: Mapping[str, Collection[str]] | None = None
) -> pd.DataFrame:
    """Mean over the last quarter of the blocks of both sides, with its 95% interval.

    Where a model has no blocks, it is the last quarter of its layers but those that hold its
    output; see `analysis.engine.layers.last_quarter`. The column `pairs` names the statistic.
    `same`: both sides have the same layers, and each layer is compared with itself, which is 1 for
    a model and its copy. `all`: the sides differ in their layers, and each of the last quarter is
    compared with each.

    Args:
        blocks: pairs of views.
        measure: name of the column of values.
        outputs: layers that hold the output, by model.
    """
    rows, held = [], outputs or {}
    for block in (b for b in blocks if view_pairs.kind(b.pair) != "self"):
        sides = [[row.layer for row in side] for side in (block.rows, block.columns)]
        a, b = (
            [names.index(name) for name in layers.last_quarter(names, held.get(view.model, ()))]
            for names, view in zip(sides, block.pair, strict=True)
        )
        if block.aligned and a == b:
            pairs = "same"
            value, without = block.value[a, a].mean(), block.without[:, a, a].mean(-1)
        else:
            pairs = "all"
            value = block.value[np.ix_(a, b)].mean()
            without = block.without[:, a][:, :, b].mean((-2, -1))
        low, high = interval(value, without)
        rows.append((*block.views, pairs, value, float(low), float(high)))
    return pd.DataFrame(rows, columns=[*VIEWS, "pairs", measure, "low", "high"])


def influence(blocks: Sequence[Block], crops: Sequence[Crop]) -> pd.DataFrame:
    """How much each image moves the values of each pair of views.

    `mean_change` and `largest_change` are over the cells that have a value whichever image is left
    out, of the value with the image minus that
    without it; `share` is the image's part of the cells' summed jackknife variance, 1/n each if
    all images are alike.
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
        for crop, cell, part in zip(crops, change, share, strict=True):
            i, j = np.unravel_index(np.abs(cell).argmax(), cell.shape)
            largest = (block.rows[i].layer, block.columns[j].layer)
            place = (crop.image, crop.top, crop.left, crop.digest)
            rows.append((*block.views, *place, part, cell[exists].mean(), cell[i, j], *largest))
    columns = [*VIEWS, "image", "top", "left", "sha256", "share", "mean_change"]
    return pd.DataFrame(rows, columns=[*columns, "largest_change", "layer_a", "layer_b"])
