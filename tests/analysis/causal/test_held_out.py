"""The branch of the largest recovery on one half of the photographs, measured on the other."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from analysis.causal import trace
from analysis.causal.recoveries import held_out
from analysis.causal.traced import Traced
from tests.analysis.test_rounding_of_sections import scenes

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


def test_a_branch_with_an_error_that_is_not_finite_is_left_out():
    patched = np.random.default_rng(0).normal(2, 1, (3, len(CROPS)))
    broken = patched.copy()
    broken[1, 4] = math.nan
    found = held_out(traced(broken), range(3), CROPS)
    assert found.value == pytest.approx(expected(patched[[0, 2]], CROPS)[0])


def test_the_better_branch_is_chosen_where_the_noise_lowers_the_error_of_one_half():
    """Of the photographs that choose, the errors rise by less than nothing, of all they do."""
    photographs = np.arange(12)
    patched = np.full((2, 12), 2.0)
    patched[1] = 4.0  # a branch that makes the error larger
    one = traced(patched)
    error = torch.full((12,), 3.0, dtype=torch.float64)
    reference = torch.where(torch.arange(12) % 2 == 0, 3.1, 0.0).double()
    found = held_out(one._replace(error=error, reference=reference), range(2), photographs)
    assert found.value == pytest.approx(12 / float((error - reference).sum()))


class Parts(nn.Module):
    """A convolution whose first channel passes noise on, and whose others take as much away."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 3, 1, bias=False)
        self.first.weight.data = torch.diag(torch.tensor([0.3, -0.3, -0.2]))[:, :, None, None]

    def forward(self, x):
        return 0.6 * x + self.first(x)


def test_parts_are_among_the_branches_of_the_last_row():
    found = trace(
        {"a": Parts().eval()},
        images=scenes(),
        noises=["gaussian:15", "gaussian:50"],
        branches="channels,convolutions",
        crop=12,
        limit=12,
        progress=False,
    )
    causal, together = found.frames["causal"], found.together.set_index("kind")
    assert causal.recovery.idxmax() == causal.index[causal.branch == "first[0:1]"][0]
    assert together.held_out.iloc[-1] == pytest.approx(causal.recovery.max())
    assert together.held_out["convolutions"] < 0.2
    assert any("branch that recovers most on the other half" in text for text in found.sentences())
