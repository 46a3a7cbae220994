"""Settings: typed, checked, frozen, and the same on the command line as in Python."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from analysis.cka.settings import CKASettings
from analysis.commands.command import parser
from analysis.commands.parser import arguments_of, build, settings_from
from analysis.commands.registry import analysis
from analysis.commands.settings import Settings
from mtd.utils.errors import BadInput


def parsed(*arguments: str, kind: type[Settings] = CKASettings) -> Settings:
    return settings_from(kind, build(kind, "analysis.cka", "", "").parse_args([*arguments]))


def test_the_command_line_gives_what_keywords_give():
    options = ("--crop", "32", "--noise", "gaussian:25", "--noise", "poisson:2", "--no-quantize")
    options += ("--unit", "image", "--no-intervals", "--seed", "3")
    values = {"crop": 32, "noises": ["gaussian:25", "poisson:2"], "quantize": False}
    settings = CKASettings.of(**values, unit="image", intervals=False, seed=3)
    assert parsed(*options) == settings
    assert parsed() == CKASettings.of() == CKASettings()
    assert parsed(*arguments_of(settings), "--seed", "3") == settings
    assert CKASettings.of(**settings.to_dict()) == settings


def test_older_spellings_are_understood():
    assert parsed("--mask-pairing", "independent").mask_draws == "independent"
    assert parsed("--centring", "image").centering == "image"
    assert parsed("--pairs", "all").compare == "all"
    assert parsed("--crop-rule", "centre").crop_rule == "center"


def test_they_are_frozen():
    with pytest.raises(FrozenInstanceError):
        CKASettings().crop = 32


@pytest.mark.parametrize(
    "values, message",
    [
        ({"crop": 7}, "crop 7: expected a whole number from 8 up"),
        ({"crop": 2**63}, "crop 9223372036854775808: expected a whole number from 8 up"),
        ({"crop": "9" * 5000}, "9': expected a whole number from 8 up"),
        ({"crop": float("inf")}, "crop inf: expected a whole number from 8 up"),
        ({"crop": 64.5}, "crop 64.5: expected a whole number from 8 up"),
        ({"crop": "x"}, "crop 'x': expected a whole number from 8 up"),
        ({"crop": True}, "crop True: expected a whole number"),
        ({"unit": "pixel"}, "unit 'pixel': expected position or image"),
        ({"noises": [3]}, "noises [3]: expected"),
        ({"quantize": "no"}, "quantize 'no': expected True or False"),
        ({"input_mask": 1.0}, "input_mask 1.0: expected a number from 0 to below 1"),
        ({"bandwidth": float("nan")}, "bandwidth nan: expected a number above 0"),
        ({"nosies": "gaussian:15"}, "no setting 'nosies' in CKASettings; did you mean noises?"),
        ({"crop": 8, "positions": 65}, "a crop of 8 x 8 has 64"),
        ({"measure": "rsa", "unit": "position"}, "use --unit image"),
    ],
)
def test_bad_values_are_one_line(values, message):
    with pytest.raises(BadInput) as caught:
        CKASettings.of(**values)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_single_text_is_a_list_of_one():
    assert CKASettings.of(noises="gaussian:15").noises == ("gaussian:15",)


def test_settings_share_the_fields_that_both_have():
    shared = CKASettings.sharing(Settings(crop=32, seed=5, noises=("gaussian:1",)))
    assert (shared.crop, shared.seed) == (32, 5)
    assert shared.noises == CKASettings().noises  # what they mean differs between analyses


@pytest.mark.parametrize("name", ["attribution", "cka", "degradation", "error", "linear", "stitch"])
def test_the_reference_is_the_first_noise(name):
    kind = analysis(name).settings
    usual = kind().noises
    assert kind.of(reference="gaussian:25") == kind.of(noises=["gaussian:25", *usual[1:]])
    given = kind.of(reference="isp", noises=["gaussian:50", "isp", "poisson:2"])
    assert given == kind.of(noises=["isp", "gaussian:50", "poisson:2"])
    assert kind.of(reference=usual[0]) == kind() and given.reference is None
    assert kind.under(Settings(), "isp", ["poisson:2"]).noises == ("isp", "poisson:2")
    with pytest.raises(BadInput, match="reference 3: expected a text"):
        kind.of(reference=3)


def test_the_layer_of_srga_is_understood_as_layers_too():
    parsed = parser(analysis("srga")).parse_args(["a.pth", "--layers", "conv*"])
    assert parsed.layer == "conv*"


def test_on_a_command_line_the_reference_comes_first_too():
    known = parser(analysis("cka"))
    settings = [
        settings_from(CKASettings, known.parse_args(["a.pth", *given]))
        for given in (
            ["--noise", "isp", "--reference", "gaussian:50", "--noise", "poisson:2"],
            ["--noise", "gaussian:50", "--noise", "isp", "--noise", "poisson:2"],
        )
    ]
    assert settings[0] == settings[1]
