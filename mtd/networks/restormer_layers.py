"""The parts of a Restormer: channel attention, gated feed-forward, resampling.

Module names follow the published checkpoints; images are (batch, channels, height, width).
"""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPSILON = 1e-5
"""Added to the variance that a norm divides by."""


class Block(nn.Module):
    """y = x + attn(norm1(x)), then y + ffn(norm2(y)), on (B, C, H, W)."""

    def __init__(self, channels: int, heads: int, hidden: int, bias: bool, norm_bias: bool) -> None:
        super().__init__()
        self.norm1 = ChannelNorm(channels, norm_bias)
        self.attn = ChannelAttention(channels, heads, bias)
        self.norm2 = ChannelNorm(channels, norm_bias)
        self.ffn = GatedFeedForward(channels, hidden, bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        x = x + self.attn(self.norm1(x))
        y: Tensor = x + self.ffn(self.norm2(x))
        return y


class ChannelNorm(nn.Module):
    """Layer norm of the channels at each position; without a bias it keeps the mean.

    (x − μ) / √(σ² + ε) · weight + bias, or x / √(σ² + ε) · weight, with the variance σ² about the
    mean μ in both.
    """

    def __init__(self, channels: int, bias: bool) -> None:
        super().__init__()
        self.body = nn.ParameterDict({"weight": torch.ones(channels)})
        if bias:
            self.body["bias"] = torch.zeros(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        variance, mean = torch.var_mean(x, 1, correction=0, keepdim=True)
        centered = x - mean if "bias" in self.body else x
        y: Tensor = centered * (variance + EPSILON).rsqrt() * self.body["weight"].view(-1, 1, 1)
        return y + self.body["bias"].view(-1, 1, 1) if "bias" in self.body else y


class ChannelAttention(nn.Module):
    """softmax(q̂ k̂ᵀ · temperature) v, a channels x channels matrix in each head.

    q, k and v are a 1 x 1 and a depth-wise 3 x 3 convolution of x, split into heads of (C / heads,
    H·W); q̂ and k̂ have length 1 along the positions. A 1 x 1 convolution follows.
    """

    def __init__(self, channels: int, heads: int, bias: bool) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=bias)
        self.qkv_dwconv = depthwise(3 * channels, bias)
        self.project_out = nn.Conv2d(channels, channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        shape, heads = x.shape, len(self.temperature)
        split = (shape[0], 3, heads, shape[1] // heads, -1)
        q, k, v = self.qkv_dwconv(self.qkv(x)).reshape(split).unbind(1)
        logits = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).mT * self.temperature
        y: Tensor = self.project_out((logits.softmax(-1) @ v).reshape(shape))
        return y


class GatedFeedForward(nn.Module):
    """project_out(GELU(a) · b), where a and b are halves of a depth-wise 3 x 3 convolution."""

    def __init__(self, channels: int, hidden: int, bias: bool) -> None:
        super().__init__()
        self.project_in = nn.Conv2d(channels, 2 * hidden, 1, bias=bias)
        self.dwconv = depthwise(2 * hidden, bias)
        self.project_out = nn.Conv2d(hidden, channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        gate, value = self.dwconv(self.project_in(x)).chunk(2, 1)
        y: Tensor = self.project_out(F.gelu(gate) * value)
        return y


def downsample(channels: int) -> nn.Sequential:
    """(B, C, H, W) to (B, 2C, H/2, W/2)."""
    halve = nn.Conv2d(channels, channels // 2, 3, padding=1, bias=False)
    return nn.Sequential(OrderedDict(body=nn.Sequential(halve, nn.PixelUnshuffle(2))))


def upsample(channels: int) -> nn.Sequential:
    """(B, C, H, W) to (B, C/2, 2H, 2W)."""
    double = nn.Conv2d(channels, 2 * channels, 3, padding=1, bias=False)
    return nn.Sequential(OrderedDict(body=nn.Sequential(double, nn.PixelShuffle(2))))


def depthwise(channels: int, bias: bool) -> nn.Conv2d:
    """A 3 x 3 convolution of each channel by itself."""
    return nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=bias)
