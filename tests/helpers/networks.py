"""A small SwinIR, a mask policy, and checkpoints of it."""

from __future__ import annotations

from pathlib import Path

import torch

from mtd.loading import checkpoint_file
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


def save_tiny(
    path: Path, seed: int = 0, config: SwinIRConfig = TINY, mask: MaskPolicy | None = None
) -> Path:
    """A checkpoint of a small network in a folder that is made; its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = tiny_network(seed, config).state_dict()
    checkpoint_file.save(path, weights, network=config, mask=mask or MaskPolicy())
    return path


def save_trainings(folder: Path, count: int, config: SwinIRConfig = TINY) -> str:
    """Checkpoints of several trainings of a small network; the pattern that matches them.

    Their weights are near each other, as those of trainings are.
    """
    for number in range(1, count + 1):
        network, other = tiny_network(0, config), tiny_network(number, config)
        with torch.no_grad():
            for own, step in zip(network.parameters(), other.parameters(), strict=True):
                own += 0.2 * step
        path = folder / f"b{number}" / "model.pth"
        path.parent.mkdir(parents=True, exist_ok=True)
        weights = network.state_dict()
        checkpoint_file.save(path, weights, network=config, mask=MaskPolicy())
    return str(folder / "b*" / "model.pth")
