"""Models that are no files: their names, their origin, and filters measured on other models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import mtd
from mtd import denoise, models
from mtd.data import image_io
from mtd.data.crops import crops, to_tensor
from mtd.data.image_io import ImageFile
from mtd.data.photographs import photographs
from mtd.loading import checkpoint_file, classical, content_gain
from mtd.masking import MaskPolicy
from mtd.networks import external
from mtd.networks.base import Denoiser
from mtd.networks.fixed_filter import FixedFilterConfig
from mtd.noise import parse
from mtd.noise.base import pair_keyed
from mtd.utils.errors import BadInput
from tests.helpers.images import noise
from tests.helpers.networks import TINY, tiny_network

Call = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    "spec, message",
    [
        ("classical:blurr:1", "no classical denoiser 'blurr'; did you mean blur?"),
        ("classical:", "no classical denoiser ''; known: blur, median, nlm, tv, wavelet"),
        ("classical:blur", "expected classical:blur:SIGMA, in pixels above 0 and up to 100, such"),
        ("classical:blur:0", "expected classical:blur:SIGMA"),
        ("classical:blur:-1", "expected classical:blur:SIGMA"),
        ("classical:blur:nan", "expected classical:blur:SIGMA"),
        ("classical:blur:1e9", "expected classical:blur:SIGMA"),
        ("classical:blur:1:2", "expected classical:blur:SIGMA"),
        ("classical:median:4", "expected classical:median:SIZE, an odd number of pixels, such"),
        ("classical:median:1", "expected classical:median:SIZE"),
        ("classical:median:3.5", "expected classical:median:SIZE"),
        ("classical:tv:0.1", "expected classical:tv"),
        ("filter:", "expected filter:MODEL, such as filter:masked.pth"),
        ("filter:classical:blur:1", "what the model was trained on is not recorded; give it, as in "
         "filter:classical:blur:1@gaussian:15"),
    ],
)  # fmt: skip
def test_wrong_names(spec: str, message: str) -> None:
    with pytest.raises(BadInput) as error:
        mtd.load(spec)
    assert str(error.value).startswith(f"{spec}: {message}") and "\n" not in str(error.value)


def test_a_filter_of_no_file_and_of_no_noise() -> None:
    with pytest.raises(BadInput, match=r"^nothing.pth: no such file"):
        mtd.load("filter:nothing.pth")
    with pytest.raises(BadInput, match=r"^noise 'gaussian': expected gaussian:LEVEL"):
        mtd.load("filter:classical:blur:1@gaussian")


def test_options_that_are_about_files() -> None:
    with pytest.raises(BadInput, match=r"^classical:blur:1: residual is for the networks of files"):
        mtd.load("classical:blur:1", residual="minus")


def test_without_pywavelets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"^classical:nlm: .* PyWavelets, .* pip install PyWavelets"):
        mtd.load("classical:nlm")
    assert mtd.load("classical:blur:1").source["architecture"] == "Classical"


def test_a_file_of_such_a_name_is_not_looked_up(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    Path("classical:blur:1").write_bytes(b"no checkpoint")
    assert mtd.load("classical:blur:1").source["path"] == "classical:blur:1"


def test_the_origin_tells_any_two_apart() -> None:
    specs = ["classical:blur:0.9", "classical:blur:0.7", "classical:median:3"]
    specs += [f"filter:{spec}@gaussian:15" for spec in specs]
    sources = [mtd.load(spec).source for spec in specs]
    for name in ("sha256", "weights_sha256"):
        assert len({source[name] for source in sources}) == len(specs)
    again = mtd.load("filter:classical:median:3@gaussian:15").source
    assert again == sources[-1]
    assert again["filter"]["noise"] == ["gaussian:15"] and again["filter"]["crops"] == 16
    assert again["filter"]["photographs"] == ["astronaut", "chelsea", "coffee", "rocket"]
    assert len(again["filter"]["gains"]) == len(again["filter"]["frequencies"]) > 40


@pytest.mark.parametrize("sigma", [0.9, 1.5])
def test_the_filter_of_a_blur_is_that_blur(sigma: float) -> None:
    spec = f"classical:blur:{sigma}"
    blur, filtered = mtd.load(spec), mtd.load(f"filter:{spec}@gaussian:15")
    batch = to_tensor([crop.pixels for crop in crops(photographs(), 100, 8, "center")]).double()
    difference = filtered(batch) - blur(batch)
    assert difference.abs().max() < 0.003 and difference.square().mean().sqrt() < 0.0005
    assert (blur(batch) - batch).square().mean().sqrt() > 0.01
    config = filtered.config
    assert isinstance(config, FixedFilterConfig)
    exact = np.exp(-2 * (np.pi * sigma * np.array(config.frequencies)) ** 2)
    assert np.abs(config.gains - exact).max() < 0.008


def least_squares(network: Denoiser, spec: str, band: tuple[float, float]) -> float:
    """The content gain in a band by `lstsq` over complex Fourier coefficients of mirrored crops."""
    unknown, known = [], []
    for crop in content_gain.cropped(photographs()):
        clean = to_tensor([crop.pixels])
        noisy, _ = pair_keyed(parse(spec), clean, [crop.digest])
        with torch.no_grad():
            images = [clean, noisy - clean, network(noisy)]
        parts = []
        for image in images:
            tall = torch.cat([image, image.flip(-2)], -2)
            whole = torch.cat([tall, tall.flip(-1)], -1).double().numpy()[0]
            parts.append(np.fft.fft2(whole))
        rows, columns = (np.fft.fftfreq(side) for side in parts[0].shape[-2:])
        radius = np.hypot(rows[:, None], columns)
        inside = (radius >= band[0]) & (radius < band[1])
        x, n, f = (part[:, inside].ravel() for part in parts)
        unknown.append(np.stack([x, n], 1))
        known.append(f)
    gains = np.linalg.lstsq(np.concatenate(unknown), np.concatenate(known), rcond=None)[0]
    assert abs(gains.imag).max() < 1e-6
    return float(gains[0].real)


def test_content_gain_against_least_squares_on_complex_spectra() -> None:
    torch.manual_seed(0)
    network = external.wrap(nn.Sequential(nn.Conv2d(3, 3, 5, padding=2), nn.Tanh()))
    config = content_gain.content_gain(network, [parse("poisson:3.5")])
    for place in (2, 9, 33):
        low = (place - 1) * content_gain.WIDTH
        expected = least_squares(network, "poisson:3.5", (low, low + content_gain.WIDTH))
        assert low <= config.frequencies[place] < low + content_gain.WIDTH
        assert config.gains[place] == pytest.approx(expected, abs=0.00011)


class Half(nn.Module):
    """Half of its input."""

    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * x


@pytest.mark.parametrize("spec", ["gaussian:15", "gaussian:0", "isp"])
def test_the_gains_of_the_half(spec: str) -> None:
    config = content_gain.content_gain(external.wrap(Half()), [parse(spec)])
    assert config.frequencies[0] == 0 and set(config.gains) == {0.5}


def test_what_a_checkpoint_was_trained_on(tmp_path: Path) -> None:
    def saved(training: dict[str, Any]) -> str:
        path, weights = tmp_path / "tiny.pth", tiny_network(0).state_dict()
        checkpoint_file.save(path, weights, network=TINY, mask=MaskPolicy(), training=training)
        return f"filter:{path}"

    name = saved({"noise": "gaussian:25"})
    assert mtd.load(name).source["filter"]["noise"] == ["gaussian:25"]
    assert mtd.load(f"{name}@poisson:3@1").source["filter"]["noise"] == ["poisson:3@1"]
    with pytest.raises(
        BadInput, match=r"trained on gaussian:0..55, which is no single noise; give"
    ):
        mtd.load(saved({"noise": "gaussian:0..55"}))
    with pytest.raises(BadInput, match="what the model was trained on is not recorded"):
        mtd.load(saved({}))


def test_an_at_sign_of_a_path() -> None:
    assert classical.filter_spec("filter:a@b/c.pth") == ("a@b/c.pth", "")
    assert classical.filter_spec("filter:a@b/c.pth@isp,shot=0.1") == ("a@b/c.pth", "isp,shot=0.1")


def test_commands(in_process: Call, tmp_path: Path) -> None:
    pixels = noise(3, np.uint8, 20, 31)
    image_io.write(tmp_path / "a.png", ImageFile(pixels))
    out = str(tmp_path / "b.png")
    code, _, err = in_process(denoise.main, "classical:median:3", str(tmp_path / "a.png"), out)
    assert code == 0, err
    from scipy.ndimage import median_filter

    written = image_io.read_image(Path(out)).pixels
    assert np.array_equal(written, median_filter(pixels, (3, 3, 1), mode="reflect"))
    code, _, err = in_process(denoise.main, "classical:median:2", str(tmp_path / "a.png"), out)
    assert code == 2 and err.startswith("error: classical:median:2: expected classical:median:SIZE")
    code, text, err = in_process(models.main, "classical:blur:0.9", "filter:classical:blur:1@isp")
    assert code == 0, err
    assert "sees 4 pixels to each side" in text and "sees the whole image" in text
    assert "a classical denoiser" in text and "the fixed linear filter of classical:blur:1" in text
