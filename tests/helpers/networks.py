"""A small SwinIR and a mask policy."""

from __future__ import annotations

import torch

from mtd.masking import MaskPolicy
from mtd.networks.swinir import SwinIR
from mtd.networks.swinir_layers import SwinIRConfig

TINY = SwinIRConfig(embed_dim=12, depths=(2, 2), num_heads=(2, 2), mlp_hidden=16)

MASKED = MaskPolicy((75, 85), "pixel", 75, "always")


def tiny_network(seed: int = 0, config: SwinIRConfig = TINY) -> SwinIR:
    """A small network with random weights, large enough for its layers to differ."""
    network = SwinIR(config)
    stream = torch.Generator().manual_seed(seed)
    network.initialize(stream)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=stream)
    return network.eval()
