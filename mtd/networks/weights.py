"""The weights of a network as one digest, whatever file they come from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def weights_digest(state: Mapping[str, Any]) -> str:
    """SHA-256 of a state dict: names, types, shapes and bytes of all tensors, sorted by name.

    Files of this project record it, and manifests of runs hold it for every network, so that a
    run can be matched to a checkpoint in whatever file it is.

    Args:
        state: tensors by name; entries that are no tensors count by their `repr`.

    Example:
        >>> from torch import nn
        >>> one, two = nn.Linear(2, 2), nn.Linear(2, 2)
        >>> _ = two.load_state_dict(one.state_dict())
        >>> weights_digest(one.state_dict()) == weights_digest(two.state_dict())
        True
    """
    total = hashlib.sha256()
    for name, value in sorted(state.items()):
        if not isinstance(value, Tensor):
            total.update(f"{name} {value!r}\n".encode())
            continue
        total.update(f"{name} {value.dtype} {list(value.shape)}\n".encode())
        plain = value.detach().cpu().contiguous().flatten()
        total.update(plain.view(torch.uint8).numpy().data)
    return total.hexdigest()
