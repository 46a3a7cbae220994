"""Paired tests against enumeration, and Holm's rule by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.generalization import conditions, pairwise_tests
from analysis.generalization.pairwise_tests import OUTSIDE
from analysis.stats.paired_tests import holm, least_p, wilcoxon
from tests.helpers.benchmark_tables import (
    GAUSSIAN,
    ISP,
    NAMES,
    POISSON,
    RESULTS,
    STRONG,
    drawn,
    rows,
)


def enumerated(differences: np.ndarray) -> float:
    """Two-sided p over all signs: how often the rank sum is as far from its mean."""
    kept = differences[differences != 0]
    ranks = stats.rankdata(np.abs(kept))
    middle = ranks.sum() / 2
    seen = abs(ranks[kept > 0].sum() - middle)
    signs = itertools.product((0, 1), repeat=len(kept))
    far = [abs(ranks[np.array(s, dtype=bool)].sum() - middle) >= seen - 1e-9 for s in signs]
    return float(np.mean(far))


@pytest.mark.parametrize("seed", range(5))
def test_wilcoxon_is_the_share_of_sign_flips(seed):
    differences = np.random.default_rng(seed).normal(0.4, 1, 11)
    assert wilcoxon(differences) == pytest.approx(enumerated(differences), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_wilcoxon_is_exact_with_ties_and_zeros(seed):
    differences = np.random.default_rng(seed).integers(-2, 5, 12).astype(float)
    assert wilcoxon(differences) == pytest.approx(enumerated(differences), abs=1e-12)
    assert wilcoxon(np.array([1.0, 1, -1, 2, 0, 3])) == 0.25


def test_p_values_are_at_most_1():
    assert wilcoxon(np.array([1.0, -1.0])) == 1  # both tails hold the middle
    assert least_p(3, 39) == 1


def halves(ranks: list[float]) -> np.ndarray:
    """The sum of positive ranks for each choice of signs."""
    sums = np.zeros(1)
    for rank in ranks:
        sums = np.concatenate([sums, sums + rank])
    return np.sort(sums)


@pytest.mark.parametrize("seed", range(3))
def test_wilcoxon_of_25_with_ties_and_zeros_is_exact(seed):
    """All 2^25 signs, as pairs of a choice for the first ranks and one for the others."""
    differences = np.random.default_rng(seed).integers(-3, 6, 25).astype(float)
    kept = differences[differences != 0]
    ranks = stats.rankdata(np.abs(kept))
    first, second = halves(list(ranks[:12])), halves(list(ranks[12:]))
    smaller = min(ranks[kept > 0].sum(), ranks[kept < 0].sum())
    below = np.searchsorted(second, smaller - first + 1e-9, side="right").sum()
    assert len(set(np.abs(kept))) < len(kept) < 25  # there are ties and zeros
    assert wilcoxon(differences) == pytest.approx(min(1.0, 2 * below / 2.0 ** len(kept)), rel=1e-12)


def test_wilcoxon_of_many_is_scipys():
    for count, method in ((50, "exact"), (51, "asymptotic")):
        differences = np.random.default_rng(0).normal(0.2, 1, count)
        expected = stats.wilcoxon(differences, method=method).pvalue
        assert wilcoxon(differences) == pytest.approx(expected, rel=1e-9)


def test_wilcoxon_without_differences_or_numbers():
    assert wilcoxon(np.zeros(5)) == 1
    assert math.isnan(wilcoxon(np.array([1.0, np.nan, 2.0])))
    assert math.isnan(wilcoxon(np.array([1.0, np.inf])))


def test_holm_steps_down_never_falls_and_stays_below_one():
    found = holm([0.2, 0.01, 0.02, 0.9, math.nan])
    expected = [0.4, 0.04, 0.06, 0.9]
    assert found[:4].tolist() == pytest.approx(expected) and math.isnan(found[4])
    assert holm([0.6, 0.7]).tolist() == [1, 1]
    assert len(holm([])) == 0


def test_tests_are_on_the_same_images_and_the_joint_one_on_each_images_mean():
    table = conditions.table(RESULTS, "psnr", ["gaussian:15"])
    frame = pairwise_tests.paired(table)
    assert frame.noise.tolist() == ["gaussian:15", "gaussian:50", "poisson:3", "isp", OUTSIDE]
    assert (frame.model_a == "a").all() and (frame.model_b == "b").all()
    each = GAUSSIAN["a"] - GAUSSIAN["b"]
    joint = sum((v["a"] - v["b"]) / 3 for v in (STRONG, POISSON, ISP))
    for row, change in ((frame.iloc[0], each), (frame.iloc[-1], joint)):
        assert row.difference == pytest.approx(change.mean(), abs=1e-12)
        assert row.p == pytest.approx(enumerated(change), abs=1e-12)
        assert row.better == (change > 0).mean() and row.photographs == 12
    assert frame.p_holm.tolist() == pytest.approx(holm(list(frame.p)).tolist())


def test_crops_of_a_photograph_are_averaged_first():
    images = [f"{i // 2}.png" for i in range(24)]
    values = drawn(9, 24, a=30, b=30)
    frame = pairwise_tests.paired(conditions.table(rows(values, "poisson:3", images), "psnr", []))
    each = (values["a"] - values["b"]).reshape(12, 2).mean(1)
    assert frame.p[0] == pytest.approx(enumerated(each), abs=1e-12) and frame.photographs[0] == 12


def test_below_ten_photographs_there_is_no_p_value_however_many_crops():
    images = [f"{i // 4}.png" for i in range(40)]
    for count in (9, 10):
        values = drawn(9, 4 * count, a=33, b=30)
        part = rows(values, "poisson:3", images[: 4 * count])
        (row,) = pairwise_tests.paired(conditions.table(part, "psnr", [])).to_dict("records")
        assert row["photographs"] == count and row["low"] > 0
        assert math.isnan(row["p"]) == math.isnan(row["p_holm"]) == (count < 10)


def clustered(rng: np.random.Generator, photographs: int, crops: int, correlation: float):
    """A table of two equal models on crops that are alike within a photograph."""
    of = np.repeat(np.arange(photographs), crops)
    shape = (photographs, 2)
    values = np.sqrt(correlation) * rng.normal(size=shape)[of]
    values += np.sqrt(1 - correlation) * rng.normal(size=(len(of), 2))
    names = pd.DataFrame({"image": of.astype(str)})
    condition = conditions.Condition("isp", "isp", math.nan, False, values, of, 0, names, values)
    each = {"a": ("a",), "b": ("b",)}
    trained = {"a": [], "b": []}
    return conditions.Table("psnr", [*each], [condition], [photographs], trained, trainings=each)


@pytest.mark.slow
@pytest.mark.parametrize("photographs, crops", [(10, 8), (12, 4), (24, 3)])
@pytest.mark.parametrize("correlation", [0.2, 0.5])
def test_equal_models_are_rarely_told_apart(photographs, crops, correlation):
    """At most 7%: by the interval alone, by the test alone, and by both, which is what is said."""
    rng, runs = np.random.default_rng(photographs), 1500
    found = np.zeros(3)
    for _ in range(runs):
        frame = pairwise_tests.paired(clustered(rng, photographs, crops, correlation))
        (test,) = pairwise_tests.paired_differences(frame, "psnr", "a", "b").values()
        found += [test.side != 0, frame.p[0] < 0.05, test.decided != 0]
    print(f"{photographs} x {crops}, correlation {correlation}: {found / runs}")
    assert (found / runs <= 0.07).all() and (found > 0).all()


def test_sets_of_different_images_have_no_joint_test():
    other = [f"real{i}.png" for i in range(12)]
    frame = pd.concat([rows(POISSON, "poisson:3", NAMES), rows(ISP, "polyu", other)])
    found = pairwise_tests.paired(conditions.table(frame, "psnr", []))
    assert found.noise.tolist() == ["poisson:3", "polyu"]


def test_one_model_has_nothing_to_be_tested_against():
    table = conditions.table(rows(drawn(1, 5, a=30), "isp", NAMES[:5]), "psnr", [])
    found = pairwise_tests.paired(table)
    assert found.empty and "p_holm" in found
