"""Hilbert-Schmidt independence criterion: its formulas, Gram matrices and kernels.

Notation: X is (n, p), one row per sample, with columns centered; K = X Xᵀ, L = Y Yᵀ.

Unbiased HSIC₁ (Song et al. 2012, JMLR 13), with K̃, L̃ of zero diagonal:

    [tr(K̃L̃) + ΣK̃ ΣL̃ / ((n−1)(n−2)) − 2/(n−2) (K̃1)ᵀ(L̃1)] / (n(n−3)).

Biased HSIC is ⟨HKH, HLH⟩ / (n−1)² (Gretton et al. 2005). Each is computed in one of two equal
forms:

* `analysis.cka.hsic_from_grams`, for few samples of many features, or another kernel:
  ⟨U(K), U(L)⟩ / (n(n−3)), U being U-centering (Székely and Rizzo 2014, Annals of Statistics 42).
* `analysis.cka.hsic_from_features`, for many samples of few features: with qᵢ = ‖xᵢ‖², rᵢ = ‖yᵢ‖²,
  [‖XᵀY‖² − n/(n−2) Σ qᵢrᵢ + Σq Σr/((n−1)(n−2))] / (n(n−3)), biased ‖XᵀY‖² / (n−1)².

Both also give exactly what the sums would be without each photograph in turn. Products of float32
features are taken in float32 over short stretches that are added up in float64.
"""

from __future__ import annotations

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


def need(samples: int, formula: Formula) -> None:
    """Raise `BadInput` if a formula is not defined for so few samples."""
    if samples < least(formula):
        raise BadInput(f"{samples} samples: {formula} HSIC needs at least {least(formula)}")


def weight(samples: int, formula: Formula) -> int:
    """The denominator of HSIC, n(n−3) or (n−1)²; 0 for fewer samples than it is defined for."""
    if samples < least(formula):
        return 0
    return samples * (samples - 3) if formula == "unbiased" else (samples - 1) ** 2
