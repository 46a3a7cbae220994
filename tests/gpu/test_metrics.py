"""LPIPS on the device against the CPU."""

from __future__ import annotations

import pytest
import torch

from mtd.metrics.lpips import LPIPS
from tests.helpers import lpips_backbone as helper

pytest.importorskip("torchvision", reason="torchvision is not installed")
pytest.importorskip("lpips", reason="lpips is not installed")
pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("autocast", [False, True])
def test_lpips(device, autocast, tmp_path, monkeypatch):
    tensors = helper.drawn()
    helper.admit(tensors, monkeypatch)
    torch.save(tensors, tmp_path / "alexnet.pth")
    stream = torch.Generator().manual_seed(0)
    side = 256 if device == "cuda" else 40
    clean = torch.rand(3, 3, side, side, generator=stream)
    output = clean + 0.1 * torch.randn(clean.shape, generator=stream)
    expected = LPIPS(tmp_path / "alexnet.pth")(output, clean)
    on_device = LPIPS(tmp_path / "alexnet.pth", device)
    with torch.autocast(device, torch.bfloat16, enabled=autocast):
        found = on_device(output.to(device), clean)
        on_device.largest = 32
        in_parts = on_device(output.to(device), clean)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(in_parts, expected, rtol=1e-5, atol=1e-7)
