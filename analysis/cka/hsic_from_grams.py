"""HSIC from Gram matrices: for few samples of many features, such as whole images, and kernels.

What the sums would be without some samples follows from those of all: U-centering removes whatever
is added to whole rows and columns, so that the samples that stay need not be centered anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from analysis.cka.cells import Cells, sides
from analysis.cka.hsic import Formula, center, least, need, u_center, weight
from analysis.cka.hsic_sums import HSIC, Sums

Product = Callable[[Tensor, Tensor], Tensor]
"""From two sides' (N, m) to the inner products of their rows, for every cell."""


def from_grams(
    grams: Tensor,
    cells: Cells | None = None,
    *,
    formula: Formula = "unbiased",
    photographs: Sequence[Tensor] = (),
    across: tuple[Tensor, Tensor] | None = None,
    others: tuple[Tensor, Sequence[Tensor]] | None = None,
) -> HSIC:
    """HSIC of one batch from what `analysis.cka.hsic.gram` (or `rbf`) gives for representations.

    Args:
        grams: (N, n, n), float64.
        cells: the pairs; by default every representation with every other.
        formula: `unbiased` or `biased`.
        photographs: the samples of each photograph that is left out in turn; a batch need not have
            any of them.
        across: for `Cells.across`, the samples of the first side, and the sample of the second side
            that each is paired with.
        others: where the second side of `across` is of another batch, the Gram matrices of that
            batch, and the samples in it of each photograph.

    Raises:
        BadInput: too few samples.
    """
    count, n, _ = grams.shape
    need(n, formula)
    cells = cells or Cells.every(count)
    k = centered(grams, formula)
    power = center(grams).diagonal(dim1=-2, dim2=-1).sum(-1)
    main = sums(k, k, photographs, formula, main_product(cells))
    first = (grams, photographs)
    paired = _across(first, others or first, cells, formula, across)
    return HSIC(cells, main, paired, power, n)


def centered(grams: Tensor, formula: Formula) -> Tensor:
    """Gram matrices as the formula has them: U-centered, or centered."""
    return u_center(grams) if formula == "unbiased" else center(grams)


def _across(
    one: tuple[Tensor, Sequence[Tensor]],
    other: tuple[Tensor, Sequence[Tensor]],
    cells: Cells,
    formula: Formula,
    across: tuple[Tensor, Tensor] | None,
) -> Sums:
    """The sums of samples that are paired with those of other photographs.

    Args:
        one: Gram matrices of the first side, and the samples in them of each photograph.
        other: the same of the second side.
        cells: the pairs of representations.
        formula: `unbiased` or `biased`.
        across: samples of both sides, in pairs.
    """
    (grams, photographs), (seconds, members) = one, other
    if not cells.across or across is None or len(across[0]) < least(formula):
        none = torch.zeros(len(cells.across), dtype=torch.float64, device=grams.device)
        return Sums(none, 0, none.expand(len(photographs), -1), none.new_zeros(len(photographs)))
    first, second = across
    x = centered(grams[:, first][:, :, first], formula)
    y = centered(seconds[:, second][:, :, second], formula)
    gone = [
        (torch.isin(first, left) | torch.isin(second, right)).nonzero().flatten()
        for left, right in zip(photographs, members, strict=True)
    ]
    i, j = sides(cells.across)
    return sums(x, y, gone, formula, lambda a, b: (a[i] * b[j]).sum(-1))


def main_product(cells: Cells) -> Product:
    """Inner products for the cells on the same samples."""
    i, j = sides(cells.pairs)

    def product(x: Tensor, y: Tensor) -> Tensor:
        blocks = [(x[rows] @ y[columns].mT).flatten() for rows, columns in cells.blocks]
        return torch.cat([(x * y).sum(-1), *blocks, (x[i] * y[j]).sum(-1)])

    return product


def sums(
    x: Tensor, y: Tensor, left_out: Sequence[Tensor], formula: Formula, product: Product
) -> Sums:
    """Sums over all samples, and without some in turn.

    Args:
        x: (N, n, n), centered, of the first side.
        y: the same of the second.
        left_out: indices of the samples that are left out together.
        formula: `unbiased` or `biased`.
        product: of the rows of both sides.
    """
    n = x.shape[-1]
    numerator = product(x.flatten(1), y.flatten(1))
    without, weights = [], []
    for gone in left_out:
        left = n - len(gone)
        weights.append(weight(left, formula))
        if not len(gone):
            without.append(numerator)
        elif not weights[-1]:
            without.append(torch.zeros_like(numerator))
        else:
            without.append(numerator + change(x, y, gone, formula, product))
    stacked = torch.stack(without) if without else numerator.new_zeros(0, len(numerator))
    return Sums(numerator, weight(n, formula), stacked, torch.tensor(weights, dtype=torch.float64))


def change(x: Tensor, y: Tensor, gone: Tensor, formula: Formula, product: Product) -> Tensor:
    """What leaving samples out adds to the numerators; all rows of x and y sum to 0."""
    n = x.shape[-1] - len(gone)
    stay = torch.ones(x.shape[-1], dtype=torch.bool, device=x.device)
    stay[gone] = False
    rows = [side[:, gone] for side in (x, y)]
    inner = [side[:, :, gone] for side in rows]
    shares = product(*(side.flatten(1) for side in rows))
    own = product(*(side.flatten(1) for side in inner))
    # what stays has these row sums, with the opposite sign
    row_sums = product(*(side.sum(1)[:, stay] for side in rows))
    totals = product(*(side.sum((1, 2))[:, None] for side in inner))
    return own - 2 * shares + corrections(row_sums, totals, n, formula)


def corrections(rows: Tensor, totals: Tensor, n: int, formula: Formula) -> Tensor:
    """The part of the numerator that centers: from products of row sums and of totals."""
    if formula == "unbiased":
        return totals / ((n - 1) * (n - 2)) - 2 / (n - 2) * rows
    return totals / n**2 - 2 / n * rows
