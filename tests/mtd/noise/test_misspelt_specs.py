"""Specifications as people write them from memory: the message has the one that was meant."""

from __future__ import annotations

import pytest

from mtd.noise.specs import parse
from mtd.utils.errors import BadInput


@pytest.mark.parametrize(
    "spec, hint",
    [
        ("gaussian=15", "write gaussian:15"),
        ("gaussian:=15", "write gaussian:15"),
        ("poisson=3.5,values=unique", "write poisson:3.5,values=unique"),
        ("gaussian15", "did you mean gaussian:15?"),
        ("gaussian-15", "did you mean gaussian:15?"),
        ("gaussian 15", "did you mean gaussian:15?"),
        ("Gaussian:15", "did you mean gaussian:15?"),
        ("gausian:15", "did you mean gaussian:15?"),
        ("gauss:15@1", "did you mean gaussian:15@1?"),
        ("Salt and pepper 0.02", "did you mean salt_pepper:0.02?"),
        ("speckel:.02", "did you mean speckle:.02?"),
        ("isb", "did you mean isp?"),
        ("gausian", "no kind 'gausian'; did you mean gaussian?"),
        ("Gaussian:x", "no kind 'Gaussian'; did you mean gaussian?"),
        (
            "waves:15",
            "no kind 'waves'; known: gaussian, poisson, speckle, spatial, salt_pepper, mixture, "
            "isp",
        ),
        ("gaussian", "expected gaussian:LEVEL, LEVEL being the sigma (8-bit levels)"),
    ],
)
def test_what_a_misspelt_specification_means(spec, hint):
    with pytest.raises(BadInput) as error:
        parse(spec)
    assert str(error.value) == f"noise {spec!r}: {hint}"
