"""Settings of the benchmark: from options and from Python, completed by a suite, and refused."""

from __future__ import annotations

import json

import pytest

from analysis.commands import command
from analysis.commands.parser import settings_from
from analysis.generalization.command import ANALYSIS
from analysis.generalization.noise_suite import Suite
from analysis.generalization.settings import GeneralizationSettings
from analysis.generalization.sources import named_place
from mtd.utils.errors import BadInput

SUITE = Suite("own", "", ("poisson:2", "gaussian:25"), ("gaussian:25",), 24, 4)


def parsed(*arguments: str) -> GeneralizationSettings:
    options = command.parser(ANALYSIS).parse_args(["a.pth", *arguments])
    return settings_from(GeneralizationSettings, options)


def test_options_and_keywords_give_the_same_settings():
    options = parsed(
        *("--paired-images", "x=noisy", "clean", "--pairs", "n/*.png", "c/*.png", "--no-lpips"),
        *("--tile", "512", "--crop-rule", "centre", "--noise", "poisson:2", "--channel", "y"),
    )
    pairs = [("x=noisy", "clean"), ["n/*.png", "c/*.png"]]
    keywords = GeneralizationSettings.of(
        paired_images=pairs,
        lpips=False,
        tile=512,
        crop_rule="center",
        noises=["poisson:2"],
        channel="y",
    )
    assert options == keywords and options.crop is None and options.limit is None
    assert GeneralizationSettings.of(**json.loads(json.dumps(options.to_dict()))) == options


def test_a_single_pair_needs_no_list():
    assert GeneralizationSettings.of(paired_images=("noisy", "clean")).paired_images == (
        ("noisy", "clean"),
    )


def test_a_suite_fills_in_what_is_open_and_nothing_else():
    settings = GeneralizationSettings(noises=("speckle:0.04", "poisson:2.0"), crop=16)
    complete = settings.completed(SUITE)
    assert complete.noises == ("poisson:2", "gaussian:25", "speckle:0.04")
    assert (complete.crop, complete.limit) == (16, 4)
    assert complete.completed(SUITE) == complete
    assert settings.completed(None) == settings
    assert GeneralizationSettings().completed(None).specs == ()


@pytest.mark.parametrize(
    "values, message",
    [
        ({"paired_images": "noisy"}, "paired_images 'noisy': expected 2 values, each a text"),
        ({"paired_images": [("a", "b", "c")]}, "expected 2 values, each a text"),
        ({"tile": "big"}, "tile 'big': expected auto, off, or a number of pixels"),
        ({"tile": 0}, "tile 0: expected auto, off, or a number of pixels"),
        ({"tile": True}, "tile True: expected auto, off, or a number of pixels"),
        ({"protocol": "papr"}, "protocol 'papr': expected default or paper"),
        ({"channel": "z"}, "channel 'z': expected rgb or y"),
        ({"crop": 4}, "crop 4: expected a whole number from 8 up"),
        ({"memory": 0}, "memory 0: expected a number above 0"),
        ({"lpips": False, "lpips_weights": "a.pth"}, "--no-lpips: give one of them"),
        ({"testset": "kodak42"}, "--testset kodak42: expected NAME=DIR, such as"),
        ({"suites": "quick"}, "no setting 'suites' in GeneralizationSettings; did you mean suite"),
    ],
)
def test_what_cannot_be_used_is_one_line(values, message):
    with pytest.raises(BadInput) as error:
        GeneralizationSettings.of(**values)
    assert message in str(error.value) and len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    "text, expected",
    [
        ("cc=noisy", ("cc", "noisy")),
        ("cc@2=noisy", ("cc@2", "noisy")),
        ("cc=lr=1/*.png", ("cc", "lr=1/*.png")),
        ("runs/lr=1/*.png", (None, "runs/lr=1/*.png")),
        ("a=b", (None, "a=b")),
        ("noisy", (None, "noisy")),
    ],
)
def test_a_name_before_paired_images(tmp_path, monkeypatch, text, expected):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b").mkdir()
    assert named_place(text) == expected
