"""Quantities without a clean image, against independent float64 computations and known noise."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from scipy.ndimage import uniform_filter

from analysis.generalization.noisy import no_reference
from mtd.data.image_io import read_rgb
from tests.helpers.paths import data_folder


def white(sigma: float, height: int = 256, width: int = 256, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sigma, (height, width, 3))


@pytest.mark.parametrize(
    ("shape", "expected"),
    # skimage.restoration.estimate_sigma(image.astype(float), average_sigmas=True, channel_axis=-1)
    # of scikit-image 0.26 with PyWavelets 1.9, the three images drawn one after the other
    [
        ((20, 31, 3), 67.76848462611474),
        ((33, 18, 3), 73.83085939675811),
        ((64, 64, 3), 76.52187429634053),
    ],
)
def test_the_noise_level_is_that_of_scikit_image(shape, expected):
    stream = np.random.default_rng(5)
    for size in ((20, 31, 3), (33, 18, 3), (64, 64, 3)):
        image = stream.integers(0, 256, size, dtype=np.uint8)
        if size == shape:
            break
    assert no_reference.noise_level(image) == pytest.approx(expected, rel=1e-12)
    if importlib.util.find_spec("pywt"):
        from skimage.restoration import estimate_sigma

        value = estimate_sigma(image.astype(float), average_sigmas=True, channel_axis=-1)
        assert no_reference.noise_level(image) == pytest.approx(float(value), rel=1e-12)


@pytest.mark.parametrize("sigma", [1.5, 5, 25])
def test_white_noise_has_its_level_at_both_scales(sigma):
    noisy = 128 + white(sigma)
    assert no_reference.noise_level(noisy) == pytest.approx(sigma, rel=0.02)
    assert no_reference.coarse_noise_level(noisy) == pytest.approx(sigma, rel=0.03)
    ramp = np.add.outer(np.arange(256.0), np.arange(256.0))[..., None] / 4
    assert no_reference.noise_level(ramp + white(sigma)) == pytest.approx(sigma, rel=0.02)


def test_correlated_noise_is_seen_at_the_coarser_scale():
    noise = uniform_filter(white(20), (2, 2, 1))
    true = noise.std()
    fine, coarse = no_reference.noise_level(noise), no_reference.coarse_noise_level(noise)
    assert fine < 0.7 * true < true < 1.6 * coarse and coarse > 1.5 * fine


def test_images_without_noise_or_too_small():
    assert no_reference.noise_level(np.full((16, 16, 3), 7, np.uint8)) == 0
    assert no_reference.coarse_noise_level(np.full((16, 16, 3), 7, np.uint8)) == 0
    half = 128 + white(5)
    half[:200] = 255  # overexposed
    assert no_reference.noise_level(half) == pytest.approx(5, rel=0.1)
    assert no_reference.coarse_noise_level(half) == pytest.approx(5, rel=0.1)
    assert np.isnan(no_reference.noise_level(np.zeros((3, 9, 3))))
    assert np.isnan(no_reference.coarse_noise_level(np.zeros((7, 9, 3))))


def test_autocorrelation_is_that_of_a_fourier_transform():
    residual = np.add(uniform_filter(white(4, 31, 40), (3, 2, 1)), [1, 2, 3])
    values = no_reference.autocorrelation(residual)
    for channel, found in zip(np.moveaxis(residual, 2, 0), values, strict=True):
        centered = channel - channel.mean()
        power = np.abs(np.fft.fft2(centered, (62, 80))) ** 2
        every = np.fft.ifft2(power).real / np.square(centered).sum()
        expected = [every[down, right] for down, right in no_reference.lags()]
        np.testing.assert_allclose(found, expected, atol=1e-12)
    assert len(no_reference.lags()) == 24
    r = residual[..., 0] - residual[..., 0].mean()
    direct = sum(
        r[i, j] * r[i + 2, j - 1] for i in range(31) for j in range(40) if i + 2 < 31 and j >= 1
    )
    place = no_reference.lags().index((2, -1))
    assert values[0, place] == pytest.approx(direct / np.square(r).sum(), abs=1e-12)


def test_autocorrelation_of_known_residuals():
    board = np.indices((20, 30)).sum(0) % 2 * 2.0 - 1
    found = no_reference.autocorrelation(board[..., None], 1)[0]
    values = dict(zip(no_reference.lags(1), found, strict=True))
    assert values[0, 1] == pytest.approx(-20 * 29 / 600)
    assert values[1, -1] == values[1, 1] == pytest.approx(19 * 29 / 600)
    assert np.isnan(no_reference.correlated(np.full((9, 9, 3), 0.1)))
    assert np.isnan(no_reference.correlated(np.zeros((9, 9, 3))))
    # an image smaller than the lags
    assert no_reference.autocorrelation(white(1, 2, 2))[0, -1] == 0


@pytest.mark.parametrize("size", [(16, 24), (64, 64)])
def test_the_floor_is_the_autocorrelation_of_white_noise(size):
    floor = no_reference.autocorrelation_floor(*size)
    squares = [
        np.square(no_reference.autocorrelation(white(3, *size, seed=seed))).mean()
        for seed in range(60)
    ]
    assert np.sqrt(np.mean(squares)) == pytest.approx(floor, rel=0.05)
    assert floor == pytest.approx(1 / np.sqrt(size[0] * size[1]), rel=0.15)
    correlated = uniform_filter(white(3, *size), (3, 3, 1))
    assert no_reference.correlated(correlated) > 5 * floor


def test_correlation_with_detail():
    image = 128 + 20 * white(1, 64, 64, seed=1)
    detail = no_reference.detail(image)
    direct = np.pad(image, ((4, 4), (4, 4), (0, 0)), mode="symmetric")[10:19, 20:29].mean((0, 1))
    np.testing.assert_allclose(image[10, 20] - direct, detail[10, 20], atol=1e-10)
    assert no_reference.detail_correlation(3 * detail + 5, image) == pytest.approx(1)
    assert no_reference.detail_correlation(-detail, image) == pytest.approx(-1)
    other = white(9, 64, 64, seed=2)
    expected = np.mean(
        [np.corrcoef(other[..., c].ravel(), detail[..., c].ravel())[0, 1] for c in range(3)]
    )
    assert no_reference.detail_correlation(other, image) == pytest.approx(expected, abs=1e-12)
    assert abs(expected) < 4 / 64
    assert np.isnan(no_reference.detail_correlation(other, np.full((64, 64, 3), 9.0)))


def test_rms():
    assert no_reference.rms(np.array([[[3.0, -4.0, 0.0]]])) == pytest.approx(5 / np.sqrt(3))


def test_levels_of_photographs_track_the_true_noise():
    """The 15 photographs of CC, whose true noise is that against the mean of many exposures."""
    files = sorted(data_folder("cc").glob("*_real.png"))
    fine, coarse, true, correlated, detail = [], [], [], [], []
    for file in files:
        noisy, clean = (
            read_rgb(path) for path in (file, file.with_name(file.name.replace("real", "mean")))
        )
        noise = noisy.astype(float) - clean
        true.append(no_reference.rms(noise))
        correlated.append(no_reference.correlated(noise))
        detail.append(no_reference.detail_correlation(noise, clean))
        fine.append(no_reference.noise_level(noisy))
        coarse.append(no_reference.coarse_noise_level(noisy))
    shares = np.array([fine, coarse]) / true
    assert shares.mean(1) == pytest.approx([0.24, 0.87], abs=0.006)  # as the docstring has it
    assert np.mean(correlated) == pytest.approx(0.31, abs=0.005)  # as docstrings have it
    assert np.mean(detail) == pytest.approx(0.02, abs=0.005)
    assert shares[1].min() > 0.6 and shares[1].max() < 1.1
    assert np.corrcoef(coarse, true)[0, 1] > 0.85
