"""The one rule for words: shown, not shown, or too few images."""

from __future__ import annotations

import math

import pytest

from analysis.stats.jackknife import ENOUGH
from analysis.text.verdicts import in_words, joined, verdict

TINY = math.ulp(0.0)


@pytest.mark.parametrize(
    "low, high, expected",
    [
        (0.1, 0.3, "shown"),
        (-0.3, -0.1, "shown"),
        (-0.1, 0.3, "not shown"),
        (TINY, 0.3, "shown"),
        (-0.3, -TINY, "shown"),
        (0.0, 0.3, "not shown"),  # a bound at 0 does not exclude it
        (-0.3, 0.0, "not shown"),
        (0.0, 0.0, "not shown"),
        (-0.0, 0.0, "not shown"),
        (math.nan, math.nan, "not shown"),
        (math.nan, -0.1, "not shown"),
        (0.1, math.nan, "not shown"),
        (-math.inf, math.inf, "not shown"),
    ],
)
def test_an_effect_is_shown_if_its_interval_excludes_0(low, high, expected):
    assert verdict(low, high, 24) == expected


@pytest.mark.parametrize("low, high", [(0.1, 0.3), (-0.1, 0.3), (math.nan, math.nan)])
def test_few_photographs_are_too_few_whatever_the_interval(low, high):
    assert verdict(low, high, ENOUGH - 1) == "too few images" == verdict(low, high, 0)
    assert verdict(low, high, ENOUGH) == verdict(low, high, 1000) != "too few images"


@pytest.mark.parametrize(
    "low, high, expected",
    [
        (0.06, 0.3, "shown"),
        (0.05, 0.3, "not shown"),  # no more than matters
        (0.04, 0.3, "not shown"),
        (-0.3, -0.06, "shown"),
        (-0.3, -0.05, "not shown"),
        (-0.3, -0.04, "not shown"),
        (-0.3, 0.3, "not shown"),
    ],
)
def test_an_effect_must_be_larger_than_what_matters(low, high, expected):
    assert verdict(low, high, 24, 0.05) == expected
    assert verdict(-high, -low, 24, 0.05) == expected  # whichever side comes first


def test_words_name_what_matters_and_what_is_missing():
    assert in_words("shown") == "shown" and in_words("not shown") == "not shown"
    assert in_words("shown", 0.05) == "shown to differ by more than 0.05"
    assert in_words("not shown", 0.5, digits=1) == "not shown to differ by more than 0.5"
    few = "too few images to tell (at least 10 photographs)"
    assert in_words("too few images") == in_words("too few images", 0.05) == few


def test_a_verdict_that_all_effects_share_is_said_once():
    one, other = ("+0.1 in a", "shown"), ("+0.2 in b", "shown")
    assert (
        joined([one, other], 0.05) == "+0.1 in a and +0.2 in b: shown to differ by more than 0.05"
    )
    assert joined([one]) == "+0.1 in a: shown"
    mixed = joined([one, ("0.0 in b", "not shown"), ("+0.2 in c", "too few images")])
    assert mixed == (
        "+0.1 in a (shown), 0.0 in b (no effect shown) and +0.2 in c (too few images to tell, at "
        "least 10 photographs)"
    )
