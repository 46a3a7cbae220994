"""HSIC of many pairs of representations as sums over batches, and CKA from it.

The sums are kept for all samples and without each photograph in turn, from which intervals over
photographs follow; see `analysis.stats.jackknife`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from analysis.cka.cells import Cells, sides

ZERO = 1e-12
"""A self-HSIC below this share of (tr K / n)² is rounding, and counts as 0."""


@dataclass(frozen=True)
class Sums:
    """HSIC of cells as a ratio of sums over batches.

    Attributes:
        numerator: (cells,).
        weight: the denominator, n(n−3) or (n−1)².
        without: (photographs, cells), the numerator without each photograph.
        weights: (photographs,), its denominators; 0 where too few samples are left.
    """

    numerator: Tensor
    weight: float
    without: Tensor
    weights: Tensor

    def __add__(self, other: Sums) -> Sums:
        """Both together: the minibatch estimator, since only pairs within a batch count."""
        return Sums(
            self.numerator + other.numerator,
            self.weight + other.weight,
            self.without + other.without,
            self.weights + other.weights,
        )

    def value(self) -> Tensor:
        """HSIC of all samples, (cells,); NaN without any."""
        return self.numerator / (self.weight or torch.nan)

    def left(self) -> Tensor:
        """HSIC without each photograph, (photographs, cells); NaN where too few are left."""
        weights = torch.where(self.weights > 0, self.weights, torch.nan)
        return self.without / weights[:, None]


@dataclass(frozen=True)
class Similarity:
    """Values of cells, and the same without each photograph.

    Attributes:
        value: (…).
        without: (photographs, …); no photographs where none was left out.
    """

    value: Tensor
    without: Tensor


@dataclass(frozen=True)
class HSIC:
    """HSIC of pairs of N representations.

    Attributes:
        cells: which pairs.
        main: of the cells on the same photographs.
        across: of those whose second side is of other photographs.
        power: (N,) Σ tr K, the scale for the rounding tolerance.
        samples: how many there were.
        spectra: eigenvalues of each representation's covariance or centered Gram matrix, up to a
            factor; none for sums over several batches.
    """

    cells: Cells
    main: Sums
    across: Sums
    power: Tensor
    samples: int
    spectra: Sequence[Tensor] = ()

    def __add__(self, other: HSIC) -> HSIC:
        """Both batches together; see `Sums`."""
        return HSIC(
            self.cells,
            self.main + other.main,
            self.across + other.across,
            self.power + other.power,
            self.samples + other.samples,
        )

    def own(self) -> Tensor:
        """HSIC of each representation with itself, (N,)."""
        return self.cells.own(self.main.value())

    def block(self, index: int) -> Similarity:
        """CKA of a block: HSIC(x, y) / √(HSIC(x, x) HSIC(y, y)), (rows, columns).

        Never clamped: unbiased values may be below 0 or, for small n, above 1. NaN where a
        self-HSIC is not positive; see `degenerate`.
        """
        rows, columns = self.cells.blocks[index]

        def cka(values: Tensor, own: Tensor) -> Tensor:
            scale = own[..., rows, None].sqrt() * own[..., None, columns].sqrt()
            return self.cells.block(values, index) / scale

        return self._similarity(self.main, cka)

    def pairs(self) -> Similarity:
        """CKA of the single pairs, (pairs,)."""
        i, j = sides(self.cells.pairs)
        return self._similarity(
            self.main, lambda values, own: self.cells.single(values) / root(own, i, j)
        )

    def across_photographs(self) -> Similarity:
        """CKA of the pairs whose second side is of other photographs, (across,)."""
        i, j = sides(self.cells.across)
        return self._similarity(self.across, lambda values, own: values / root(own, i, j))

    def _similarity(self, sums: Sums, cka: object) -> Similarity:
        assert callable(cka)
        own = torch.where(self.zero(), torch.nan, self.own())
        left = torch.where(self.zero(), torch.nan, self.cells.own(self.main.left()))
        left = torch.where(left > 0, left, torch.nan)
        return Similarity(cka(sums.value(), own), cka(sums.left(), left))

    def degenerate(self) -> dict[int, str]:
        """Why the values of a representation are NaN, by its index."""
        reasons, own = {}, self.own()
        for i in self.zero().nonzero().flatten().tolist():
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

    def zero(self) -> Tensor:
        """Whether a representation's HSIC with itself is rounding alone, or not positive; (N,)."""
        return ~(self.own() > ZERO * (self.power / self.samples) ** 2)


def root(own: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """√(HSIC(x, x) HSIC(y, y)) of single pairs, from each representation's own, (…, N)."""
    return own[..., i].sqrt() * own[..., j].sqrt()
