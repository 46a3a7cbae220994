"""Settings of the distributions of features: noises in order, and what is refused in one line."""

from __future__ import annotations

import pytest

from analysis.commands.settings import REFERENCE, UNSEEN
from analysis.distributions.settings import DistributionsSettings
from mtd.utils.errors import BadInput


def test_the_reference_comes_first_and_once():
    assert DistributionsSettings().specs == (REFERENCE, *UNSEEN)
    settings = DistributionsSettings.of(noises=["isp", REFERENCE], layers="conv_first")
    assert settings.specs == (REFERENCE, "isp") and settings.layers == ("conv_first",)


@pytest.mark.parametrize(
    "values, message",
    [
        ({"noises": REFERENCE}, "no noise beside the reference: give --noise"),
        ({"crop": None}, "crop None: expected a whole number from 8 up"),
        ({"crop": 4}, "crop 4: expected a whole number from 8 up"),
        ({"limit": 0}, "limit 0: expected a whole number from 1 up"),
        ({"layers": [1]}, r"layers \[1\]: expected a text"),
        ({"layer": "x"}, "no setting 'layer'.*did you mean layers"),
    ],
)
def test_what_cannot_be_used_is_one_line(values, message):
    with pytest.raises(BadInput, match=message) as refused:
        DistributionsSettings.of(**values)
    assert "\n" not in str(refused.value)
