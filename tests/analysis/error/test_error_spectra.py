"""Gains by frequency: oracles in closed form, and an independent least-squares fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analysis.error import spectra


def images(count: int, side: int, seed: int) -> torch.Tensor:
    """Images with much power at low frequencies, as photographs have; (count, 3, side, side)."""
    rng = np.random.default_rng(seed)
    radius = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)) + 1 / side
    fields = np.fft.ifft2(np.fft.fft2(rng.normal(size=(count, 3, side, side))) / radius).real
    return torch.from_numpy(0.5 + 0.1 * fields / fields.std())


def noise(like: torch.Tensor, seed: int) -> torch.Tensor:
    return 0.1 * torch.randn(like.shape, generator=torch.Generator().manual_seed(seed)).double()


def circular_mean(x: torch.Tensor) -> torch.Tensor:
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1), mode="circular")
    return torch.nn.functional.avg_pool2d(padded, 3, stride=1)


def test_the_identity_has_gain_1():
    x = images(3, 48, 0)
    n = noise(x, 1)
    found = spectra.transfer(spectra.sums(x, n, x + n).sum(0).numpy())
    assert np.allclose(found.content_gain, 1, atol=1e-9)
    assert np.allclose(found.noise_gain, 1, atol=1e-9)
    assert np.abs(found.unexplained).max() < 1e-9


def test_a_mean_has_its_response_averaged_over_rings():
    side = 192
    x = images(4, side, 2)
    n = noise(x, 3)
    found = spectra.transfer(spectra.sums(x, n, circular_mean(x + n)).sum(0).numpy())
    one = np.fft.fftfreq(side)
    line = (1 + 2 * np.cos(2 * np.pi * one)) / 3
    response, radius = np.outer(line, line), np.hypot(one[:, None], one)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(side) / side)
    window = np.outer(hann, hann)
    window /= window.sum()

    def power(of: torch.Tensor) -> np.ndarray:
        centred = of.numpy() - (of.numpy() * window).sum((-2, -1), keepdims=True)
        return (np.abs(np.fft.fft2(centred * window)) ** 2).sum((0, 1))

    for gain, weights in ((found.content_gain, power(x)), (found.noise_gain, power(n))):
        for ring in range(spectra.RINGS):
            inside = (radius >= ring * 0.025) & (radius < (ring + 1) * 0.025) & (radius > 0)
            expected = abs(np.average(response[inside], weights=weights[inside]))
            assert gain[ring] == pytest.approx(expected, abs=0.005)


def test_gains_are_those_of_least_squares():
    x = images(2, 20, 4)
    n = noise(x, 5)
    f = torch.tanh(3 * (x + n)) + 0.2 * x.roll(1, -1)
    found = spectra.transfer(spectra.sums(x, n, f).sum(0).numpy())
    spectrum = [
        np.fft.fft2((i - (i * w).sum((-2, -1), keepdims=True)) * w)
        for w in [spectra.window(20, 20).numpy()]
        for i in (x.numpy(), n.numpy(), f.numpy())
    ]
    radius = np.hypot(np.fft.fftfreq(20)[:, None], np.fft.fftfreq(20))
    for ring in (4, 8, 19):
        inside = np.floor(radius / 0.025 + 1e-9) == ring
        a, b, c = (one[..., inside].ravel() for one in spectrum)
        gains, *_ = np.linalg.lstsq(np.stack([a, b], 1), c, rcond=None)
        rest = c - gains[0] * a - gains[1] * b
        assert found.content_gain[ring] == pytest.approx(abs(gains[0]), rel=1e-9)
        assert found.noise_gain[ring] == pytest.approx(abs(gains[1]), rel=1e-9)
        unexplained = np.vdot(rest, rest).real / np.vdot(c, c).real
        assert found.unexplained[ring] == pytest.approx(unexplained, abs=1e-9)


def test_odd_sides_and_single_images_are_only_more_terms():
    x = images(3, 33, 6)[..., :31]
    n = noise(x, 7)
    whole = spectra.sums(x, n, x - n)
    assert torch.allclose(whole[1:2], spectra.sums(x[1:2], n[1:2], (x - n)[1:2]))
    assert np.allclose(spectra.transfer(whole.sum(0).numpy()).noise_gain[1:], 1, atol=1e-9)


def test_without_noise_there_is_no_noise_gain():
    x = images(2, 32, 8)
    found = spectra.transfer(spectra.sums(x, torch.zeros_like(x), x / 2).sum(0).numpy())
    assert np.allclose(found.content_gain[1:], 0.5) and np.isnan(found.noise_gain).all()


def test_rings_without_frequencies_have_no_gain():
    x = images(1, 8, 9)
    found = spectra.transfer(spectra.sums(x, noise(x, 1), x).sum(0).numpy())
    assert np.isnan(found.content_gain[:4]).all() and np.isfinite(found.content_gain[5])


def test_the_cutoff_lies_between_rings():
    frequencies = np.array([0.1, 0.2, 0.3])
    gains = np.array([[1, 0.8, 0.4], [1, 1, 0.9], [0.2, 0.1, 0.1], [1, 0.3, 0.9]])
    found = spectra.cutoff(gains, frequencies, 0.6)
    assert found[[0, 2]] == pytest.approx([0.25, 0.1]) and np.isnan(found[1])
    assert np.isnan(found[3])
    notch = spectra.cutoff(np.array([1, 0.3, 0.9, 0.5]), np.array([0.1, 0.2, 0.3, 0.4]), 0.6)
    assert notch == pytest.approx(0.375)  # not where it is below for the first time
