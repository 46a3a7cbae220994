"""The self-test: networks that need another way of calling are found, others are left alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import mtd
from mtd.inference import self_test as module
from mtd.inference.self_test import SelfTest, self_test
from mtd.networks import external
from mtd.networks.base import Denoiser
from mtd.networks.dncnn import DnCNN, DnCNNConfig
from mtd.networks.input_format import InputFormat
from mtd.utils.errors import BadInput
from tests.helpers.architectures import tiny

SMALL = 1e9  # multiply-adds per pixel, with which the crops are the smallest


class Disguised(nn.Module):
    """The bundled baseline as a network in another format, which spoils its input."""

    def __init__(self, how: InputFormat) -> None:
        super().__init__()
        self.network, self.how = mtd.load("baseline.pth"), how

    def forward(self, z: Tensor) -> Tensor:
        how = self.how
        x = (z.flip(1) if how.bgr else z) / how.value_range
        y = self.network(x)
        returned = {"none": y, "minus": x - y, "plus": y - x, "flip": 2 * x - y}[how.residual]
        z.zero_()
        returned = returned * how.value_range
        return returned.flip(1) if how.bgr else returned


def outcome(network: nn.Module) -> SelfTest:
    model = network if isinstance(network, Denoiser) else external.wrap(network)
    before = model.input_format
    found = self_test(model, SMALL)
    assert model.input_format is before
    return found


@pytest.fixture(scope="module")
def right() -> SelfTest:
    return outcome(mtd.load("baseline.pth"))


@pytest.mark.parametrize(
    "how, options",
    [
        (InputFormat(), ""),
        # slow: what the last case finds together with others
        pytest.param(InputFormat(residual="minus"), "--residual minus", marks=pytest.mark.slow),
        (InputFormat(residual="plus"), "--residual plus"),
        (InputFormat(residual="flip"), "--residual flip"),
        pytest.param(InputFormat(255), "--value-range 255", marks=pytest.mark.slow),
        (InputFormat(bgr=True), "--channel-order bgr"),
        (
            InputFormat(255, bgr=True, residual="minus"),
            "--residual minus --channel-order bgr --value-range 255",
        ),
    ],
)
def test_the_format_of_a_network_is_found(how, options, right):
    found = outcome(Disguised(how))
    assert found.noisy.equal(right.noisy)
    if not options:
        assert found.warning() == "" and torch.allclose(found.chosen.psnr, right.chosen.psnr)
        return
    better = found.better()
    assert " ".join(better.options(found.own)) == options
    assert better.mean == pytest.approx(right.chosen.mean, abs=0.01)
    scores = f"{better.mean:.2f} dB, not {found.chosen.mean:.2f}"
    assert found.warning() == f"{options} is better: {scores}"
    # called so, it is right
    model = external.wrap(Disguised(how))
    model.input_format = how
    again = outcome(model)
    assert again.warning() == ""
    assert again.chosen.mean == pytest.approx(right.chosen.mean, abs=0.01)


def test_values_by_definition(right):
    """PSNR of the crops, from their pixels; the noise is neither clipped nor rounded."""
    import skimage.data

    network, found = mtd.load("baseline.pth"), []
    for name in right.images:
        pixels = getattr(skimage.data, name)()
        top, left = ((side - 48) // 2 for side in pixels.shape[:2])
        clean = pixels[top : top + 48, left : left + 48].astype(np.float64)
        assert clean.shape == (48, 48, 3)
        found.append(clean)
    clean = np.stack(found).transpose(0, 3, 1, 2)
    noisy = clean + 15 * np.random.default_rng(0).standard_normal(clean.shape)
    with torch.no_grad():
        output = network(torch.from_numpy(noisy / 255).float()).numpy() * 255

    def score(image):
        error = np.clip(image, 0, 255).round() - clean
        return 10 * np.log10(255**2 / (error**2).mean((1, 2, 3)))

    # other random numbers of the same distribution
    assert np.abs(score(noisy) - right.noisy.numpy()).max() < 0.3
    assert np.abs(score(output) - right.chosen.psnr.numpy()).max() < 0.6
    assert right.chosen.mean - right.noisy.mean() > 5
    again = outcome(network)  # with the same noise
    assert again.noisy.equal(right.noisy)
    for one, other in zip(again.choices, right.choices, strict=True):
        assert one.how == other.how and torch.allclose(one.psnr, other.psnr, atol=1e-4)


def test_the_crops_fit_the_cost_of_the_network():
    network = DnCNN(DnCNNConfig(features=2, depth=2)).eval()
    assert [self_test(network, macs).side for macs in (0, 5e5, 1e9)] == [96, 64, 48]


def test_no_choice_denoises():
    found = outcome(tiny("DnCNN"))
    assert found.better() is None and found.warning().startswith("no choice gains 1 dB: ")
    # nor does one that leaves the noise as it is, whose choices are alike
    found = outcome(nn.Identity())
    assert found.better() is None and found.warning().startswith("no choice gains 1 dB: ")


class Blur(nn.Module):
    """A denoiser of any number of channels, which notes the noise levels it is told."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels, self.levels = channels, list[float]()

    def forward(self, x: Tensor, sigma: Tensor | None = None) -> Tensor:
        assert x.shape[1] == self.channels
        if sigma is not None:
            self.levels.append(round(float(sigma.flatten()[0]), 6))
        weight = torch.tensor([1.0, 2.0, 1.0])
        kernel = (weight[:, None] * weight / 16).expand(self.channels, 1, 3, 3)
        padded = torch.nn.functional.pad(x, (1, 1, 1, 1), mode="replicate")
        return torch.nn.functional.conv2d(padded, kernel, groups=self.channels)


def test_a_grayscale_network_is_called_for_each_channel():
    gray, color = outcome(Blur(1)), outcome(Blur(3))
    assert len(gray.choices) == 8 and len(color.choices) == 16
    assert {choice.how.bgr for choice in gray.choices} == {False}
    assert torch.allclose(gray.chosen.psnr, color.chosen.psnr)
    assert gray.warning() == color.warning() == ""
    assert [name for name in module.lines(gray.to_dict()) if ", 0 to" in name] == [
        "grayscale, 0 to 1",
        "grayscale, 0 to 255",
    ]
    with pytest.raises(BadInput, match="takes 4 channels"):
        self_test(DnCNN(DnCNNConfig(in_chans=4, features=2, depth=2)))


def test_a_noise_conditional_network_is_told_the_level():
    blur = Blur(3)
    model = external.wrap(blur, sigma=True)
    model.input_format = InputFormat(sigma="oracle")
    blur.levels.clear()
    found = outcome(model)
    assert found.warning() == "" and set(blur.levels) == {round(15 / 255, 6), 15.0}


def test_outputs_that_are_not_finite_are_no_choice():
    class Broken(Blur):
        def forward(self, x, sigma=None):
            return super().forward(x) if x.max() > 2 else x * torch.nan

    found = outcome(Broken(3))
    assert found.warning().startswith("--value-range 255 is better: ")
    told = found.to_dict()
    assert told["denoised"] is None and told["choices"][0]["psnr"] is None
    assert module.lines(told)["self-test"].endswith("denoised none dB")
