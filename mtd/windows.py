"""Attention windows: cutting token maps into them, and what depends on their geometry alone."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # what is cached may later take part in training
def relative_position_index(window: int, device: torch.device) -> Tensor:
    """(T, T) rows of the relative-position table for each pair of the T = window² tokens."""
    axis = torch.arange(window, device=device)
    y, x = (grid.flatten() for grid in torch.meshgrid(axis, axis, indexing="ij"))
    dy = y[:, None] - y[None, :] + window - 1
    dx = x[:, None] - x[None, :] + window - 1
    return dy * (2 * window - 1) + dx


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def shift_mask(height: int, width: int, window: int, device: torch.device) -> Tensor:
    """(windows, T, T): -100 between tokens that only the cyclic shift made neighbours, else 0."""
    shift = window // 2

    def regions(size: int) -> Tensor:
        position = torch.arange(size, device=device)
        return (position >= size - window).long() + (position >= size - shift).long()

    labels = 3 * regions(height)[:, None] + regions(width)[None, :]
    tokens = partition(labels[None, :, :, None], window)[..., 0]
    return (tokens[:, None, :] != tokens[:, :, None]) * -100.0


def partition(x: Tensor, window: int) -> Tensor:
    """(B, H, W, C) to (B · windows, window², C), the windows of an image in raster order."""
    b, h, w, c = x.shape
    x = x.view(b, h // window, window, w // window, window, c)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, window * window, c)


def unpartition(x: Tensor, window: int, height: int, width: int) -> Tensor:
    """Inverse of `partition`."""
    x = x.view(-1, height // window, width // window, window, window, x.shape[-1])
    return x.permute(0, 1, 3, 2, 4, 5).reshape(x.shape[0], height, width, -1)
