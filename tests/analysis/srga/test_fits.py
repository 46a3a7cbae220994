"""Subsets of photographs that are left out of SRGA, intervals from them, and fits without any."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy import stats

from analysis.engine.observer import View
from analysis.srga.fits import AllFits, Fits, interval, subsets
from analysis.srga.observer import Deep
from analysis.srga.score import srga
from analysis.srga.settings import SRGASettings
from analysis.stats import gram_pca

VALUES = np.random.default_rng(0).normal(5, 2, 14)


def test_of_few_photographs_all_choices_are_left_out_and_of_many_sixty():
    assert subsets(4, 0) == [(0,), (1,), (2,), (3,)]
    assert subsets(10, 0) == list(combinations(range(10), 2))
    many = subsets(40, 7)
    assert len(many) == 60 and len(set(many)) > 50 and many == subsets(40, 7) != subsets(40, 8)
    assert all(len(set(one)) == 8 and one == tuple(sorted(one)) for one in many)
    assert {index for one in many for index in one} == set(range(40))


def test_of_few_photographs_the_interval_of_a_mean_is_students():
    values = VALUES[:7]
    without = np.array([np.delete(values, i).mean() for i in range(7)])
    for level in (0.95, 0.99):
        bounds = stats.ttest_1samp(values, 0).confidence_interval(level)
        assert interval(values.mean(), without, 7, level) == pytest.approx(tuple(bounds))


def test_with_pairs_left_out_the_interval_of_a_mean_is_students_too():
    without = np.array([np.delete(VALUES, pair).mean() for pair in combinations(range(14), 2)])
    low, high = stats.ttest_1samp(VALUES, 0).confidence_interval(0.95)
    assert interval(VALUES.mean(), without, 14) == pytest.approx((low, high))


def features(seed: int, patches: int = 15) -> torch.Tensor:
    stream = torch.Generator().manual_seed(seed)
    return torch.randn(patches, 40, generator=stream, dtype=torch.float64)


def fits_of(**settings) -> AllFits:
    of = {
        View("a", noise): Deep(gram_pca.gram(features(seed)), 40, torch.zeros(15))
        for seed, noise in enumerate(("x", "y"))
    }
    return AllFits.of(of, SRGASettings(components=4, **settings), np.repeat(np.arange(5), 3))


def test_scores_without_each_photograph_are_those_of_the_other_patches():
    fits = fits_of()
    series = fits[View("a", "x")].to(fits[View("a", "y")])
    draws = np.repeat(np.arange(5), 3)
    for found, kept in zip(
        (series.value, *series.without), (draws >= 0, *(draws != i for i in range(5))), strict=True
    ):
        sides = [features(seed)[torch.from_numpy(kept)] for seed in (0, 1)]
        assert found == pytest.approx(srga(*sides, 4).srga, abs=1e-6)
    assert fits.photographs == 5 and len(series.without) == 5
    low, high = fits.bounds(series.value, series.without)
    assert (low, high) == pytest.approx(interval(series.value, series.without, 5))
    assert math.isnan(fits.bounds(1.0, np.zeros(0))[0])
    assert math.isnan(fits.bounds(1.0, np.array([1.0, math.nan]))[0])


def test_without_intervals_nothing_is_left_out():
    fits = fits_of(intervals=False)
    series = fits[View("a", "x")].to(fits[View("a", "y")])
    assert fits.remaining == [] and len(series.without) == 0 and series.value > 0


def test_features_without_a_fit_have_no_score():
    fits, nothing = fits_of(), Fits(None, [], "why")
    for pair in ((fits[View("a", "x")], nothing), (nothing, fits[View("a", "x")])):
        series = pair[0].to(pair[1])
        assert math.isnan(series.value) and len(series.without) == 0
