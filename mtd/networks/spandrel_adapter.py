"""Architectures that spandrel knows, for checkpoints that nothing here recognises."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn

from mtd.networks.config import Weights
from mtd.networks.external import Foreign, ForeignConfig, same_kind
from mtd.utils.errors import BadInput

ODD = {
    "MixDehazeNet": "it works on values from -1 to 1",
    "IPT": "it works on values up to 255, and on squares of 48 pixels",
}
"""Architectures that are not called as images from 0 to 1 to images."""


def names() -> list[str]:
    """The architectures that it knows; none where it is not installed."""
    try:
        from spandrel import MAIN_REGISTRY
    except ImportError:
        return []
    return [str(entry.architecture.id) for entry in MAIN_REGISTRY.architectures()]


def recognise(weights: Weights) -> tuple[Foreign, str] | None:
    """The network of a state dict as a denoiser, weights loaded, and how it was recognised.

    spandrel's descriptors clamp what their networks put out, and tell DRUNet a noise level of 15;
    the network itself is taken, and told the level that is given.

    Raises:
        BadInput: it is of a kind that is no denoiser.
    """
    try:
        from spandrel import ImageModelDescriptor, ModelLoader
    except ImportError:
        return None
    try:
        found = ModelLoader().load_from_state_dict(dict(weights))
    except Exception:  # of which kind depends on the architecture that looks most like it
        return None
    same_kind(found.model, weights)
    kind = str(found.architecture.id)
    how = f"keys and shapes, by spandrel {version('spandrel')}: {kind}"
    if not isinstance(found, ImageModelDescriptor) or found.scale != 1:
        raise BadInput(f"a {kind} (recognised by spandrel): expected a denoiser, image to image")
    if kind in ODD or found.input_channels != found.output_channels:
        reason = ODD.get(kind, f"from {found.input_channels} to {found.output_channels} channels")
        raise BadInput(f"a {kind} (recognised by spandrel) cannot be used here: {reason}")
    size = found.size_requirements
    config = ForeignConfig(
        found.input_channels, kind, size.multiple_of, max(1, size.minimum), size.square
    )
    mapped = kind == "DRUNet"
    network = Foreign(found.model, config, mapped, with_map if mapped else None)
    try:
        with torch.no_grad():
            level = torch.full((1, 1, 1, 1), 0.1) if mapped else None
            network.restore(torch.full((1, found.input_channels, 32, 32), 0.5), sigma=level)
    except BadInput:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise BadInput(f"a {kind} (recognised by spandrel) fails ({reason})") from None
    return network, how


def with_map(module: nn.Module, x: Tensor, sigma: Tensor | None) -> Any:
    """Call a network that takes the noise level as one more channel."""
    assert sigma is not None
    return module(torch.cat([x, sigma.expand(len(x), 1, *x.shape[-2:])], 1))
