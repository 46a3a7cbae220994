"""Suites: those of the package hold what they say, and files that cannot be used are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.generalization import noise_suite
from mtd.noise import specs as noise_specs
from mtd.utils.errors import BadInput


def test_the_paper_suite_has_the_levels_of_its_figures():
    found = noise_suite.load("paper")
    assert found.crop is None and found.limit is None and not found.in_distribution
    levels: dict[str, list[float | None]] = {}
    for text in found.noises:
        parsed = noise_specs.parse(text)
        levels.setdefault(parsed.name, []).append(parsed.level)
    assert levels == {
        "gaussian": [15, 25, 50],
        "spatial": [40, 45, 50, 55, 60],
        "speckle": [0.018, 0.024, 0.03, 0.036, 0.04],
        "poisson": [2, 2.5, 3, 3.5],
        "mixture": [1, 2, 3, 4, 5],
        "salt_pepper": [0.002, 0.02],
        "isp": [None],
    }


@pytest.mark.parametrize("name", noise_suite.names())
def test_every_noise_is_known_and_no_suite_says_what_models_were_trained_on(name):
    found = noise_suite.load(name)
    specs = [noise_specs.parse(text).spec for text in found.noises]
    assert len(set(specs)) == len(specs) and found.about
    assert not found.in_distribution


def test_a_file_of_ones_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('noises = ["poisson:2"]\nlimit = 3\n')
    assert noise_suite.load(str(path)) == noise_suite.Suite("mine", noises=("poisson:2",), limit=3)


@pytest.mark.parametrize(
    "content, message",
    [
        ("noises = []", "no noises in it"),
        ('noises = "gaussian:15"', r"noises is a list of texts"),
        ('noises = ["a"]\ncrops = 3', "no key 'crops'; did you mean crop"),
        ('noises = ["a"]\ncrop = "x"', "crop 'x': expected a whole number from 8 up"),
        ('noises = ["a"]\nlimit = true', "limit True: expected a whole number from 1 up"),
        ('noises = ["a"]\nabout = 3', "about is a text"),
        ("noises = [", "not TOML"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, content: str, message: str):
    path = tmp_path / "mine.toml"
    path.write_text(content)
    with pytest.raises(BadInput, match=message):
        noise_suite.load(str(path))


def test_names_that_are_not_there(tmp_path):
    with pytest.raises(BadInput, match=r"suite 'papr': did you mean paper\? A file ends in \.toml"):
        noise_suite.load("papr")
    with pytest.raises(BadInput, match="cannot be read"):
        noise_suite.load(str(tmp_path / "absent.toml"))
