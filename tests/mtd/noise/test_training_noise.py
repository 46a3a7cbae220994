"""The noises that a model was trained on: single ones, ranges, and what is none."""

from __future__ import annotations

import pytest

from mtd.noise.training_noise import TrainingNoise, changes_nothing
from mtd.utils.errors import BadInput


def test_a_single_noise_is_held_in_any_spelling():
    noise = TrainingNoise.parse(["gaussian:15.0", "poisson:3.50"])
    held = {spec: noise.holds(spec) for spec in ("gaussian:15", "gaussian:25", "poisson:3.5")}
    assert held == {"gaussian:15": True, "gaussian:25": False, "poisson:3.5": True}


def test_another_draw_is_the_same_noise():
    noise = TrainingNoise.parse(["gaussian:15@2", "poisson:0..5"])
    assert noise.names == ("gaussian:15",)
    assert noise.holds("gaussian:15") and noise.holds("gaussian:15@7")
    assert noise.holds("poisson:3@1") and not noise.holds("gaussian:16@2")
    assert changes_nothing("gaussian:0@1")


@pytest.mark.parametrize(
    "text", ["gaussian:5..gaussian:55", "gaussian:5..55", "gaussian:5.0 .. 55"]
)
def test_a_range_holds_its_ends_and_what_lies_between(text):
    noise = TrainingNoise.parse([text])
    levels = {level: noise.holds(f"gaussian:{level}") for level in (4, 5, 25.5, 55, 55.5)}
    assert levels == {4: False, 5: True, 25.5: True, 55: True, 55.5: False}
    assert not noise.holds("spatial:25") and not noise.holds("cc") and not noise.holds("isp")


def test_noise_of_prepared_folders_is_that_of_their_names():
    noise = TrainingNoise.parse(["gaussian:15", "salt_pepper:0.02", "poisson:2..3"])
    for spec in ("idf_gaussian:15", "idf_salt_pepper:0.020", "idf_poisson:2.5"):
        assert noise.holds(spec), spec
    for spec in ("idf_gaussian:25", "idf_poisson:3.5", "idf_unknown:15", "idf_"):
        assert not noise.holds(spec), spec


def test_recorded_noise_is_known_by_its_name():
    noise = TrainingNoise.parse(["cc", "isp"], recorded=["cc"])
    assert noise.holds("cc") and noise.holds("isp") and not noise.holds("sidd")
    with pytest.raises(BadInput, match="no kind 'cc'"):
        TrainingNoise.parse(["cc"])


@pytest.mark.parametrize(
    "text, message",
    [
        ("gaussian:3..poisson:5", "expected two levels of one kind"),
        ("gaussian:55..5", "the lower one first"),
        ("isp..isp", "two levels of one kind"),
        ("gaussian:5..isp", "two levels of one kind"),
        ("gaussian:15..", "two levels of one kind"),
        ("..15", "two levels of one kind"),
        ("gaussian:x..5", "LEVEL"),
        ("gausian:5..6", "did you mean gaussian"),
    ],
)
def test_what_is_no_range_is_one_line(text, message):
    with pytest.raises(BadInput, match=message) as error:
        TrainingNoise.parse([text])
    assert "\n" not in str(error.value)


def test_no_noise_is_neither():
    none = ("gaussian:0", "poisson:0", "speckle:0", "spatial:0", "salt_pepper:0")
    assert all(map(changes_nothing, none))
    assert not any(map(changes_nothing, ("gaussian:1", "isp", "mixture:1", "cc")))
