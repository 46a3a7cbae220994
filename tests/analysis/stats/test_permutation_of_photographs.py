"""Permutation tests over photographs: which of them change places, and error rates."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from analysis.stats.permutation import alone, movable, orders, p_values

EVERY = torch.tensor([[False, True], [False, False]])
DEFINED = torch.ones(2, dtype=torch.bool)


def centered(x: np.ndarray) -> torch.Tensor:
    x = x - x.mean(0)
    return torch.from_numpy(x @ x.T)


def sides(rng: np.random.Generator, photographs: int, crops: int, common: float = 0.0):
    """Two sides of crops that are alike within a photograph, and share `common` of its content."""
    shared, *own = (rng.normal(size=(photographs, 4)) for _ in range(3))
    return [
        np.repeat(common * shared + content, crops, 0)
        + 0.7 * rng.normal(size=(photographs * crops, 4))
        for content in own
    ]


def p_of(pair: list[np.ndarray], scenes: list[list[str]] | None, count: int, seed: int) -> float:
    grams = [torch.stack([centered(side) for side in pair])]
    return float(p_values(grams, EVERY, DEFINED, count, seed, scenes).alone[0, 1])


def test_a_permutation_moves_whole_photographs():
    """Against all orders of five photographs, whose CKA is computed anew."""
    rng = np.random.default_rng(0)
    names = [f"{i}" for i in range(10) for _ in range(2)]
    a, b = sides(rng, 10, 2)
    (block,) = movable([names])[0]
    assert block.tolist() == [[2 * i, 2 * i + 1] for i in range(10)]

    def cka(order: np.ndarray) -> float:
        k, m = (centered(side).numpy() for side in (a, b[order]))
        return float((k * m).sum() / math.sqrt((k * k).sum() * (m * m).sum()))

    observed, stream = cka(np.arange(20)), np.random.default_rng(1)
    drawn = [cka(block.numpy()[stream.permutation(10)].ravel()) for _ in range(4000)]
    expected = np.mean(np.array(drawn) >= observed)
    assert 0.05 < expected < 0.95  # or this would say little
    assert p_of([a, b], [names], 4000, 0) == pytest.approx(expected, abs=0.03)


def test_photographs_that_cannot_change_places_stay():
    assert [[b.tolist() for b in batch] for batch in movable([["a", "a", "b"], ["c", "d"]])] == [
        [],
        [[[0], [1]]],
    ]
    across = movable([["a", "b", "c"], ["c", "d", "e"]])  # c lies in both
    assert [[b.tolist() for b in batch] for batch in across] == [[[[0], [1]]], [[[1], [2]]]]
    assert orders([["a", "b", "c"], ["c", "d", "e"]]) == 4
    assert orders([["a", "a", "b", "b", "c", "c", "d"]]) == 6 and orders([["a"]]) == 1


def test_without_scenes_every_sample_moves_alone():
    pair = sides(np.random.default_rng(2), 12, 1, 0.5)
    names = [[f"{i}" for i in range(12)]]
    assert alone([torch.zeros(2, 3, 3)]) == [["0/0", "0/1", "0/2"]]
    assert p_of(pair, None, 200, 3) == p_of(pair, names, 200, 3)


def test_fewer_than_ten_photographs_have_no_p_value():
    for count in (9, 10):
        pair = sides(np.random.default_rng(0), count, 4, 3.0)
        names = [[f"{i}" for i in range(count) for _ in range(4)]]
        assert math.isnan(p_of(pair, names, 19, 0)) == (count < 10)


@pytest.mark.slow
@pytest.mark.parametrize("photographs, crops", [(10, 4), (24, 3)])
def test_error_rates(photographs, crops):
    """At most 7% where only the photographs are common; crops alone would find a relation."""
    rng = np.random.default_rng(photographs)
    names = [[f"{i}" for i in range(photographs) for _ in range(crops)]]
    rates = {}
    for what, scenes, common in (("null", names, 0.0), ("crops", None, 0.0), ("power", names, 2.0)):
        found = [
            p_of(sides(rng, photographs, crops, common), scenes, 99, seed) for seed in range(500)
        ]
        rates[what] = np.mean(np.array(found) <= 0.05)
    print(photographs, crops, rates)
    assert rates["null"] <= 0.07 and rates["crops"] > 0.2 and rates["power"] > 0.9


def test_too_few_orders_of_photographs_have_no_p():
    """Ten photographs of ten different numbers of crops: none can change places with another."""
    names = [str(i) for i in range(10) for _ in range(i + 1)]
    rng = np.random.default_rng(0)
    pair = [rng.normal(size=(len(names), 4)) for _ in range(2)]
    assert orders([names]) == 1 and math.isnan(p_of(pair, [names], 40, 0))
    assert not math.isnan(p_of([side[:10] for side in pair], [list("abcdefghij")], 40, 0))
