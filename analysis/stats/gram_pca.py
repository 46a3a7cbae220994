"""Principal components of many features of few samples, through the samples' Gram matrix.

With n samples of p ≫ n features, the n × n Gram of the centered features has the same nonzero
eigenvalues as their scatter matrix, and its eigenvectors, scaled, are the scores. It is a sum over
features, so that these are never all in memory: a chunk of columns at a time is enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from analysis.stats.threads import one_thread
from analysis.stats.undefined import NOT_FINITE, Undefined
from mtd.utils.errors import BadInput
from mtd.utils.messages import plural

CHUNK = 2**22
"""Numbers of a chunk in float64: 32 MiB."""

ROUNDING = 1e-13
"""What is left of a spread by this share of it is rounding."""


def gram(features: Tensor) -> Tensor:
    """Gram matrix of centered features, Σ_j (x_ij − x̄_j)(x_kj − x̄_j), in float64.

    Args:
        features: (n, …), flattened; read in chunks of columns, so that a memory-mapped tensor is
            never loaded whole.

    Returns:
        (n, n) on the CPU.

    Raises:
        BadInput: fewer than 2 samples, or no features.
    """
    return gram_of(chunks([features]))


def gram_of(columns: Iterator[Tensor], device: torch.device | str = "cpu") -> Tensor:
    """`gram` of features that come as chunks of columns, (n, any number) each, one after another.

    Raises:
        BadInput: fewer than 2 samples, or no features.
    """
    total: Tensor | None = None
    for part in columns:
        if len(part) < 2 or not part.shape[1]:
            raise BadInput(f"features of shape {list(part.shape)}: components need 2 samples")
        values = part.to(device, torch.float64)
        values = values - values.mean(0)
        product = values @ values.T
        total = product if total is None else total.add_(product)
    if total is None:
        raise BadInput("no features: no components")
    return total.cpu()


def chunks(parts: Sequence[Tensor], numbers: int = CHUNK) -> Iterator[Tensor]:
    """Columns of samples that lie in several tensors (n₁, …), (n₂, …), …, a chunk at a time."""
    flat = [part.reshape(len(part), -1) for part in parts]
    samples = sum(len(part) for part in flat)
    width = max(1, numbers // max(1, samples))
    for start in range(0, flat[0].shape[1], width):
        yield torch.cat([part[:, start : start + width] for part in flat])


def scores(gram: Tensor, count: int) -> Tensor:
    """Scores of the samples on the leading principal components, U √λ.

    They equal those of a PCA of the features, up to the sign of each component, which is
    arbitrary. Every component has mean 0 over the samples.

    Args:
        gram: (n, n), of centered features; see `gram`.
        count: of components, 1 to n − 1, the rank that centering leaves.

    Returns:
        (n, count) float64, largest component first.

    Raises:
        BadInput: another count.
        Undefined: a Gram matrix that is not finite.
    """
    samples = len(gram)
    if not 1 <= count <= samples - 1:
        given = f"{plural(count, 'component')} of {plural(samples, 'sample')}"
        raise BadInput(f"{given}: expected 1 to {samples - 1}")
    if not gram.isfinite().all():
        raise Undefined(NOT_FINITE)
    with one_thread():
        values, vectors = torch.linalg.eigh(gram.double())
    leading = values.flip(0)[:count].clamp(min=0)
    leading_scores: Tensor = vectors.flip(1)[:, :count] * leading.sqrt()
    return leading_scores


def recentered(gram: Tensor, samples: Tensor) -> Tensor:
    """The Gram matrix of some of the samples, centered on their own mean.

    It is 0 where these samples are all the same and only others differ from them.
    """
    part = gram[samples][:, samples]
    rows = part.mean(0, keepdim=True)
    centered = part - rows - rows.T + rows.mean()
    if centered.trace() <= ROUNDING * gram.trace():
        return torch.zeros_like(centered)
    return centered


def projected(gram: Tensor, train: ArrayLike, test: ArrayLike, count: int) -> tuple[Tensor, Tensor]:
    """Scores of some samples on their own leading components, and of other samples on the same.

    Args:
        gram: (n, n), of centered features.
        train: indices of the samples whose components are computed, 2 or more.
        test: indices of the others.
        count: largest number of components; those whose variance is below 10⁻¹⁰ of the largest are
            left out.

    Returns:
        (train, p) and (test, p), p being the number of components.
    """
    own, others = (torch.as_tensor(np.asarray(side)) for side in (train, test))
    part = gram.double()[own][:, own]
    values, vectors = torch.linalg.eigh(recentered(gram.double(), own))
    significant = (values > 1e-10 * values.max().clamp_min(0)).flip(0)[: min(count, len(own) - 1)]
    number = max(1, int(significant.sum()))
    values, vectors = values.flip(0)[:number], vectors.flip(1)[:, :number]
    across = gram.double()[others][:, own]
    centered = across - across.mean(1, keepdim=True) - part.mean(0) + part.mean()
    size = values.clamp_min(torch.finfo(torch.float64).tiny).sqrt()
    return vectors * size, centered @ vectors / size
