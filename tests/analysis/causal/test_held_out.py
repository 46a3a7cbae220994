"""The branch of the largest recovery on one half of the photographs, measured on the other."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from analysis.causal.recoveries import held_out
from analysis.causal.traced import Traced

CROPS = np.array([0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
"""The photograph of each crop."""


def traced(patched: np.ndarray, whole: frozenset[int] = frozenset()) -> Traced:
    """Errors with branches patched (branches, crops), where the noise raises them from 1 to 3."""
    count, crops = patched.shape
    return Traced(
        reference=torch.ones(crops, dtype=torch.float64),
        error=torch.full((crops,), 3.0, dtype=torch.float64),
        estimates=torch.zeros(count, crops, dtype=torch.float64),
        unchanged=torch.zeros(count, dtype=torch.bool),
        depth=torch.arange(count),
        exact={i: torch.from_numpy(patched[i]) for i in range(count)},
        whole=whole,
        together={},
        cuts=frozenset(),
        chosen=dict.fromkeys(range(count), "exact"),
    )


def expected(patched: np.ndarray, photographs: np.ndarray) -> tuple[float, np.ndarray]:
    """From the definition, with all branches, and without each photograph."""
    recovered, first = 3.0 - patched, photographs % 2 == 0
    by_first, by_second = recovered[:, first].sum(1).argmax(), recovered[:, ~first].sum(1).argmax()
    own = np.where(first, recovered[by_second], recovered[by_first])
    kept = [photographs != i for i in range(photographs.max() + 1)]
    gap = 2.0  # on every crop
    return own.mean() / gap, np.array([own[left].mean() / gap for left in kept])


def test_it_is_that_of_its_definition():
    for seed in range(5):
        patched = np.random.default_rng(seed).normal(2, 1, (6, len(CROPS)))
        found = held_out(traced(patched), range(6), CROPS)
        value, without = expected(patched, CROPS)
        assert found.value == pytest.approx(value)
        assert found.without == pytest.approx(without)
        some = held_out(traced(patched), [1, 4], CROPS)
        assert some.value == pytest.approx(expected(patched[[1, 4]], CROPS)[0])


def test_noise_alone_recovers_nothing_however_many_branches():
    """While the largest of many recoveries on the same photographs rises with their number."""
    photographs, found, largest = np.arange(12), [], []
    for seed in range(200):
        patched = 3 + np.random.default_rng(seed).normal(0, 0.5, (24, 12))
        found.append(held_out(traced(patched), range(24), photographs).value)
        largest.append((3 - patched).mean(1).max() / 2)
    error = np.std(found, ddof=1) / math.sqrt(len(found))
    assert abs(np.mean(found)) < 3 * error
    assert np.mean(largest) > 0.1


def test_a_branch_that_stands_out_keeps_its_recovery():
    patched = 3 + np.random.default_rng(0).normal(0, 0.05, (8, 12))
    patched[5] -= 1.0
    found = held_out(traced(patched), range(8), np.arange(12))
    assert found.value == pytest.approx((3 - patched[5]).mean() / 2)


def test_where_there_is_no_choice_there_is_no_value():
    patched = np.random.default_rng(0).normal(2, 1, (3, len(CROPS)))
    every = held_out(traced(patched, frozenset({0, 1, 2})), range(3), CROPS)
    one = held_out(traced(patched[:, :2]), range(3), np.zeros(2, dtype=np.int64))
    none = held_out(traced(patched), [], CROPS)
    assert all(math.isnan(of.value) for of in (every, one, none))
    left = held_out(traced(patched, frozenset({0})), range(3), CROPS)
    assert left.value == pytest.approx(expected(patched[1:], CROPS)[0])
