"""Measures of similarity that need the features themselves, not their Gram matrix.

X is (n, p), Y is (n, q), a row for each sample. `FEATURE_MEASURES` holds them by name, in two
steps, so that a layer is prepared once and compared many times; what they are called and what they
do not depend on is in `analysis.cka.measures`.

With x̄ removed, X = U S Vᵀ. The canonical correlations ρ₁ ≥ ρ₂ ≥ … of X and Y are the singular
values of UₓᵀU_y, L diag(ρ) Rᵀ. Of n samples with their mean removed, p + q > n − 1 directions
always have some correlations of 1, whatever the data; every measure by CCA is therefore NaN for
representations with n ≤ 2p.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from analysis.cka.transport import transport
from analysis.stats.arrays import as_tensor
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

EXPLAINED = 0.99
"""Share of the variance that the directions kept by SVCCA explain."""

NEGLIGIBLE = 1e-6
"""A direction whose standard deviation is below this share of the largest is rounding."""

NOT_FINITE = "its activations are not finite"
CONSTANT = "its activations are the same in all samples"
ZERO = "its activations are 0 in all samples"


@dataclass(frozen=True)
class Prepared:
    """A representation, ready to be compared.

    Attributes:
        values: (n, k) unit rows, orthonormal directions, or standardized channels.
        loadings: (k, p), what each direction explains of each feature; empty but for PWCCA.
        reason: why there is no value; empty where there is one.
    """

    values: Tensor
    loadings: Tensor
    reason: str = ""


@dataclass(frozen=True)
class FeatureMeasure:
    """How a measure is computed.

    Attributes:
        prepare: from features (n, p) in float64.
        compare: from two prepared ones, the first side first, without reasons.
        pair_reason: why two representations cannot be compared, from both; empty where they can.
        least: fewest samples.
    """

    prepare: Callable[[Tensor], Prepared]
    compare: Callable[[Prepared, Prepared], float]
    pair_reason: Callable[[Prepared, Prepared], str] | None = None
    least: int = 3

    def reason(self, a: Prepared, b: Prepared) -> str:
        """Why two representations have no value; empty where they have one."""
        pair = self.pair_reason
        return a.reason or b.reason or (pair(a, b) if pair else "")

    def value(self, a: Prepared, b: Prepared) -> float:
        """The value of two representations, NaN where there is none."""
        return math.nan if self.reason(a, b) else self.compare(a, b)


def mean_cosine(x: ArrayLike | Tensor, y: ArrayLike | Tensor) -> float:
    """Mean cosine of the features of each sample on both sides; −1 to 1.

        (1/n) Σ ⟨xᵢ, yᵢ⟩ / (‖xᵢ‖ ‖yᵢ‖)

    The mean over samples is not removed, so that what all samples share counts as similar: the
    value is to be read beside that of different images (the column `null`). Samples of which a side
    is 0 have no direction and are left out. NaN if no sample is left, or a value is not finite.

    Args:
        x: (n, p), or (n, …), which is flattened.
        y: (n, p), or (n, …), of as many features.

    Raises:
        BadInput: different numbers of samples or of features, or no sample.

    Reference: Klabunde et al., *ReSi: A Comprehensive Benchmark for Representational Similarity
    Measures*, ICLR 2025 (aligned cosine similarity there, without the alignment).

    >>> round(mean_cosine([[1, 0], [0, 2]], [[1, 1], [0, 3]]), 6)
    0.853553
    """
    return _apply("cosine", x, y)


def svcca(x: ArrayLike | Tensor, y: ArrayLike | Tensor) -> float:
    """SVCCA: the mean canonical correlation of the directions that explain 99% of the variance.

    Of each side, with its mean removed, the fewest principal components are kept whose variances
    are `EXPLAINED` of the total or more, k of x and l of y; the value is Σ ρᵢ / min(k, l); 0 to 1.
    NaN if a side does not vary, is not finite, or has n ≤ 2k samples (see the head of this file).

    Args:
        x: (n, p), or (n, …), which is flattened; of any unit.
        y: (n, q), or (n, …).

    Raises:
        BadInput: different numbers of samples, or fewer than 3.

    Reference: Raghu et al., *SVCCA: Singular Vector Canonical Correlation Analysis for Deep
    Learning Dynamics and Interpretability*, NeurIPS 2017 (arXiv 1706.05806).

    >>> round(svcca([[0], [1], [2], [4]], [[1], [3], [5], [9]]), 6)
    1.0
    """
    return _apply("svcca", x, y)


def mean_squared_cca(x: ArrayLike | Tensor, y: ArrayLike | Tensor) -> float:
    """Mean squared canonical correlation R² = ‖U_yᵀUₓ‖²_F / min(p, q), p and q being ranks; 0 to 1.

    The mean of ρᵢ² over the min(p, q) canonical correlations. NaN as `svcca`, k being the rank.

    Args:
        x: (n, p), or (n, …), which is flattened; of any unit.
        y: (n, q), or (n, …).

    Raises:
        BadInput: different numbers of samples, or fewer than 3.

    Reference: Kornblith et al., *Similarity of Neural Network Representations Revisited*, ICML 2019
    (arXiv 1905.00414).

    >>> round(mean_squared_cca([[0], [1], [2], [4]], [[1], [3], [5], [9]]), 6)
    1.0
    """
    return _apply("cca", x, y)


def pwcca(x: ArrayLike | Tensor, y: ArrayLike | Tensor) -> float:
    """Projection-weighted CCA, Σ αᵢ ρᵢ / Σ αᵢ with αᵢ = Σⱼ |⟨hᵢ, xⱼ⟩|; 0 to 1.

    hᵢ = Uₓ Lᵢ is the i-th canonical variate of x, xⱼ its j-th feature with the mean removed. The
    weights are those of the first side, so that the order of the sides matters. NaN as `svcca`, k
    being the rank.

    Args:
        x: (n, p), or (n, …), which is flattened; the side that weights.
        y: (n, q), or (n, …); of any unit.

    Raises:
        BadInput: different numbers of samples, or fewer than 3.

    Reference: Morcos, Raghu and Bengio, *Insights on Representational Similarity in Neural Networks
    with Canonical Correlation*, NeurIPS 2018 (arXiv 1806.05759).

    >>> round(pwcca([[0], [1], [2], [4]], [[1], [3], [5], [9]]), 6)
    1.0
    """
    return _apply("pwcca", x, y)


def soft_matching(x: ArrayLike | Tensor, y: ArrayLike | Tensor) -> float:
    """Soft matching: the mean correlation of the features under the best transport between them.

        max over T of Σᵢⱼ Tᵢⱼ corr(xᵢ, yⱼ), T ≥ 0, Σⱼ Tᵢⱼ = 1/p, Σᵢ Tᵢⱼ = 1/q.

    For as many features on both sides it is the best one-to-one assignment. Correlations count
    with their sign. Features that do not vary have no correlation and are left out. From −1 to 1;
    NaN if no feature of a side varies, or a value is not finite.

    Args:
        x: (n, p), or (n, …), which is flattened; of any unit.
        y: (n, q), or (n, …).

    Raises:
        BadInput: different numbers of samples, or fewer than 3.

    Reference: Khosla and Williams, *Soft Matching Distance: A Metric on Neural Representations that
    Captures Single-Neuron Tuning*, 2024 (arXiv 2311.09466), their correlation score.

    >>> round(soft_matching([[0, 1], [1, 0], [2, 5]], [[1, 0], [0, 3], [5, 6]]), 6)
    1.0
    """
    return _apply("soft_matching", x, y)


def _apply(name: str, x: ArrayLike | Tensor, y: ArrayLike | Tensor) -> float:
    measure = FEATURE_MEASURES[name]
    sides = [as_tensor(side).double() for side in (x, y)]
    counts = [len(side) if side.ndim else 0 for side in sides]
    if counts[0] != counts[1] or counts[0] < measure.least:
        raise BadInput(
            f"{counts[0]} and {counts[1]} samples: expected the same number, {measure.least} or "
            "more"
        )
    a, b = (measure.prepare(side.reshape(len(side), -1)) for side in sides)
    why = measure.reason(a, b)
    if why and not (a.reason or b.reason):
        raise BadInput(f"{why}: expected as many on both sides")
    return measure.value(a, b)


def _without(x: Tensor, reason: str) -> Prepared:
    return Prepared(x[:, :0], x[:0], reason)


def _unit_rows(x: Tensor) -> Prepared:
    if not bool(x.isfinite().all()):
        return _without(x, NOT_FINITE)
    scale = x.abs().amax(1, keepdim=True)  # so that squares neither overflow nor vanish
    scaled = x / torch.where(scale > 0, scale, 1.0)
    norms = scaled.norm(dim=1, keepdim=True)
    if not bool((norms > 0).any()):
        return _without(x, ZERO)
    return Prepared(scaled / torch.where(norms > 0, norms, 1.0), x[:0])


def _cosine(a: Prepared, b: Prepared) -> float:
    known = (a.values != 0).any(1) & (b.values != 0).any(1)
    return float((a.values * b.values).sum(1)[known].mean())


def _other_widths(a: Prepared, b: Prepared) -> str:
    p, q = a.values.shape[1], b.values.shape[1]
    return "" if p == q else f"{p} and {q} features have no cosine"


class Decomposed(NamedTuple):
    """U (n, k), S (k,), Vᵀ (k, p) of features with their mean removed; see the head of this file.

    Directions that are rounding alone are left out; `reason` is why there are none at all.
    """

    u: Tensor
    s: Tensor
    vt: Tensor
    reason: str = ""


def decomposed(x: Tensor) -> Decomposed:
    """The singular value decomposition of features (n, p) with their mean removed."""
    if not bool(x.isfinite().all()):
        return Decomposed(x[:, :0], x[0, :0], x[:0], NOT_FINITE)
    centered = x - x.mean(0)
    if not bool(centered.abs().amax() > NEGLIGIBLE * NEGLIGIBLE * x.abs().amax()):
        return Decomposed(x[:, :0], x[0, :0], x[:0], CONSTANT)
    u, s, vt = torch.linalg.svd(centered, full_matrices=False)
    kept = explaining(s, 1.0)
    return Decomposed(u[:, :kept], s[:kept], vt[:kept])


def explaining(s: Tensor, share: float) -> int:
    """How many of the falling singular values explain a share of the variance, rounding aside."""
    kept = int((s > NEGLIGIBLE * s[0]).sum())
    if share < 1:
        shares = s.square().cumsum(0) / s.square().sum()
        kept = min(kept, 1 + int((shares < share).sum()))
    return kept


def enough(samples: int, directions: int) -> bool:
    """Whether canonical correlations are below 1 where features have nothing in common."""
    return samples > 2 * directions


def _directions(x: Tensor, explained: float = 1.0, loadings: bool = False) -> Prepared:
    """Orthonormal directions of the centered features, all or those of most variance."""
    u, s, vt, reason = decomposed(x)
    if reason:
        return _without(x, reason)
    kept = explaining(s, explained)
    if not enough(len(x), kept):
        return _without(
            x,
            f"{len(x)} samples of {kept} directions: with at most two samples per direction, some "
            "canonical correlations are 1 whatever the features; raise --limit or --positions",
        )
    of = Prepared(u[:, :kept], x[:0])
    return replace(of, loadings=s[:kept, None] * vt[:kept]) if loadings else of


def mean_correlation(products: Tensor) -> float:
    """The mean canonical correlation, of products UₓᵀU_y (k, l)."""
    return float(torch.linalg.svdvals(products).clamp(max=1.0).mean())


def mean_square(products: Tensor) -> float:
    """The mean squared canonical correlation, of products UₓᵀU_y (k, l)."""
    return min(float(products.square().sum() / min(products.shape)), 1.0)


def weighted(products: Tensor, loadings: Tensor) -> float:
    """The weighted mean of canonical correlations, of UₓᵀU_y (k, l) and UₓᵀX (k, p)."""
    left, rho, _ = torch.linalg.svd(products, full_matrices=False)
    # ⟨hᵢ, xⱼ⟩ = Lᵢᵀ Uₓᵀ X, of which Uₓᵀ X are the loadings
    weights = (left.mT @ loadings).abs().sum(1)
    return float((weights * rho.clamp(max=1.0)).sum() / weights.sum())


def _products(a: Prepared, b: Prepared) -> Tensor:
    return a.values.mT @ b.values


def _standardized(x: Tensor) -> Prepared:
    """The features that vary, centered and of norm 1."""
    if not bool(x.isfinite().all()):
        return _without(x, NOT_FINITE)
    centered = x - x.mean(0)
    largest = centered.abs().amax(0)
    varies = largest > NEGLIGIBLE * NEGLIGIBLE * x.abs().amax(0)
    if not bool(varies.any()):
        return _without(x, CONSTANT)
    scaled = centered[:, varies] / largest[varies]
    return Prepared(scaled / scaled.norm(dim=0), x[:0])


def matched(correlations: Tensor) -> float:
    """The score of the best transport, of correlations (p, q)."""
    return float(np.clip(transport(correlations.cpu().numpy()), -1.0, 1.0))


FEATURE_MEASURES = {
    "cosine": FeatureMeasure(_unit_rows, _cosine, _other_widths, least=1),
    "cca": FeatureMeasure(_directions, lambda a, b: mean_square(_products(a, b))),
    "svcca": FeatureMeasure(
        partial(_directions, explained=EXPLAINED), lambda a, b: mean_correlation(_products(a, b))
    ),
    "pwcca": FeatureMeasure(
        partial(_directions, loadings=True), lambda a, b: weighted(_products(a, b), a.loadings)
    ),
    "soft_matching": FeatureMeasure(_standardized, lambda a, b: matched(_products(a, b))),
}
