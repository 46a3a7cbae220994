"""DnCNN: the published outputs, detection from tensors, and stacks that only look like one."""

from __future__ import annotations

import pytest
import torch

import mtd
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.metrics.psnr_ssim import psnr
from mtd.networks.dncnn import DnCNN, DnCNNConfig, detect
from mtd.networks.ffdnet import FFDNet
from mtd.noise import specs as noise_specs
from mtd.utils.errors import BadInput
from tests.helpers.golden_files import golden, golden_weights
from tests.helpers.noises import add_keyed
from tests.helpers.paths import data_folder

CONFIGS = {
    "dncnn_color_blind": DnCNNConfig(),
    "dncnn_batchnorm": DnCNNConfig(depth=17, batch_norm=True),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_published_outputs(name):
    meta, arrays = golden(name)
    network = DnCNN(CONFIGS[name]).double().eval()
    assert sum(p.numel() for p in network.parameters()) == meta["parameters"]
    network.load_state_dict(golden_weights(meta))
    x, expected = (torch.from_numpy(arrays[key]) for key in ("input", "output"))
    with torch.no_grad():
        assert (network(x) - expected).abs().max() < 1e-9
        assert (network.float()(x.float()) - expected).abs().max() < 1e-4


@pytest.mark.parametrize(
    "config",
    [
        *CONFIGS.values(),
        DnCNNConfig(in_chans=1, features=8, depth=5, batch_norm=True, bias=False),
        DnCNNConfig(features=4, depth=2),
    ],
)
@pytest.mark.parametrize("prefix", ["", "module.", "netG.module."])
def test_built_saved_loaded_is_the_same(tmp_path, config, prefix):
    torch.manual_seed(0)
    network = DnCNN(config).eval()
    weights = {prefix + key: value for key, value in network.state_dict().items()}
    torch.save({"params": weights}, tmp_path / "a.pth")
    loaded = mtd.load(tmp_path / "a.pth")
    x = torch.rand(2, config.in_chans, 9, 11)
    assert loaded.config == config and torch.equal(loaded(x, [0, 1]), network(x))
    assert loaded.source["policy_source"] == "no attention masks in this architecture"


def test_a_pixel_depends_on_depth_pixels_to_each_side():
    torch.manual_seed(0)
    network = DnCNN(DnCNNConfig(features=8, depth=4)).double().eval()
    x = torch.rand(1, 3, 21, 21, dtype=torch.float64, requires_grad=True)
    network(x)[0, :, 10, 10].sum().backward()
    reached = x.grad[0].abs().sum(0).nonzero() - 10
    assert reached.abs().max() == 4


def test_published_checkpoint_by_detection():
    path = data_folder("checkpoints") / "dncnn_color_blind.pth"
    network = mtd.load(path)
    assert isinstance(network, DnCNN) and network.config == DnCNNConfig()


def test_ffdnet_is_not_a_twelve_channel_dncnn():
    network = mtd.load(data_folder("checkpoints") / "ffdnet_color.pth", sigma=25)
    assert isinstance(network, FFDNet)
    other = {f"model.{i}.weight": torch.zeros(8, 8, 3, 3) for i in (2, 4)}
    other |= {"model.0.weight": torch.zeros(8, 4, 3, 3)}
    with pytest.raises(BadInput, match=r"from 4 to 8 channels; a DnCNN has as many"):
        detect(other)


def test_no_size_below_the_least():
    with pytest.raises(BadInput, match="depth 1: expected 1, 1 and 2 or more"):
        DnCNNConfig(depth=1).check()


@pytest.mark.slow
@pytest.mark.parametrize(
    "sigma, quantize, expected",
    [
        *((15, False, 33.88), (25, False, 31.22), (50, False, 27.92)),
        *((15, True, 33.61), (25, True, 30.70), (50, True, 26.52)),
    ],
)
def test_the_readmes_psnr_on_cbsd68(sigma, quantize, expected):
    """The published 33.9 / 31.2 / 28.0 dB are of noise that is neither clipped nor rounded."""
    network = mtd.load(data_folder("checkpoints") / "dncnn_color_blind.pth")
    made, values = noise_specs.parse(f"gaussian:{sigma}"), []
    for crop in data_crops.whole(photographs.photographs(data_folder("cbsd68"))):
        clean = data_crops.to_tensor([crop.pixels])
        noisy = add_keyed(made, clean, [crop.digest], quantize=quantize)
        with torch.no_grad():
            values.append(float(psnr(network(noisy), clean)))
    assert len(values) == 68
    assert sum(values) / 68 == pytest.approx(expected, abs=0.006)
