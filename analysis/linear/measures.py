"""What a local linear map says: of its whole Jacobian, or of products with random vectors.

Notation: y the noisy image, x the clean one, f the network, J = ∂f/∂y at y, (N, N) for
N = C · H · W values, all in [0, 1] from black to white, so that J has no unit. J's row for an
output value is the filter that makes it from the input. Nothing here raises an error: where a
denominator is 0 the value is NaN.

References: Mohan et al., *Robust and Interpretable Blind Image Denoising via Bias-Free
Convolutional Neural Networks*, ICLR 2020; Stein, *Estimation of the Mean of a Multivariate Normal
Distribution*, Annals of Statistics 9, 1981; Ramani, Blu and Unser, *Monte-Carlo SURE*, IEEE TIP 17,
2008.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Spectrum(NamedTuple):
    """Singular values and right singular vectors of a Jacobian, all or the leading ones.

    Attributes:
        values: (k,) float64, descending.
        vectors: (N, k) float64, a column for each: directions of the input.
    """

    values: Tensor
    vectors: Tensor


def spectrum(jacobian: Tensor) -> Spectrum:
    """Singular values s and input directions v, J v = s u, by the eigenvectors of JᵀJ in float64.

    The effective dimension is Σs² = ‖J‖_F². A singular value is exact to about 1e-8 of the largest,
    as J itself is in float32.

    Args:
        jacobian: (N, N), finite.

    Returns:
        All N values and vectors.

    Reference: Mohan et al. 2020.

    >>> spectrum(torch.tensor([[0.0, 2.0], [1.0, 0.0]])).values.tolist()
    [2.0, 1.0]
    """
    matrix = jacobian.double()
    squares, vectors = torch.linalg.eigh(matrix.T @ matrix)
    return Spectrum(squares.clamp(min=0).sqrt().flip(0), vectors.flip(1))


def asymmetry(jacobian: Tensor) -> float:
    """‖J − Jᵀ‖_F / ‖J‖_F: 0 for a symmetric map, √2 if tr J² = 0, 2 for an antisymmetric one.

    Args:
        jacobian: (N, N).

    Returns:
        From 0 to 2; NaN for J = 0.

    >>> round(asymmetry(torch.tensor([[0.0, 1.0], [0.0, 0.0]])), 6)
    1.414214
    """
    matrix = jacobian.double()
    size = float(torch.linalg.norm(matrix))
    return float(torch.linalg.norm(matrix - matrix.T)) / size if size else math.nan


def affine_rest(product: Tensor, output: Tensor) -> float:
    """‖f(y) − J y‖ / ‖f(y)‖: 0 where the output is J y alone, without a constant beside it.

    Args:
        product: J y, of as many values as the output.
        output: (C, H, W), f(y).

    Returns:
        0 or more; 0 but for rounding for convolutions and ReLUs without additive constants; NaN
        for an output of 0.

    Reference: Mohan et al. 2020, where f(y) − J y is the net bias.
    """
    found, size = output.double().flatten(), float(torch.linalg.norm(output.double()))
    rest = found - product.double().flatten()
    return float(torch.linalg.norm(rest)) / size if size else math.nan


def row_sums(sums: Tensor) -> tuple[float, float]:
    """Mean over output values of Σⱼ Jᵢⱼ, and their standard deviation.

    The sum is over all pixels and channels of the input: 1 if a brighter input gives an equally
    brighter output.

    Args:
        sums: (N,) or (C, H, W), the sum of every row: J times a vector of ones.

    >>> row_sums(torch.tensor([1.0, 0.5]))
    (0.75, 0.25)
    """
    return float(sums.double().mean()), float(sums.double().std(unbiased=False))


def leading_share(of: Spectrum, count: int, vector: Tensor) -> float:
    """‖V_kᵀ z‖² / ‖z‖²: the share of a vector in the first `count` directions of the input.

    Of a random direction it is count / N on average.

    Args:
        of: singular values and vectors V.
        count: k, how many of the leading directions.
        vector: (C, H, W), z.

    Returns:
        From 0 to 1; NaN for z = 0.

    Reference: Mohan et al. 2020, there for the clean image.
    """
    whole = float(vector.double().square().sum())
    inside = of.vectors[:, :count].T @ vector.double().flatten()
    return float(inside.square().sum()) / whole if whole else math.nan


def without_mean(image: Tensor) -> Tensor:
    """An image (C, H, W) without the mean of each channel."""
    return image - image.mean((1, 2), keepdim=True)


def sure(image: Tensor, output: Tensor, variance: float, trace: float) -> float:
    """Stein's unbiased risk estimate ‖f(y) − y‖²/N − σ² + 2σ² tr J / N.

    For white Gaussian noise of variance σ² that is neither clipped nor rounded its expectation is
    that of the MSE.

    Args:
        image: (C, H, W), y.
        output: (C, H, W), f(y).
        variance: σ², in the unit of `image` squared. The analysis gives the mean square of the
            noise that was drawn, ‖y − x‖² / N, which differs from σ² by a share of about √(2/N).
        trace: tr J, the divergence of f at y.

    Returns:
        In the unit of `image` squared; it may be below 0.

    References: Stein 1981; with an estimated trace Ramani et al. 2008.

    >>> y = torch.full((1, 2, 2), 0.5)
    >>> sure(y, y, 0.01, 4.0)  # the identity keeps all of the noise
    0.01
    """
    moved = float((output.double() - image.double()).square().mean())
    return moved - variance + 2 * variance * trace / image.numel()


class Estimate(NamedTuple):
    """A mean over random vectors and its standard error."""

    value: float
    error: float


def estimate(values: Tensor) -> Estimate:
    """The mean of (K,) values, and its standard error; NaN error of one value."""
    error = float(values.std() / math.sqrt(len(values))) if len(values) > 1 else math.nan
    return Estimate(float(values.mean()), error)


def signs(count: int, shape: torch.Size, generator: torch.Generator) -> Tensor:
    """(count, …) random signs, ±1 with equal probability (Rademacher)."""
    return torch.randint(0, 2, (count, *shape), generator=generator).float() * 2 - 1


def hutchinson(vectors: Tensor, products: Tensor) -> tuple[Estimate, Estimate]:
    """tr J and ‖J‖_F² by Hutchinson's estimator, zᵀJᵀz and ‖Jᵀz‖² for random signs z.

    Args:
        vectors: (K, C, H, W), z, independent random signs.
        products: (K, C, H, W), Jᵀz.

    Returns:
        Both without unit, each with its standard error.

    Reference: Hutchinson 1990, Communications in Statistics 19.
    """
    z, product = vectors.double().flatten(1), products.double().flatten(1)
    return estimate((z * product).sum(1)), estimate(product.square().sum(1))


def estimated_asymmetry(forward: Tensor, back: Tensor) -> Estimate:
    """‖J − Jᵀ‖_F / ‖J‖_F from E‖J z − Jᵀz‖² and E‖Jᵀz‖², its error by the delta method.

    Args:
        forward: (K, C, H, W), J z for random signs z.
        back: (K, C, H, W), Jᵀz for the same.

    Returns:
        The estimate of `asymmetry` and its standard error; NaN for J = 0.

    Reference: Hutchinson 1990, for each of the two norms.
    """
    apart = (forward.double() - back.double()).flatten(1).square().sum(1)
    size = back.double().flatten(1).square().sum(1)
    if not float(size.mean()):
        return Estimate(math.nan, math.nan)
    ratio = float(apart.mean() / size.mean())
    error = estimate(apart - ratio * size).error / float(size.mean())
    value = math.sqrt(ratio)
    return Estimate(value, error / (2 * value) if value else 0.0)


def energy(filters: Tensor) -> Tensor:
    """(H, W), the energy of a pixel's filters: the sum of J² over its channels and the input's.

    Args:
        filters: (C, C, H, W), the rows of J for the channels of one output pixel.
    """
    return filters.double().square().sum((0, 1))


def radius(energy: Tensor, pixel: tuple[int, int], share: float) -> float:
    """The radius in pixels of the least disc around a pixel that holds a share of the energy.

    The distance is that of pixels' centers, so that a filter of one pixel has radius 0; NaN
    without energy.

    Args:
        energy: (H, W), see `energy`.
        pixel: row and column.
        share: from 0 to 1.

    Reference: Luo et al., *Understanding the Effective Receptive Field in Deep Convolutional Neural
    Networks*, NeurIPS 2016, for the energy; the radius is a definition of this project.

    >>> radius(torch.tensor([[0.0, 1.0], [0.0, 3.0]]), (1, 1), 0.95)
    1.0
    """
    total = float(energy.sum())
    if not total or not math.isfinite(total):
        return math.nan
    rows = torch.arange(energy.shape[0], dtype=torch.float64) - pixel[0]
    columns = torch.arange(energy.shape[1], dtype=torch.float64) - pixel[1]
    distance = (rows[:, None].square() + columns.square()).flatten()
    # discs grow by all pixels at one distance
    distances, place = distance.unique(return_inverse=True)
    held = torch.zeros(len(distances), dtype=torch.float64)
    held.index_add_(0, place, energy.double().cpu().flatten())
    reached = held.cumsum(0) >= share * total * (1 - 1e-12)
    return float(distances[int(reached.int().argmax())].sqrt())
