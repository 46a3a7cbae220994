"""Values of pyiqa itself against independent float64 computations; without pyiqa these skip."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate

from mtd.data.photographs import photographs
from mtd.metrics import psnr_ssim, pyiqa_metrics

pytestmark = pytest.mark.skipif(
    find_spec("pyiqa") is None, reason="pyiqa is not installed (the extra iqa)"
)


def drawn() -> tuple[torch.Tensor, torch.Tensor]:
    """Noisy and clean crops of two bundled photographs."""
    pixels = np.stack([photo.load()[100:196, 100:196] for photo in photographs()[:2]])
    clean = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    return clean + noise * torch.tensor([0.05, 0.2]).view(2, 1, 1, 1), clean


def luma(image: torch.Tensor) -> np.ndarray:
    """Rounded full-range luma of 8-bit images, (B, H, W) in float64."""
    r, g, b = np.moveaxis(psnr_ssim.levels(image).numpy(), 1, 0)
    return np.round(0.299 * r + 0.587 * g + 0.114 * b)


def test_psnr_of_pyiqa_is_ours_but_for_its_epsilon():
    output, clean = drawn()
    found = pyiqa_metrics.load("pyiqa:psnr").function(output, clean)
    ours = psnr_ssim.psnr(output, clean)
    mse = 10 ** (-ours / 10)
    assert torch.allclose(found, 10 * torch.log10(1 / (mse + 1e-8)), rtol=0, atol=1e-4)
    assert (found - ours).abs().max() < 1e-3


def test_ssim_of_pyiqa_over_the_channels_is_ours():
    output, clean = drawn()
    found = pyiqa_metrics.load("pyiqa:ssimc").function(output, clean)
    weak, strong = (found - psnr_ssim.ssim(output, clean)).tolist()
    assert abs(weak) < 1e-5
    assert 0 < strong < 2e-3  # where covariances are negative, pyiqa takes 0 instead


def test_psnr_of_pyiqas_luma_is_that_of_full_range_luma():
    output, clean = drawn()
    found = pyiqa_metrics.load("pyiqa:psnry").function(output, clean)
    r, g, b = np.moveaxis(np.array([[0.299, 0.587, 0.114]]).T, 0, 0)
    a, c = (
        r * x[:, 0] + g * x[:, 1] + b * x[:, 2]
        for x in (psnr_ssim.levels(image).numpy() for image in (output, clean))
    )
    expected = 10 * np.log10(255**2 / np.square(a - c).mean((1, 2)))
    assert np.allclose(found, expected, atol=0.02)  # pyiqa's weights are rounded otherwise


def gmsd(output: np.ndarray, clean: np.ndarray) -> float:
    """Xue et al. 2014: the standard deviation of the similarity of gradients, in float64."""
    across = np.array([[1, 0, -1]] * 3) / 3
    maps = []
    for image in (output, clean):
        half = image.reshape(image.shape[0] // 2, 2, image.shape[1] // 2, 2).mean((1, 3))
        parts = [correlate(half, kernel, mode="constant") for kernel in (across, across.T)]
        maps.append(np.hypot(*parts))
    a, b = maps
    similarity = (2 * a * b + 170) / (a**2 + b**2 + 170)
    return float(similarity.std(ddof=1))


def test_gmsd_of_pyiqa_is_the_papers():
    output, clean = drawn()
    metric = pyiqa_metrics.load("pyiqa:gmsd")
    found = metric.function(output, clean)
    expected = [gmsd(a, b) for a, b in zip(luma(output), luma(clean), strict=True)]
    assert np.allclose(found, expected, rtol=0, atol=2e-5)
    assert not metric.higher_is_better and found[0] < found[1]
    assert metric.function(clean, clean).abs().max() < 1e-6


def test_small_images_are_refused_where_pyiqa_fails():
    assert pyiqa_metrics.load("pyiqa:ms_ssim").refuses(96, 96)
    assert pyiqa_metrics.load("pyiqa:vif").refuses(32, 32)
    assert not pyiqa_metrics.load("pyiqa:vif").refuses(64, 64)


def test_every_name_of_pyiqa_is_known():
    known = pyiqa_metrics.names()
    assert {"dists", "niqe", "musiq", "gmsd", "lpips"} <= set(known)
    assert known == tuple(sorted(known, key=known.index)) and set(pyiqa_metrics.OF_SETS) < set(
        known
    )
