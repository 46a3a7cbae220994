"""Linear CKA of arrays: `cka` for one pair of representations, `CKA` for layers in minibatches."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from analysis.stats.arrays import as_tensor
from mtd.utils.errors import BadInput
from mtd.utils.messages import plural

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray
    from torch import Tensor

    from analysis.cka.hsic_sums import HSIC


def cka(
    x: ArrayLike | Tensor,
    y: ArrayLike | Tensor,
    estimator: Literal["unbiased", "biased"] = "unbiased",
) -> float:
    """Linear CKA of two representations of the same samples.

        CKA = HSIC(X, Y) / √(HSIC(X, X) · HSIC(Y, Y))

    with `unbiased` HSIC₁ (Song et al. 2012) or `biased` HSIC, see `analysis.cka.hsic`. Computed in
    float64 on centered features. It is 1 for y = x, and does not change under rotation, scaling
    or shifting of either side. An unbiased value may be negative, and is not clamped; for
    independent Gaussian data the biased one tends to √(p·q/((p+n)(q+n))), not to 0.

    Args:
        x: (n, p), or (n, …), which is flattened; array or tensor.
        y: (n, q), or (n, …).
        estimator: `unbiased` (n ≥ 4) or `biased` (n ≥ 2).

    Returns:
        The value, or NaN with a warning that names the side and the reason where a self-HSIC is
        not above 0.

    Raises:
        BadInput: too few samples, or an unknown estimator.
        ValueError: different numbers of samples.

    Example:
        >>> round(cka([0, 1, 2, 3, 4, 5], [0, 1, 4, 9, 16, 25]), 6)
        0.950099

    Reference: Kornblith et al. 2019; Nguyen et al. 2021 (arXiv 2010.15327) for the unbiased form.
    """
    import torch

    from analysis.cka import hsic, hsic_from_grams
    from analysis.cka.features import Features
    from analysis.cka.hsic_from_features import from_features

    sides = [as_tensor(side) for side in (x, y)]
    if min(map(len, sides)) == 0:
        raise BadInput("0 samples: nothing to compare")
    if len(sides[0]) != len(sides[1]):
        raise ValueError(
            f"{plural(len(sides[0]), 'sample')} and {len(sides[1])}: expected the same samples on "
            "both sides"
        )
    sides = [side.reshape(len(side), -1) for side in sides]
    widths = [side.shape[1] for side in sides]
    if len(sides[0]) <= max(widths):
        grams = torch.stack([hsic.gram(side) for side in sides])
        sums = hsic_from_grams.from_grams(grams, formula=estimator)
    else:
        both = torch.cat(sides, dim=1)[:, None]
        features = Features([lambda: both], [len(both)])
        sums = from_features(features, widths, formula=estimator)
    value = float(sums.block(0).value[0, 1])
    for index, reason in sums.degenerate().items():
        warnings.warn(f"CKA is NaN: {'xy'[index]}: {reason}", RuntimeWarning, stacklevel=2)
    return value


class CKA:
    """Layer × layer CKA from minibatches.

    The minibatch estimator of Nguyen et al. 2021: HSIC₁ is averaged over batches, in proportion to
    n(n−3), and one ratio is taken at the end. With a single batch it is the full-set value.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> similarity = CKA()
    >>> for _ in range(3):
    ...     first, second = rng.normal(size=(2, 16, 8))
    ...     similarity.update([first, second], [first, second])
    >>> similarity.compute().shape
    (2, 2)
    """

    def __init__(self, estimator: Literal["unbiased", "biased"] = "unbiased") -> None:
        from analysis.cka import hsic

        hsic.least(estimator)
        self.estimator = estimator
        self.sums: HSIC | None = None
        self.layers = (0, 0)

    def update(self, x: Sequence[ArrayLike | Tensor], y: Sequence[ArrayLike | Tensor]) -> None:
        """Add a batch: the layers of one side and of the other, (n, …) each, n ≥ 4 (biased: 2).

        Raises:
            BadInput: too few samples.
            ValueError: other numbers of layers than before, or layers of different samples.
        """
        import torch

        from analysis.cka import hsic, hsic_from_grams
        from analysis.cka.cells import Cells

        if self.sums is not None and (len(x), len(y)) != self.layers:
            raise ValueError(
                f"{len(x)} and {plural(len(y), 'layer')}: expected {self.layers[0]} and "
                f"{self.layers[1]} as before"
            )
        sides = [as_tensor(layer, exact=False) for layer in (*x, *y)]
        if len({len(side) for side in sides}) != 1:
            shapes = [tuple(side.shape) for side in sides]
            raise ValueError(f"layers of shapes {shapes}: expected the same samples in each")
        grams = torch.stack([hsic.gram(side.reshape(len(side), -1)) for side in sides])
        cells = Cells(len(sides), [(slice(0, len(x)), slice(len(x), len(sides)))])
        sums = hsic_from_grams.from_grams(grams, cells, formula=self.estimator)
        self.layers = (len(x), len(y))
        self.sums = sums if self.sums is None else self.sums + sums

    def merge(self, other: CKA) -> None:
        """Add the batches that another one has seen."""
        if other.sums is not None:
            if self.sums is not None and self.layers != other.layers:
                raise ValueError(f"{other.layers} layers: expected {self.layers}")
            self.layers = other.layers
            self.sums = other.sums if self.sums is None else self.sums + other.sums

    def compute(self) -> NDArray[np.float64]:
        """CKA of every layer of x (rows) with every layer of y (columns); NaN as in `cka`.

        Raises:
            BadInput: no batch was added.
        """
        if self.sums is None:
            raise BadInput("0 samples: nothing to compare")
        rows = self.layers[0]
        matrix: NDArray[np.float64] = self.sums.block(0).value.cpu().numpy()
        for index, reason in self.sums.degenerate().items():
            side, place = ("x", index) if index < rows else ("y", index - rows)
            warnings.warn(f"CKA is NaN: {side}[{place}]: {reason}", RuntimeWarning, stacklevel=2)
        return matrix
