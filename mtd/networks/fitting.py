"""Whether weights are those of a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn

from mtd.networks.config import Config, Weights

SHARED = 64
"""Layers of a network that have no tensors of their own, at most."""

Hyper = TypeVar("Hyper", bound=Config)

COUNTER = "num_batches_tracked"
"""End of the keys of batch normalization's counts, which older files do not have."""


def if_it_fits(
    config: Hyper, build: Callable[[Hyper], nn.Module], weights: Weights
) -> Hyper | None:
    """Hyper-parameters, if weights are those of their network by keys and shapes; None otherwise.

    Args:
        config: hyper-parameters.
        build: makes their network.
        weights: a state dict.
    """
    if config.layers > len(weights) + SHARED:
        return None
    with torch.device("meta"):
        own = build(config).state_dict()
    return config if _shapes(own) == _shapes(weights) else None


def _shapes(weights: Weights) -> dict[str, torch.Size]:
    return {key: value.shape for key, value in weights.items() if not key.endswith(COUNTER)}
