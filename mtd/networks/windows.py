"""The windows of an image: their tokens, relative positions, and what a cyclic shift separates.

A cyclic shift by half a window brings tokens together that are no neighbors in the image. Only
windows of the last row and the last column hold such tokens, so that there are four kinds of
windows, whatever the size of the image.
"""

from __future__ import annotations

import torch
from torch import Tensor

HIDDEN = -10_000.0
"""Added to the logits of tokens that are no neighbors. Published networks have -100, which gives
the same: either weight vanishes beside 1. But exp(-100) is a subnormal number in float32, with
which CPUs compute many times more slowly, and exp(-10000) is 0."""


def device_of_constants() -> torch.device:
    """The default device, but the CPU in place of the meta device.

    There, the first operator imports PyTorch's compiler, which takes seconds, and checkpoints are
    recognized by networks without memory.
    """
    device = torch.get_default_device()
    return torch.device("cpu") if device.type == "meta" else device


def relative_position_index(window: int) -> Tensor:
    """(T, T) rows of the relative-position table for each pair of the T = window² tokens."""
    axis = torch.arange(window, device=device_of_constants())
    y, x = (grid.flatten() for grid in torch.meshgrid(axis, axis, indexing="ij"))
    dy = y[:, None] - y[None, :] + window - 1
    dx = x[:, None] - x[None, :] + window - 1
    return dy * (2 * window - 1) + dx


def window_regions(window: int) -> Tensor:
    """(4, T): the parts of each kind of window that were no neighbors before the cyclic shift.

    The kinds are those of `window_kinds`. A window of the last column holds, beside the right
    border of the image, the left border that was shifted there; likewise below.
    """
    wrapped = torch.arange(window, device=device_of_constants()) >= window - window // 2
    below = 2 * wrapped[:, None].expand(window, window).flatten()
    right = wrapped.repeat(window)
    return torch.stack([0 * below, right.long(), below, below + right])


def window_kinds(rows: int, columns: int, device: torch.device) -> Tensor:
    """(rows · columns,): 2 for windows of the last row, plus 1 for those of the last column."""
    last_row = torch.arange(rows, device=device) == rows - 1
    last_column = torch.arange(columns, device=device) == columns - 1
    return (2 * last_row[:, None] + last_column).flatten()


def shift_mask(regions: Tensor) -> Tensor:
    """(kinds, T, T): `HIDDEN` between tokens of different regions (kinds, T), else 0."""
    return (regions[:, :, None] != regions[:, None]) * HIDDEN


def partition(x: Tensor, window: int) -> Tensor:
    """(B, H, W, C) to (B · windows, window², C), the windows of an image in raster order."""
    b, h, w, c = x.shape
    x = x.view(b, h // window, window, w // window, window, c)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, window * window, c)


def unpartition(x: Tensor, window: int, height: int, width: int) -> Tensor:
    """Inverse of `partition`."""
    x = x.view(-1, height // window, width // window, window, window, x.shape[-1])
    return x.permute(0, 1, 3, 2, 4, 5).reshape(x.shape[0], height, width, -1)
