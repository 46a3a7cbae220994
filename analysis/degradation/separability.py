"""How well samples separate by a label: Calinski-Harabasz index, silhouette, linear probe.

Everything takes scores on principal components, (n, components), or their Gram matrix, and runs on
one thread, so that numbers do not depend on the number of cores or processes.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from analysis.stats import gram_pca, jackknife
from analysis.stats.controls import Series
from analysis.stats.threads import one_thread
from analysis.stats.undefined import CONSTANT, Undefined
from mtd.utils.errors import BadInput
from mtd.utils.messages import plural

FOLDS = 5
"""Folds of the probe, fewer where there are fewer groups."""

PERPLEXITY = 30.0

RANGE = 1e-12, 1e12
"""Scores of another standard deviation are brought to 1 for t-SNE, whose single precision does not
hold their squares."""

Array = NDArray[np.float64]


def calinski_harabasz(scores: ArrayLike, labels: ArrayLike) -> float:
    """CH = [tr B / (k − 1)] / [tr W / (n − k)], for n samples in k classes.

    B is the scatter of class means about the mean, each counted as often as it has samples, W that
    of samples about the mean of their class. With independent samples and no structure CH is near
    1; with clusters it grows in proportion to n, so that it compares runs of equal n and k only.

    Args:
        scores: (n, p).
        labels: (n,), of any kind.

    Returns:
        0 and more, infinite if samples of a class are all the same, NaN if nothing varies.

    Raises:
        BadInput: other shapes, fewer than 2 classes, or no class with 2 samples.

    Reference: Caliński and Harabasz 1974, Communications in Statistics 3.
    """
    from sklearn.metrics import calinski_harabasz_score

    values, codes = _checked(scores, labels)
    classes = [values[codes == code] for code in range(int(codes.max()) + 1)]
    if all((members == members[0]).all() for members in classes):  # scikit-learn gives 1
        return math.inf if (values != values[0]).any() else math.nan
    return float(calinski_harabasz_score(values, codes))


def within_groups(scores: ArrayLike, labels: ArrayLike, groups: ArrayLike) -> float:
    """CH of classes once each group's mean is removed: do labels matter beyond groups?

    F = [Σ_j m‖ȳ_j‖² / (k − 1)] / [Σ_ij ‖y_ij − ȳ_j‖² / ((k − 1)(m − 1))], y_ij = x_ij − x̄_i being
    group i's sample of class j less the group's mean, ȳ_j its mean over m groups. It is near 1 if
    samples of a group could change labels, whatever the groups are like.

    Args:
        scores: (n, p), n = m k.
        labels: (n,).
        groups: (n,); every group has one sample of each class.

    Returns:
        0 and more, infinite if labels explain everything, NaN if nothing varies within groups.

    Raises:
        BadInput: groups of other samples, or fewer than 2; see also `calinski_harabasz`.

    Reference: Anderson 2001, Austral Ecology 26 (pseudo-F of a two-way layout).
    """
    values, codes = _checked(scores, labels)
    of = np.unique(np.asarray(groups), return_inverse=True)[1]
    m, k = int(of.max()) + 1, int(codes.max()) + 1
    if m < 2 or len(values) != m * k or len(set(zip(of, codes, strict=True))) != m * k:
        raise BadInput(
            f"{plural(len(values), 'sample')} of {plural(k, 'class', 'es')} in "
            f"{plural(m, 'group')}: expected 2 groups or more, with one sample of each class in "
            "each"
        )
    table = np.empty((m, k, values.shape[1]))
    table[of, codes] = values
    table = table - table.mean(1, keepdims=True)
    means = table.mean(0)
    between = m * float(np.square(means).sum())
    rest = float(np.square(table - means).sum())
    if rest == 0:
        return math.inf if between > 0 else math.nan
    return (m - 1) * between / rest


def silhouette(scores: ArrayLike, labels: ArrayLike) -> float:
    """Mean of (b − a) / max(a, b) over samples, −1 to 1; 0 where classes overlap.

    a is a sample's mean Euclidean distance to the others of its class, b that to the samples of the
    nearest other class.

    Raises:
        BadInput: see `calinski_harabasz`.

    Reference: Rousseeuw 1987, Journal of Computational and Applied Mathematics 20.
    """
    from sklearn.metrics import silhouette_score

    values, codes = _checked(scores, labels)
    with one_thread():
        return float(silhouette_score(values, codes))


def folds(groups: ArrayLike, count: int = FOLDS) -> list[tuple[Array, Array]]:
    """Which samples train and which test, min(`count`, groups) times; no group is ever in both.

    Raises:
        BadInput: fewer than 2 groups.
    """
    from sklearn.model_selection import GroupKFold

    of = np.unique(np.asarray(groups), return_inverse=True)[1]
    number = min(count, int(of.max()) + 1)
    if number < 2:
        raise BadInput("1 group of samples: a probe needs 2, one to learn from and one to test on")
    return list(GroupKFold(number).split(of, groups=of))


def probe(gram: Tensor, labels: ArrayLike, groups: ArrayLike, components: int) -> float:
    """Accuracy of a linear classifier on samples of groups that it was not trained on.

    Multinomial logistic regression (C = 1) on principal components of the training samples, each in
    units of its standard deviation there. Chance is 1/k for k classes of equal size. Components of
    all samples would not do: near as many as there are samples, scaled alike, they put every sample
    as far from every other, and nothing could be learnt.

    Args:
        gram: (n, n), of centered features; see `analysis.stats.gram_pca.gram`.
        labels: (n,).
        groups: (n,); samples of one group are tested together, see `folds`.
        components: at most so many.

    Raises:
        BadInput: see `calinski_harabasz` and `folds`.

    Reference: Alain and Bengio 2017, ICLR workshops (linear probes).
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    _, codes = _checked(gram, labels)
    right = 0
    with one_thread():
        for train, test in folds(groups):
            learnt, seen = gram_pca.projected(gram, train, test, components)
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
            model.fit(learnt.numpy(), codes[train])
            right += int((model.predict(seen.numpy()) == codes[test]).sum())
    return right / len(codes)


def perplexity(samples: int) -> float:
    """min(30, (n − 1)/3), as many neighbours as n samples bear."""
    return min(PERPLEXITY, (samples - 1) / 3)


def embedding(scores: ArrayLike, seed: int = 0) -> Array:
    """t-SNE in the plane, begun at the first two components; see `perplexity`.

    Distances between clusters and their sizes mean little, and both depend on perplexity and seed.

    Args:
        scores: (n, p), p of 2 and more.
        seed: of scikit-learn's random state.

    Returns:
        (n, 2).

    Raises:
        Undefined: scores that do not vary.

    Reference: van der Maaten and Hinton 2008, JMLR 9.
    """
    from sklearn.manifold import TSNE

    values = np.asarray(scores, dtype=np.float64)
    spread = values[:, 0].std()
    if not spread > 0:
        raise Undefined(CONSTANT)
    if not RANGE[0] < spread < RANGE[1]:
        values, spread = values / spread, 1.0
    begin = (values[:, :2] / spread * 1e-4).astype(np.float32)
    near = perplexity(len(values))
    with one_thread():
        points = TSNE(perplexity=near, init=begin, random_state=seed).fit_transform(values)
    return np.asarray(points, dtype=np.float64)


def upright(scores: Tensor) -> Array:
    """Scores with the sign that makes the largest of each component positive."""
    largest = scores.abs().argmax(0)
    signs = scores[largest, torch.arange(scores.shape[1])].sign()
    return (scores * torch.where(signs == 0, 1.0, signs)).numpy()


class Interval(NamedTuple):
    """Bounds of a 95% interval; NaN where there is none."""

    low: float
    high: float


def log_index(gram: Tensor, labels: ArrayLike, groups: ArrayLike, count: int) -> Series:
    """ln CH on principal components, and without each group; components computed anew each time.

    Args:
        gram: (n, n), of centered features; see `analysis.stats.gram_pca.gram`.
        labels: (n,).
        groups: (n,).
        count: of components.

    Returns:
        NaN where CH is not above 0.
    """
    of, codes = np.asarray(groups), np.asarray(labels)

    def log_ratio(kept: Array) -> float:
        places = torch.from_numpy(np.flatnonzero(kept))
        part = gram_pca.recentered(gram, places)
        components = gram_pca.scores(part, min(count, len(places) - 1))
        value = calinski_harabasz(components.numpy(), codes[kept])
        return math.log(value) if value > 0 else math.nan

    with one_thread():
        whole = log_ratio(np.ones(len(of), dtype=bool))
        without = np.array([log_ratio(of != group) for group in dict.fromkeys(of.tolist())])
    return Series(whole, without)


def interval(of: Series) -> Interval:
    """Jackknife interval of CH, each photograph left out in turn.

    It is of ln CH, as CH is a ratio of variances, so that its bounds are above 0.

    Args:
        of: ln CH; see `log_index`.
    """
    if not np.isfinite([of.value, *of.without]).all():
        return Interval(math.nan, math.nan)
    low, high = np.exp(jackknife.interval(np.array(of.value), of.without))
    return Interval(float(low), float(high))


def _checked(scores: ArrayLike, labels: ArrayLike) -> tuple[Array, NDArray[np.intp]]:
    values = np.asarray(scores, dtype=np.float64)
    codes = np.unique(np.asarray(labels), return_inverse=True)[1]
    if values.ndim != 2 or codes.shape != (len(values),):
        raise BadInput(
            f"scores of shape {list(values.shape)} with labels of shape {list(codes.shape)}: "
            "expected (n, p) and (n,)"
        )
    if not len(codes) or not 2 <= codes.max() + 1 < len(codes):
        raise BadInput(
            f"{len(np.unique(codes))} classes of {len(codes)} samples: expected 2 or more, and one "
            "of them with 2 samples"
        )
    return values, codes
