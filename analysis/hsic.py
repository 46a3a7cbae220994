"""Hilbert-Schmidt independence criterion of linear kernels, exactly, for many representations.

Notation: X is (n, p), one row per sample, with columns centred; K = X Xᵀ, L = Y Yᵀ.

Unbiased HSIC₁ (Song et al. 2012, JMLR 13), with K̃, L̃ of zero diagonal:

    [tr(K̃L̃) + ΣK̃ ΣL̃ / ((n−1)(n−2)) − 2/(n−2) (K̃1)ᵀ(L̃1)] / (n(n−3)).

Two equal forms are used, both in float64 on centred features, so that a constant added to every
feature, or float32 input, costs nothing:

* Grams, for few samples of many features: ⟨U(K), U(L)⟩ / (n(n−3)), U being U-centring (Székely and
  Rizzo 2014, Annals of Statistics 42).
* Features, for many samples of few features:
  [‖XᵀY‖² − n/(n−2) Σ‖xᵢ‖²‖yᵢ‖² + ‖X‖²‖Y‖²/((n−1)(n−2))] / (n(n−3)).

Biased HSIC is ‖XᵀY‖² / (n−1)² = ⟨HKH, HLH⟩ / (n−1)² (Gretton et al. 2005).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from mtd.errors import BadInput, nearest

Estimator = Literal["unbiased", "biased"]

CHUNK = 8192
"""Features of a Gram product that are held in float64 at once."""

ZERO = 1e-12
"""A self-HSIC below this share of (tr K / n)² is rounding, and counts as 0."""


def double(x: Tensor) -> Tensor:
    """In float64, on the CPU where the device has none."""
    return (x.cpu() if x.device.type == "mps" else x).to(torch.float64)


def gram(x: Tensor) -> Tensor:
    """Gram matrix (n, n), float64, of the centred rows of x (n, p)."""
    total = double(x.new_zeros(x.shape[0], x.shape[0]))
    for part in x.split(CHUNK, dim=1):
        part = double(part)
        part = part - part.mean(0)
        total += part @ part.mT
    return total


def u_center(k: Tensor) -> Tensor:
    """U-centring of symmetric matrices (…, n, n), n ≥ 4: off the diagonal

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


class HSICSums(ABC):
    """Running sums over batches from which the HSIC of every pair of representations follows.

    `update` takes the same samples as seen by every one of N representations, always in the same
    order; `hsic` is (N, N).
    """

    def __init__(self, estimator: Estimator = "unbiased") -> None:
        if estimator not in get_args(Estimator):
            raise BadInput(f"estimator {estimator!r}: {nearest(estimator, get_args(Estimator))}")
        self.estimator = estimator
        self.samples = 0
        self.widths: list[int] = []

    @abstractmethod
    def hsic(self) -> Tensor:
        """HSIC of every pair, (N, N), float64."""

    @abstractmethod
    def power(self) -> Tensor:
        """tr K / n of every representation, (N,), the scale against which rounding is judged."""

    @abstractmethod
    def _add(self, representations: Sequence[Tensor]) -> None: ...

    def update(self, representations: Sequence[Tensor]) -> None:
        """Add a batch: N tensors (n, p_i), or (n, …) that are flattened.

        Raises:
            ValueError: representations of different numbers of samples, or other ones than before.
        """
        flat = [r.reshape(r.shape[0], -1) for r in representations]
        counts, widths = {r.shape[0] for r in flat}, [r.shape[1] for r in flat]
        if len(counts) != 1 or widths != (self.widths or widths):
            raise ValueError(
                f"representations of shapes {[tuple(r.shape) for r in flat]}: expected the same "
                f"samples in each, and widths {self.widths or 'the same in every batch'}"
            )
        self.widths = widths
        self._add(flat)
        self.samples += counts.pop()

    def _need(self, samples: int) -> None:
        least = 4 if self.estimator == "unbiased" else 2
        if samples < least:
            raise BadInput(f"{samples} samples: {self.estimator} HSIC needs at least {least}")

    def cka(self) -> Tensor:
        """HSIC(x, y) / √(HSIC(x, x) HSIC(y, y)) for every pair, (N, N).

        Never clamped: unbiased values may be below 0 or, for small n, above 1. NaN where a
        self-HSIC is not positive; see `degenerate`.
        """
        hsic = self.hsic()
        self_hsic = hsic.diagonal().clone()
        self_hsic[self._is_zero(self_hsic)] = torch.nan
        return hsic / (self_hsic[:, None] * self_hsic[None, :]).sqrt()

    def degenerate(self) -> dict[int, str]:
        """Why the row and column of a representation are NaN, by its index."""
        reasons = {}
        hsic, power = self.hsic().diagonal(), self.power()
        for i in self._is_zero(hsic).nonzero().flatten().tolist():
            if not bool(hsic[i].isfinite()):
                reasons[i] = "its activations are not finite"
            elif float(power[i]) == 0:
                reasons[i] = "its activations are the same in all samples"
            else:
                reasons[i] = (
                    f"its self-HSIC is {float(hsic[i]):.3g}, not above 0 (too few samples for its "
                    "spread)"
                )
        return reasons

    def _is_zero(self, self_hsic: Tensor) -> Tensor:
        return ~(self_hsic > ZERO * self.power() ** 2)


class GramSums(HSICSums):
    """HSIC from Gram matrices, one per batch: for few samples of many features.

    With several batches this is the minibatch estimator (Nguyen et al. 2021): ⟨U(K), U(L)⟩ is
    summed over batches and divided by Σ n(n−3), so that a batch counts in proportion to that; only
    pairs of samples within a batch count. With one batch it is HSIC₁ itself. `biased` likewise,
    with weights (n−1)².
    """

    def __init__(self, estimator: Estimator = "unbiased") -> None:
        super().__init__(estimator)
        self.products = torch.zeros(0)
        self.traces = torch.zeros(0)
        self.weight = 0.0

    def _add(self, representations: Sequence[Tensor]) -> None:
        self._add_grams([gram(r) for r in representations])

    def update_grams(self, grams: Sequence[Tensor]) -> None:
        """Add a batch by what `gram` gives for each of its N representations, (n, n) each."""
        self._add_grams(grams)
        self.samples += grams[0].shape[0]

    def _add_grams(self, grams: Sequence[Tensor]) -> None:
        n = grams[0].shape[0]
        self._need(n)
        stacked = torch.stack(list(grams))
        traces = stacked.diagonal(dim1=-2, dim2=-1).sum(-1)
        unbiased = self.estimator == "unbiased"
        rows = (u_center(stacked) if unbiased else stacked).flatten(1)
        products = rows @ rows.mT
        self.products = self.products + products if self.samples else products
        self.traces = self.traces + traces if self.samples else traces
        self.weight += n * (n - 3) if unbiased else (n - 1) ** 2

    def hsic(self) -> Tensor:
        self._need(self.samples)
        return self.products / self.weight

    def power(self) -> Tensor:
        return self.traces / self.samples


class FeatureSums(HSICSums):
    """HSIC of the whole set of samples from sums over features: for many samples of few features.

    The value is that of all samples together, however they were cut into batches. Features are
    shifted by the first batch's mean, and the sums are moved to the true mean at the end.
    """

    def __init__(self, estimator: Estimator = "unbiased") -> None:
        super().__init__(estimator)
        self.shift = torch.zeros(0)
        self.sums: list[Tensor] = []

    def _add(self, representations: Sequence[Tensor]) -> None:
        z = torch.cat([double(r) for r in representations], dim=1)
        if not self.samples:
            self.shift = z.mean(0)
        z = z - self.shift
        a = torch.stack([part.square().sum(1) for part in z.split(self.widths, dim=1)], dim=1)
        sums = [z.mT @ z, a.mT @ z, a.mT @ a, z.sum(0), a.sum(0)]
        if self.samples:
            sums = [old + new for old, new in zip(self.sums, sums, strict=True)]
        self.sums = sums

    def _blocks(self, values: Tensor, dim: int) -> Tensor:
        """Sums over each representation's features; what is not finite stays in its own."""
        parts = values.split(self.widths, dim=dim)
        return torch.stack([part.sum(dim) for part in parts], dim=dim)

    def _centred(self) -> tuple[Tensor, Tensor, Tensor]:
        """‖XᵀY‖² and Σ‖xᵢ‖²‖yᵢ‖² of every pair, ‖X‖² of each, about the true mean."""
        n, (zz, az, aa, z, a) = self.samples, self.sums
        mean = z / n
        cross = zz - n * mean[:, None] * mean[None, :]
        products = self._blocks(self._blocks(cross.square(), 0), 1)
        # ‖x − m‖² = ‖x‖² − 2 m·x + ‖m‖², multiplied out and summed over samples
        size = self._blocks(mean.square(), 0)
        along = self._blocks(mean * z, 0)  # Σ m·x
        mixed = a[:, None] * size - 2 * self._blocks(az * mean, 1) - 2 * along[:, None] * size
        squares = self._blocks(self._blocks(zz * mean[:, None] * mean[None, :], 0), 1)
        fourth = aa + mixed + mixed.mT + 4 * squares + n * size[:, None] * size[None, :]
        return products, fourth, a - n * size

    def hsic(self) -> Tensor:
        self._need(self.samples)
        products, fourth, norms = self._centred()
        n = self.samples
        if self.estimator == "biased":
            return products / (n - 1) ** 2
        pairs = norms[:, None] * norms[None, :] / ((n - 1) * (n - 2))
        return (products - n / (n - 2) * fourth + pairs) / (n * (n - 3))

    def power(self) -> Tensor:
        return self._centred()[2] / self.samples
