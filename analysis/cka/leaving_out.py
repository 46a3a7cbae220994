"""Measures of positions with one photograph left out at a time.

Of the rows of all samples, X and Y with the mean of every column removed, photograph i has Xᵢ and
Yᵢ, nᵢ of n rows, with column sums sᵢ and tᵢ. The products of the rest, with its own means removed,
are

    XᵀY − XᵢᵀYᵢ − sᵢ tᵢᵀ / (n − nᵢ),

so that nothing of the size of all samples is computed again. For measures by CCA, X are the
orthonormal directions U of all samples, whose products without a photograph are near the identity,
so that little is lost to rounding; a map (k, l) makes those of the rest orthonormal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from analysis.cka.feature_measures import (
    EXPLAINED,
    FEATURE_MEASURES,
    NEGLIGIBLE,
    decomposed,
    enough,
    explaining,
    matched,
    mean_correlation,
    mean_square,
    weighted,
)
from analysis.cka.transport import is_assignment

GONE = 1e-10
"""A direction or feature of which less than this share is left without a photograph is gone."""

Rows = Sequence[Tensor]
"""The rows of the samples of each photograph."""


@dataclass(frozen=True)
class Rest:
    """A representation without each photograph.

    Attributes:
        values: (n, k) what is compared, of all samples.
        gone: the rows of the photographs.
        sums: (k,) of each, over its rows.
        maps: (k, l) of each, to what is compared without it; none where that has no value.
        loadings: (l, p) of each, for PWCCA; empty for others.
    """

    values: Tensor
    gone: Rows
    sums: list[Tensor] = field(default_factory=list)
    maps: list[Tensor | None] = field(default_factory=list)
    loadings: list[Tensor] = field(default_factory=list)


@dataclass(frozen=True)
class LeavingOut:
    """How a measure is computed without each photograph.

    Attributes:
        prepare: from features (n, p) in float64 and the rows of the photographs.
        compare: two representations with values for all samples; one value for each photograph.
    """

    prepare: Callable[[Tensor, Rows], Rest]
    compare: Callable[[Rest, Rest], list[float]]


def products(a: Rest, b: Rest, whole: Tensor, i: int) -> Tensor:
    """The products (k of a, k of b) without photograph i, of those of all samples."""
    rows = a.gone[i]
    left = len(a.values) - len(rows)
    gone = a.values[rows].mT @ b.values[rows]
    return whole - gone - torch.outer(a.sums[i], b.sums[i]) / left


def by_products(score: Callable[..., float]) -> Callable[[Rest, Rest], list[float]]:
    """Compare by a score of the products (l of a, l of b), and of loadings where there are any."""

    def compare(a: Rest, b: Rest) -> list[float]:
        whole, found = a.values.mT @ b.values, []
        for i, (first, second) in enumerate(zip(a.maps, b.maps, strict=True)):
            if first is None or second is None:
                found.append(math.nan)
            else:
                of = first.mT @ products(a, b, whole, i) @ second
                found.append(score(of, a.loadings[i]) if a.loadings else score(of))
        return found

    return compare


def directions(x: Tensor, gone: Rows, share: float = 1.0, loadings: bool = False) -> Rest:
    """Orthonormal directions, all or those of most variance, without each photograph."""
    u, s, vt, _ = decomposed(x)
    rest = Rest(u, gone, [u[rows].sum(0) for rows in gone])
    whole = u.mT @ u
    for i, rows in enumerate(gone):
        left = products(rest, rest, whole, i)
        squares, axes = torch.linalg.eigh(left)
        present = squares > GONE
        of = axes[:, present] / squares[present].sqrt()
        if share < 1 and of.shape[1]:
            turn, singular, _ = torch.linalg.svd(of.mT @ left * s @ vt, full_matrices=False)
            of = of @ turn[:, : explaining(singular, share)]
        exists = of.shape[1] > 0 and enough(len(x) - len(rows), of.shape[1])
        rest.maps.append(of if exists else None)
        rest.loadings.extend([of.mT @ left * s @ vt] if loadings else [])
    return rest


def correlated(x: Tensor, gone: Rows) -> Rest:
    """Features that vary, of norm 1 with their mean removed, without each photograph."""
    centered = x - x.mean(0)
    largest = centered.abs().amax(0)
    scaled = centered / torch.where(largest > 0, largest, 1.0)
    rest = Rest(scaled, gone, [scaled[rows].sum(0) for rows in gone])
    powers = scaled.square().sum(0)
    constant = largest <= NEGLIGIBLE * NEGLIGIBLE * x.abs().amax(0)
    for rows, sums in zip(gone, rest.sums, strict=True):
        left = powers - scaled[rows].square().sum(0) - sums.square() / (len(x) - len(rows))
        present = (left > GONE * powers) & ~constant
        of = torch.diag(torch.where(present, left, 1.0).rsqrt())[:, present]
        rest.maps.append(of if of.shape[1] else None)
    return rest


def soft_matched(a: Rest, b: Rest) -> list[float]:
    """Soft matching without each photograph; NaN where each would take a linear program, seconds.

    A few linear programs are solved: without a photograph that alone has some feature, there are
    fewer features.
    """
    widths = [
        max((of.shape[1] for of in side.maps if of is not None), default=0) for side in (a, b)
    ]
    if not all(widths) or not is_assignment(*widths):
        return [math.nan] * len(a.maps)
    return by_products(matched)(a, b)


def unit_rows(x: Tensor, gone: Rows) -> Rest:
    """Rows of norm 1."""
    return Rest(FEATURE_MEASURES["cosine"].prepare(x).values, gone)


def cosines(a: Rest, b: Rest) -> list[float]:
    """The mean cosine without each photograph."""
    known = ((a.values != 0).any(1) & (b.values != 0).any(1)).double()
    each = (a.values * b.values).sum(1) * known
    totals, counts = each.sum(), known.sum()
    found = []
    for rows in a.gone:
        left = float(counts - known[rows].sum())
        found.append(float(totals - each[rows].sum()) / left if left else math.nan)
    return found


LEAVING_OUT = {
    "cosine": LeavingOut(unit_rows, cosines),
    "cca": LeavingOut(directions, by_products(mean_square)),
    "svcca": LeavingOut(
        lambda x, gone: directions(x, gone, share=EXPLAINED),
        by_products(mean_correlation),
    ),
    "pwcca": LeavingOut(
        lambda x, gone: directions(x, gone, loadings=True),
        by_products(weighted),
    ),
    "soft_matching": LeavingOut(correlated, soft_matched),
}
