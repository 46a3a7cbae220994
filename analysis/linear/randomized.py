"""The leading singular values of a matrix that is known by its products with vectors alone.

References: Halko, Martinsson and Tropp, *Finding Structure with Randomness: Probabilistic
Algorithms for Constructing Approximate Matrix Decompositions*, SIAM Review 53, 2011; Musco and
Musco, *Randomized Block Krylov Methods for Stronger and Faster Approximate Singular Value
Decomposition*, NeurIPS 2015.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

OVERSAMPLING = 8
"""Random vectors beyond the number of singular values."""

ROUNDS = 6
"""Largest number of products with blocks of vectors, by J and by its transpose."""

TOLERANCE = 0.01
"""Of the largest singular value: rounds end once all errors are below it."""

ZERO = 1e-12
"""Of the largest singular value: what is less counts as 0."""

Product = Callable[[Tensor], Tensor]
"""From vectors (n, m) float64, a column for each, to their products, likewise."""


class Leading(NamedTuple):
    """Leading singular values and right singular vectors of a matrix.

    Attributes:
        values: (k,) float64, descending, each at most the true one.
        vectors: (n, k) float64, a column for each.
        errors: (k,) float64: the matrix has a singular value within this distance of each.
    """

    values: Tensor
    vectors: Tensor
    errors: Tensor


def leading(
    forward: Product,
    transposed: Product,
    n: int,
    count: int,
    generator: torch.Generator,
    rounds: int = ROUNDS,
) -> Leading:
    """The `count` leading singular values of a square matrix J by a randomized SVD.

    From random Ω the basis Q of J Ω, (J Jᵀ) J Ω, (J Jᵀ)² J Ω, … is built (all blocks are kept,
    which separates close values much better than the last one alone). With Jᵀ Q = V S Wᵀ and
    U = Q W, each triple has Jᵀ u = s v; what is missing is r = J v − s u. By the residual bound for
    the symmetric matrix [[0, J], [Jᵀ, 0]] there is a singular value within ‖r‖ / √2 of s. The
    bound does not exclude that a larger one was missed, which random Ω makes unlikely.

    Args:
        forward: J times vectors.
        transposed: Jᵀ times vectors.
        n: side of the matrix.
        count: how many, at least 1; no more than n are returned.
        generator: of the random vectors.
        rounds: largest number of blocks, at least 1; fewer where all bounds of the errors are below
            `TOLERANCE` of the largest value.

    >>> exact = torch.diag(torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64))
    >>> found = leading(lambda v: exact @ v, lambda v: exact.T @ v, 3, 2, torch.Generator())
    >>> [round(value, 6) for value in found.values.tolist()]
    [3.0, 2.0]
    """
    count = min(count, n)
    block = min(n, count + OVERSAMPLING)
    new = forward(torch.randn(n, block, generator=generator, dtype=torch.float64))
    basis, back, there = new[:, :0], new[:, :0], new[:, :0]  # Q, Jᵀ Q and J Jᵀ Q
    values, vectors, errors = new.new_zeros(0), new[:, :0], new.new_zeros(0)
    scale = float(torch.linalg.matrix_norm(new, 2))
    for _ in range(rounds):
        q = beyond(basis, new, ZERO * scale)
        if not q.shape[1]:  # Q holds all that J returns
            break
        rows = transposed(q)
        directions, lengths = torch.linalg.qr(rows)
        new = forward(directions)
        basis, back = torch.cat([basis, q], 1), torch.cat([back, rows], 1)
        there = torch.cat([there, new @ lengths], 1)
        vectors, values, turn = torch.linalg.svd(back, full_matrices=False)
        values, vectors, turn = values[:count], vectors[:, :count], turn[:count].T
        rest = there @ turn / values.clamp(min=ZERO * scale) - basis @ turn * values
        errors = torch.linalg.vector_norm(rest, dim=0) / math.sqrt(2)
        errors = torch.where(values > ZERO * scale, errors, values)
        if bool((errors <= TOLERANCE * values[0]).all()) and len(values) == count:
            break
    # what is missing is 0, with any directions beside the others
    more = torch.randn(n, count - len(values), generator=generator, dtype=torch.float64)
    zeros = new.new_zeros(more.shape[1])
    vectors = torch.cat([vectors, beyond(vectors, more, ZERO)], 1)
    return Leading(torch.cat([values, zeros]), vectors, torch.cat([errors, zeros]))


def beyond(basis: Tensor, vectors: Tensor, least: float) -> Tensor:
    """An orthonormal basis of what vectors add to an orthonormal basis.

    Args:
        basis: (n, m).
        vectors: (n, b).
        least: length below which nothing is added.

    Returns:
        (n, at most b).
    """
    for _ in range(2):  # once is not enough for vectors that are nearly inside
        vectors = vectors - basis @ (basis.T @ vectors)
    q, lengths, _ = torch.linalg.svd(vectors, full_matrices=False)
    q = q[:, lengths > least]
    q = q - basis @ (basis.T @ q)
    found: Tensor = torch.linalg.qr(q).Q
    return found
