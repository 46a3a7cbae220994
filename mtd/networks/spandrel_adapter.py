"""Architectures of spandrel, for checkpoints of none of the built-in architectures."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn

from mtd.networks.bounded_building import BoundedBuilding, names_too_many_layers
from mtd.networks.config import Weights
from mtd.networks.external import ExternalConfig, ExternalNetwork, same_kind
from mtd.utils.errors import BadInput

ODD = {
    "MixDehazeNet": "it works on values from -1 to 1",
    "IPT": "it works on values up to 255, and on squares of 48 pixels",
}
"""Architectures whose inputs or outputs are not images in [0, 1], and why."""


def names() -> list[str]:
    """The architectures of spandrel; empty where it is not installed."""
    try:
        from spandrel import MAIN_REGISTRY
    except ImportError:
        return []
    return [str(entry.architecture.id) for entry in MAIN_REGISTRY.architectures()]


def recognize(weights: Weights) -> tuple[ExternalNetwork, str] | None:
    """The network of a state dict as a denoiser with its weights, and how it was recognized.

    The descriptors of spandrel clamp outputs, and set the noise level of DRUNet to 15; here the
    network itself is called, with the level that is given. None for an unknown architecture.

    Raises:
        BadInput: the architecture is no denoiser.
    """
    try:
        from spandrel import ImageModelDescriptor, ModelLoader
    except ImportError:
        return None
    if names_too_many_layers(weights):
        return None
    try:
        with BoundedBuilding(weights):
            descriptor = ModelLoader().load_from_state_dict(dict(weights))
    except BadInput:
        raise
    except Exception:  # its type depends on the most similar architecture
        return None
    same_kind(descriptor.model, weights)
    kind = str(descriptor.architecture.id)
    how = f"keys and shapes, by spandrel {version('spandrel')}: {kind}"
    if not isinstance(descriptor, ImageModelDescriptor) or descriptor.scale != 1:
        raise BadInput(f"a {kind} (recognized by spandrel): expected a denoiser, image to image")
    if kind in ODD or descriptor.input_channels != descriptor.output_channels:
        reason = ODD.get(
            kind, f"from {descriptor.input_channels} to {descriptor.output_channels} channels"
        )
        raise BadInput(f"a {kind} (recognized by spandrel) cannot be used here: {reason}")
    size = descriptor.size_requirements
    config = ExternalConfig(
        descriptor.input_channels, kind, size.multiple_of, max(1, size.minimum), size.square
    )
    mapped = kind == "DRUNet"
    network = ExternalNetwork(descriptor.model, config, mapped, with_map if mapped else None)
    try:
        with torch.no_grad():
            level = torch.full((1, 1, 1, 1), 0.1) if mapped else None
            network.restore(torch.full((1, descriptor.input_channels, 32, 32), 0.5), sigma=level)
    except BadInput:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise BadInput(f"a {kind} (recognized by spandrel) fails ({reason})") from None
    return network, how


def similar(weights: Weights) -> Iterator[tuple[str, str]]:
    """Architectures of spandrel whose typical keys a state dict has, and why it is none of them."""
    try:
        from spandrel import MAIN_REGISTRY
    except ImportError:
        return
    for entry in MAIN_REGISTRY.architectures():
        try:
            if names_too_many_layers(weights) or not entry.architecture.detect(dict(weights)):
                continue
            with BoundedBuilding(weights):
                entry.architecture.load(dict(weights))
        except Exception as error:  # its type depends on the architecture
            lines = [line.strip() for line in str(error).splitlines()]
            reason = (lines[1:] or lines or [type(error).__name__])[0]
            yield str(entry.architecture.id), f"its weights do not fit ({reason[:300]})"


def with_map(module: nn.Module, x: Tensor, sigma: Tensor | None) -> Any:
    """Call a network that takes the noise level as an additional channel."""
    assert sigma is not None
    return module(torch.cat([x, sigma.expand(len(x), 1, *x.shape[-2:])], 1))
