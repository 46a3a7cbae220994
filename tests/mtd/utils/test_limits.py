"""Limits are read from the environment, and documented."""

import math
from pathlib import Path

import pytest

from mtd.utils import limits
from mtd.utils.errors import BadInput
from mtd.utils.limits import Limit

DOCUMENT = Path(__file__).parents[3] / "docs" / "limits.md"
LIMIT = Limit("MTD_MAX_TESTS", 10, "tests")


def test_amounts_up_to_the_limit_are_accepted():
    LIMIT.check(10, "a suite")
    with pytest.raises(
        BadInput, match=r"^a suite, 11 tests; the limit is 10: set .* MTD_MAX_TESTS"
    ):
        LIMIT.check(11, "a suite")


def test_what_is_just_above_the_limit_is_shown_as_that():
    with pytest.raises(BadInput, match=r"^a suite, 10\.00000001\d* tests; the limit is 10:"):
        LIMIT.check(10.00000001, "a suite")


def test_an_amount_that_is_no_number_is_refused():
    with pytest.raises(BadInput, match="nan tests"):
        LIMIT.check(math.nan, "a suite")


def test_the_environment_raises_a_limit(monkeypatch):
    monkeypatch.setenv(LIMIT.variable, "11.5")
    LIMIT.check(11, "a suite")
    monkeypatch.setenv(LIMIT.variable, "inf")
    LIMIT.check(1e300, "a suite")


@pytest.mark.parametrize("text", ["many", "0", "-1", "nan"])
def test_an_unusable_environment_variable_is_refused(monkeypatch, text):
    monkeypatch.setenv(LIMIT.variable, text)
    with pytest.raises(BadInput, match=rf"MTD_MAX_TESTS is '{text}': expected tests, such as 10"):
        LIMIT.check(1, "a suite")


def test_every_limit_is_documented():
    lines = DOCUMENT.read_text("utf-8").splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "`MTD_" in line]
    documented = {row[2].strip("`"): row[1].split()[0] for row in rows if len(row) == 3}
    own = [limit for limit in vars(limits).values() if isinstance(limit, Limit)]
    assert documented == {limit.variable: f"{limit.default:,.12g}" for limit in own}
