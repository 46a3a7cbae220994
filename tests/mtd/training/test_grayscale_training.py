"""Training of grayscale networks: their crops are the luma of the photographs'."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import mtd
from mtd.data.grayscale import grayscale
from mtd.training import run as training_run
from mtd.training.device_pairs import DevicePairs
from mtd.training.pairs import TrainingPairs
from mtd.utils.errors import BadInput
from tests.helpers.training import make, weights_of

GRAY = "network.in_chans=1"


def test_crops_are_the_luma_of_the_crops_of_color(photos, tmp_path):
    color = TrainingPairs([str(photos)], 16, "gaussian:0", seed=3).batch(0, 8)[1]
    plain = TrainingPairs([str(photos)], 16, "gaussian:0", seed=3, channels=1)
    stored = TrainingPairs([str(photos)], 16, "gaussian:0", seed=3, channels=1, store=tmp_path)
    held = DevicePairs(
        [str(photos)], 16, "gaussian:0", torch.device("cpu"), 8, seed=3, channels=1, quiet=True
    )
    pixels = color.mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    luma = np.stack([grayscale(crop) for crop in pixels])
    expected = torch.from_numpy(luma).permute(0, 3, 1, 2).float() / 255
    for pairs in (plain, stored, held):
        noisy, clean = pairs.batch(0, 8)
        assert clean.shape == (8, 1, 16, 16) and torch.equal(noisy, clean)
        assert torch.equal(clean, expected)
    assert (tmp_path / "pixels.bin").stat().st_size == sum(
        photo.height * photo.width for photo in plain.photographs
    )


def test_a_store_of_color_is_not_used_for_grayscale(photos, tmp_path):
    color = TrainingPairs([str(photos)], 16, "gaussian:0", store=tmp_path)
    assert color.batch(0, 2)[1].shape[1] == 3
    gray = TrainingPairs([str(photos)], 16, "gaussian:0", channels=1, store=tmp_path)
    assert color.digest != gray.digest and gray.batch(0, 2)[1].shape[1] == 1


@pytest.mark.parametrize("reading", [(), ("data.on_device=true",)])
def test_a_grayscale_network_trains_validates_and_resumes(photos, tmp_path, reading):
    watched = ("validation.every=4", "validation.crops=2", "validation.crop=16")
    recipe = make(photos, GRAY, *watched, *reading, baseline=True)
    path = training_run.train(recipe, tmp_path / "whole", quiet=True)
    network = mtd.load(path)
    assert network.config.in_chans == 1
    assert network(torch.rand(1, 1, 16, 16)).shape == (1, 1, 16, 16)
    with Image.open(tmp_path / "whole/validation/000008.png") as picture:
        assert picture.mode == "L" and picture.size[0] == 3 * 16
    few = make(photos, GRAY, *watched, *reading, "run.steps=8", baseline=True)
    again = training_run.train(few, tmp_path / "again", quiet=True)
    for key, value in weights_of(again).items():
        assert torch.equal(value, network.state_dict()[key]), key


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ("data.noise='isp'", r"\[data\] noise = 'isp'"),
        ("validation.noises=['gaussian:=isp']", r"\[validation\] noise 'gaussian:=isp'"),
    ],
)
def test_noises_that_need_color_are_refused(photos, change, where):
    with pytest.raises(BadInput, match=where + r": it needs color images, and .*in_chans = 1"):
        make(photos, GRAY, change)
