"""Gaussian noise as strong as another noise: σ in closed form, strength image by image."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from mtd.noise.base import Levelled, pair_keyed, stream_of
from mtd.noise.matched import MatchedGaussian
from mtd.noise.specs import parse
from mtd.noise.training_noise import TrainingNoise
from mtd.utils.errors import BadInput

OTHERS = ["poisson:3", "speckle:0.04", "spatial:60", "salt_pepper:0.05", "mixture:3", "isp"]


def images() -> torch.Tensor:
    ramp = torch.linspace(0, 1, 64 * 64).view(1, 1, 64, 64)
    return torch.cat([ramp.expand(1, 3, -1, -1), torch.full((1, 3, 64, 64), 0.5)]).clone()


def strength(noisy: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return (noisy.double() - target.double()).square().mean((1, 2, 3))


@pytest.mark.parametrize("quantize", [True, False])
@pytest.mark.parametrize("spec", [*OTHERS, "gaussian:15", "poisson:3@2"])
def test_every_image_is_as_noisy_as_under_the_other_noise(spec, quantize):
    clean, keys = images(), ["a", "b"]
    noisy, target = pair_keyed(parse(f"gaussian:={spec}"), clean, keys, seed=4, quantize=quantize)
    assert torch.equal(target, clean)
    other = strength(*pair_keyed(parse(spec), clean, keys, seed=4, quantize=quantize))
    assert torch.allclose(strength(noisy, clean), other, rtol=1e-3 if quantize else 1e-6, atol=0)
    assert abs(float(other[0] / other[1]) - 1) > 1e-3 or spec.startswith("gaussian")


def test_sigma_in_closed_form():
    clean = torch.full((1, 3, 256, 256), 0.36, dtype=torch.float64)
    for spec, expected in (
        ("gaussian:20", 20.0),
        ("poisson:3", 255 * 3 * (0.36 / 256) ** 0.5),
        ("speckle:0.04", 255 * 0.36 * 0.2),
        ("spatial:60", 60 / 3),
    ):
        found = parse(f"gaussian:={spec}").sigma(clean, stream_of("k"), quantize=False)
        assert found == pytest.approx(expected, rel=0.015), spec


def test_no_noise_has_sigma_zero_and_nothing_is_changed():
    clean = images()[:1].mul(255).round() / 255
    matched = parse("gaussian:=speckle:0")
    assert matched.sigma(clean, stream_of("k")) < 0.2  # less than what rounding removes
    assert torch.equal(matched(clean, generator=torch.Generator()), clean)


def test_its_specification():
    noise = parse(" gaussian := poisson:3.0 , values=unique@2 ")
    assert isinstance(noise, MatchedGaussian) and noise == parse(noise.spec)
    assert noise.spec == "gaussian:=poisson:3@2,values=unique"
    assert (noise.name, noise.level, noise.redrawn(0).spec[-8:]) == ("gaussian", None, "s=unique")
    held = TrainingNoise.parse(["gaussian:=poisson:3"])
    assert held.holds("gaussian:=poisson:3@4") and not held.holds("poisson:3")


@pytest.mark.parametrize(
    "spec, message",
    [
        ("gaussian:=", "no kind ''"),
        ("gaussian:=gausian:3", "did you mean gaussian"),
        ("gaussian:=gaussian:=poisson:3", "expected a noise of its own strength after :="),
        ("poisson:=gaussian:3", "expected poisson:LEVEL"),
    ],
)
def test_what_is_no_matched_noise(spec, message):
    with pytest.raises(BadInput, match=message):
        parse(spec)


def test_what_no_gaussian_noise_can_match():
    @dataclass(frozen=True)
    class Brighter(Levelled):
        name = "brighter"
        meaning = "shift"

        def sample(self, clean, generator):
            return clean + self.level

    black = torch.zeros(1, 3, 8, 8)  # clipping leaves half of a Gaussian's values as they are
    with pytest.raises(BadInput, match="no Gaussian noise is as strong as brighter:1"):
        MatchedGaussian(Brighter(1))(black, generator=torch.Generator())
