"""Hilbert-Schmidt independence criterion of many representations, also with images left out.

Notation: X is (n, p), one row per sample, with columns centered; K = X Xᵀ, L = Y Yᵀ.

Unbiased HSIC₁ (Song et al. 2012, JMLR 13), with K̃, L̃ of zero diagonal:

    [tr(K̃L̃) + ΣK̃ ΣL̃ / ((n−1)(n−2)) − 2/(n−2) (K̃1)ᵀ(L̃1)] / (n(n−3)).

Biased HSIC is ⟨HKH, HLH⟩ / (n−1)² (Gretton et al. 2005). Each is computed in one of two equal
forms:

* `from_grams`, for few samples of many features, or another kernel: ⟨U(K), U(L)⟩ / (n(n−3)), U
  being U-centering (Székely and Rizzo 2014, Annals of Statistics 42).
* `analysis.cka.hsic_from_features`, for many samples of few features: with qᵢ = ‖xᵢ‖², rᵢ = ‖yᵢ‖²,
  [‖XᵀY‖² − n/(n−2) Σ qᵢrᵢ + Σq Σr/((n−1)(n−2))] / (n(n−3)), biased ‖XᵀY‖² / (n−1)².

Samples come in clusters of equal size, the positions of one image (or one sample per image). Both
forms give exactly what the sums would be without each image in turn, at little cost: U-centering
removes whatever is added to whole rows and columns, so that the samples that stay need not be
centered anew. Products of float32 features are taken in float32 over short stretches that are
added up in float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from analysis.stats.arrays import double, full_precision, single
from mtd.utils.errors import BadInput, one_of

Formula = Literal["unbiased", "biased"]

CHUNK = 512
"""Features whose products are added up in the features' own precision."""

LARGE_MEAN = 4
"""Where tr K exceeds its centered value by this factor, the mean is removed from the features."""

ZERO = 1e-12
"""A self-HSIC below this share of (tr K / n)² is rounding, and counts as 0."""


def least(formula: Formula) -> int:
    """The fewest samples that a formula is defined for.

    Raises:
        BadInput: no such formula.
    """
    one_of("estimator", formula, get_args(Formula))
    return 4 if formula == "unbiased" else 2


@full_precision()
def gram(x: Tensor) -> Tensor:
    """Gram matrix H X Xᵀ H of the centered rows of x (n, p), (n, n) in float64."""
    x = single(x)
    k = _products(x)
    centered = center(k)
    if bool(k.trace() <= LARGE_MEAN * centered.trace()):
        return centered
    k = torch.zeros_like(k)
    for part in x.split(16 * CHUNK, dim=1):
        exact = double(part)
        k += _products((exact - exact.mean(0)).to(x.dtype).to(x.device))
    return center(k)


def _products(x: Tensor) -> Tensor:
    """X Xᵀ in float64 from products over `CHUNK` features at a time."""
    n, p = x.shape
    whole = p // CHUNK
    parts = x[:, : whole * CHUNK].view(n, whole, CHUNK).transpose(0, 1)
    rest = x[:, whole * CHUNK :]
    return double(torch.bmm(parts, parts.mT)).sum(0) + double(rest @ rest.mT)


def center(k: Tensor) -> Tensor:
    """H k H of symmetric matrices (…, n, n)."""
    rows = k.mean(-1, keepdim=True)
    return k - rows - rows.mT + rows.mean(-2, keepdim=True)


def u_center(k: Tensor) -> Tensor:
    """U-centering of symmetric matrices (…, n, n), n ≥ 4: off the diagonal

        k_ij − Σ_j k_ij/(n−2) − Σ_i k_ij/(n−2) + Σ k/((n−1)(n−2)),

    sums without the diagonal, which becomes 0.
    """
    n = k.shape[-1]
    k = k.clone()
    k.diagonal(dim1=-2, dim2=-1).zero_()
    rows = k.sum(-1, keepdim=True) / (n - 2)
    k = k - rows - rows.mT + rows.sum(-2, keepdim=True) / (n - 1)
    k.diagonal(dim1=-2, dim2=-1).zero_()
    return k


def squared_distances(k: Tensor) -> Tensor:
    """‖xᵢ − xⱼ‖² from Gram matrices (…, n, n)."""
    norms = k.diagonal(dim1=-2, dim2=-1)
    return (norms[..., :, None] + norms[..., None, :] - 2 * k).clamp(min=0)


def median_distance(k: Tensor) -> Tensor:
    """Median over pairs of different samples of ‖xᵢ − xⱼ‖, from Gram matrices (…, n, n)."""
    n = k.shape[-1]
    above = torch.ones(n, n, dtype=torch.bool, device=k.device).triu(1)
    return squared_distances(k)[..., above].median(-1).values.sqrt()


def rbf(k: Tensor, sigma: Tensor) -> Tensor:
    """exp(−‖xᵢ − xⱼ‖² / (2 σ²)) from linear Gram matrices (…, n, n) and σ (…)."""
    return (-squared_distances(k) / (2 * sigma[..., None, None] ** 2)).exp()


@dataclass(frozen=True)
class HSIC:
    """HSIC of every pair of N representations, as sums over batches.

    Attributes:
        products: (N, N), the estimator's numerator, summed over batches.
        weight: its denominator, n(n−3) or (n−1)², summed over batches.
        power: (N,) Σ tr K, the scale for the rounding tolerance.
        samples: how many there were.
        changes: (images, N, N), what leaving each image out adds to `products`.
    """

    products: Tensor
    weight: float
    power: Tensor
    samples: int
    changes: Tensor

    def __add__(self, other: HSIC) -> HSIC:
        """Both together: the minibatch estimator, since only pairs within a batch count."""
        return HSIC(
            self.products + other.products,
            self.weight + other.weight,
            self.power + other.power,
            self.samples + other.samples,
            torch.cat([self.changes, other.changes]),
        )

    def hsic(self) -> Tensor:
        """HSIC of every pair, (N, N)."""
        return self.products / self.weight

    def cka(self) -> Tensor:
        """HSIC(x, y) / √(HSIC(x, x) HSIC(y, y)) for every pair, (N, N).

        Never clamped: unbiased values may be below 0 or, for small n, above 1. NaN where a
        self-HSIC is not positive; see `degenerate`.
        """
        return _ratio(self.products, *2 * [self._own(self.products)])

    def cka_without(self, a: slice, b: slice) -> Tensor:
        """`cka()[a, b]` without each image in turn, (images, a, b)."""
        diagonal = self.products.diagonal() + self.changes.diagonal(dim1=1, dim2=2)
        own = torch.where(self._zero(self.products.diagonal()), torch.nan, diagonal)
        own = torch.where(own > 0, own, torch.nan)
        return _ratio(self.products[a, b] + self.changes[:, a, b], own[:, a], own[:, b])

    def degenerate(self) -> dict[int, str]:
        """Why the row and column of a representation are NaN, by its index."""
        reasons = {}
        own = self.hsic().diagonal()
        for i in self._zero(self.products.diagonal()).nonzero().flatten().tolist():
            if not bool(own[i].isfinite()):
                reasons[i] = "its activations are not finite"
            elif float(self.power[i]) == 0:
                reasons[i] = "its activations are the same in all samples"
            else:
                reasons[i] = (
                    f"its self-HSIC is {float(own[i]):.3g}, not above 0 (too few samples for its "
                    "spread)"
                )
        return reasons

    def _zero(self, own: Tensor) -> Tensor:
        return ~(own > ZERO * self.weight * (self.power / self.samples) ** 2)

    def _own(self, products: Tensor) -> Tensor:
        own = products.diagonal()
        return torch.where(self._zero(own), torch.nan, own)


def _ratio(products: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return products / (a[..., :, None].sqrt() * b[..., None, :].sqrt())


def from_grams(
    grams: Tensor, *, cluster: int = 1, formula: Formula = "unbiased", leave_out: bool = False
) -> HSIC:
    """HSIC of one batch from what `gram` (or `rbf`) gives for each representation.

    Args:
        grams: (N, n, n), float64.
        cluster: samples of one image; they lie beside each other.
        formula: `unbiased` or `biased`.
        leave_out: compute `HSIC.changes` too. An image without which too few samples are left
            takes the whole batch with it.

    Raises:
        BadInput: too few samples.
    """
    count, n, _ = grams.shape
    need(n, formula)
    unbiased = formula == "unbiased"
    k = u_center(grams) if unbiased else center(grams)
    power = center(grams).diagonal(dim1=-2, dim2=-1).sum(-1)
    weight = n * (n - 3) if unbiased else (n - 1) ** 2
    if not leave_out:
        flat = k.flatten(1)
        return HSIC(flat @ flat.mT, weight, power, n, k.new_zeros(0, count, count))
    images, left = n // cluster, n - cluster
    # rows of each image, and the block of its samples among themselves
    rows = k.view(count, images, cluster, n).transpose(0, 1)
    shares = pair_products(rows.flatten(2))
    products = shares.sum(0)
    if left < least(formula):
        changes = -products.expand(images, -1, -1)
        return HSIC(products, weight, power, n, changes)
    own = torch.stack(
        [rows[i, :, :, i * cluster : (i + 1) * cluster].flatten(1) for i in range(images)]
    )
    # what stays has these row sums, with the opposite sign, since all rows sum to 0
    sums = rows.sum(2)
    own_sums = torch.stack([sums[i, :, i * cluster : (i + 1) * cluster] for i in range(images)])
    row_products = pair_products(sums) - pair_products(own_sums)
    totals = pair_products(own.sum(2, keepdim=True))
    changes = pair_products(own) - 2 * shares
    changes += corrections(row_products, totals, left, unbiased)
    return HSIC(products, weight, power, n, changes)


def pair_products(x: Tensor) -> Tensor:
    """Inner products of the rows of each matrix of a batch: (b, N, m) to (b, N, N)."""
    return torch.bmm(x, x.mT)


def corrections(rows: Tensor, totals: Tensor, n: int, unbiased: bool) -> Tensor:
    """The part of the numerator that centers: from products of row sums and of totals."""
    if unbiased:
        return totals / ((n - 1) * (n - 2)) - 2 / (n - 2) * rows
    return totals / n**2 - 2 / n * rows


def need(samples: int, formula: Formula) -> None:
    """Raise `BadInput` if a formula is not defined for so few samples."""
    if samples < least(formula):
        raise BadInput(f"{samples} samples: {formula} HSIC needs at least {least(formula)}")
