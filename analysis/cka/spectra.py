"""How many dimensions a representation has, from the spectrum of its features."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from analysis.cka.hsic import center

SHARES = (1, 2, 4)
"""Numbers of first principal components whose share of the variance is given."""


def effective_rank(eigenvalues: Tensor) -> float:
    """exp(−Σ pᵢ ln pᵢ), pᵢ being an eigenvalue's share of their sum: 1 to their number.

    Args:
        eigenvalues: of the features' covariance, or of their centered Gram matrix; those below 0,
            which are rounding, count as 0.

    >>> import torch
    >>> round(effective_rank(torch.ones(5)), 6)
    5.0

    Reference: Roy and Vetterli 2007, *The effective rank*, EUSIPCO.
    """
    shares = _shares(eigenvalues)
    if shares is None:
        return math.nan
    known = shares[shares > 0]
    return float((-(known * known.log()).sum()).exp())


def first_shares(eigenvalues: Tensor) -> dict[str, float]:
    """The share of the variance that the first 1, 2 and 4 principal components have together."""
    shares = _shares(eigenvalues)
    if shares is None:
        return {f"share_{count}": math.nan for count in SHARES}
    ordered = shares.sort(descending=True).values
    return {f"share_{count}": float(ordered[:count].sum()) for count in SHARES}


def of_gram(gram: Tensor) -> Tensor:
    """The eigenvalues of a Gram matrix, (n, n), once it is centered; NaN if it is not finite."""
    centered = center(gram)
    if not bool(centered.isfinite().all()):
        return centered.new_full((len(gram),), math.nan)
    eigenvalues: Tensor = torch.linalg.eigvalsh(centered)
    return eigenvalues


def _shares(eigenvalues: Tensor) -> Tensor | None:
    """Shares of the sum; None where there is nothing to share."""
    values = eigenvalues.double().clamp(min=0)
    total = float(values.sum())
    return values / total if math.isfinite(total) and total > 0 else None
