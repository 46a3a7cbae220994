"""RNAN: residual groups gated by masks that see the whole image, through non-local blocks.

Module names follow the published checkpoints, so that their state dicts load strictly.

Reference: Zhang et al., *Residual Non-local Attention Networks for Image Restoration*, ICLR 2019.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mtd.networks.architecture import Architecture
from mtd.networks.base import Denoiser
from mtd.networks.block_names import RNAN_BLOCKS
from mtd.networks.config import Config, Weights
from mtd.networks.input_format import InputFormat
from mtd.networks.layer_roles import LayerRoles
from mtd.networks.padding import extend
from mtd.utils import seeds
from mtd.utils.errors import BadInput

ANCHOR = "body_nl_low.0.body.0.RA_MB.0.MB_RB1.0.theta.weight"
KEYS_AT_ONCE = 96 * 96
"""How many columns of attention matrices a non-local block holds at a time, all images of a batch
together: those of one image of 96 x 96."""


@dataclass(frozen=True)
class RNANConfig(Config):
    """Hyper-parameters; the defaults are the published color network (8,959,555 weights).

    Attributes:
        features: channels between convolutions.
        groups: number of residual groups between the two non-local ones.
        inner: channels within non-local blocks.
        value_range: white, for the network; weights do not tell (see `RNAN`).
    """

    features: int = 64
    groups: int = 8
    inner: int = 32
    value_range: float = 1.0

    @property
    def layers(self) -> int:
        """See `Config.layers`."""
        return self.groups

    def check(self) -> None:
        """Check that the network can be built.

        Raises:
            BadInput: sizes out of range.
        """
        if min(self.in_chans, self.features, self.groups, self.inner) < 1:
            raise BadInput(
                f"RNAN of {self.in_chans} channels, {self.features} features, {self.groups} "
                f"groups, {self.inner} inner channels: expected 1 or more of each"
            )
        if self.value_range not in (1, 255):
            raise BadInput(f"RNAN of value range {self.value_range}: expected 1 or 255")


class RNAN(Denoiser):
    """Denoiser x + tail(body_nl_high(body(body_nl_low(head(x))))), (B, C, H, W) to the same shape.

    `head` and `tail` are convolutions; `body` is `groups` residual groups and a convolution; the
    other two are one residual group each, with a non-local block in its mask. Borders are padded
    with zeros. An odd height or width is made even, by reflection or, of 1, by repetition at the
    bottom or right, which is cropped again. It was trained without masks.

    Time grows with (H·W)², and an image in tiles gives another result than the whole. Published
    files take values up to 255, those retrained by others up to 1.

    Attributes:
        range_unknown: the value range does not follow from weights alone.
    """

    multiple = 2
    range_unknown = True
    block_names = RNAN_BLOCKS

    def __init__(self, config: RNANConfig | None = None) -> None:
        super().__init__()
        self.config: RNANConfig = config or RNANConfig()
        c = self.config
        self.input_format = InputFormat(value_range=c.value_range)
        self.head = nn.Sequential(convolution(c.in_chans, c.features))
        self.body_nl_low = nn.Sequential(ResidualGroup(c.features, c.inner))
        self.body = nn.Sequential(
            *(ResidualGroup(c.features) for _ in range(c.groups)),
            convolution(c.features, c.features),
        )
        self.body_nl_high = nn.Sequential(ResidualGroup(c.features, c.inner))
        self.tail = nn.Sequential(convolution(c.features, c.in_chans))

    def bytes_per_pixel(self) -> int:
        """8 · 96² (two copies of 96² columns of the attention matrix) + 40 · features.

        That is what an image of 96 x 96 needs: measured 77,200 for 76,288 estimated. A smaller one
        needs less; a larger one as much per pixel (76,900 at 192 x 192), since no more columns are
        held at a time. In training all are kept: 4 · H·W bytes per pixel and non-local block.
        """
        return 8 * KEYS_AT_ONCE + 40 * self.config.features

    def block_paths(self) -> list[str]:
        """The residual groups, without the convolution after those of `body`."""
        return [name for name in super().block_paths() if name != f"body.{self.config.groups}"]

    def main_layers(self) -> list[str]:
        """`head.0`, all residual groups and the convolution after those of `body`, `tail.0`."""
        body = [f"body.{i}" for i in range(len(self.body))]
        return ["head.0", "body_nl_low.0", *body, "body_nl_high.0", "tail.0"]

    def own_layer_roles(self) -> LayerRoles:
        """`tail.0` holds the noise."""
        return LayerRoles(frozenset({"tail.0"}), "tail.0", "noise")

    def restore(self, x: Tensor, keys: Sequence[seeds.Key] | None = None, **options: Any) -> Tensor:
        """Denoise; `keys` are unused, since the network has no masks."""
        height, width = x.shape[-2:]
        x = extend(x, self.multiple)
        hidden = self.body_nl_low(self.head(x))
        noise: Tensor = self.tail(self.body_nl_high(self.body(hidden)))
        return (noise + x)[..., :height, :width]


class ResidualGroup(nn.Module):
    """Residual attention, then a convolution, (B, features, H, W) to the same shape.

    `inner` is the number of channels within the mask's non-local block, 0 for a mask without.
    """

    def __init__(self, features: int, inner: int = 0) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ResidualAttention(features, inner), convolution(features, features)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Both in turn."""
        output: Tensor = self.body(x)
        return output


class ResidualAttention(nn.Module):
    """tail(trunk(a) · mask(a) + a), where a = RB1(x); all of them residual blocks but the mask."""

    def __init__(self, features: int, inner: int) -> None:
        super().__init__()
        self.RA_RB1 = nn.Sequential(ResidualBlock(features))
        self.RA_TB = nn.Sequential(nn.Sequential(OrderedDict(body=residual_blocks(features, 2))))
        self.RA_MB = nn.Sequential(MaskBranch(features, inner))
        self.RA_tail = residual_blocks(features, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, features, H, W) to the same shape."""
        start = self.RA_RB1(x)
        output: Tensor = self.RA_tail(self.RA_TB(start) * self.RA_MB(start) + start)
        return output


class MaskBranch(nn.Module):
    """σ(conv(RB3(r + up(RB2(down(r)))))), where r = RB1(a): a factor for every channel and pixel.

    `down` is a convolution of stride 2 and `up` a transposed one, so that height and width must be
    even; RB1 is a residual block, after a non-local one if `inner` is not 0, RB2 is two of them.
    """

    def __init__(self, features: int, inner: int) -> None:
        super().__init__()
        first = [NonLocal(features, inner)] if inner else []
        self.MB_RB1 = nn.Sequential(*first, ResidualBlock(features))
        self.MB_Down = nn.Sequential(nn.Conv2d(features, features, 3, stride=2, padding=1))
        self.MB_RB2 = residual_blocks(features, 2)
        self.MB_Up = nn.Sequential(nn.ConvTranspose2d(features, features, 6, stride=2, padding=2))
        self.MB_RB3 = residual_blocks(features, 1)
        self.MB_1x1conv = nn.Sequential(nn.Conv2d(features, features, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, features, H, W) to the same shape, in (0, 1)."""
        fine = self.MB_RB1(x)
        coarse = self.MB_Up(self.MB_RB2(self.MB_Down(fine)))
        mask: Tensor = self.MB_1x1conv(self.MB_RB3(fine + coarse))
        return mask.sigmoid_()


class NonLocal(nn.Module):
    """x + W(y), y[q] = Σ_k A[q, k] · g(x)[k], over all pairs of positions q, k.

    A[q, k] = exp(θ(x)[q] · φ(x)[k]) / Σ_q' exp(θ(x)[q'] · φ(x)[k]): every column sums to 1, not
    every row as in other attention. Columns do not depend on each other, so that y is summed up
    over some of them at a time. g, θ, φ are 1 x 1 convolutions to `inner` channels, W is one back.
    """

    def __init__(self, features: int, inner: int) -> None:
        super().__init__()
        self.g = nn.Conv2d(features, inner, 1)
        self.W = nn.Conv2d(inner, features, 1)
        self.theta = nn.Conv2d(features, inner, 1)
        self.phi = nn.Conv2d(features, inner, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, features, H, W) to the same shape."""
        queries = self.theta(x).flatten(2)
        count = max(1, KEYS_AT_ONCE // len(x))
        keys, values = (part(x).flatten(2).split(count, 2) for part in (self.phi, self.g))
        gathered = torch.zeros_like(queries)
        for key, value in zip(keys, values, strict=True):
            gathered = gathered + value @ (key.mT @ queries).softmax(2)
        weighed: Tensor = self.W(gathered.unflatten(2, x.shape[2:]))
        return weighed + x


class ResidualBlock(nn.Module):
    """x + conv(ReLU(conv(x))), (B, features, H, W) to the same shape."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(features, features), nn.ReLU(True), convolution(features, features)
        )

    def forward(self, x: Tensor) -> Tensor:
        """The sum."""
        changed: Tensor = self.body(x)
        return changed + x


def residual_blocks(features: int, count: int) -> nn.Sequential:
    """Residual blocks in a row."""
    return nn.Sequential(*(ResidualBlock(features) for _ in range(count)))


def convolution(inputs: int, outputs: int) -> nn.Conv2d:
    """A 3 x 3 convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


def detect(weights: Weights) -> RNANConfig | None:
    """Hyper-parameters of an RNAN from its keys and shapes; None for another architecture.

    The value range is left at 1, since weights do not say it: see `RNAN.range_unknown`.

    Raises:
        BadInput: an incomplete RNAN, or one whose channels differ at its two ends.
    """
    if ANCHOR not in weights:
        return None
    try:
        features, in_chans = weights["head.0.weight"].shape[:2]
        out_chans = weights["tail.0.weight"].shape[0]
        inner = weights[ANCHOR].shape[0]
    except (KeyError, ValueError, IndexError) as error:
        raise BadInput(f"an incomplete RNAN, {error} is missing or misshapen") from None
    if in_chans != out_chans:
        raise BadInput(f"an RNAN from {in_chans} to {out_chans} channels; expected a denoiser's")
    groups = r"body\.\d+\.body\.0\.RA_MB\.0\.MB_Down\.0\.weight"
    return RNANConfig(
        in_chans=in_chans,
        features=features,
        groups=sum(bool(re.fullmatch(groups, key)) for key in weights),
        inner=inner,
    )


ARCHITECTURE = Architecture(
    name="RNAN",
    anchor=ANCHOR,
    config=RNANConfig,
    build=RNAN,
    detect=detect,
    keys=("head.0.weight", ANCHOR, "tail.0.weight"),
    about="residual groups with non-local attention; Zhang et al., ICLR 2019",
)
