"""A backbone of LPIPS with random weights, in place of the published one, which is a download."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from mtd.metrics import lpips_backbone


def drawn() -> dict[str, Tensor]:
    """Tensors of the names and shapes of the published ones."""
    stream = torch.Generator().manual_seed(5)
    state = {}
    for name in lpips_backbone.DIGESTS:
        shape = lpips_backbone.shape(name)
        spread = torch.Size(shape[1:]).numel() ** -0.5 if len(shape) > 1 else 0.1
        state[name] = spread * torch.randn(shape, generator=stream)
    return state


def admit(tensors: Mapping[str, Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    """Take these tensors for the published ones in a test."""
    digests = {
        name: hashlib.sha256(tensors[name].numpy().tobytes()).hexdigest()
        for name in lpips_backbone.DIGESTS
    }
    monkeypatch.setattr(lpips_backbone, "DIGESTS", digests)
