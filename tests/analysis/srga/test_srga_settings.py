"""Settings of SRGA: defaults, the order of noises, and what is refused in one line."""

from __future__ import annotations

import pytest

from analysis.commands.settings import REFERENCE, UNSEEN
from analysis.srga.settings import SRGASettings
from mtd.utils.errors import BadInput


def test_defaults_are_those_of_the_field():
    settings = SRGASettings()
    assert (settings.crop, settings.limit, settings.components) == (128, 300, 300)
    assert settings.specs == (REFERENCE, *UNSEEN)


def test_the_reference_comes_first_and_once():
    settings = SRGASettings.of(reference="gaussian:25", noises=["poisson:3", "gaussian:25", "isp"])
    assert settings.specs == ("gaussian:25", "poisson:3", "isp")


@pytest.mark.parametrize(
    "values, message",
    [
        ({"noises": "gaussian:15"}, "no noise beside the reference: give --noise"),
        ({"noises": ()}, "no noise beside the reference"),
        ({"crop": None}, "crop None: expected a whole number from 8 up"),
        ({"components": 0}, "components 0: expected a whole number from 1 up"),
        ({"fit": "exact"}, "fit 'exact': expected grid or root"),
        ({"layer": 3}, "layer 3: expected a text"),
        ({"memory": 0}, "memory 0: expected a number above 0"),
        ({"intervals": "no"}, "intervals 'no': expected True or False"),
        ({"component": 5}, "no setting 'component'.*did you mean components"),
    ],
)
def test_what_cannot_be_used_is_one_line(values, message):
    with pytest.raises(BadInput, match=message) as refused:
        SRGASettings.of(**values)
    assert "\n" not in str(refused.value)
