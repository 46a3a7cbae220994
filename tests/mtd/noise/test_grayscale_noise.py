"""Noise on grayscale images: its mean and variance are those of the formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mtd.noise import parse
from mtd.noise.base import noisy_images

SIDE = 320
G = 0.5
CONSTANT = torch.full((1, 1, SIDE, SIDE), G)

VARIANCES = {
    "gaussian:15": (15 / 255) ** 2,
    "speckle:0.02": G**2 * 0.02,
    "poisson:2": 2**2 * G / 256,
    "spatial:40": (40 / 255 / 3) ** 2,
    "salt_pepper:0.02": 0.02 * 0.25,
    "mixture:1": (1 - 0.005) * (G**2 * 0.01 + G / 256 + ((20 / 3) ** 2 + 8**2) / 255**2 + G**2)
    + 0.005 / 2
    - G**2,
}


@pytest.mark.parametrize("spec", VARIANCES)
def test_mean_and_variance_on_a_constant_gray_level(spec):
    noise = parse(spec)
    made = noisy_images(noise, CONSTANT, ["key"], quantize=False)
    inside = made.noisy[0, 0, 2:-2, 2:-2].double()
    variance = VARIANCES[spec]
    neighbors = 9 if spec.startswith("spatial") else 4 if spec.startswith("mixture") else 1
    error = np.sqrt(2 * neighbors / inside.numel())  # of a variance, relative
    if spec.startswith(("salt", "mixture")):
        error *= 3  # of long tails
    assert made.noisy.shape == (1, 1, SIDE, SIDE) and torch.equal(made.target, CONSTANT)
    assert float(inside.mean()) == pytest.approx(G, abs=5 * np.sqrt(neighbors * variance) / SIDE)
    assert float((inside - G).square().mean()) == pytest.approx(variance, rel=5 * error)


def test_matched_noise_is_as_strong_as_the_other_one():
    noise = parse("gaussian:=poisson:2")
    made = noisy_images(noise, CONSTANT, ["key"], quantize=False)
    other = noisy_images(parse("poisson:2"), CONSTANT, ["key"], quantize=False)
    strengths = [float((one.noisy - CONSTANT).double().square().mean()) for one in (made, other)]
    assert strengths[0] == pytest.approx(strengths[1], rel=1e-5)
