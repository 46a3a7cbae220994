"""Convolutions in float64 NumPy, tap by tap."""

from __future__ import annotations

import numpy as np


def convolved(x, weight, bias=None, *, stride=1, dilation=1):
    """A convolution padded with zeros so that, with stride 1, it keeps the size.

    Args:
        x: (C, H, W).
        weight: (O, C, K, K).
        bias: (O,).
    """
    side = weight.shape[-1]
    pad = dilation * (side - 1) // 2
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    height, width = x.shape[1:]
    out = np.zeros((len(weight), height, width))
    for i in range(side):
        for j in range(side):
            top, left = i * dilation, j * dilation
            part = padded[:, top : top + height, left : left + width]
            out += np.einsum("oc,chw->ohw", weight[:, :, i, j], part)
    out = out[:, ::stride, ::stride]
    return out if bias is None else out + bias[:, None, None]


def transposed(x, weight, bias=None):
    """A transposed convolution of 4 x 4 with stride 2 and padding 1, which doubles the size.

    Args:
        x: (C, H, W).
        weight: (C, O, 4, 4).
        bias: (O,).
    """
    height, width = x.shape[1:]
    out = np.zeros((weight.shape[1], 2 * height + 2, 2 * width + 2))
    for i in range(4):
        for j in range(4):
            part = np.einsum("co,chw->ohw", weight[:, :, i, j], x)
            out[:, i : i + 2 * height : 2, j : j + 2 * width : 2] += part
    out = out[:, 1:-1, 1:-1]
    return out if bias is None else out + bias[:, None, None]


def relu(x):
    """max(x, 0)."""
    return np.maximum(x, 0)
