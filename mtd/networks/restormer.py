"""Restormer: a U-shaped transformer whose attention is between channels, not between pixels.

Written from the paper and from the keys and shapes of published state dicts, which load strictly.

Reference: Zamir et al., *Restormer: Efficient Transformer for High-Resolution Image Restoration*,
CVPR 2022.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn

from mtd.networks.architecture import Architecture
from mtd.networks.base import Denoiser
from mtd.networks.block_names import RESTORMER_BLOCKS
from mtd.networks.config import Config, Weights
from mtd.networks.layer_roles import LayerRoles
from mtd.networks.padding import extend
from mtd.networks.restormer_layers import Block, downsample, upsample
from mtd.utils import seeds
from mtd.utils.errors import BadInput

LEVELS = ("encoder_level1", "encoder_level2", "encoder_level3", "latent")
"""The way down; level l has 2^l · dim channels at 1/2^l of the size."""


@dataclass(frozen=True)
class RestormerConfig(Config):
    """Hyper-parameters; the defaults are the published color denoiser (26,111,668 weights).

    Attributes:
        dim: channels at full size; each level down has twice as many.
        num_blocks: transformer blocks of each of the four levels, the same on the way up.
        refinement_blocks: blocks after the last level.
        heads: attention heads of each level.
        ffn_factor: the hidden width of a feed-forward part of C channels is int(ffn_factor · C).
        bias: whether convolutions have one: those in blocks, those that halve the channels of two
            levels put together, and the last.
        norm_bias: norms that subtract the mean and add a bias, as published for real noise.
    """

    dim: int = 48
    num_blocks: tuple[int, ...] = (4, 6, 6, 8)
    refinement_blocks: int = 4
    heads: tuple[int, ...] = (1, 2, 4, 8)
    ffn_factor: float = 2.66
    bias: bool = False
    norm_bias: bool = False

    @property
    def layers(self) -> int:
        """See `Config.layers`."""
        return sum(self.num_blocks) + self.refinement_blocks

    def check(self) -> None:
        """Check that the network can be built.

        Raises:
            BadInput: sizes that do not fit together, or are out of range.
        """
        blocks, heads = list(self.num_blocks), list(self.heads)
        if len(blocks) != 4 or len(heads) != 4 or min(blocks + heads) < 1:
            raise BadInput(
                f"num_blocks {blocks} and heads {heads}: expected one positive number of each for "
                "each of 4 levels"
            )
        if self.in_chans < 1 or self.refinement_blocks < 0:
            raise BadInput("in_chans is 1 or more, refinement_blocks 0 or more")
        if self.dim < 2 or self.dim % 2 or any((self.dim << n) % h for n, h in enumerate(heads)):
            raise BadInput(
                f"dim {self.dim} with {heads} heads: expected an even number that divides, "
                "doubled at each level, into its heads"
            )
        if not 1 <= self.dim * self.ffn_factor < math.inf:
            raise BadInput(f"ffn_factor {self.ffn_factor}: expected at least 1 / {self.dim}")


class Restormer(Denoiser):
    """Denoiser x + output(refinement(decoder(encoder(x)))), (B, C, H, W) in [0, 1] to the same.

    Blocks at `dim`, 2·dim, 4·dim and 8·dim channels on the way down, then up; between levels a 3 x
    3 convolution and pixel-unshuffle, or pixel-shuffle. On the way up a level is put together with
    the encoder's; levels 3 and 2 then halve the channels, level 1 and the refinement keep 2·dim.
    Images are padded at the bottom and right to multiples of 8 by reflection, or by replication
    along a side too short to reflect. How channels are mixed depends on all positions: every pixel
    sees the whole image, and `reach` is None. Networks published for deblurring or for rain have
    the same shapes, which do not tell them apart. It was trained without masks.
    """

    multiple = 8
    block_names = RESTORMER_BLOCKS

    def __init__(self, config: RestormerConfig | None = None) -> None:
        super().__init__()
        self.config: RestormerConfig = config or RestormerConfig()
        c, dim = self.config, self.config.dim
        embed = nn.Conv2d(c.in_chans, dim, 3, padding=1, bias=False)
        self.patch_embed = nn.Sequential(OrderedDict(proj=embed))
        self.encoder_level1 = stage(c, 0, dim)
        self.down1_2 = downsample(dim)
        self.encoder_level2 = stage(c, 1, 2 * dim)
        self.down2_3 = downsample(2 * dim)
        self.encoder_level3 = stage(c, 2, 4 * dim)
        self.down3_4 = downsample(4 * dim)
        self.latent = stage(c, 3, 8 * dim)
        self.up4_3 = upsample(8 * dim)
        self.reduce_chan_level3 = nn.Conv2d(8 * dim, 4 * dim, 1, bias=c.bias)
        self.decoder_level3 = stage(c, 2, 4 * dim)
        self.up3_2 = upsample(4 * dim)
        self.reduce_chan_level2 = nn.Conv2d(4 * dim, 2 * dim, 1, bias=c.bias)
        self.decoder_level2 = stage(c, 1, 2 * dim)
        self.up2_1 = upsample(2 * dim)
        self.decoder_level1 = stage(c, 0, 2 * dim)
        self.refinement = stage(c, 0, 2 * dim, c.refinement_blocks)
        self.output = nn.Conv2d(2 * dim, c.in_chans, 3, padding=1, bias=c.bias)

    def bytes_per_pixel(self) -> int:
        """24 · hidden width + 72 · dim, of the last blocks, at full size with 2·dim channels.

        Measured against estimated: the published network 9,475 / 9,576 at 384 x 384, its widths
        with fewer blocks 8,340 at 512 x 512; dim 32 6,135 / 6,384; dim 16 3,072 / 3,192; dim 32
        with ffn_factor 1 3,781 / 3,840. Below, where the allocator keeps what is freed, it is more:
        12,986 at 256 x 256.
        """
        dim = self.config.dim
        return 24 * int(2 * dim * self.config.ffn_factor) + 72 * dim

    def main_layers(self) -> list[str]:
        """`patch_embed`, every transformer block, `output`."""
        return ["patch_embed", *self.block_paths(), "output"]

    def own_layer_roles(self) -> LayerRoles:
        """`output` holds the noise; each level is half the size of the one above."""
        levels = {path: re.search(r"level(\d)", path) for path in self.block_paths()}
        strides = {path: 2.0 ** (int(level[1]) - 1) for path, level in levels.items() if level}
        strides |= {path: 8.0 for path in self.block_paths() if path.startswith("latent")}
        return LayerRoles(frozenset({"output"}), "output", "noise", strides=strides)

    def restore(self, x: Tensor, keys: Sequence[seeds.Key] | None = None, **options: Any) -> Tensor:
        """Denoise; `keys` are unused, since the network has no masks."""
        image = extend(x, self.multiple)
        skip1 = self.encoder_level1(self.patch_embed(image))
        skip2 = self.encoder_level2(self.down1_2(skip1))
        skip3 = self.encoder_level3(self.down2_3(skip2))
        y = self.up4_3(self.latent(self.down3_4(skip3)))
        y = self.decoder_level3(self.reduce_chan_level3(torch.cat([y, skip3], 1)))
        y = self.decoder_level2(self.reduce_chan_level2(torch.cat([self.up3_2(y), skip2], 1)))
        y = self.decoder_level1(torch.cat([self.up2_1(y), skip1], 1))
        output: Tensor = self.output(self.refinement(y)) + image
        return output[..., : x.shape[-2], : x.shape[-1]]


def stage(
    config: RestormerConfig, level: int, channels: int, blocks: int | None = None
) -> nn.Sequential:
    """The blocks of a level, or as many as are given."""
    count = config.num_blocks[level] if blocks is None else blocks
    hidden = int(channels * config.ffn_factor)
    return nn.Sequential(
        *(
            Block(channels, config.heads[level], hidden, config.bias, config.norm_bias)
            for _ in range(count)
        )
    )


def detect(weights: Weights) -> RestormerConfig | None:
    """Hyper-parameters of a denoising Restormer from keys and shapes; None for another kind.

    Raises:
        BadInput: a Restormer for dual-pixel images, one with other output than input channels,
            or one that is incomplete.
    """
    first, anchor = weights.get("patch_embed.proj.weight"), weights.get(ARCHITECTURE.anchor)
    if first is None or anchor is None or first.ndim != 4:
        return None
    if "skip_conv.weight" in weights or first.shape[1] == 6:
        raise BadInput("a Restormer for dual-pixel defocus; expected one for denoising")
    try:
        outputs = weights["output.weight"].shape[0]
        if first.shape[1] != outputs:
            raise BadInput(
                f"a Restormer from {first.shape[1]} to {outputs} channels; a denoiser has as many "
                "at both ends"
            )
        hidden = [weights[f"{level}.0.ffn.project_out.weight"].shape[1] for level in LEVELS]
        return RestormerConfig(
            in_chans=outputs,
            dim=first.shape[0],
            num_blocks=tuple(count(weights, level) for level in LEVELS),
            refinement_blocks=count(weights, "refinement"),
            heads=tuple(weights[f"{level}.0.attn.temperature"].shape[0] for level in LEVELS),
            ffn_factor=ffn_factor(first.shape[0], hidden),
            bias="encoder_level1.0.attn.qkv.bias" in weights,
            norm_bias="encoder_level1.0.norm1.body.bias" in weights,
        )
    except (KeyError, IndexError) as error:
        raise BadInput(f"an incomplete Restormer, {error} is missing or misshapen") from None


def count(weights: Weights, level: str) -> int:
    """The number of blocks in a level."""
    return sum(bool(re.fullmatch(rf"{level}\.\d+\.attn\.temperature", key)) for key in weights)


def ffn_factor(dim: int, hidden: Sequence[int]) -> float:
    """The published 2.66, or else the shortest decimal, with int(2^l · dim · factor) = hidden_l.

    >>> ffn_factor(48, [127, 255, 510, 1021]), ffn_factor(8, [20, 40, 80, 160])
    (2.66, 2.5)

    Raises:
        BadInput: no factor gives all of these widths.
    """
    widths = {dim << level: width for level, width in enumerate(hidden)}
    least = max(Fraction(width, channels) for channels, width in widths.items())
    tens = [int(10**digits) for digits in range(9)]
    decimals = [(math.ceil(least * ten) + more) / ten for ten in tens for more in (0, 1)]
    for factor in [2.66, *decimals]:
        if all(int(channels * factor) == width for channels, width in widths.items()):
            return factor
    raise BadInput(f"a Restormer whose hidden widths {list(hidden)} are no multiple of {dim}")


ARCHITECTURE = Architecture(
    name="Restormer",
    anchor="encoder_level1.0.attn.temperature",
    config=RestormerConfig,
    build=Restormer,
    detect=detect,
    keys=("patch_embed.proj.weight", "encoder_level1.0.attn.temperature", "output.weight"),
    about="a U-shaped transformer with attention between channels; Zamir et al., CVPR 2022",
)
