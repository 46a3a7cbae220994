"""The weights of a network as one digest, whatever file they come from."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn


def weights_digest(module: nn.Module) -> str:
    """SHA-256 of a module's state: names, shapes, types and bytes of all tensors.

    Example:
        >>> one, two = nn.Linear(2, 2), nn.Linear(2, 2)
        >>> _ = two.load_state_dict(one.state_dict())
        >>> weights_digest(one) == weights_digest(two)
        True
    """
    total = hashlib.sha256()
    for name, value in module.state_dict().items():
        tensor = value.detach().cpu().contiguous() if isinstance(value, Tensor) else None
        if tensor is None:
            total.update(f"{name} {value!r}\n".encode())
            continue
        total.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()
