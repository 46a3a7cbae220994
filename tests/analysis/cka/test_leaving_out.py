"""Measures of positions without each photograph, against computing them anew from the rest."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from analysis.cka import transport
from analysis.cka.feature_measures import FEATURE_MEASURES, enough
from analysis.cka.leaving_out import LEAVING_OUT
from analysis.stats import jackknife

PHOTOGRAPHS, EACH = 12, 40
COUNT = PHOTOGRAPHS * EACH - 3
"""Samples; the last photograph has fewer than the others."""

ROWS = [torch.arange(EACH * i, min(EACH * (i + 1), COUNT)) for i in range(PHOTOGRAPHS)]

every_measure = pytest.mark.parametrize("name", FEATURE_MEASURES)


def sides(p: int, q: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two sides with something in common, of which each photograph has a mean of its own."""
    rng = np.random.default_rng(seed)
    own = np.repeat(rng.normal(size=(PHOTOGRAPHS, 3)), EACH, axis=0)[:COUNT]
    common = rng.normal(size=(COUNT, 3)) + own
    x, y = (common @ rng.normal(size=(3, w)) + rng.normal(size=(COUNT, w)) for w in (p, q))
    return torch.from_numpy(x * np.geomspace(1, 5, p) + 1000), torch.from_numpy(y - 3)


def anew(name: str, x: Tensor, y: Tensor, rows: Tensor) -> float:
    """The measure of the rest."""
    kept = torch.ones(len(x), dtype=torch.bool)
    kept[rows] = False
    measure = FEATURE_MEASURES[name]
    return measure.value(*(measure.prepare(side[kept]) for side in (x, y)))


def left(name: str, x: Tensor, y: Tensor) -> list[float]:
    measure = LEAVING_OUT[name]
    return measure.compare(*(measure.prepare(side, ROWS) for side in (x, y)))


def check(name: str, x: Tensor, y: Tensor, tolerance: float = 1e-9) -> list[float]:
    found = left(name, x, y)
    expected = [anew(name, x, y, rows) for rows in ROWS]
    assert found == pytest.approx(expected, abs=tolerance, nan_ok=True)
    return found


@every_measure
@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (9, 3), (1, 1)])
def test_the_rest_has_the_value_that_it_has_alone(name, shape):
    x, y = sides(*shape)
    check(name, x, y if name != "cosine" else y[:, :1].expand(-1, shape[0]) + x.flip(1))


@every_measure
def test_features_that_vary_in_one_photograph_alone_are_gone_without_it(name):
    x, y = sides(5, 5)
    x, y = x.clone(), y.clone()
    x[:, 2] = 7.5
    x[ROWS[3], 2] = torch.linspace(0, 1, EACH, dtype=torch.float64)
    y[:, 4] = 0
    y[ROWS[3], 4] = x[ROWS[3], 2]
    found = np.array(check(name, x, y))
    assert np.isfinite(found).all()


@every_measure
def test_one_photograph_that_has_all_the_variance(name):
    x, y = sides(4, 4)
    one = torch.zeros(COUNT, 1, dtype=torch.float64)
    one[ROWS[0]] = 1
    found = check(name, x * one, y)
    assert math.isnan(found[0]) and np.isfinite(found[1:]).all()


@pytest.mark.parametrize("name", ["cca", "svcca", "pwcca"])
def test_too_few_samples_in_the_rest_give_no_value(name):
    rng = np.random.default_rng(0)
    rows = [torch.arange(5 * i, 5 * i + 5) for i in range(5)]
    x, y = (torch.from_numpy(rng.normal(size=(25, 11))) for _ in range(2))
    assert enough(25, 11) and not enough(20, 11)
    measure = LEAVING_OUT[name]
    values = measure.compare(*(measure.prepare(side, rows) for side in (x, y)))
    assert np.isnan(values).all()


def test_samples_without_a_direction_are_left_out_of_the_cosine():
    x, y = sides(3, 3)
    dark = x.clone()
    dark[ROWS[1]] = 0
    dark[5] = 0
    check("cosine", dark, y)


def test_linear_programs_are_not_solved_for_every_photograph(monkeypatch):
    x, y = sides(3, 4)
    monkeypatch.setattr(transport, "COPIES", 4)
    monkeypatch.setattr(transport, "_by_linear_program", None)
    assert np.isnan(left("soft_matching", x, y)).all()


@pytest.mark.parametrize("name", ["cosine", "cca"])
def test_intervals_cover_the_expected_value(name):
    """Of 80 sets of twelve photographs, most intervals hold the mean over all sets."""
    fixed = np.random.default_rng(99)
    turns = fixed.normal(size=(2, 3, 4))
    measure, values, bounds = FEATURE_MEASURES[name], [], []
    for seed in range(80):
        rng = np.random.default_rng(seed)
        own = np.repeat(rng.normal(size=(PHOTOGRAPHS, 3)), EACH, axis=0)[:COUNT]
        common = rng.normal(size=(COUNT, 3)) + own
        x, y = (torch.from_numpy(common @ t + 1.5 * rng.normal(size=(COUNT, 4))) for t in turns)
        values.append(measure.value(measure.prepare(x), measure.prepare(y)))
        bounds.append(jackknife.interval(np.array(values[-1]), np.array(left(name, x, y))))
    truth = float(np.mean(values))
    covered = np.mean([low <= truth <= high for low, high in bounds])
    assert 0.86 <= covered <= 1


def test_a_feature_of_a_single_photograph_costs_no_interval(monkeypatch):
    """Without that photograph there are 11 features, which match 36 by a linear program alone."""
    monkeypatch.setattr(transport, "COPIES", 40)
    x, y = sides(12, 36)
    x[:, 0] = 0
    x[ROWS[4], 0] = y[ROWS[4], 0]
    assert transport.is_assignment(12, 36) and not transport.is_assignment(11, 36)
    assert np.isfinite(check("soft_matching", x, y)).all()


def test_a_feature_that_is_constant_but_for_rounding_is_none():
    x, y = sides(4, 4)
    more = torch.cat([x, 1e3 + 1e-13 * torch.randn(COUNT, 1, dtype=torch.float64).sign()], 1)
    assert float((more[:, 4] - more[0, 4]).abs().max()) < 1e-9 and more[:, 4].std() > 0
    alone = np.array(left("soft_matching", x, y))
    assert np.array(left("soft_matching", more, y)) == pytest.approx(alone, abs=1e-9)
