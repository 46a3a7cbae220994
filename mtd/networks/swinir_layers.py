"""The parts of SwinIR: hyper-parameters, Swin blocks and groups.

Module names follow the published checkpoints, so that their state dicts load strictly. Tokens are
(batch, height x width, channels) in raster order, images (batch, channels, height, width).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from mtd.masking import AttentionMasks
from mtd.networks.config import Config
from mtd.networks.window_attention import WindowAttention
from mtd.networks.windows import partition, unpartition
from mtd.utils import limits
from mtd.utils.counter_random import STOCHASTIC_DEPTH, BatchStream
from mtd.utils.errors import BadInput


@dataclass(frozen=True)
class SwinIRConfig(Config):
    """Hyper-parameters; the defaults are the paper's masked and baseline network (824,118 weights).

    Attributes:
        embed_dim: channels of a token.
        depths: number of blocks in each residual group.
        num_heads: attention heads in each residual group.
        window_size: side of the square attention window.
        shifted: shift the windows of every second block by half a window. The authors' code does
            not where the image size it is built for is at most a window; the size of an image at
            hand does not matter.
        mlp_hidden: hidden channels of a block's MLP.
        embed_kernel: side of the first convolution, 1 (masked, baseline) or 3 (stock).
        convolution: `1conv`, or `3conv` (bottleneck to a quarter), at the end of each group and
            after the body.
        global_residual: add the embedding after the body and the input to the output (stock).
        patch_norm: layer normalization of the embedded tokens.
        qkv_bias: bias on queries, keys and values.
        mask_token: hold a learnable token for masked pixels.
        value_range: white, 1 or 255 (the authors' `img_range`).
        drop_path: largest probability of stochastic depth, rising linearly from 0 with depth;
            training only.
        output_dropout: probability with which a channel is dropped before the last convolution, the
            others being scaled up; training only (Kong et al., CVPR 2022).
    """

    embed_dim: int = 60
    depths: tuple[int, ...] = (6, 6, 6, 6)
    num_heads: tuple[int, ...] = (6, 6, 6, 6)
    window_size: int = 8
    shifted: bool = True
    mlp_hidden: int = 120
    embed_kernel: int = 1
    convolution: Literal["1conv", "3conv"] = "3conv"
    global_residual: bool = False
    patch_norm: bool = True
    qkv_bias: bool = True
    mask_token: bool = False
    value_range: float = 1.0
    drop_path: float = 0.0
    output_dropout: float = 0.0

    @property
    def layers(self) -> int:
        """See `Config.layers`."""
        return sum(self.depths)

    def check(self) -> None:
        """Check that the network can be built and run.

        Raises:
            BadInput: sizes that do not fit together, or are out of range.
        """
        depths, heads = self.depths, self.num_heads
        if not depths or min(depths) < 1 or len(depths) != len(heads):
            raise BadInput(
                f"depths {list(depths)} and num_heads {list(heads)}: expected one positive number "
                "of each for every group"
            )
        if self.embed_dim < 4 or any(h < 1 or self.embed_dim % h for h in heads):
            raise BadInput(f"embed_dim {self.embed_dim} does not divide into {list(heads)} heads")
        if min(self.window_size, self.mlp_hidden, self.in_chans) < 1:
            raise BadInput("window_size, mlp_hidden and in_chans are 1 or more")
        limits.WINDOW.check(self.window_size, f"window_size {self.window_size}")
        if self.embed_kernel < 1 or self.embed_kernel % 2 != 1:
            raise BadInput(f"embed_kernel {self.embed_kernel}: expected an odd number, 1 or more")
        if self.convolution not in ("1conv", "3conv"):
            raise BadInput(f"convolution {self.convolution!r}: expected 1conv or 3conv")
        if self.value_range not in (1, 255):
            raise BadInput(f"SwinIR of value range {self.value_range}: expected 1 or 255")
        if not 0 <= self.drop_path < 1:
            raise BadInput(f"drop_path {self.drop_path}: from 0 below 1")
        if not 0 <= self.output_dropout < 1:
            raise BadInput(f"output_dropout {self.output_dropout}: from 0 below 1")


@dataclass
class Pass:
    """The image size, kinds of shifted windows, masks and random stream of one forward pass."""

    height: int
    width: int
    kinds: Tensor | None = None
    masks: AttentionMasks | None = None
    stream: BatchStream | None = None


class Mlp(nn.Module):
    """Two linear layers with a GELU between."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(…, dim) to the same shape."""
        y: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return y


class SwinBlock(nn.Module):
    """Window attention and MLP, each with pre-normalization and a residual."""

    def __init__(self, config: SwinIRConfig, heads: int, index: int, shifted: bool) -> None:
        super().__init__()
        dim, total = config.embed_dim, sum(config.depths)
        self.index, self.window, self.shifted = index, config.window_size, shifted
        self.drop_path = config.drop_path * index / max(1, total - 1)
        self.norm1 = nn.LayerNorm(dim)
        self.attn = WindowAttention(dim, config.window_size, heads, config.qkv_bias)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, config.mlp_hidden)

    def forward(self, x: Tensor, now: Pass) -> Tensor:
        """Tokens (B, H · W, C) to the same shape."""
        x = x + self.drop(self.attend(self.norm1(x), now), 0, now)
        return x + self.drop(self.mlp(self.norm2(x)), 1, now)

    def attend(self, x: Tensor, now: Pass) -> Tensor:
        """Shift, partition into windows, mask, attend, and reverse."""
        batch, _, channels = x.shape
        x = x.view(batch, now.height, now.width, channels)
        offset = self.window // 2
        if self.shifted:
            x = x.roll((-offset, -offset), (1, 2))
        x = partition(x, self.window)
        if now.masks is not None:
            keep = now.masks(self.index, batch, x.shape[0] // batch, x.shape[1])
            x = x * keep.to(x.device).reshape(-1, x.shape[1], 1)
        y = self.attn(x, now.kinds if self.shifted else None)
        x = unpartition(y, self.window, now.height, now.width)
        if self.shifted:
            x = x.roll((offset, offset), (1, 2))
        return x.reshape(batch, -1, channels)

    def drop(self, x: Tensor, branch: int, now: Pass) -> Tensor:
        """Stochastic depth: an image's branch (0 or 1) is dropped, the others are scaled up."""
        if not (self.training and self.drop_path and now.stream is not None):
            return x
        drawn = now.stream.uniform(STOCHASTIC_DEPTH, 2 * self.index + branch, 1, 1)
        keep = drawn >= self.drop_path
        return x * keep / (1 - self.drop_path)


def closing_convolution(config: SwinIRConfig) -> nn.Module:
    """The convolution at the end of a group and of the body."""
    dim = config.embed_dim
    if config.convolution == "1conv":
        return nn.Conv2d(dim, dim, 3, padding=1)
    return nn.Sequential(
        nn.Conv2d(dim, dim // 4, 3, padding=1),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(dim // 4, dim // 4, 1),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(dim // 4, dim, 3, padding=1),
    )


class BlockSequence(nn.Module):
    """The Swin blocks of one group."""

    def __init__(self, config: SwinIRConfig, group: int) -> None:
        super().__init__()
        first, heads = sum(config.depths[:group]), config.num_heads[group]
        self.blocks = nn.ModuleList(
            SwinBlock(config, heads, first + i, shifted=config.shifted and i % 2 == 1)
            for i in range(config.depths[group])
        )

    def forward(self, x: Tensor, now: Pass) -> Tensor:
        """Tokens (B, H · W, C) to the same shape."""
        for block in self.blocks:
            x = block(x, now)
        return x


class ResidualGroup(nn.Module):
    """Swin blocks, a convolution, and the group's own residual."""

    def __init__(self, config: SwinIRConfig, group: int) -> None:
        super().__init__()
        self.residual_group = BlockSequence(config, group)
        self.conv = closing_convolution(config)

    def forward(self, x: Tensor, now: Pass) -> Tensor:
        """Tokens (B, H · W, C) to the same shape."""
        image = to_image(self.residual_group(x, now), now)
        return x + to_tokens(self.conv(image))


class PatchEmbed(nn.Module):
    """Layer normalization of the embedded tokens (a published name, kept for its keys)."""

    def __init__(self, config: SwinIRConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.embed_dim) if config.patch_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (B, H · W, C) to the same shape."""
        y: Tensor = self.norm(x)
        return y


def to_tokens(image: Tensor) -> Tensor:
    """(B, C, H, W) to (B, H · W, C)."""
    return image.flatten(2).transpose(1, 2)


def to_image(tokens: Tensor, now: Pass) -> Tensor:
    """(B, H · W, C) to (B, C, H, W)."""
    return tokens.transpose(1, 2).reshape(tokens.shape[0], -1, now.height, now.width)
