"""Classical denoisers and fixed filters against SciPy and scikit-image, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

import mtd
from mtd.data.crops import crops, to_tensor
from mtd.data.photographs import photographs
from mtd.inference.forward import denoise
from mtd.metrics.psnr_ssim import psnr
from mtd.networks.base import Denoiser
from mtd.networks.classical import Image, noise_level
from mtd.networks.fixed_filter import FixedFilter, FixedFilterConfig
from mtd.noise import parse
from mtd.noise.base import pair_keyed
from tests.helpers.paths import data_folder


def images(count: int = 2, height: int = 37, width: int = 50) -> Tensor:
    """Smooth images with white noise of 15 levels, beyond [0, 1] in places, in float64."""
    stream = np.random.default_rng(1)
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows / (3 + i)) * np.cos(columns / (4 + i)) for i in range(3 * count)]
    clean = 0.5 + 0.5 * np.reshape(waves, (count, 3, height, width))
    return torch.from_numpy(clean + stream.normal(0, 15 / 255, clean.shape))


def each(network: Denoiser, batch: Tensor) -> list[Image]:
    """A network's outputs, (H, W, 3)."""
    with torch.no_grad():
        return list(network(batch).permute(0, 2, 3, 1).numpy())


@pytest.mark.parametrize("sigma", [0.3, 0.9, 2.5, 40])
def test_blur_is_that_of_scipy(sigma: float) -> None:
    network, batch = mtd.load(f"classical:blur:{sigma}"), images()
    for output, image in zip(each(network, batch), batch.numpy(), strict=True):
        for i in range(3):
            channel = ndimage.gaussian_filter(image[i], sigma, mode="reflect")
            assert np.array_equal(output[..., i], channel)


@pytest.mark.parametrize("size", [3, 7])
def test_median_is_that_of_scipy(size: int) -> None:
    network, batch = mtd.load(f"classical:median:{size}"), images()
    for output, image in zip(each(network, batch), batch.numpy(), strict=True):
        for i in range(3):
            channel = ndimage.median_filter(image[i], size=size, mode="reflect")
            assert np.array_equal(output[..., i], channel)


def test_float32_is_filtered_in_float64_and_rounded_once() -> None:
    network, batch = mtd.load("classical:blur:0.9"), images().float()
    with torch.no_grad():
        output = network(batch)
    exact = ndimage.gaussian_filter(batch.double().numpy(), (0, 0, 0.9, 0.9), mode="reflect")
    assert output.dtype == torch.float32
    assert torch.equal(output, torch.from_numpy(exact).float())


@pytest.mark.parametrize("spec", ["classical:blur:0.9", "classical:median:5"])
def test_reach_is_that_of_the_output(spec: str) -> None:
    network = mtd.load(spec)
    batch = images(1, 41, 41)
    changed = batch.clone()
    changed[..., 20, 20] += 100  # a lone pixel moves a median by a rank
    with torch.no_grad():
        rows, columns = (network(changed) != network(batch)).any(1)[0].nonzero(as_tuple=True)
    assert network.reach is not None
    reached = max((rows - 20).abs().max(), (columns - 20).abs().max())
    assert reached == network.reach if "blur" in spec else 0 < reached <= network.reach


def test_tiles_give_the_whole_image() -> None:
    network, batch = mtd.load("classical:blur:0.9"), images(1, 150, 90)
    whole = denoise(network, batch, tile="off")
    assert torch.allclose(denoise(network, batch, tile=48), whole, atol=1e-12)


@pytest.mark.parametrize("kind", ["nlm", "tv", "wavelet"])
def test_scikit_image_with_its_own_noise_level(kind: str) -> None:
    pytest.importorskip("pywt")
    from skimage import restoration

    batch = images()
    for output, image in zip(each(mtd.load(f"classical:{kind}"), batch), batch, strict=True):
        given = image.permute(1, 2, 0).numpy()
        sigma = restoration.estimate_sigma(given, channel_axis=-1, average_sigmas=True)
        assert noise_level(given) == pytest.approx(sigma, rel=1e-14)
        assert 10 / 255 < sigma < 20 / 255
        if kind == "nlm":
            expected = restoration.denoise_nl_means(
                given, 5, 6, 0.6 * sigma, True, sigma, channel_axis=-1
            )
        elif kind == "tv":
            expected = restoration.denoise_tv_chambolle(given, weight=sigma, channel_axis=-1)
        else:
            expected = restoration.denoise_wavelet(
                given, sigma, convert2ycbcr=True, channel_axis=-1, method="BayesShrink"
            )
        assert np.allclose(output, expected, rtol=0, atol=1e-12)
        assert not np.allclose(output, given, atol=0.02)


@pytest.mark.parametrize("kind", ["nlm", "tv", "wavelet"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (9, 9)])
def test_images_without_noise_stay_as_they_are(kind: str, shape: tuple[int, int]) -> None:
    pytest.importorskip("pywt")
    flat = torch.full((1, 3, *shape), 0.25, dtype=torch.float64)
    assert torch.equal(mtd.load(f"classical:{kind}")(flat), flat)


def test_one_flat_channel_does_not_hide_the_noise_of_the_others() -> None:
    pytest.importorskip("pywt")
    image = images(1)[0].permute(1, 2, 0).numpy()
    both = noise_level(np.ascontiguousarray(image[..., :2]))
    image[..., 2] = 0
    assert noise_level(image) == pytest.approx(both, rel=1e-12)


def test_no_gradient() -> None:
    with pytest.raises(ValueError, match=r"^classical:blur:1 has no gradient: leave it out$"):
        mtd.load("classical:blur:1")(images().requires_grad_())


def mirrored(image: Image, gain: Image) -> Image:
    """A channel mirrored at its borders, its Fourier coefficients times gains, by a complex FFT."""
    both = np.concatenate([image, image[::-1]])
    whole = np.concatenate([both, both[:, ::-1]], axis=1)
    result = np.fft.ifft2(np.fft.fft2(whole) * gain)
    assert np.abs(result.imag).max() < 1e-12
    return np.asarray(result.real[: image.shape[0], : image.shape[1]])


def test_fixed_filter_against_a_fourier_transform_of_the_mirrored_image() -> None:
    batch = images(2, 17, 24)
    config = FixedFilterConfig(frequencies=(0.0, 0.1, 0.3, 0.6), gains=(1.02, 0.9, 0.3, -0.1))
    outputs = each(FixedFilter("filter:a", config), batch)
    rows, columns = np.fft.fftfreq(34), np.fft.fftfreq(48)
    gain = np.interp(np.hypot(rows[:, None], columns), config.frequencies, config.gains)
    for output, image in zip(outputs, batch.numpy(), strict=True):
        for i in range(3):
            assert np.allclose(output[..., i], mirrored(image[i], gain), rtol=0, atol=1e-12)


def test_psnr_on_crops_of_kodak24() -> None:
    """Measured before with other code: blur 0.9 27.44 dB, blur 0.7 28.24, median 26.84."""
    chosen = photographs(data_folder("kodak24"))[::2]
    cut = crops(chosen, 192, 12, "center")
    clean, keys = to_tensor([crop.pixels for crop in cut]), [crop.digest for crop in cut]
    noisy, target = pair_keyed(parse("gaussian:15"), clean, keys)
    with torch.no_grad():
        found = {
            spec: float(psnr(mtd.load(f"classical:{spec}")(noisy), target).mean())
            for spec in ("blur:0.9", "blur:0.7", "median:3")
        }
    expected = {"blur:0.9": 27.44, "blur:0.7": 28.24, "median:3": 26.84}
    assert found == pytest.approx(expected, abs=0.02)


def test_grayscale_images_are_denoised_as_scipy_and_scikit_image_denoise_them() -> None:
    restoration = pytest.importorskip("skimage.restoration")
    image = images(1)[:, :1]
    plain = image[0, 0].numpy()
    level = noise_level(plain[..., None])
    expected = {
        "blur:0.9": ndimage.gaussian_filter(plain, 0.9, mode="reflect"),
        "median:3": ndimage.median_filter(plain, size=3, mode="reflect"),
        "nlm": restoration.denoise_nl_means(
            plain, patch_size=5, patch_distance=6, h=0.6 * level, sigma=level, fast_mode=True
        ),
        "tv": restoration.denoise_tv_chambolle(plain, weight=level),
        "wavelet": restoration.denoise_wavelet(
            plain, sigma=level, method="BayesShrink", mode="soft", rescale_sigma=True
        ),
    }
    for kind, output in expected.items():
        network = mtd.load(f"classical:{kind}")
        assert network.channels is None
        found = network(image)
        assert found.shape == image.shape
        np.testing.assert_allclose(found[0, 0].numpy(), output, rtol=0, atol=1e-12)


def test_a_blur_of_three_equal_channels_is_that_of_one() -> None:
    image = images(1)[:, :1]
    for kind in ("blur:0.9", "median:3"):
        network = mtd.load(f"classical:{kind}")
        repeated = network(image.expand(-1, 3, -1, -1))
        assert torch.equal(repeated, network(image).expand(-1, 3, -1, -1))


def test_a_fixed_filter_is_computed_in_float64_wherever_networks_are() -> None:
    """MPS has no float64, and refuses buffers of it."""
    model = FixedFilter("filter:a", FixedFilterConfig(gains=(0.5,)))
    same = model.to("meta", torch.float32)
    assert same.gains.dtype == torch.float64 and same.gains.device.type == "cpu"
