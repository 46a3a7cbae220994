"""Other measures of similarity of whole images, each from the Gram matrices of two representations.

Each compares the same n samples in two representations, and is 1 for a representation and
itself. `MEASURES` holds them by name, in two steps, so that a layer is prepared once and compared
many times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from analysis.cka.hsic import gram, squared_distances
from analysis.stats.arrays import double
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

NEIGHBORS = 10


@dataclass(frozen=True)
class Measure:
    """How a similarity of two representations is computed; see `analysis.cka.measures`.

    Attributes:
        prepare: from a Gram (n, n) of centered features to the tensor that is compared.
        compare: from two prepared ones to the value.
        least: fewest samples.
    """

    prepare: Callable[[Tensor], Tensor]
    compare: Callable[[Tensor, Tensor], float]
    least: int


def procrustes(x: ArrayLike | Tensor, y: ArrayLike | Tensor) -> float:
    """Orthogonal Procrustes similarity ‖XᵀY‖_* / (‖X‖_F ‖Y‖_F), columns centered; from 0 to 1.

    It is 1 − d²/2, d being the Procrustes distance min_Q ‖X − YQ‖_F over orthogonal Q once both
    have norm 1. NaN if one does not vary.

    Args:
        x: (n, p), or (n, …), which is flattened.
        y: (n, q), or (n, …).

    Raises:
        BadInput: different numbers of samples, or fewer than 2.

    >>> round(procrustes([[0, 0], [1, 0], [0, 2]], [[0, 0], [0, 1], [-2, 0]]), 12)
    1.0

    Reference: Schönemann 1966; Ding et al. 2021 (arXiv 2108.01661).
    """
    return _apply("procrustes", x, y)


def rsa(x: ArrayLike | Tensor, y: ArrayLike | Tensor) -> float:
    """Representational similarity: Spearman's ρ of the samples' squared Euclidean distances.

    Over the n(n−1)/2 pairs of samples, ties getting their mean rank; from −1 to 1. NaN if all
    distances of one side are equal.

    Args and errors as `procrustes`; at least 3 samples.

    >>> round(rsa([0, 1, 3], [0, 2, 9]), 12)
    1.0

    Reference: Kriegeskorte et al. 2008, Frontiers in Systems Neuroscience 2.
    """
    return _apply("rsa", x, y)


def mutual_knn(x: ArrayLike | Tensor, y: ArrayLike | Tensor, neighbors: int = NEIGHBORS) -> float:
    """Mean share of a sample's k nearest neighbors (Euclidean) that both sides have; 0 to 1.

    Of samples equally far away the earlier one counts as nearer. Unrelated representations share
    k/(n−1). With fewer than k + 2 samples, k is n − 2.

    Args and errors as `procrustes`; at least 3 samples.

    >>> mutual_knn([0, 1, 5, 6], [0, 1, 50, 51], neighbors=1)
    1.0

    Reference: Huh et al. 2024 (arXiv 2405.07987).
    """
    if neighbors < 1:
        raise BadInput(f"{neighbors} neighbors: expected 1 or more")
    k, other = _grams(x, y, 3)
    a, b = _neighbors(k, neighbors), _neighbors(other, neighbors)
    return _shared(a, b)


def _apply(name: str, x: ArrayLike | Tensor, y: ArrayLike | Tensor) -> float:
    measure = MEASURES[name]
    a, b = (measure.prepare(k) for k in _grams(x, y, measure.least))
    return measure.compare(a, b)


def _grams(x: ArrayLike | Tensor, y: ArrayLike | Tensor, least: int) -> list[Tensor]:
    sides = [
        double(side.detach())
        if isinstance(side, Tensor)
        else torch.from_numpy(np.array(side, dtype=np.float64))
        for side in (x, y)
    ]
    counts = [len(side) if side.ndim else 0 for side in sides]
    if counts[0] != counts[1] or counts[0] < least:
        raise BadInput(
            f"{counts[0]} and {counts[1]} samples: expected the same number, {least} or more"
        )
    return [gram(side.reshape(len(side), -1)) for side in sides]


def _root(k: Tensor) -> Tensor:
    """K^½ / √tr K."""
    if not bool(k.isfinite().all()) or not bool(k.trace() > 0):
        return torch.full_like(k, torch.nan)
    values, vectors = torch.linalg.eigh(k / k.trace())
    root: Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.mT
    return root


def _nuclear(a: Tensor, b: Tensor) -> float:
    # ‖XᵀY‖_* = ‖K^½ L^½‖_*
    product = a @ b
    if not bool(product.isfinite().all()):
        return float("nan")
    return min(float(torch.linalg.svdvals(product).sum()), 1.0)  # NaN stays NaN


def _ranks(k: Tensor) -> Tensor:
    """Ranks of the distances between different samples, centered, of norm 1."""
    from scipy.stats import rankdata

    n = k.shape[-1]
    above = torch.ones(n, n, dtype=torch.bool, device=k.device).triu(1)
    if not bool(k.isfinite().all()):
        return k.new_full((n * (n - 1) // 2,), torch.nan)
    levels = _levels(squared_distances(k)[above], _rounding(k)[above])
    ranks = torch.from_numpy(rankdata(levels.cpu().numpy()))
    ranks = ranks - ranks.mean()
    return ranks / ranks.norm() if bool(ranks.norm() > 0) else ranks * torch.nan


def _rounding(k: Tensor) -> Tensor:
    """(n, n), what may be rounding alone in the squared distance of two samples.

    In proportion to the squared lengths of these two, so that a sample far away from all others, by
    up to 10⁵ times, leaves the distances between the others.
    """
    lengths = k.diagonal()
    return 2**-44 * (lengths[:, None] + lengths[None, :])


def _levels(distances: Tensor, rounding: Tensor) -> Tensor:
    """0 for the least of the last dimension, 1 for the next, …; the same where rounding decides."""
    order = distances.argsort(dim=-1)
    ordered, unsure = distances.gather(-1, order), rounding.gather(-1, order)
    larger = ordered.diff(dim=-1) > torch.maximum(unsure[..., 1:], unsure[..., :-1])
    level = torch.nn.functional.pad(larger.cumsum(-1), (1, 0))
    return torch.empty_like(level).scatter_(-1, order, level)


def _dot(a: Tensor, b: Tensor) -> float:
    return float(a @ b)


def _neighbors(k: Tensor, count: int = NEIGHBORS) -> Tensor:
    """(n, n), 1 where a column is among a row's nearest."""
    n = k.shape[-1]
    if not bool(k.isfinite().all()) or not bool(k.trace() > 0):
        return torch.full_like(k, torch.nan)
    distances = squared_distances(k).fill_diagonal_(torch.inf)
    levels = _levels(distances, _rounding(k))
    nearest = levels.argsort(dim=-1, stable=True)[:, : max(1, min(count, n - 2))]
    return torch.zeros_like(k).scatter_(1, nearest, 1.0)


def _shared(a: Tensor, b: Tensor) -> float:
    return float((a * b).sum() / a.sum())


MEASURES = {
    "procrustes": Measure(_root, _nuclear, 2),
    "rsa": Measure(_ranks, _dot, 3),
    "knn": Measure(_neighbors, _shared, 3),
}
