"""Gaussian noise as strong as another noise: σ in closed form, strength image by image."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from mtd.data import crops as data_crops
from mtd.data.photographs import photographs
from mtd.noise.base import Levelled, noisy_images, pair_keyed, stream_of
from mtd.noise.matched import MatchedGaussian
from mtd.noise.specs import parse
from mtd.noise.training_noise import TrainingNoise
from mtd.utils.errors import BadInput
from tests.helpers.paths import data_folder

OTHERS = ["poisson:3", "speckle:0.04", "spatial:60", "salt_pepper:0.05", "mixture:3", "isp"]


def images() -> torch.Tensor:
    ramp = torch.linspace(0, 1, 64 * 64).view(1, 1, 64, 64)
    return torch.cat([ramp.expand(1, 3, -1, -1), torch.full((1, 3, 64, 64), 0.5)]).clone()


def strength(noisy: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return (noisy.double() - target.double()).square().mean((1, 2, 3))


@pytest.mark.parametrize("quantize", [True, "clip", False])
@pytest.mark.parametrize("spec", [*OTHERS, "gaussian:15", "poisson:3@2"])
def test_every_image_is_as_noisy_as_under_the_other_noise(spec, quantize):
    clean, keys = images(), ["a", "b"]
    made = noisy_images(parse(f"gaussian:={spec}"), clean, keys, seed=4, quantize=quantize)
    assert torch.equal(made.target, clean)
    other = strength(*pair_keyed(parse(spec), clean, keys, seed=4, quantize=quantize))
    tolerance = 1e-3 if quantize is True else 1e-6
    assert torch.allclose(strength(made.noisy, clean), other, rtol=tolerance, atol=0)
    assert abs(float(other[0] / other[1]) - 1) > 1e-3 or spec.startswith("gaussian")
    again = noisy_images(parse(f"gaussian:={spec}"), clean[1:], keys[1:], seed=4, quantize=quantize)
    assert torch.equal(again.noisy, made.noisy[1:]) and again.sigma == made.sigma[1]


@pytest.mark.parametrize("quantize", [True, "clip", False])
def test_noise_is_gaussian_of_its_sigma(quantize):
    """The noisy image is q(x + σ z) of the stream's own normal values, and σ is the smallest one
    at which it is as strong, by a search of its own."""
    clean, noise = images()[:1], parse("gaussian:=poisson:3")
    made = noise.noisy_image(clean, stream_of("k", 4), quantize)
    drawn = torch.randn(clean.shape, generator=stream_of("k", 4)(noise.spec)).double()
    poisson = parse("poisson:3")(clean, generator=stream_of("k", 4)("poisson:3"), quantize=quantize)

    def noisy(sigma):
        image = clean.double() + sigma * drawn
        image = image if quantize is False else image.clamp(0, 1)
        return image.mul(255).round().div(255) if quantize is True else image

    wanted, sigma = float(strength(poisson, clean)), float(made.sigma)
    assert (noisy(sigma) - made.noisy).abs().gt(1e-6).double().mean() < 1e-4  # halves in float32
    assert float(strength(noisy(sigma), clean)) == pytest.approx(wanted, rel=1e-4)
    assert float(strength(noisy(sigma * 0.999), clean)) < wanted
    assert sigma * 255 == pytest.approx(40, rel=0.25)  # 48 √(mean of x), more where it is clipped


def test_sigma_in_closed_form():
    clean = torch.full((1, 3, 256, 256), 0.36, dtype=torch.float64)
    for spec, expected in (
        ("gaussian:20", 20.0),
        ("poisson:3", 255 * 3 * (0.36 / 256) ** 0.5),
        ("speckle:0.04", 255 * 0.36 * 0.2),
        ("spatial:60", 60 / 3),
    ):
        made = parse(f"gaussian:={spec}").noisy_image(clean, stream_of("k"), False)
        assert float(made.sigma) * 255 == pytest.approx(expected, rel=0.015), spec
        other = parse(spec)(clean, generator=stream_of("k")(spec), quantize=False)
        drawn = torch.randn(
            clean.shape, generator=stream_of("k")(f"gaussian:={spec}"), dtype=clean.dtype
        )
        ratio = (other - clean).square().sum() / drawn.square().sum()
        assert float(made.sigma) == pytest.approx(float(ratio) ** 0.5, rel=1e-12)


def test_sigma_is_what_noise_conditional_networks_are_told():
    """The σ of Gaussian noise, of given or matched strength; else the root mean square."""
    clean = torch.zeros(2, 3, 64, 64)  # clipping leaves half of the noise
    told = [
        noisy_images(parse(f"gaussian{s}"), clean, "ab").sigma * 255
        for s in (":25", ":=gaussian:25")
    ]
    assert told[0].tolist() == [25, 25] and told[1].tolist() == pytest.approx([25, 25], rel=0.03)
    made = noisy_images(parse("salt_pepper:0.1"), clean, "ab")
    assert torch.equal(made.sigma, strength(made.noisy, clean).sqrt())


@pytest.mark.parametrize("quantize", [True, "clip", False])
def test_no_noise_has_sigma_zero_and_nothing_is_changed(quantize):
    clean = images()[:1].mul(255).round() / 255
    made = parse("gaussian:=speckle:0").noisy_image(clean, stream_of("k"), quantize)
    assert float(made.sigma) == 0 and torch.equal(made.noisy, clean)


def test_sigma_is_the_one_that_is_applied_whatever_the_number_of_threads():
    """Sums of many values differ in their last digit; σ is rounded to the image's own type."""
    clean = images().repeat(1, 1, 4, 4)
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(noisy_images(parse("gaussian:=poisson:3"), clean, "ab"))
    assert torch.equal(found[0].noisy, found[1].noisy)
    assert torch.equal(found[0].sigma, found[1].sigma)
    assert torch.equal(found[0].sigma.float().double(), found[0].sigma)


def test_a_mixture_keeps_its_note():
    assert parse("gaussian:=mixture:2").note == parse("mixture:2").note != ""


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
        ("gaussian:=poisson", "expected poisson:LEVEL"),
        ("gaussian:=folder:noisy", "and a synthetic noise, as in gaussian:=poi.*no kind 'folder'"),
        ("gaussian:=monte_carlo:64", "and a synthetic noise, .*no kind 'monte_carlo'"),
        ("gaussian:=gaussian:=poisson:3", "expected a noise of its own strength after :="),
        (
            "poisson:=gaussian:3",
            "^noise 'poisson:=gaussian:3': expected gaussian:= and a synthetic",
        ),
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


@pytest.mark.slow
@pytest.mark.parametrize("spec", [*OTHERS, "poisson:3.5,values=unique", "speckle:0.2"])
def test_photographs_are_as_noisy_image_by_image(spec):
    """The sums of squared 8-bit changes differ by what a few values make that change together."""
    cut = data_crops.crops(photographs(str(data_folder("kodak24"))), 128, 24)
    clean, keys = data_crops.to_tensor([crop.pixels for crop in cut]), [c.digest for c in cut]
    made = noisy_images(parse(f"gaussian:={spec}"), clean, keys)
    noisy, target = pair_keyed(parse(spec), clean, keys)
    levels = [255 * (a.double() - b.double()) for a, b in ((made.noisy, clean), (noisy, target))]
    sums = [change.round().square().sum((1, 2, 3)) for change in levels]
    step = 2 * levels[0].abs().amax((1, 2, 3)) + 1  # of the sum, when one value changes
    assert (sums[0] >= sums[1]).all() and (sums[0] - sums[1] <= 4 * step).all()
    assert len(made.sigma.unique()) == 24
