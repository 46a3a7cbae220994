"""SwinIR by definition, in float64 and token by token, as an oracle for the one of the package."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from mtd.networks.swinir_layers import SwinIRConfig

MEAN = torch.tensor([0.4488, 0.4371, 0.4040], dtype=torch.float64).view(1, 3, 1, 1)


def swinir(
    weights: Mapping[str, Tensor],
    config: SwinIRConfig,
    image: Tensor,
    img_size: int,
    img_range: float,
) -> Tensor:
    """The output for one RGB image (1, 3, H, W) in [0, 1], H and W multiples of the window.

    Args:
        weights: the state dict.
        config: numbers of channels, heads and blocks; `1conv`.
        image: in [0, 1].
        img_size: for which the authors' code builds the network: blocks are shifted if it is larger
            than a window, whatever the size of the image.
        img_range: by which the image without the mean is multiplied.
    """
    w = {key: value.double() for key, value in weights.items()}
    window = config.window_size
    x = (image.double() - MEAN) * img_range
    first = F.conv2d(x, w["conv_first.weight"], w["conv_first.bias"], padding=1)
    tokens = norm(w, "patch_embed.norm", first.permute(0, 2, 3, 1))
    for g, depth in enumerate(config.depths):
        group = tokens
        for b in range(depth):
            shift = window // 2 if b % 2 and img_size > window else 0
            path = f"layers.{g}.residual_group.blocks.{b}"
            heads = config.num_heads[g]
            tokens = tokens + attention(
                w, path, norm(w, f"{path}.norm1", tokens), window, shift, heads
            )
            hidden = norm(w, f"{path}.norm2", tokens)
            hidden = F.gelu(linear(w, f"{path}.mlp.fc1", hidden))
            tokens = tokens + linear(w, f"{path}.mlp.fc2", hidden)
        tokens = group + conv(w, f"layers.{g}.conv", tokens)
    body = conv(w, "conv_after_body", norm(w, "norm", tokens)).permute(0, 3, 1, 2) + first
    residual = F.conv2d(body, w["conv_last.weight"], w["conv_last.bias"], padding=1)
    return (x + residual) / img_range + MEAN


def attention(
    w: Mapping[str, Tensor], path: str, x: Tensor, window: int, shift: int, heads: int
) -> Tensor:
    """Each token attends to those of its (cyclically shifted) window that are near it in truth."""
    _, height, width, channels = x.shape
    size = channels // heads
    q, k, v = linear(w, f"{path}.attn.qkv", x)[0].view(height, width, 3, heads, size).unbind(2)
    table = w[f"{path}.attn.relative_position_bias_table"].view(2 * window - 1, 2 * window - 1, -1)
    output = torch.zeros(height, width, heads, size, dtype=torch.float64)
    for top in range(0, height, window):
        for left in range(0, width, window):
            # places in the window, before the cyclic shift takes them from beyond the border
            places = [
                (top + i + shift, left + j + shift) for i in range(window) for j in range(window)
            ]
            for y, z in places:
                logits, values = [], []
                for a, b in places:
                    across = (a >= height) != (y >= height) or (b >= width) != (z >= width)
                    at = (a % height, b % width)
                    score = (q[y % height, z % width] * k[at]).sum(-1) * size**-0.5
                    score = score + table[y - a + window - 1, z - b + window - 1]
                    logits.append(score - 100 * across)
                    values.append(v[at])
                share = torch.stack(logits).softmax(0)
                output[y % height, z % width] = (share[..., None] * torch.stack(values)).sum(0)
    return linear(w, f"{path}.attn.proj", output.reshape(1, height, width, channels))


def linear(w: Mapping[str, Tensor], path: str, x: Tensor) -> Tensor:
    return F.linear(x, w[f"{path}.weight"], w[f"{path}.bias"])


def norm(w: Mapping[str, Tensor], path: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], w[f"{path}.weight"], w[f"{path}.bias"])


def conv(w: Mapping[str, Tensor], path: str, x: Tensor) -> Tensor:
    """A 3 x 3 convolution of channels-last features."""
    y = F.conv2d(x.permute(0, 3, 1, 2), w[f"{path}.weight"], w[f"{path}.bias"], padding=1)
    return y.permute(0, 2, 3, 1)
