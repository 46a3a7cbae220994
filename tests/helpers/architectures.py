"""A tiny network of every architecture of the package."""

from __future__ import annotations

import pytest
import torch

import mtd
from mtd.loading import checkpoint_file
from mtd.masking import MaskPolicy
from mtd.networks import registry
from mtd.networks.base import Denoiser
from mtd.networks.bf_densenet import BFDenseNetConfig
from mtd.networks.bf_dncnn import BFDnCNNConfig
from mtd.networks.bf_recurrent_cnn import BFRecurrentCNNConfig
from mtd.networks.bf_unet import BFUNetConfig
from mtd.networks.config import Config
from mtd.networks.dncnn import DnCNNConfig
from mtd.networks.ffdnet import FFDNetConfig
from mtd.networks.idf import IDFConfig
from mtd.networks.restormer import RestormerConfig
from mtd.networks.ridnet import RIDNetConfig
from mtd.networks.rnan import RNANConfig
from mtd.networks.swinir_layers import SwinIRConfig
from mtd.utils.errors import BadInput

TINY: dict[str, Config] = {
    "SwinIR": SwinIRConfig(embed_dim=8, depths=(1, 2), num_heads=(2, 4), mlp_hidden=6),
    "FFDNet": FFDNetConfig(features=8, depth=3),
    "DnCNN": DnCNNConfig(features=6, depth=4, batch_norm=True),
    "RIDNet": RIDNetConfig(features=8, blocks=2, reduction=4),
    "RNAN": RNANConfig(features=4, groups=1, inner=3),
    "Restormer": RestormerConfig(
        dim=4, num_blocks=(1, 2, 1, 1), refinement_blocks=1, heads=(1, 2, 2, 4), ffn_factor=1.5
    ),
    "BFDnCNN": BFDnCNNConfig(in_chans=3, features=6, depth=4),
    "BFRecurrentCNN": BFRecurrentCNNConfig(in_chans=3, features=6, hidden=1),
    "BFUNet": BFUNetConfig(in_chans=3, features=4),
    "BFDenseNet": BFDenseNetConfig(in_chans=3, features=6, hidden=2, stages=2),
    "IDF": IDFConfig(features=6),
}

NEEDED = {"FFDNet": {"sigma": 25.0}, "RNAN": {"value_range": 1.0}}
"""What some must be told, as `LoadOptions` has it, if the file has no metadata."""

X = torch.rand(2, 3, 12, 17, generator=torch.Generator().manual_seed(0))


def tiny(name: str, seed: int = 0, config: Config | None = None) -> Denoiser:
    """A small network of an architecture with weights that are all different."""
    stream = torch.Generator().manual_seed(seed)
    network = registry.build(config or TINY[name])
    network.initialize(stream)
    with torch.no_grad():
        for key, value in network.state_dict().items():
            if value.is_floating_point() and "mean." not in key:
                value += 0.05 * torch.randn(value.shape, generator=stream)
    return network.eval()


def saved(network: Denoiser, path, policy: MaskPolicy | None = None, **training):
    """A checkpoint of our own."""
    checkpoint_file.save(
        path,
        network.state_dict(),
        network=network.config,
        mask=policy or MaskPolicy(),
        training=training,
    )
    return path


def output(network, x=X):
    """Of a network on some images, told a noise level if it takes one and was not told."""
    told = network.takes_sigma and network.input_format.sigma in (None, "oracle")
    with torch.no_grad():
        return network(x, sigma=torch.full((len(x),), 25 / 255) if told else None)


def refused(path, **how) -> str:
    with pytest.raises(BadInput) as caught:
        mtd.load(path, **how)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    assert message.count(str(path)) == 1
    return message
