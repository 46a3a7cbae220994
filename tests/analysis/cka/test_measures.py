"""What measures declare of themselves, each tested: invariances and their absence, symmetry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from analysis.cka import figures, measures, reading
from analysis.cka.command import ANALYSIS, declared
from analysis.cka.feature_measures import (
    FEATURE_MEASURES,
    mean_cosine,
    mean_squared_cca,
    pwcca,
    soft_matching,
    svcca,
)
from analysis.cka.functional import cka
from analysis.cka.measures import CHANGES, MEASURES, Change, described
from analysis.cka.other_measures import MEASURES as GRAM_MEASURES
from analysis.cka.other_measures import mutual_knn, procrustes, rsa
from analysis.cka.reading_depth import best_match
from analysis.cka.settings import Measure

Array = np.ndarray

FUNCTIONS: dict[str, Callable[[Array, Array], float]] = {
    "cka": cka,
    "procrustes": procrustes,
    "rsa": rsa,
    "knn": mutual_knn,
    "cosine": mean_cosine,
    "cca": mean_squared_cca,
    "svcca": svcca,
    "pwcca": pwcca,
    "soft_matching": soft_matching,
}
every_measure = pytest.mark.parametrize("name", MEASURES)
WIDTH = 5


def sides(seed: int, n: int = 60) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, 3))
    x, y = (common @ rng.normal(size=(3, WIDTH)) + rng.normal(size=(n, WIDTH)) for _ in range(2))
    return x * np.geomspace(0.3, 3, WIDTH) + 1, y * np.geomspace(2, 0.5, WIDTH) - 1


def changed(x: Array, change: Change, rng: np.random.Generator) -> Array:
    """x under one change of its features."""
    if change == "translation":
        return x + rng.normal(size=WIDTH) * 4
    if change == "scaling":
        return x * rng.uniform(0.05, 20)
    if change == "permutation":
        return x[:, np.roll(np.arange(WIDTH), rng.integers(1, WIDTH))]
    turn = ortho_group.rvs(WIDTH, random_state=rng)
    if change == "orthogonal":
        return x @ turn
    return x @ (turn * np.geomspace(0.05, 4, WIDTH)) @ ortho_group.rvs(WIDTH, random_state=rng)


@every_measure
@pytest.mark.parametrize("change", get_args(Change))
def test_invariances_and_their_absence(name, change):
    """A change of either side alone moves the value exactly where it is not declared."""
    value = FUNCTIONS[name]
    moves = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        x, y = sides(seed)
        before = value(x, y)
        moves += [value(changed(x, change, rng), y) - before]
        moves += [value(x, changed(y, change, rng)) - before]
    largest = np.abs(moves).max()
    if change in MEASURES[name].invariant_to:
        assert largest < 1e-6
    else:
        assert largest > 1e-2


@every_measure
@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_declared_invariances_hold_for_any_features(name, seed):
    rng = np.random.default_rng(seed)
    x, y = sides(seed, n=30)
    before = FUNCTIONS[name](x, y)
    for change in MEASURES[name].invariant_to:
        x, y = changed(x, change, rng), changed(y, change, rng)
    assert FUNCTIONS[name](x, y) == pytest.approx(before, abs=1e-6)


@every_measure
def test_symmetry_is_as_declared(name):
    gaps = [FUNCTIONS[name](x, y) - FUNCTIONS[name](y, x) for x, y in map(sides, range(6))]
    assert (np.abs(gaps).max() < 1e-9) == MEASURES[name].symmetric
    assert bool(MEASURES[name].sides) != MEASURES[name].symmetric


@every_measure
def test_more_similar_features_are_in_the_declared_direction(name):
    """Features with more and more noise are less and less similar to themselves without."""
    x, noise = sides(0, 200)[0], np.random.default_rng(1).normal(size=(200, WIDTH)) * 3
    values = np.array([FUNCTIONS[name](x, x + share * noise) for share in (0, 0.1, 0.4, 1.5)])
    assert (np.diff(values) * measures.direction(name) < 0).all()
    assert values[0] == pytest.approx(1)


def test_every_measure_is_declared_once_and_computed():
    assert set(MEASURES) == set(get_args(Measure)) == set(FUNCTIONS) == set(figures.MEASURES)
    assert {n for n, of in MEASURES.items() if of.unit == "image"} == set(GRAM_MEASURES)
    positions = {n for n, of in MEASURES.items() if of.unit == "position"}
    assert positions == {"cka", *FEATURE_MEASURES}
    assert set(get_args(Change)) == set(CHANGES)
    assert set(MEASURES) <= set(ANALYSIS.table_names)


def test_declarations_are_in_the_manifest_and_in_words():
    assert declared("pwcca") == {
        "higher_is_more_similar": True,
        "symmetric": False,
        "invariant_to": ["translation", "scaling", "permutation"],
    }
    assert "it depends on the order of the sides: the weights are those of the" in described(
        "pwcca"
    )
    assert "invertible linear map of one side does not change it" in described("cca")


@pytest.fixture
def reversed_measure(monkeypatch):
    """A distance in the place of the mean cosine."""
    monkeypatch.setitem(
        MEASURES, "cosine", replace(MEASURES["cosine"], higher_is_more_similar=False)
    )


def cells(values: list[list[float]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "model_a": "a",
            "noise_a": "n",
            "layer_a": f"layers.{i}",
            "index_a": i,
            "model_b": "b",
            "noise_b": "n",
            "layer_b": f"layers.{j}",
            "index_b": j,
            "cosine": value,
            "null": np.nan,
        }
        for i, row in enumerate(values)
        for j, value in enumerate(row)
    )


def test_colors_and_best_matches_follow_the_direction(reversed_measure):
    frame = cells([[0.9, 0.2], [0.1, 0.6]])
    assert figures.scale(frame) == (1.0, 0.0)
    text = best_match({"cosine": frame}, frame)
    assert "is layers.0, at 0.100" in text or "is layer 0, at 0.100" in text, text
    assert described("cosine").startswith("A lower mean cosine means more similar")


def test_colors_and_best_matches_of_similarities():
    frame = cells([[0.9, 0.2], [0.1, 0.6]])
    assert figures.scale(frame) == (0.0, 1.0)
    assert "at 0.600" in best_match({"cosine": frame}, frame)


def test_matrices_are_drawn_as_they_are_and_not_mirrored():
    frame = cells([[0.9, 0.2], [0.1, 0.6]]).rename(columns={"cosine": "pwcca"})
    (panel,) = figures.panels(frame, "cross_model")
    assert panel.values.tolist() == [[0.9, 0.2], [0.1, 0.6]]


def test_the_values_of_different_photographs_and_missing_cells_are_said():
    frame = cells([[0.9, 0.2], [0.1, np.nan]]).assign(null=[0.3, 0.1, 0.0, 0.2])
    frame["reason"] = ["", "", "", "3 and 4 features have no cosine"]
    frames = {"cosine": frame, "layers": pd.DataFrame({"reason": [""]})}
    (text,) = reading.biased(frames)
    assert "Between different photographs" in text and "0 to 0.300, median 0.150" in text
    (text,) = reading.cells_missing(frames)
    assert text.startswith("1 pair of layers of 4 without a value") and "3 and 4 features" in text


def test_pairs_without_an_interval_are_said():
    frame = cells([[0.9, 0.2], [0.1, 0.4]]).rename(columns={"cosine": "soft_matching"})
    frame["low"] = [0.8, np.nan, np.nan, 0.3]
    (text,) = reading.without_interval({"soft_matching": frame})
    assert text.startswith("2 pairs of layers of 4 have a value but no interval: their numbers")
    frame = frame.rename(columns={"soft_matching": "cca"})
    (text,) = reading.without_interval({"cca": frame})
    assert "without one of the photographs they have no value" in text
    assert reading.without_interval({"cca": frame.assign(low=np.nan)}) == []
    assert reading.without_interval({"cca": frame.assign(low=0.1)}) == []


def test_measures_of_features_have_the_value_of_different_photographs_beside_them():
    assert {name for name, one in MEASURES.items() if one.null} == set(FEATURE_MEASURES)
