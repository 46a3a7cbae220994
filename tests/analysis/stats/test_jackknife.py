"""Intervals: against the textbook formula, for a mean, and coverage for CKA (slow)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from analysis.cka import hsic
from analysis.cka.compute import STEADY
from analysis.cka.hsic_from_grams import from_grams
from analysis.stats.jackknife import draws, interval, log_interval, mean, standard_error
from analysis.text.intervals import about_intervals


def test_of_a_mean_it_is_the_t_interval():
    x = np.random.default_rng(0).normal(size=20)
    without = (x.sum() - x) / 19
    assert standard_error(without) == pytest.approx(stats.sem(x))
    low, high = interval(x.mean(), without)
    expected = stats.t.interval(0.95, 19, x.mean(), stats.sem(x))
    assert (float(low), float(high)) == pytest.approx(expected)


def test_fewer_than_three_images_have_no_interval():
    for n in (0, 1, 2):
        low, high = interval(np.zeros((2, 3)), np.zeros((n, 2, 3)))
        assert np.isnan(low).all() and np.isnan(high).all() and low.shape == (2, 3)
        assert standard_error(np.zeros((n, 2, 3))).shape == (2, 3)


def cka_of(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    grams = torch.stack([hsic.gram(torch.from_numpy(side)) for side in (x, y)])
    sums = from_grams(grams, photographs=list(torch.arange(len(x))[:, None])).block(0)
    value = float(sums.value[0, 1])
    low, high = interval(np.array(value), sums.without[:, 0, 1].numpy())
    return value, float(low), float(high)


def design(rng: np.random.Generator, n: int, signals: int, width: int, noise: float):
    """Two representations that share `signals` dimensions of unequal size, with noise of their own.

    The maps are fixed, so that there is one population.
    """
    fixed = np.random.default_rng(7)
    a, b = (fixed.normal(size=(signals, width)) / np.sqrt(width) for _ in range(2))
    shared = rng.normal(size=(n, signals)) * np.linspace(2, 0.5, signals)
    return tuple(shared @ m + noise * rng.normal(size=(n, width)) for m in (a, b))


@pytest.mark.slow
@pytest.mark.parametrize("n, signals, width, noise", [(64, 3, 16, 0.1), (64, 8, 64, 0.2)])
def test_coverage_of_the_interval(n, signals, width, noise):
    """At least 92% everywhere; not above 98% where few dimensions carry the spread (the first)."""
    rng = np.random.default_rng(1)
    truth = cka_of(*design(rng, 6000, signals, width, noise))[0]
    runs = 1000
    found = [cka_of(*design(rng, n, signals, width, noise)) for _ in range(runs)]
    covered = np.mean([low <= truth <= high for _, low, high in found])
    print(
        f"n {n}, {signals} signals in {width} dimensions: {covered:.3f} of {runs} cover {truth:.3f}"
    )
    assert covered >= 0.92
    if signals == 3:
        assert covered <= 0.98


@pytest.mark.slow
def test_intervals_of_minibatches_are_wide_rather_than_narrow():
    """Standard error over the true spread: too wide in batches of 4, less so in larger ones."""
    rng = np.random.default_rng(2)
    ratios = {}
    for batch in (4, STEADY, 16):
        values, errors = [], []
        for _ in range(300):
            sides = design(rng, 4 * batch, 3, 16, 0.5)
            parts = []
            for start in range(0, len(sides[0]), batch):
                grams = [hsic.gram(torch.from_numpy(s[start : start + batch])) for s in sides]
                none = torch.zeros(0, dtype=torch.int64)
                inside = range(start, start + batch)
                photographs = [
                    torch.tensor([i - start]) if i in inside else none for i in range(4 * batch)
                ]
                parts.append(from_grams(torch.stack(grams), photographs=photographs))
            total = sum(parts[1:], parts[0]).block(0)
            values.append(float(total.value[0, 1]))
            errors.append(float(standard_error(total.without[:, 0, 1].numpy())))
        ratios[batch] = np.mean(errors) / np.std(values)
    print({batch: round(float(ratio), 2) for batch, ratio in ratios.items()})
    assert ratios[4] > 1.5
    assert all(0.9 < ratios[batch] < 0.9 * ratios[4] for batch in (STEADY, 16))


def test_log_intervals_are_those_of_logarithms_and_only_of_values_above_0():
    stream = np.random.default_rng(0)
    value, without = np.array([0.5, 3.0]), np.exp(stream.normal(size=(8, 2)))
    found = log_interval(value, without)
    expected = interval(np.log(value), np.log(without))
    assert np.allclose(found.low, np.exp(expected.low)) and (found.low > 0).all()
    assert np.allclose(found.high, np.exp(expected.high))
    without[3, 1] = 0
    assert np.isnan(log_interval(value, without).low).tolist() == [False, True]


def test_draws_are_photographs_however_few():
    for count in (1, 4, 20):
        scenes = [f"{i // 2}" for i in range(2 * count)]
        assert draws(scenes).tolist() == [i // 2 for i in range(2 * count)]
    assert draws(["b", "a", "b"]).tolist() == [0, 1, 0]


def test_it_is_said_what_intervals_are_about_and_whether_they_are_enough():
    about, bundled = "they are about other photographs, not other trainings", {"images": "bundled"}
    assert [about in text for text in about_intervals(10, {})] == [True]
    assert "rough" not in about_intervals(10, {})[0]
    (few,) = about_intervals(9, {"images": ["photos"]})
    assert about in few and few.endswith(
        "With 9 photographs they are rough: at least 10 are needed."
    )
    for count, words in ((1, "1 photograph is"), (2, "2 photographs are")):
        needed = "too few for intervals: at least 3 are needed, 10 for inference."
        assert about_intervals(count, {}) == [f"{words} {needed}"]
    (none,) = about_intervals(30, {}, present=False)
    assert "no intervals" in none and about not in none
    for count, present in ((2, False), (4, False), (4, True), (12, True)):
        *_, last = about_intervals(count, bundled, present)
        assert "an illustration, not inference" in last and "--images" in last


def test_a_mean_over_crops_leaves_all_crops_of_a_photograph_out():
    values = np.array([1.0, 4.0, 2.0, 8.0, 5.0, 7.0, 3.0])
    scenes = ["b", "a", "b", "c", "d", "d", "d"]
    kept = [[name != left for name in scenes] for left in "bacd"]
    without = np.array([values[rest].mean() for rest in kept])
    half = stats.t.ppf(0.975, 3) * np.sqrt(3 / 4 * np.square(without - without.mean()).sum())
    found = mean(values, scenes)
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half))
    assert np.isnan(mean([], []).value)
