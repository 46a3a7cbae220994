"""What `denoise` does not accept: one clear line for each."""

from __future__ import annotations

import pytest
import torch

import mtd
from mtd.inference.forward import denoise
from mtd.networks.base import Unchanged
from mtd.utils.errors import BadInput

IMAGES = torch.full((2, 3, 8, 8), 0.5)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"keys": []}, "0 keys for 2 images"),
        ({"input_mask": torch.ones(1, 1, 8, 8, dtype=torch.bool)}, "1 input masks for 2 images"),
        ({"sigma": torch.zeros(3)}, "3 noise levels for 2 images"),
        ({"memory": -1}, "-1 bytes of memory"),
        ({"memory": float("nan")}, "nan bytes of memory"),
        ({"overlap": 1.5}, "overlap 1.5: expected a whole number"),
        ({"overlap": -3}, "overlap -3"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(BadInput, match=message):
        denoise(Unchanged(), IMAGES, **options)


def test_levels_as_whole_numbers_are_refused():
    with pytest.raises(BadInput, match=r"torch.uint8: expected real values"):
        denoise(Unchanged(), torch.zeros(1, 3, 8, 8, dtype=torch.uint8))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"bgr": "no"}, "bgr 'no': expected True or False"),
        ({"value_range": "255"}, "value_range '255': expected 1 or 255"),
        ({"mask_samples": 2.5}, "mask samples 2.5: expected a whole number"),
        ({"seed": 1.5}, "seed 1.5: expected a whole number"),
        ({"wrap": "normalise"}, "^wrap 'normalise': did you mean normalize.$"),
        ({"factory": 5}, "factory 5"),
        ({"arguments": {"a": 1}}, "there is no factory"),
        ({"mask_sample": 4}, "no option 'mask_sample' of load; did you mean mask_samples"),
    ],
)
def test_options_of_load_are_checked(options, message):
    with pytest.raises(BadInput, match=message):
        mtd.load("masked.pth", **options)
