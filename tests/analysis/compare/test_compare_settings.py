"""Settings of the comparison: their noises, and what is refused."""

from __future__ import annotations

import pytest

from analysis.commands.settings import REFERENCE, UNSEEN
from analysis.compare.inputs import benchmark_settings, completed
from analysis.compare.settings import CompareSettings
from mtd.utils.errors import BadInput


def test_the_clean_image_is_for_sensitivity_alone():
    assert CompareSettings().specs == ("gaussian:0", REFERENCE, *UNSEEN)
    assert CompareSettings(skip=("sensitivity",)).specs == (REFERENCE, *UNSEEN)


def test_noises_are_completed_once():
    settings = CompareSettings(reference="gaussian:25.0", noises=("gaussian:25", "poisson:2.0"))
    complete = completed(settings)
    assert (complete.reference, complete.noises) == ("gaussian:25", ("poisson:2",))
    assert completed(complete) == complete
    benchmark = benchmark_settings(complete)
    assert benchmark.specs == ("gaussian:25", "poisson:2") and not benchmark.lpips


@pytest.mark.parametrize(
    "values, message",
    [
        ({"skip": "lam"}, "skip 'lam': known: cka, srga, distributions, degradation"),
        ({"crop": None}, "crop None: features are taken of crops of one size; give --crop"),
        (
            {"skip": ["srga", "distributions", "degradation", "sensitivity", "cka", "error"]},
            "--skip: every index is left out",
        ),
    ],
)
def test_what_cannot_be_used_is_one_line(values, message):
    with pytest.raises(BadInput) as error:
        CompareSettings.of(**values)
    assert message in str(error.value) and len(str(error.value).splitlines()) == 1
