"""SRGA: the distance between two sets of features, fitted by generalized Gaussians."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mtd.utils.errors import BadInput
from mtd.utils.messages import plural

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor

    from analysis.stats.generalized_gaussian import GGD, Method


COMPONENTS = 300
"""Principal components unless a setting says otherwise, as published."""

OUTLIER = 5.0
"""Scores this many standard deviations from 0, or more, are left out."""

PATCHES = 300
"""Fewer patches are too few, says the published code."""


@dataclass(frozen=True)
class Fit:
    """A generalized Gaussian fitted to pooled scores.

    Attributes:
        ggd: the density.
        components: how many were pooled.
        outliers: how many scores were left out.
    """

    ggd: GGD
    components: int
    outliers: int


@dataclass(frozen=True)
class SRGA:
    """How far features are from reference features.

    Attributes:
        srga: log₁₀(KL + 10⁻⁵) + 5; 0 for the reference itself, unbounded above.
        kl: KL(reference ‖ test) of the fitted densities, in nats.
        sigma: standard deviation of the test's density.
        shape: its shape.
        reference: the reference's fit.
        test: the test's fit.
    """

    srga: float
    kl: float
    sigma: float
    shape: float
    reference: Fit
    test: Fit


def score(kl: float) -> float:
    """log₁₀(KL + 10⁻⁵) + 5."""
    return math.log10(kl + 1e-5) + 5


def fit(
    gram: Tensor,
    n_components: int = COMPONENTS,
    method: Method = "grid",
    features: int | None = None,
) -> Fit:
    """A generalized Gaussian on the pooled principal-component scores of some samples.

    All scores of the leading min(`n_components`, n − 1, `features`) components are one sample.
    Scores of magnitude 5 s or more are left out, once, s being the standard deviation of them all.
    (The published code measures from their mean, which is 0 for every component.)

    Args:
        gram: (n, n), of features centered on their mean; see `analysis.stats.gram_pca.gram`.
        n_components: at most how many components.
        method: see `analysis.stats.generalized_gaussian.fit_ggd`.
        features: how many there are; of more components the others would all be 0.

    Raises:
        BadInput: fewer than 2 samples.
        Undefined: features that are not finite or do not vary.
    """
    from analysis.stats import gram_pca

    if n_components < 1 or len(gram) < 2:
        raise BadInput(
            f"{plural(n_components, 'component')} of {plural(len(gram), 'sample')}: expected 1 and "
            "2 or more"
        )
    count = min(n_components, len(gram) - 1, features or len(gram))
    return fit_scores(gram_pca.scores(gram, count), method)


def fit_scores(scores: Tensor, method: Method = "grid") -> Fit:
    """`fit` of scores that are known.

    Args:
        scores: (n, components); see `analysis.stats.gram_pca.scores`.
        method: see `fit`.

    Raises:
        Undefined: scores that are all 0.
    """
    from analysis.stats.generalized_gaussian import fit_ggd
    from analysis.stats.undefined import CONSTANT, Undefined

    values = scores.flatten()
    inliers = values[values.abs() < OUTLIER * values.square().mean().sqrt()]
    if not len(inliers):
        raise Undefined(CONSTANT)
    return Fit(fit_ggd(inliers.numpy(), method), scores.shape[1], len(values) - len(inliers))


def compare(reference: Fit, test: Fit) -> SRGA:
    """The score of a fit against a reference fit."""
    from analysis.stats.generalized_gaussian import kl_ggd

    kl = kl_ggd(*reference.ggd, *test.ggd)
    return SRGA(score(kl), kl, *test.ggd, reference, test)


def srga(
    reference: ArrayLike | Tensor,
    test: ArrayLike | Tensor,
    n_components: int = COMPONENTS,
    method: Method = "grid",
) -> SRGA:
    """SRGA of features under a test noise against those under a reference noise.

    Each set has a PCA of its own, exact, through its Gram matrix; see `fit`. A score compares
    spreads within one network, since features are not scaled; it is not symmetric.

    Args:
        reference: (n, p) or (n, …), n patches; array or tensor.
        test: (m, q) or (m, …).
        n_components: at most how many components of each set.
        method: `grid` (published) or `root` (exact) for the shapes.

    Raises:
        BadInput: see `fit`.

    Example:
        >>> import numpy as np
        >>> features = np.random.default_rng(0).normal(size=(50, 200))
        >>> srga(features, features).srga
        0.0
        >>> srga(features, 2 * features).srga > 4
        True

    Reference: the published script, but with mean|x| not centered, so that it does not depend on
    the signs of eigenvectors.
    """
    from analysis.stats import gram_pca
    from analysis.stats.arrays import as_tensor

    sides = [as_tensor(side, exact=False) for side in (reference, test)]
    fits = [fit(gram_pca.gram(side), n_components, method, side[0].numel()) for side in sides]
    return compare(*fits)
