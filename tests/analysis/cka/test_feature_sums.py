"""Sums over many pairs of representations: how much of them is in memory at a time."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch

from analysis.cka import moments
from analysis.cka.cells import Cells, deranged
from analysis.cka.feature_sums import MEMORY
from analysis.cka.features import ROWS, Features, chunks
from analysis.cka.hsic_from_features import from_features
from analysis.cka.moments import Moments, Samples
from analysis.cka.settings import CKASettings
from mtd.utils import progress


@pytest.fixture
def most_held(monkeypatch) -> dict[str, int]:
    """The most bytes of `Moments` that were in memory together, and of a part's own features."""
    most, now = {"sums": 0, "features": 0}, {"sums": 0}
    begin, columns = Moments.__init__, moments.chosen_columns

    def gone(count: int) -> None:
        now["sums"] -= count

    def counted(self, sums) -> None:
        begin(self, sums)
        count = sum(one.nbytes for one in sums)
        now["sums"] += count
        most["sums"] = max(most["sums"], now["sums"])
        weakref.finalize(self, gone, count)

    def copied(values, chosen):
        found = columns(values, chosen)
        if len(chosen) > 1:
            most["features"] = max(most["features"], found.nbytes)
        return found

    monkeypatch.setattr(Moments, "__init__", counted)
    monkeypatch.setattr(moments, "chosen_columns", copied)
    return most


def many_pairs(models: int) -> tuple[Features, list[int], Cells]:
    """Four layers of each of some models; all pairs of models, as blocks and across crops."""
    count = 4 * models
    stream = torch.Generator().manual_seed(0)
    crops = torch.randn(12, 20, 6 * count, generator=stream)
    views = [slice(4 * i, 4 * i + 4) for i in range(models)]
    blocks = [(a, b) for i, a in enumerate(views) for b in views[i + 1 :]]
    across = [(4 * i, 4 * j) for i in range(models) for j in range(i, models)]
    return Features([lambda: crops], [12]), [6] * count, Cells(count, blocks, across, across)


def test_sums_over_pairs_are_held_in_portions_within_the_memory(most_held):
    memory, held = 200_000, []
    for models in (4, 8):
        features, widths, cells = many_pairs(models)
        photographs, across = [[0, 1], [2, 3, 4], [5]], deranged(list("aabbbcdefghi"))
        most_held.update(sums=0, features=0)
        options = {"photographs": photographs, "across": across}
        cut = from_features(features, widths, cells, memory=memory, **options)
        held.append(dict(most_held))
        whole = from_features(features, widths, cells, **options)
        for one, other in ((cut.main, whole.main), (cut.across, whole.across)):
            torch.testing.assert_close(one.numerator, other.numerator, rtol=1e-12, atol=1e-12)
            torch.testing.assert_close(one.without, other.without, rtol=1e-12, atol=1e-12)
            assert torch.equal(one.weights, other.weights) and one.weight == other.weight
        torch.testing.assert_close(cut.power, whole.power, rtol=1e-12, atol=0)
        assert len(cut.spectra) == len(whole.spectra) == len(widths)
    assert all(of["sums"] < 0.6 * memory and of["features"] < 0.5 * memory for of in held)
    assert most_held["sums"] > 3 * held[-1]["sums"], "of all pairs at once"


def test_one_pair_is_computed_however_little_the_memory(most_held):
    features, widths, cells = many_pairs(2)
    cut, whole = (from_features(features, widths, cells, memory=of) for of in (1, 2**30))
    torch.testing.assert_close(cut.block(0).value, whole.block(0).value, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("memory", [1, 2**29])
def test_spectra_are_those_of_the_covariances(memory):
    features, widths, cells = many_pairs(2)
    spectra = from_features(features, widths, cells, memory=memory).spectra
    values = features.take(list(range(12))).flatten(0, 1).double().numpy() + 3.0
    assert len(spectra) == 8
    for index, found in enumerate(spectra):
        own = values[:, 6 * index : 6 * index + 6]
        expected = np.linalg.eigvalsh(np.cov(own.T) * (len(own) - 1))
        assert found.numpy() == pytest.approx(expected, rel=1e-5)


def test_large_crops_are_read_one_at_a_time():
    def batch(samples: int) -> Features:
        return Features([lambda: torch.zeros(7, samples, 2)], [7])

    assert list(chunks(range(7), batch(ROWS + 1))) == [[i] for i in range(7)]
    assert list(chunks(range(7), batch(ROWS // 3))) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(chunks([], batch(1))) == []


def test_the_default_of_the_setting_is_that_of_the_function():
    assert CKASettings().memory * 2**30 == MEMORY


def test_the_bytes_of_sums_are_those_that_they_take():
    pairs = [(slice(0, 1), slice(1, 2)), (slice(1, 2), slice(2, 3)), (slice(0, 2), slice(2, 4))]
    parts, order = moments.parts_of([6, 6, 6, 4], pairs, torch.device("cpu"), 2**20, 10)
    samples = Samples(torch.ones(10, 22), torch.ones(10, 4, dtype=torch.float64))
    assert [len(part.first.members) for part in parts] == [2, 1] and len(order) == 6
    for part in parts:
        count, *rest = part.moments(samples, samples).sums
        assert sum(one.nbytes for one in rest) == part.held and count.nbytes == 8


def test_a_pair_takes_its_features_or_three_times_its_sums_whichever_is_more():
    sides = (6, 1), (4, 2)
    assert moments.pair_bytes(*sides) == 8 * (8 * 7 - 1)
    assert moments.working_bytes(*sides, 1) == 3 * moments.pair_bytes(*sides)
    assert moments.working_bytes(*sides, 100) == 100 * (12 * (6 + 4) + 8 * (1 + 2))


def test_the_progress_of_the_sums_ends_where_it_says(monkeypatch):
    features, widths, cells = many_pairs(4)
    steps: list[list[float]] = []
    monkeypatch.setattr(progress, "step", lambda _, total: steps.append([total, 0]))

    def advance(count: float = 1) -> None:
        steps[-1][1] += count

    monkeypatch.setattr(progress, "advance", advance)
    found = {"photographs": [[i] for i in range(12)], "across": deranged(list(range(12)))}
    for memory in (MEMORY, 200_000):
        from_features(features, widths, cells, memory=memory, **found)
    assert [total for total, _ in steps] == [done for _, done in steps]
    assert len(steps) == 4 and steps[0][0] >= 13 and steps[2][0] > steps[0][0]
