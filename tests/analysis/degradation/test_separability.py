"""Separability against its formulas written out, and on features that do or do not fall apart."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import t

from analysis.degradation import separability
from analysis.degradation.separability import (
    calinski_harabasz,
    embedding,
    folds,
    interval,
    log_index,
    perplexity,
    probe,
    silhouette,
    upright,
    within_groups,
)
from analysis.stats import gram_pca
from mtd.utils.errors import BadInput

NOISES, CROPS = 4, 15
NOISE, CROP = np.repeat(np.arange(NOISES), CROPS), np.tile(np.arange(CROPS), NOISES)


def samples(noise: float, content: float, seed: int = 0, width: int = 20) -> np.ndarray:
    """Features of every crop under every noise: a part of each noise's and of each crop's own."""
    stream = np.random.default_rng(seed)
    of_noise = noise * stream.normal(size=(NOISES, width))
    of_crop = content * stream.normal(size=(CROPS, width))
    return of_noise[NOISE] + of_crop[CROP] + stream.normal(size=(len(NOISE), width))


def gram(values: np.ndarray) -> torch.Tensor:
    return gram_pca.gram(torch.from_numpy(values))


@pytest.mark.parametrize("labels", [NOISE, CROP], ids=["noise", "crop"])
def test_ch_is_its_formula(labels):
    values = samples(1, 1)
    k, n = len(set(labels)), len(values)
    mean = values.mean(0)
    between = within = 0.0
    for label in set(labels):
        part = values[labels == label]
        between += len(part) * ((part.mean(0) - mean) ** 2).sum()
        within += ((part - part.mean(0)) ** 2).sum()
    found = calinski_harabasz(values, labels)
    assert found == pytest.approx(between / (k - 1) / (within / (n - k)), rel=1e-12)
    names = np.array([f"noise {label}" for label in labels])
    assert calinski_harabasz(values, names) == pytest.approx(found, rel=1e-12)


def test_ch_of_one_column_is_the_f_statistic_and_groups_that_of_two_ways():
    from scipy.stats import f_oneway

    values = samples(1, 2, width=1)
    parts = [values[noise == NOISE, 0] for noise in range(NOISES)]
    assert calinski_harabasz(values, NOISE) == pytest.approx(f_oneway(*parts).statistic)
    # least squares with indicator columns, without and with the noises
    crops, noises = np.eye(CROPS)[CROP], np.eye(NOISES)[NOISE][:, 1:]

    def left(design):
        return np.linalg.lstsq(design, values[:, 0], rcond=None)[1][0]

    less, more = left(crops), left(np.hstack([crops, noises]))
    expected = (less - more) / (NOISES - 1) / (more / ((NOISES - 1) * (CROPS - 1)))
    assert within_groups(values, NOISE, CROP) == pytest.approx(expected)
    order = np.random.default_rng(1).permutation(len(values))
    assert within_groups(values[order], NOISE[order], CROP[order]) == pytest.approx(expected)


def test_silhouette_is_its_formula():
    values = samples(1, 1)
    distances = np.linalg.norm(values[:, None] - values, axis=-1)
    found = []
    for i, label in enumerate(NOISE):
        own = distances[i, (label == NOISE) & (np.arange(len(NOISE)) != i)].mean()
        other = min(distances[i, o == NOISE].mean() for o in set(NOISE) - {label})
        found.append((other - own) / max(own, other))
    assert silhouette(values, NOISE) == pytest.approx(np.mean(found), abs=1e-9)


def test_noises_that_lie_apart_are_found():
    values = samples(6, 0.5)
    assert calinski_harabasz(values, NOISE) > 100 and silhouette(values, NOISE) > 0.5
    assert calinski_harabasz(values, CROP) < 1
    assert probe(gram(values), NOISE, CROP, 50) == 1
    assert calinski_harabasz(embedding(values), NOISE) > 100


def test_a_probe_of_few_samples_of_many_features_finds_what_is_there():
    stream = np.random.default_rng(0)
    noise, crop = np.repeat([0, 1], 6), np.tile(np.arange(6), 2)
    values = stream.normal(size=(12, 500)) + 3 * stream.normal(size=(2, 500))[noise]
    assert probe(gram(values), noise, crop, 50) == 1


def test_projected_scores_are_those_of_a_pca_of_the_training_samples():
    from sklearn.decomposition import PCA

    values = samples(2, 1)
    train, test = np.arange(0, 60, 2), np.arange(1, 60, 2)
    learnt, seen = gram_pca.projected(gram(values), train, test, 5)
    pca = PCA(5).fit(values[train])
    for mine, places in ((learnt, train), (seen, test)):
        theirs = pca.transform(values[places])
        signs = np.sign((learnt.numpy() * pca.transform(values[train])).sum(0))
        assert np.allclose(mine.numpy() * signs, theirs, atol=1e-9)


def test_noises_that_do_not_matter_are_at_chance():
    values = samples(0, 6)
    assert calinski_harabasz(values, NOISE) < 0.2 and silhouette(values, NOISE) < 0
    assert calinski_harabasz(values, CROP) > 20
    many = [within_groups(samples(0, 6, seed), NOISE, CROP) for seed in range(40)]
    assert np.mean(many) == pytest.approx(1, abs=0.1)
    right = [probe(gram(samples(0, 6, seed)), NOISE, CROP, 50) for seed in range(10)]
    assert np.mean(right) == pytest.approx(1 / NOISES, abs=0.08)


def test_what_noise_leaves_under_strong_content_shows_within_groups():
    values = samples(1, 8)
    assert calinski_harabasz(values, NOISE) < 1 < 10 < within_groups(values, NOISE, CROP)


def test_a_probe_never_sees_the_group_it_is_tested_on():
    groups = CROP // 3
    parts = folds(groups)
    assert len(parts) == 5 and len(folds(CROP % 3)) == 3
    for train, test in parts:
        assert not set(groups[train]) & set(groups[test])
        assert set(train) | set(test) == set(range(len(groups)))
    assert sorted(np.concatenate([test for _, test in parts])) == list(range(len(groups)))
    # a label that only the group tells is not found in groups that were not seen
    assert probe(gram(samples(0, 20)), CROP % 5, CROP, 50) < 0.5
    assert probe(gram(samples(0, 20)), CROP % 5, NOISE, 50) == 1


def test_intervals_leave_groups_out_and_find_components_anew():
    values = samples(2, 1)
    gram = gram_pca.gram(torch.from_numpy(values))

    def ratio(kept):
        part = values[kept] - values[kept].mean(0)
        left, size, _ = np.linalg.svd(part, full_matrices=False)
        return calinski_harabasz((left * size)[:, :6], NOISE[kept])

    whole = math.log(ratio(CROP >= 0))
    without = np.log([ratio(crop != CROP) for crop in range(CROPS)])
    error = math.sqrt((CROPS - 1) / CROPS * np.square(without - without.mean()).sum())
    half = t.ppf(0.975, CROPS - 1) * error
    found = interval(log_index(gram, NOISE, CROP, 6))
    assert found == pytest.approx((math.exp(whole - half), math.exp(whole + half)), rel=1e-6)


def test_embeddings_repeat_and_leave_threads_alone():
    values, before = samples(1, 1), torch.get_num_threads()
    first = embedding(values, 3)
    assert first.shape == (len(values), 2) and np.array_equal(first, embedding(values, 3))
    assert torch.get_num_threads() == before
    assert perplexity(31) == 10 and perplexity(1000) == 30
    assert np.isfinite(embedding(samples(1, 1)[:6])).all()


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_embeddings_do_not_depend_on_the_scale(scale):
    values = samples(3, 1)
    assert calinski_harabasz(embedding(scale * values), NOISE) == pytest.approx(
        calinski_harabasz(embedding(values / values[:, 0].std()), NOISE), rel=1e-6
    )


def test_signs_are_fixed():
    scores = torch.tensor([[1.0, -4.0, 0.0], [-3.0, 2.0, 0.0]])
    assert upright(scores).tolist() == [[-1, 4, 0], [3, -2, 0]]


def test_edges_have_their_values():
    same = np.repeat([[0.0], [1.0]], 3, axis=0)
    assert calinski_harabasz(same, [0, 0, 0, 1, 1, 1]) == math.inf
    assert math.isnan(calinski_harabasz(np.zeros((6, 2)), [0, 0, 0, 1, 1, 1]))
    assert within_groups(same, [0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 2]) == math.inf
    assert math.isnan(within_groups(np.zeros((4, 1)), [0, 0, 1, 1], [0, 1, 0, 1]))
    gram = torch.zeros(6, 6)
    logs = log_index(gram, [0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 2], 2)
    assert all(math.isnan(v) for v in interval(logs))


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: calinski_harabasz(np.ones((4, 2)), [0, 0, 0, 0]), "1 classes of 4 samples"),
        (lambda: calinski_harabasz(np.ones((4, 2)), [0, 1, 2, 3]), "4 classes of 4 samples"),
        (lambda: silhouette(np.ones((4, 2)), [0, 1, 0]), r"expected \(n, p\) and \(n,\)"),
        (lambda: within_groups(np.ones((4, 2)), [0, 1, 0, 1], [0, 1, 1, 0]), None),
        (lambda: within_groups(np.ones((4, 2)), [0, 1, 0, 1], [0, 0, 1, 2]), "in 3 groups"),
        (
            lambda: within_groups(np.ones((4, 2)), [0, 1, 0, 1], [0, 0, 0, 0]),
            "in 1 group: expected",
        ),
        (lambda: folds([3, 3, 3]), "1 group of samples"),
        (lambda: embedding(np.zeros((6, 2))), "do not vary"),
    ],
)
def test_what_cannot_be_measured_is_refused(call, message):
    if message is None:
        assert math.isnan(call())
        return
    with pytest.raises(BadInput, match=message):
        call()


def test_the_module_names_its_limits():
    assert separability.FOLDS == 5 and separability.PERPLEXITY == 30
