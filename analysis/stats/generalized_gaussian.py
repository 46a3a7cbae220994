"""Zero-mean generalized Gaussian densities: fit, and divergence of two.

    p(x; σ, β) = β / (2 α Γ(1/β)) exp(−(|x| / α)^β),    α = σ √(Γ(1/β) / Γ(3/β))

σ is the standard deviation; the shape β is 2 for a Gaussian and 1 for a Laplacian.

Reference: Sharifi and Leon-Garcia 1995 (fit by moments); Do and Vetterli, IEEE TIP 2002
(divergence).
"""

from __future__ import annotations

import math
from functools import cache
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtd.utils.errors import BadInput, one_of

Method = Literal["grid", "root"]

LOWEST, HIGHEST, STEP = 0.2, 10.0, 0.001
"""The published grid of shapes; for heavier tails than at β = 0.2, the shape is 0.2."""


class GGD(NamedTuple):
    """A generalized Gaussian density with mean 0."""

    sigma: float
    shape: float


def ratio(shape: ArrayLike) -> NDArray[np.float64]:
    """E[x²] / E[|x|]² of a generalized Gaussian, r(β) = Γ(1/β) Γ(3/β) / Γ(2/β)²; falls with β.

    >>> ratio([1, 2]).round(6).tolist()
    [2.0, 1.570796]
    """
    from scipy.special import gammaln

    inverse = 1 / np.asarray(shape, dtype=np.float64)
    value: NDArray[np.float64] = np.exp(
        gammaln(inverse) + gammaln(3 * inverse) - 2 * gammaln(2 * inverse)
    )
    return value


@cache
def _grid() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    shapes = np.arange(LOWEST, HIGHEST, STEP)
    return shapes, ratio(shapes)


def fit_ggd(values: ArrayLike, method: Method = "grid") -> GGD:
    """The zero-mean generalized Gaussian with the values' E[x²] and E[|x|].

    σ² = mean(x²), not centered. The shape is where r(β) (see `ratio`) is σ² / mean(|x|)²: the
    nearest of 0.2, 0.201, …, 9.999 (`grid`, as published), or exactly (`root`), within that range.
    mean(|x|) is not centered either, unlike the published code's mean(|x − mean(x)|): so the fit
    does not change if some values change their sign, as principal components' scores may.

    Args:
        values: any array; taken as one sample.
        method: `grid` or `root`.

    Raises:
        BadInput: no values, values that are not finite or are all 0, or an unknown method.

    Example:
        >>> from scipy import stats
        >>> gaussian = stats.norm(scale=2).ppf(np.linspace(0.0005, 0.9995, 1000))
        >>> fit = fit_ggd(gaussian)
        >>> round(fit.sigma, 2), round(fit.shape, 1)
        (2.0, 2.0)
    """
    one_of("method", method, get_args(Method))
    x = np.asarray(values, dtype=np.float64).ravel()
    if not x.size:
        raise BadInput("no values to fit")
    square, absolute = float(np.mean(x * x)), float(np.mean(np.abs(x)))
    if not math.isfinite(square) or square == 0:
        why = "all values are 0" if square == 0 else "values are not finite"
        raise BadInput(f"{why}: no generalized Gaussian has their moments")
    return GGD(math.sqrt(square), shape_of(square / absolute**2, method))


def shape_of(target: float, method: Method = "grid") -> float:
    """The shape whose `ratio` is a number, or nearest to it."""
    shapes, ratios = _grid()
    if method == "grid":
        return float(shapes[np.abs(target - ratios).argmin()])
    if target >= ratios[0]:
        return LOWEST
    if target <= ratios[-1]:
        return float(shapes[-1])
    from scipy.optimize import brentq

    root = brentq(
        lambda b: math.log(float(ratio(b)) / target), LOWEST, float(shapes[-1]), xtol=1e-13
    )
    return float(root)


def kl_ggd(sigma1: float, shape1: float, sigma2: float, shape2: float) -> float:
    """Kullback-Leibler divergence KL(1 ‖ 2) of zero-mean generalized Gaussians, in nats.

        ln(β₁ α₂ Γ(1/β₂) / (β₂ α₁ Γ(1/β₁))) + (α₁/α₂)^β₂ Γ((β₂ + 1)/β₁) / Γ(1/β₁) − 1/β₁

    0 for equal ones, never below, infinite beyond double precision; not symmetric.

    Args:
        sigma1: standard deviation of the first, above 0.
        shape1: its shape, above 0.
        sigma2: standard deviation of the second.
        shape2: its shape.

    Raises:
        BadInput: a number that is not above 0.

    >>> round(kl_ggd(1, 2, 2, 2), 6)
    0.318147
    """
    numbers = (sigma1, shape1, sigma2, shape2)
    if not all(value > 0 and math.isfinite(value) for value in numbers):
        raise BadInput(f"sigma and shape {numbers}: expected finite numbers above 0")
    if (sigma1, shape1) == (sigma2, shape2):
        return 0.0
    a1, a2 = log_scale(sigma1, shape1), log_scale(sigma2, shape2)
    g1, g2 = math.lgamma(1 / shape1), math.lgamma(1 / shape2)
    try:
        spread = math.exp(shape2 * (a1 - a2) + math.lgamma((shape2 + 1) / shape1) - g1)
    except OverflowError:
        return math.inf
    value = math.log(shape1 / shape2) + a2 - a1 + g2 - g1 + spread - 1 / shape1
    return max(0.0, value)  # rounding may leave -6e-15


def log_scale(sigma: float, shape: float) -> float:
    """ln α of a standard deviation and a shape."""
    return math.log(sigma) + (math.lgamma(1 / shape) - math.lgamma(3 / shape)) / 2


def density(x: ArrayLike, sigma: float, shape: float) -> NDArray[np.float64]:
    """p(x; σ, β), see the module."""
    from scipy.stats import gennorm

    value: NDArray[np.float64] = gennorm.pdf(x, shape, scale=math.exp(log_scale(sigma, shape)))
    return value
