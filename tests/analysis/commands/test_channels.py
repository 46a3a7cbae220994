"""Whether a run is on color or grayscale images, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import analysis
import mtd
from analysis.commands.channels import channels_of, possible
from analysis.commands.modules import from_pixels
from mtd.data.grayscale import grayscale
from mtd.networks import external
from mtd.noise import parse
from mtd.noise.mixture import Mixture
from mtd.utils.errors import BadInput
from tests.helpers.grayscale import save_gray

GRAY, COLOR, CLASSICAL = "gray.pth", "color.pth", "classical:median:3"


@pytest.fixture
def models(tiny_pair, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_gray(tmp_path / GRAY)

    def load(name, **how):
        return mtd.load(tiny_pair / "plain.pth" if name == COLOR else name, **how)

    return load


def test_networks_decide(models):
    gray, color, classical = map(models, (GRAY, COLOR, CLASSICAL))
    each = models(GRAY, per_channel=True)
    assert channels_of({"a": gray}) == channels_of({"a": gray, "b": classical}) == 1
    assert channels_of({"a": color}) == channels_of({"a": color, "b": classical}) == 3
    assert channels_of({"a": classical}) == channels_of({}) == 3
    assert channels_of({"a": each}) == channels_of({"a": each, "b": color}) == 3
    own = external.wrap(nn.Conv2d(1, 1, 3, padding=1))
    assert channels_of({"a": own, "b": gray}) == 1


def test_color_and_grayscale_do_not_mix(models):
    gray, color = map(models, (GRAY, COLOR))
    for mixed in ({"g": gray, "c": color}, {"c": color, "g": gray}):
        with pytest.raises(BadInput, match=r"^g takes 1 channel, c 3; .* --grayscale per-channel"):
            channels_of(mixed)
    with pytest.raises(BadInput, match="two: takes 2 channels; expected 3, color, or 1"):
        two = mtd.networks.dncnn.DnCNN(mtd.networks.dncnn.DnCNNConfig(2, features=2, depth=2))
        channels_of({"two": two})


def test_noises_that_need_color(models):
    noises = [parse(spec) for spec in ("gaussian:15", "isp", "gaussian:=isp", "mixture:1")]
    assert not Mixture.needs_color and noises[2].needs_color
    assert possible(noises, 3) == (noises, ())
    kept, left_out = possible(noises, 1, ["isp", "gaussian:=isp"])
    assert [noise.spec for noise in kept] == ["gaussian:15", "mixture:1"]
    assert left_out[0] == "left out noise isp: it needs color images"
    with pytest.raises(BadInput, match=r"^noise isp: it needs color images, and the networks take"):
        possible(noises, 1)
    with pytest.raises(BadInput, match="1-channel images; it needs color"):
        noises[1].sample(torch.zeros(1, 1, 8, 8), torch.Generator())


def test_arrays_and_tensors_of_one_channel():
    levels = np.random.default_rng(0).integers(0, 256, (9, 7, 1), dtype=np.uint8)
    tensor = torch.from_numpy(levels).permute(2, 0, 1)
    for image in (levels, levels[..., 0], tensor, tensor[0], tensor.double() / 255):
        pixels = from_pixels("image", image).load()
        assert pixels.shape == (9, 7, 3) and (grayscale(pixels) == levels).all()
    with pytest.raises(BadInput, match=r"shape \(9, 7, 2\); expected \(H, W, 3\), or 1 in place"):
        from_pixels("image", np.zeros((9, 7, 2), np.uint8))


def test_python_takes_batches_of_one_channel():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1))
    images = torch.rand(3, 1, 24, 24)
    found = analysis.generalization.benchmark(
        network, noises=["gaussian:15"], images=images, crop=16, limit=3, lpips=False
    )
    assert found.manifest["channels"] == 1 and found.manifest["channel"] == "gray"
    assert set(found.results.channel) == {"gray"}
    with pytest.raises(BadInput, match=r"luma .--channel y.*: the images are grayscale"):
        analysis.generalization.benchmark(
            network, noises=["gaussian:15"], images=images, crop=16, channel="y"
        )
    with pytest.raises(BadInput, match=r"^noise isp: it needs color"):
        analysis.cka.compare(network, noises=["isp"], images=images, crop=16)
