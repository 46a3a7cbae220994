"""PSNR and SSIM: the published values to 1e-8, and oracles written without the library."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mtd.data import crops as data_crops
from mtd.data import image_io
from mtd.metrics.psnr_ssim import psnr, ssim
from mtd.utils.errors import BadInput
from tests.helpers.paths import data_folder

PUBLISHED = {  # border 1, RGB
    "1": (22.635884, 0.62928594),
    "8": (26.016534, 0.72425377),
    "18": (23.032853, 0.57866030),
}


def published(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """One of the authors' own pairs: noisy, clean."""
    folder = data_folder("mcm_poisson_20")
    found = []
    for kind in ("noisy", "clean"):
        path = next(p for p in image_io.find(folder / kind) if p.stem == name)
        found.append(data_crops.to_tensor([image_io.read_rgb(path)]))
    return found[0], found[1]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_values(name):
    noisy, clean = published(name)
    expected = PUBLISHED[name]
    assert float(psnr(noisy, clean, border=1)) == pytest.approx(expected[0], abs=5.1e-7)
    assert float(ssim(noisy, clean, border=1)) == pytest.approx(expected[1], abs=5.1e-9)


def oracle_psnr(a: np.ndarray, b: np.ndarray, border: int, luma: bool) -> float:
    """(C, H, W) in [0, 1], pixel by pixel."""
    total, count = 0.0, 0
    _, height, width = a.shape
    for y in range(border, height - border):
        for x in range(border, width - border):
            p, q = (
                [float(np.rint(np.float32(255) * np.clip(image[c, y, x], 0, 1))) for c in range(3)]
                for image in (a, b)
            )
            if luma:
                p, q = ([np.dot(v, (65.481, 128.553, 24.966)) / 255 + 16] for v in (p, q))
            total += sum((u - v) ** 2 for u, v in zip(p, q, strict=True))
            count += len(p)
    return 20 * math.log10(255 / math.sqrt(total / count))


def oracle_ssim(a: np.ndarray, b: np.ndarray, border: int, rounded: bool = True) -> float:
    """(C, H, W) in [0, 1]: every window's weighted moments, one by one."""
    offsets = np.arange(-5, 6)
    line = np.exp(-(offsets**2) / (2 * 1.5**2))
    weights = np.outer(line, line) / np.outer(line, line).sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    cut = slice(border, -border or None)
    a, b = (255 * np.clip(v[:, cut, cut], 0, 1).astype(np.float64) for v in (a, b))
    a, b = (np.rint(a), np.rint(b)) if rounded else (a, b)
    values = []
    for c in range(a.shape[0]):
        for y in range(5, a.shape[1] - 5):
            for x in range(5, a.shape[2] - 5):
                p, q = (v[c, y - 5 : y + 6, x - 5 : x + 6] for v in (a, b))
                mp, mq = (weights * p).sum(), (weights * q).sum()
                vp, vq = (weights * p**2).sum() - mp**2, (weights * q**2).sum() - mq**2
                cov = (weights * p * q).sum() - mp * mq
                top = (2 * mp * mq + c1) * (2 * cov + c2)
                values.append(top / ((mp**2 + mq**2 + c1) * (vp + vq + c2)))
    return float(np.mean(values))


def drawn(batch: int = 2, height: int = 19, width: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    stream = torch.Generator().manual_seed(3)
    clean = torch.rand(batch, 3, height, width, generator=stream)
    return clean + 0.2 * torch.randn(clean.shape, generator=stream), clean


@pytest.mark.parametrize("border", [0, 1, 4])
@pytest.mark.parametrize("channel", ["rgb", "y"])
def test_psnr_is_that_of_an_independent_computation(border, channel):
    output, clean = drawn()
    found = psnr(output, clean, border, channel)
    assert found.dtype == torch.float64 and found.shape == (2,)
    for i in range(2):
        expected = oracle_psnr(output[i].numpy(), clean[i].numpy(), border, channel == "y")
        assert float(found[i]) == pytest.approx(expected, abs=1e-10)


def test_without_a_border_all_pixels_count():
    output, clean = drawn()
    assert torch.equal(psnr(output, clean), psnr(output, clean, 0))
    assert torch.equal(ssim(output, clean), ssim(output, clean, 0))


@pytest.mark.parametrize("border", [0, 2])
def test_ssim_is_that_of_an_independent_computation(border):
    output, clean = drawn()
    found = ssim(output, clean, border)
    for i in range(2):
        expected = oracle_ssim(output[i].numpy(), clean[i].numpy(), border)
        assert float(found[i]) == pytest.approx(expected, abs=1e-9)


def test_images_may_be_clipped_without_rounding():
    output, clean = drawn()
    found = psnr(output, clean, 1, quantize="clip"), ssim(output, clean, 1, quantize="clip")
    for i in range(2):
        a, b = (image[i].double().numpy() for image in (output.clamp(0, 1), clean))
        inside = (slice(None), slice(1, -1), slice(1, -1))
        expected = -10 * math.log10(np.square(a - b)[inside].mean())
        assert float(found[0][i]) == pytest.approx(expected, abs=1e-6)
        assert float(found[1][i]) == pytest.approx(oracle_ssim(a, b, 1, False), abs=1e-6)
    assert (found[0] - psnr(output, clean, 1)).abs().min() > 1e-5
    assert (found[1] - ssim(output, clean, 1)).abs().min() > 1e-6


def test_each_image_has_its_own_value_whatever_the_batch():
    output, clean = drawn(3)
    for metric in (psnr, ssim):
        together = metric(output, clean)
        assert together.tolist() == [
            float(metric(output[i : i + 1], clean[i : i + 1])) for i in range(3)
        ]


def test_without_rounding_values_are_as_they_are():
    clean = torch.full((1, 3, 12, 12), 0.5, dtype=torch.float64)
    assert float(psnr(clean + 0.001, clean, quantize=False)) == pytest.approx(60, abs=1e-9)
    assert float(psnr(clean + 2, clean, quantize=False)) == pytest.approx(-6.0206, abs=1e-4)
    # clipped and rounded: 127.5 is 128 to even, 255
    assert float(psnr(clean + 2, clean)) == pytest.approx(20 * math.log10(255 / 127), abs=1e-9)
    assert float(ssim(clean, clean, quantize=False)) == 1


def test_equal_images_and_images_that_are_not_finite():
    clean = torch.rand(2, 3, 12, 12)
    broken = clean.clone()
    broken[1, 0, 3, 3] = torch.nan
    values = psnr(broken, clean)
    assert values[0] == torch.inf and values[1].isnan()
    assert float(ssim(clean, clean)[0]) == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_not_rounded_twice(dtype):
    levels = torch.arange(256).div(255).view(1, 1, 16, 16).repeat(1, 3, 1, 1)
    half = levels.to(dtype)
    expected = 20 * math.log10(
        255 / math.sqrt(float((half.float().mul(255).round() - levels * 255).square().mean()) or 1)
    )
    found = float(psnr(half, levels))
    assert found == pytest.approx(expected, abs=1e-9) or found == math.inf


def test_what_cannot_be_compared():
    a = torch.rand(1, 3, 12, 12)
    with pytest.raises(ValueError, match="expected the same"):
        psnr(a, a[..., :-1])
    with pytest.raises(ValueError, match="expected the same"):
        psnr(a[0], a[0])
    with pytest.raises(ValueError, match="border 6: no pixels are left"):
        psnr(a, a, border=6)
    with pytest.raises(ValueError, match="10 x 10: SSIM needs 11 x 11"):
        ssim(a, a, border=1)
    with pytest.raises(ValueError, match="luma needs RGB"):
        psnr(a[:, :1], a[:, :1], channel="y")
    with pytest.raises(BadInput, match="channel 'Y': did you mean y"):
        psnr(a, a, channel="Y")  # type: ignore[arg-type]


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_images_outside_0_1_are_refused_as_every_one_would_be_white(metric):
    whole = torch.randint(1, 255, (1, 3, 16, 16), dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"torch.uint8: expected real values in \[0, 1\]"):
        metric(whole, whole)
    with pytest.raises(ValueError, match=r"target from .* expected values in \[0, 1\]"):
        metric(whole.float() / 255, whole.float())


def test_gray_is_the_one_channel():
    output, target = (image[:, :1] for image in drawn())
    assert torch.equal(psnr(output, target, channel="gray"), psnr(output, target))
    assert torch.equal(ssim(output, target, channel="gray"), ssim(output, target))
    with pytest.raises(ValueError, match="3 channels: gray images have one"):
        psnr(*drawn(), channel="gray")
    with pytest.raises(ValueError, match="1 channels: luma needs RGB"):
        psnr(output, target, channel="y")
