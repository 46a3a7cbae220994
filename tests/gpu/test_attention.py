"""Window attention on the device, in each way it is computed, against float64 on the CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mtd.inference.forward import denoise
from mtd.networks import window_attention
from mtd.networks.swinir import SwinIR
from mtd.networks.window_attention import PATHS, Shift, attend
from mtd.networks.windows import shift_mask, window_kinds, window_regions
from tests.helpers.networks import tiny_network

pytestmark = pytest.mark.gpu

WINDOW, HEADS, WIDTH = 8, 6, 10
CLOSE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2e-2}


def separated(rows: int, columns: int) -> Tensor:
    """(windows, T, T): whether tokens were no neighbors before the image was rolled by 4 pixels.

    A pixel at place p of the rolled image was at p + 4, or, where that is outside, has come from
    the other border.
    """
    side = np.arange(WINDOW)
    found = []
    for row in range(rows):
        for column in range(columns):
            y = (WINDOW * row + side + 4 >= WINDOW * rows)[:, None] | np.zeros((8, 8), bool)
            x = (WINDOW * column + side + 4 >= WINDOW * columns)[None] | np.zeros((8, 8), bool)
            y, x = y.ravel(), x.ravel()
            found.append((y[:, None] != y) | (x[:, None] != x))
    return torch.from_numpy(np.stack(found))


def oracle(qkv: Tensor, bias: Tensor, apart: Tensor | None) -> Tensor:
    """Attention window by window and head by head, in float64."""
    outputs = []
    for window in range(len(qkv)):
        q, k, v = qkv[window].unbind(1)
        heads = []
        for head in range(q.shape[1]):
            logits = q[:, head] @ k[:, head].T / WIDTH**0.5 + bias[head]
            if apart is not None:
                logits = logits - 100.0 * apart[window % len(apart)]
            weights = (logits - logits.max(1, keepdim=True).values).exp()
            heads.append(weights / weights.sum(1, keepdim=True) @ v[:, head])
        outputs.append(torch.cat(heads, 1))
    return torch.stack(outputs)


def drawn(windows: int) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values; bias; and a gradient of the output, float64 on the CPU."""
    stream = torch.Generator().manual_seed(0)
    shapes = ((windows, 64, 3, HEADS, WIDTH), (HEADS, 64, 64), (windows, 64, HEADS * WIDTH))
    qkv, bias, gradient = (
        torch.randn(shape, generator=stream, dtype=torch.float64) for shape in shapes
    )
    return qkv, bias, gradient


def shift_of(rows: int, columns: int, device: str, kind: torch.dtype) -> Shift:
    added = shift_mask(window_regions(WINDOW)).to(device, kind)
    return Shift(added, window_kinds(rows, columns, torch.device(device)))


def distance(found: Tensor, expected: Tensor) -> float:
    found, expected = found.detach().double().cpu(), expected.detach()
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("kind", list(CLOSE), ids=str)
@pytest.mark.parametrize("path", [*PATHS, "auto"])
def test_output_and_gradients(device, path, kind, shifted):
    if path == "flex" and (device == "cpu" or kind == torch.float64 or not shifted):
        pytest.skip("flex_attention compiles for each case, and takes no float64 on a GPU")
    rows, columns, images = 3, 2, 2
    qkv, bias, gradient = drawn(images * rows * columns)
    # of what the device is given, which bf16 has rounded
    exact = [x.to(kind).double().requires_grad_() for x in (qkv, bias)]
    expected = oracle(*exact, separated(rows, columns) if shifted else None)
    expected.backward(gradient.to(kind).double())
    given = [x.to(device, kind) for x in (qkv, bias)]
    shift = shift_of(rows, columns, device, kind) if shifted else None
    if path != "flex":
        with torch.no_grad():
            found = attend(*given, shift, path)
        assert found.dtype == kind and distance(found, expected) < CLOSE[kind]
    given = [x.requires_grad_() for x in given]
    found = attend(*given, shift, path)
    found.backward(gradient.to(device, kind))
    assert distance(found, expected) < CLOSE[kind]
    for one, other in zip(given, exact, strict=True):
        assert distance(one.grad, other.grad) < CLOSE[kind]


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("path", PATHS)
def test_windows_beyond_the_limit_of_a_kernel(device, path, shifted, monkeypatch):
    """More windows x heads than the second dimension of CUDA's grid has blocks."""
    rows, columns = (110, 105) if device == "cuda" else (3, 4)
    if device == "cpu":
        monkeypatch.setattr(window_attention, "LIMIT", 5 * HEADS)
    windows = rows * columns
    assert windows * HEADS > window_attention.LIMIT
    few = torch.tensor([0, 1, columns - 1, windows // 2, windows - columns, windows - 1])
    qkv = torch.randn(windows, 64, 3, HEADS, WIDTH, device=device)
    bias = torch.randn(HEADS, 64, 64, device=device)
    apart = separated(rows, columns)[few] if shifted else None
    expected = oracle(qkv[few.to(device)].cpu().double(), bias.cpu().double(), apart)
    shift = shift_of(rows, columns, device, torch.float32) if shifted else None
    with torch.no_grad():
        found = attend(qkv, bias, shift, path)
    assert len(found) == windows and bool(found.isfinite().all())
    assert distance(found[few.to(device)], expected) < CLOSE[torch.float32]


def test_a_whole_photograph(device):
    """2,000 x 3,000 pixels at once on a GPU, and a part of it on the CPU alone.

    That part's center sees nothing beyond its border, and its windows are the photograph's.
    """
    network, size = (SwinIR(), (2000, 3000)) if device == "cuda" else (tiny_network(), (136, 144))
    network.initialize(torch.Generator().manual_seed(0))
    network.eval()
    margin = -(-network.reach // 8) * 8
    photograph = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))
    top = left = 16
    if device == "cuda":
        top, left = size[0] - 2 * margin - 64 - 8, 1504
    side = 2 * margin + 64
    part = photograph[..., top : top + side, left : left + side]
    with torch.no_grad():
        expected = network(part)[..., margin:-margin, margin:-margin]
        whole = denoise(network.to(device), photograph.to(device), tile="off").cpu()
    assert whole.shape == photograph.shape and bool(whole.isfinite().all())
    found = whole[..., top + margin : top + margin + 64, left + margin : left + margin + 64]
    assert torch.allclose(found, expected, rtol=0, atol=1e-4)
    assert float(expected.std()) > 1e-3
