"""Noisy images from NumPy's legacy stream, and what is clipped and rounded, against NumPy alone."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import ndimage

from mtd.noise import drawing
from mtd.noise.base import noisy_images, to_8_bits
from mtd.noise.drawing import STORED, Drawing
from mtd.noise.specs import parse
from mtd.utils.errors import BadInput

LEGACY = Drawing("legacy_per_image", clip=False, quantize=False)
SHAPE = (9, 12, 3)


def image(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, SHAPE, dtype=np.uint8)


def tensor(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels.astype(np.float32) / np.float32(255)).permute(2, 0, 1)[None]


def pixels_of(noisy: torch.Tensor) -> np.ndarray:
    return noisy[0].permute(1, 2, 0).numpy()


def expected(noise: str, clean: np.ndarray, stream: np.random.RandomState) -> np.ndarray:
    """What a script draws, in float64 where it does."""
    kind, _, text = noise.partition(":")
    level = float(text.partition(",")[0])
    if kind == "gaussian":
        return clean + stream.normal(0, level / 255, clean.shape)
    if kind == "spatial":
        white = stream.normal(0, level / 255, clean.shape)
        return clean + ndimage.uniform_filter(white, size=(3, 3, 1), mode="reflect")
    if kind == "poisson":
        counts = 2 ** math.ceil(math.log2(len(np.unique(clean)))) if "unique" in noise else 256
        drawn = stream.poisson(clean.astype(np.float64) * counts) / counts
        return clean + level * (drawn - clean)
    u = stream.random_sample(clean.shape)
    if kind == "speckle":
        return clean + clean * math.sqrt(12 * level) * (u - 0.5)
    return np.where(u < level / 2, 0, np.where(u < level, 1, clean))


@pytest.mark.parametrize(
    "noise",
    [
        *("gaussian:25", "spatial:45", "poisson:2.5", "poisson:3,values=unique"),
        *("speckle:0.04", "salt_pepper:0.3"),
    ],
)
def test_images_are_drawn_as_scripts_draw_them(noise):
    clean = tensor(image())
    made = LEGACY.noisy_images(parse(noise), clean, ["any"])
    plain = expected(noise, pixels_of(clean), np.random.RandomState(0))
    assert made.noisy.dtype == torch.float32
    np.testing.assert_allclose(pixels_of(made.noisy), plain, rtol=0, atol=2e-6)
    other = LEGACY.noisy_images(parse(noise), clean, ["another"])
    assert torch.equal(made.noisy, other.noisy)  # keys have no effect


def test_gaussian_noise_is_exact_and_the_same_for_every_image():
    pair = torch.cat([tensor(image(0)), tensor(image(1))])
    made = LEGACY.noisy_images(parse("gaussian:15"), pair, ["a", "b"])
    noise = np.random.RandomState(0).randn(*SHAPE) * (15 / 255)
    for clean, noisy in zip(pair, made.noisy, strict=True):
        exact = (pixels_of(clean[None]) + noise).astype(np.float32)
        assert np.array_equal(pixels_of(noisy[None]), exact)
    assert made.sigma.tolist() == [15 / 255] * 2


def test_one_channel_is_drawn_as_a_gray_image():
    gray = tensor(image())[:, :1]
    made = LEGACY.noisy_images(parse("gaussian:15"), gray, ["a"])
    noise = np.random.RandomState(0).randn(*SHAPE[:2]) * (15 / 255)
    exact = (gray[0, 0].numpy() + noise).astype(np.float32)
    assert np.array_equal(made.noisy[0, 0].numpy(), exact)


def test_seed_and_draw_choose_the_stream():
    clean = tensor(image())
    first, seeded = (LEGACY.noisy_images(parse("gaussian:15"), clean, ["a"], s) for s in (0, 3))
    drawn = LEGACY.noisy_images(parse("gaussian:15@3"), clean, ["a"])
    assert torch.equal(seeded.noisy, drawn.noisy) and not torch.equal(first.noisy, drawn.noisy)


def test_a_noise_without_draws_has_the_stream_of_the_seed():
    drawn = SimpleNamespace(sample_legacy=lambda image, stream: stream.random_sample(image.shape))
    clean = tensor(image())[0]
    found = drawing.legacy_image(drawn, clean, 3)  # type: ignore[arg-type]
    expected = np.random.RandomState(3).random_sample(SHAPE).astype(np.float32)
    assert np.array_equal(pixels_of(found[None]), expected)


def test_every_image_has_a_key():
    with pytest.raises(ValueError, match="shorter"):
        noisy_images(parse("gaussian:15"), torch.rand(2, 3, 8, 8), ["a"])


def test_what_is_clipped_and_what_is_rounded():
    clean, noise = tensor(image()), parse("gaussian:100")
    raw = LEGACY.noisy_images(noise, clean, ["a"]).noisy
    assert raw.min() < 0 and raw.max() > 1
    own = Drawing("legacy_per_image", clip=("poisson",), quantize=False)
    assert torch.equal(own.noisy_images(noise, clean, ["a"]).noisy, raw)
    poisson = own.noisy_images(parse("poisson:30"), clean, ["a"]).noisy
    assert (poisson.min(), poisson.max()) == (0, 1)
    clipped = Drawing("legacy_per_image", clip=True, quantize=False)
    assert torch.equal(clipped.noisy_images(noise, clean, ["a"]).noisy, raw.clamp(0, 1))
    rounded = Drawing("legacy_per_image").noisy_images(noise, clean, ["a"]).noisy
    assert torch.equal(rounded, to_8_bits(raw))


@pytest.mark.parametrize("quantize", [True, False])
def test_by_default_noise_is_keyed_as_ever(quantize):
    clean, noise = tensor(image()), parse("gaussian:25")
    made = Drawing.stored(quantize).noisy_images(noise, clean, ["a"], 5)
    plain = noisy_images(noise, clean, ["a"], seed=5, quantize=quantize)
    assert torch.equal(made.noisy, plain.noisy)
    assert Drawing.stored(quantize).key is quantize


def test_the_key_tells_drawings_apart():
    every = [STORED, Drawing.stored(False), LEGACY, Drawing("legacy_per_image")]
    every += [Drawing(clip=kinds, quantize=False) for kinds in (True, ("poisson",), ("isp",))]
    assert len({json.dumps(one.key) for one in every}) == len(every)


@pytest.mark.parametrize("noise", ["isp", "mixture:3", "gaussian:=poisson:3"])
def test_kinds_that_no_script_draws_are_refused(noise):
    with pytest.raises(BadInput, match="cannot be drawn from NumPy's legacy stream"):
        LEGACY.check([parse("gaussian:15"), parse(noise)])
    STORED.check([parse(noise)])
