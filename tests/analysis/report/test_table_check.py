"""Recomputed values against reported ones: numbers within the tolerance, infinity, text."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from analysis.report.table_check import ABSOLUTE, RELATIVE, Check

INF, NAN = math.inf, math.nan


def checked(reported: list, computed: list, keys: tuple[str, ...] = ("k",)) -> Check:
    check, rows = Check("t.csv"), list(range(len(reported)))
    check.compare(
        pd.DataFrame({"k": rows, "v": reported}), pd.DataFrame({"k": rows, "v": computed}), keys
    )
    return check


@pytest.mark.parametrize(
    ("reported", "computed", "agree"),
    [
        (1.0, 1.0, True),
        (1.0 + 1e-5, 1.0, True),
        (1.0 + 2e-4, 1.0, False),
        (INF, INF, True),
        (-INF, -INF, True),
        (3.0, INF, False),
        (INF, 3.0, False),
        (-INF, INF, False),
        (NAN, NAN, True),
        (NAN, 3.0, False),
        (3.0, NAN, False),
    ],
)
def test_numbers_agree_within_the_tolerance_infinite_ones_if_they_are_equal(
    reported, computed, agree
):
    check = checked([reported], [computed])
    assert (not check.wrong) == agree and check.checked == check.of == 1


def test_text_has_to_be_the_same():
    check = checked(["poisson:3.5", "isp", NAN, ""], ["poisson:3.5", "speckle", None, ""])
    assert check.checked == check.of == 4
    assert check.wrong == ["t.csv, 1: v is 'isp', computed 'speckle'"]
    assert checked([True, False], [True, True]).wrong
    assert checked(["x"], [1.0]).wrong == ["t.csv, 0: v is 'x', computed 1"]


def test_the_largest_differences_are_those_of_all_numbers():
    check = checked([1.0, 2.0 + 4e-6, 100.001], [1.0, 2.0, 100.0])
    assert check.absolute == pytest.approx(1e-3) and check.relative == pytest.approx(1e-5)
    assert not check.wrong
    assert checked([1.0], [1.0]).absolute == 0
    assert checked([1e-7], [0.0]).absolute == 1e-7  # relative to 0 nothing is
    assert checked([1e-7], [0.0]).relative == 0
    for reported, computed in ((1.0, INF), (INF, 1.0), (NAN, 1.0), (INF, -INF)):
        check = checked([reported], [computed])
        assert check.absolute == check.relative == INF


def test_what_differs_by_less_than_the_tolerance_agrees():
    for computed in (0.0, 1.0, -250.0):
        tolerance = ABSOLUTE + RELATIVE * abs(computed)
        assert not checked([computed + 0.99 * tolerance], [computed]).wrong
        assert checked([computed + 1.01 * tolerance], [computed]).wrong
