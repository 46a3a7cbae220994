"""Specifications of noise that nobody would write: one line, whatever they are."""

from __future__ import annotations

import difflib

import pytest

from mtd.noise.specs import parse
from mtd.noise.training_noise import TrainingNoise
from mtd.utils.cli import whole_number
from mtd.utils.errors import BadInput, nearest

NINES = "9" * 900


@pytest.mark.parametrize(
    "spec",
    [
        f"gaussian:{NINES}",
        f"gaussian:15@{NINES}",
        "gaussian:=" * 90 + "poisson:3",
        "gaussian:=" * 9000 + "poisson:3",
        f"poisson:3,values={NINES}",
        f"poisson:3,values={'9' * 5000}",
        "isp," * 3000,
        "gaussian:nan",
        "gaussian:1e400",
        "x" * 100_000,
        "\0",
    ],
)
def test_specifications_end_in_one_line(spec):
    with pytest.raises(BadInput) as error:
        parse(spec)
    assert len(str(error.value)) < 2500 and len(str(error.value).splitlines()) == 1
    with pytest.raises(BadInput):
        TrainingNoise.parse([f"{spec}..{spec}"])


def test_long_words_are_compared_with_none(monkeypatch):
    def compared(*given: object, **named: object) -> None:
        raise AssertionError("the time grows with the square of the word's length")

    monkeypatch.setattr(difflib, "get_close_matches", compared)
    assert nearest("x" * 10_000, ["poisson"]) == "known: poisson"


@pytest.mark.parametrize("text", ["9" * 5000, "9" * 4000, str(2**63), "-1", "1e3", "nan"])
def test_whole_numbers_fit_into_64_bits(text):
    with pytest.raises(Exception, match="expected a whole number from 0 up"):
        whole_number(0)(text)
