"""Direct matching: the affine map between the channels of two layers, and how alike they are.

Positions of feature maps are the samples: the map is a 1 × 1 convolution.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from analysis.stats.arrays import as_tensor
from analysis.stats.undefined import CONSTANT, NOT_FINITE, Undefined
from mtd.utils.errors import BadInput

RIDGE = 1e-6
"""λ as a share of the mean variance of the sender's channels."""

ROUNDING = 1e-14
"""A variance below this share of the mean square is rounding."""


@dataclass(frozen=True)
class Moments:
    """Sums over samples of two sets of features x (p channels) and y (q channels), in float64.

    Attributes:
        count: n, the samples.
        x: (p,), sum of x.
        y: (q,), sum of y.
        xx: (p, p), sum of x xᵀ.
        yy: (q, q), sum of y yᵀ.
        yx: (q, p), sum of y xᵀ.
    """

    count: int
    x: Tensor
    y: Tensor
    xx: Tensor
    yy: Tensor
    yx: Tensor

    @classmethod
    def of(cls, x: Tensor, y: Tensor) -> Moments:
        """The sums over samples (n, p) and (n, q)."""
        x, y = x.double(), y.double()
        return cls(len(x), x.sum(0), y.sum(0), x.T @ x, y.T @ y, y.T @ x)

    def __add__(self, other: Moments) -> Moments:
        """The sums over the samples of both."""
        return Moments(
            self.count + other.count,
            *(getattr(self, name) + getattr(other, name) for name in ("x", "y", "xx", "yy", "yx")),
        )

    def centered(self) -> tuple[Tensor, Tensor, Tensor]:
        """Covariances of x, of y, and of y with x, over n.

        Raises:
            Undefined: features of either side that do not vary, or are not finite.
        """
        x, y = self.x / self.count, self.y / self.count
        xx, yy = self.xx / self.count, self.yy / self.count
        for square in (xx, yy):
            if not square.isfinite().all():
                raise Undefined(NOT_FINITE)
        own = xx - torch.outer(x, x), yy - torch.outer(y, y)
        for part, square in zip(own, (xx, yy), strict=True):
            if part.trace() <= ROUNDING * square.trace():
                raise Undefined(CONSTANT)
        return *own, self.yx / self.count - torch.outer(y, x)


@dataclass(frozen=True)
class Stitch:
    """An affine map between channels, y ≈ W x + b, in float64.

    Attributes:
        weight: W, (q, p).
        bias: b, (q,).
    """

    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """The map of samples (…, p), or of feature maps (B, p, h, w), in float64."""
        if x.ndim == 4:
            return torch.einsum("qp,bphw->bqhw", self.weight, x.double()) + self.bias[:, None, None]
        return x.double() @ self.weight.T + self.bias

    def error(self, of: Moments) -> tuple[float, float]:
        """Σ ‖W x + b − y‖² over samples, and Σ ‖y − ȳ‖² about their own mean.

        R² is 1 minus their ratio: 1 for a perfect fit, below 0 for one worse than the mean.

        Args:
            of: the samples, as a rule others than those of the fit.

        Raises:
            Undefined: features that do not vary, or are not finite.
        """
        xx, yy, yx = of.centered()
        offset = (of.x @ self.weight.T - of.y) / of.count + self.bias
        w = self.weight
        mean = (w @ xx * w).sum() - 2 * (w * yx).sum() + yy.trace() + offset @ offset
        return float(of.count * mean.clamp_min(0)), float(of.count * yy.trace())


def solve(moments: Moments, ridge: float = RIDGE) -> Stitch:
    """The stitch of least squares between the features of two layers.

        W = argmin (1/n) Σ ‖W x + b − y‖² + λ ‖W‖² = C_yx (C_xx + λ I)⁻¹,  b = ȳ − W x̄,
        λ = ridge · tr(C_xx) / p

    with covariances C over the n samples; the bias is not penalized.

    Args:
        moments: of n samples, x of the sender (p channels) and y of the receiver (q channels).
        ridge: λ as a share of the mean variance of the sender's channels, so that the map does not
            depend on the unit of its features.

    Raises:
        Undefined: features that do not vary, or are not finite.

    Reference: Csiszárik et al., *Similarity and Matching of Neural Network Representations*,
    NeurIPS 2021 (arXiv 2110.14633): direct matching.
    """
    xx, _, yx = moments.centered()
    penalty = ridge * xx.trace() / len(xx)
    weight = torch.linalg.solve(xx + penalty * torch.eye(len(xx), dtype=xx.dtype), yx.T).T
    bias = (moments.y - weight @ moments.x) / moments.count
    return Stitch(weight.contiguous(), bias)


def linear_cka(moments: Moments) -> float:
    """Linear CKA with positions as samples, ‖C_yx‖² / (‖C_xx‖ ‖C_yy‖), Frobenius norms; 0 to 1.

    The biased estimator; with thousands of positions its bias is negligible.

    Args:
        moments: of the samples of both layers, all channels of both.

    Raises:
        Undefined: features that do not vary, or are not finite.

    Reference: Kornblith et al., *Similarity of Neural Network Representations Revisited*, ICML
    2019.
    """
    xx, yy, yx = moments.centered()
    return float(yx.square().sum() / (xx.norm() * yy.norm()))


def fit(h_a: ArrayLike | Tensor, h_b: ArrayLike | Tensor, ridge: float = RIDGE) -> Stitch:
    """The affine map from the channels of one layer to those of another; see `solve`.

    Args:
        h_a: the sender's features, (n, p) or feature maps (B, p, h, w).
        h_b: the receiver's features of the same samples, (n, q) or (B, q, h, w).
        ridge: see `solve`.

    Raises:
        BadInput: features of different samples, or with other dimensions.
        Undefined: features that do not vary, or are not finite.

    >>> x = torch.eye(4, dtype=torch.float64)[:, :3]
    >>> stitch = fit(x, 2 * x + 1, ridge=1e-12)
    >>> stitch.weight.round(decimals=6).diagonal().tolist(), stitch.bias.tolist()[0]
    ([2.0, 2.0, 2.0], 1.0...)

    Reference: Csiszárik et al., NeurIPS 2021 (arXiv 2110.14633).
    """
    sides = [as_tensor(side) for side in (h_a, h_b)]
    shapes = " and ".join(str(list(side.shape)) for side in sides)
    if any(side.ndim not in (2, 4) for side in sides):
        raise BadInput(f"features of shapes {shapes}: expected (n, C) or (B, C, h, w)")
    samples = [side.permute(0, 2, 3, 1).flatten(0, 2) if side.ndim == 4 else side for side in sides]
    same = sides[0].shape[2:] == sides[1].shape[2:] and len(sides[0]) == len(sides[1])
    if not same or not len(samples[0]):
        raise BadInput(f"features of shapes {shapes}: expected the same samples on both sides")
    return solve(Moments.of(*samples), ridge)
