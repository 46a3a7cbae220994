"""RIDNet: blocks of dilated convolutions, each weighing its channels by their global average.

Module names follow the published checkpoints, so that their state dicts load strictly.

Reference: Anwar and Barnes, *Real Image Denoising with Feature Attention*, ICCV 2019.
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
from mtd.networks.block_names import RIDNET_BLOCKS
from mtd.networks.config import Config, Weights
from mtd.networks.input_format import InputFormat
from mtd.networks.layer_roles import LayerRoles
from mtd.networks.swinir import RGB_MEAN
from mtd.utils import seeds
from mtd.utils.errors import BadInput

ANCHOR = "b1.r1.body1.0.weight"


@dataclass(frozen=True)
class RIDNetConfig(Config):
    """Hyper-parameters; the defaults are the published network (1,499,515 weights).

    Attributes:
        features: channels between convolutions.
        blocks: number of enhancement attention modules.
        reduction: by how much channel attention narrows the channels; a divisor of `features`.
        value_range: white, for the network: 255 as published, 1 as retrained by others.
    """

    features: int = 64
    blocks: int = 4
    reduction: int = 16
    value_range: float = 1.0

    @property
    def layers(self) -> int:
        """See `Config.layers`."""
        return self.blocks

    def check(self) -> None:
        """Check that the network can be built.

        Raises:
            BadInput: sizes out of range or that do not fit together, or not RGB.
        """
        if self.in_chans != 3:
            raise BadInput(f"RIDNet of {self.in_chans} channels: expected 3, its means are of RGB")
        if min(self.features, self.blocks, self.reduction) < 1 or self.features % self.reduction:
            raise BadInput(
                f"RIDNet of {self.blocks} blocks, {self.features} features, reduction "
                f"{self.reduction}: expected 1 or more, the reduction a divisor of the features"
            )
        if self.value_range not in (1, 255):
            raise BadInput(f"RIDNet of value range {self.value_range}: expected 1 or 255")


class RIDNet(Denoiser):
    """Denoiser x + add_mean(tail(bₙ(…b₁(head(sub_mean(x)))))), (B, 3, H, W) to the same shape.

    `sub_mean` and `add_mean` are 1 x 1 convolutions that begin as ∓ the mean of RGB, times the
    value range, and may be trained like others; `head` is convolution, batch normalization and
    ReLU, `tail` a convolution; borders are padded with zeros. In eval mode batch normalization
    uses its running statistics; in training it needs batches of two images or more, since channel
    attention has one value for each image and channel. It was trained without masks.

    Attributes:
        range_in_weights: by `sub_mean`.
    """

    range_in_weights = True
    block_names = RIDNET_BLOCKS

    def __init__(self, config: RIDNetConfig | None = None) -> None:
        super().__init__()
        self.config: RIDNetConfig = config or RIDNetConfig()
        c = self.config
        self.input_format = InputFormat(value_range=c.value_range)
        self.sub_mean = nn.Conv2d(c.in_chans, c.in_chans, 1)
        self.add_mean = nn.Conv2d(c.in_chans, c.in_chans, 1)
        self.head = nn.Sequential(
            convolution(c.in_chans, c.features), nn.BatchNorm2d(c.features), nn.ReLU(True)
        )
        for name in self.blocks:
            self.add_module(name, EnhancementAttention(c.features, c.reduction))
        self.tail = convolution(c.features, c.in_chans)
        self.reset_means()

    @property
    def blocks(self) -> list[str]:
        """Names of the enhancement attention modules, b1 first."""
        return [f"b{i + 1}" for i in range(self.config.blocks)]

    def bytes_per_pixel(self) -> int:
        """24 · features, six feature maps where a merge-and-run unit joins its two paths.

        Measured against estimated, from 400 x 400 up: 1,550 / 1,536 for 64 features, 3,075 / 3,072
        for 128; below, where the allocator keeps what is freed, it is up to twice that.
        """
        return 24 * self.config.features

    def main_layers(self) -> list[str]:
        """`head`, the four units of every block, `tail`."""
        units = [f"{block}.{unit}" for block in self.blocks for unit in ("r1", "r2", "r3", "ca")]
        return ["head", *units, "tail"]

    def own_layer_roles(self) -> LayerRoles:
        """`tail` and `add_mean` hold the noise."""
        return LayerRoles(frozenset({"tail", "add_mean"}), "tail", "noise")

    def initialize(self, generator: torch.Generator) -> None:
        """Random weights as for any denoiser, and mean shifts by the mean of RGB."""
        super().initialize(generator)
        self.reset_means()

    @torch.no_grad()
    def reset_means(self) -> None:
        """Make `sub_mean` take the mean of RGB away, and `add_mean` put it back."""
        mean = torch.tensor(RGB_MEAN) * self.config.value_range
        for shift, bias in ((self.sub_mean, -mean), (self.add_mean, mean)):
            shift.weight.copy_(torch.eye(len(mean)).view(shift.weight.shape))
            shift.bias.copy_(bias)  # type: ignore[union-attr]

    def restore(self, x: Tensor, keys: Sequence[seeds.Key] | None = None, **options: Any) -> Tensor:
        """Denoise; `keys` are unused, since the network has no masks.

        Raises:
            BadInput: one image alone in training mode.
        """
        if self.training and len(x) < 2:
            raise BadInput(
                "a batch of 1 image: RIDNet, whose channel attention has batch normalization, is "
                "trained on 2 or more"
            )
        hidden = self.head(self.sub_mean(x))
        for block in self.blocks:
            hidden = self.get_submodule(block)(hidden)
        noise: Tensor = self.add_mean(self.tail(hidden))
        return noise + x


class EnhancementAttention(nn.Module):
    """ca(r3(r2(r1(x)))), (B, features, H, W) to the same shape.

    `r1` is a merge-and-run unit, `r2` and `r3` are residual units, `ca` is channel attention.
    """

    def __init__(self, features: int, reduction: int) -> None:
        super().__init__()
        f = features
        self.r1 = MergeAndRun(f)
        self.r2 = Residual(convolution(f, f), nn.ReLU(True), convolution(f, f))
        self.r3 = Residual(
            *(convolution(f, f), nn.ReLU(True)),
            *(convolution(f, f), nn.ReLU(True)),
            nn.Conv2d(f, f, 1),
        )
        self.ca = ChannelAttention(f, reduction)

    def forward(self, x: Tensor) -> Tensor:
        """The four units in turn."""
        output: Tensor = self.ca(self.r3(self.r2(self.r1(x))))
        return output


class MergeAndRun(nn.Module):
    """x + body3([body1(x), body2(x)]), with dilations 1 and 2 in `body1`, 3 and 4 in `body2`.

    The brackets join channels; a ReLU follows every convolution.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.body1, self.body2 = (
            nn.Sequential(
                *(convolution(features, features, first), nn.ReLU(True)),
                *(convolution(features, features, second), nn.ReLU(True)),
            )
            for first, second in ((1, 2), (3, 4))
        )
        self.body3 = nn.Sequential(convolution(2 * features, features), nn.ReLU(True))

    def forward(self, x: Tensor) -> Tensor:
        """(B, features, H, W) to the same shape."""
        merged: Tensor = self.body3(torch.cat([self.body1(x), self.body2(x)], 1))
        return merged + x


class Residual(nn.Module):
    """ReLU(x + body(x)), for layers that keep the shape."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(B, features, H, W) to the same shape."""
        changed: Tensor = self.body(x)
        return (changed + x).relu_()


class ChannelAttention(nn.Module):
    """x · c2(c1(average of x over positions)): one factor in (0, 1) for each image and channel.

    `c1` is a 1 x 1 convolution without bias to features / reduction channels, batch normalization
    and ReLU; `c2` a 1 x 1 convolution back, and the sigmoid.
    """

    def __init__(self, features: int, reduction: int) -> None:
        super().__init__()
        few = features // reduction
        self.c1 = nn.Sequential(
            nn.Conv2d(features, few, 1, bias=False), nn.BatchNorm2d(few), nn.ReLU(True)
        )
        factor = nn.Sequential(nn.Conv2d(few, features, 1), nn.Sigmoid())
        self.c2 = nn.Sequential(OrderedDict(body=factor))

    def forward(self, x: Tensor) -> Tensor:
        """(B, features, H, W) to the same shape."""
        factors: Tensor = self.c2(self.c1(x.mean((2, 3), keepdim=True)))
        return x * factors


def convolution(inputs: int, outputs: int, dilation: int = 1) -> nn.Conv2d:
    """A 3 x 3 convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation)


def detect(weights: Weights) -> RIDNetConfig | None:
    """Hyper-parameters of a RIDNet from its keys, shapes and means; None for another architecture.

    Raises:
        BadInput: an incomplete RIDNet, or one whose value range its means do not tell.
    """
    if ANCHOR not in weights or "sub_mean.bias" not in weights:
        return None
    try:
        features, in_chans = weights["head.0.weight"].shape[:2]
        squeezed = weights["b1.ca.c1.0.weight"].shape[0]
    except (KeyError, ValueError, IndexError) as error:
        raise BadInput(f"an incomplete RIDNet, {error} is missing or misshapen") from None
    if not squeezed or features % squeezed:
        raise BadInput(f"a RIDNet that narrows {features} channels to {squeezed}; expected a share")
    return RIDNetConfig(
        in_chans=in_chans,
        features=features,
        blocks=sum(bool(re.fullmatch(r"b\d+\.r1\.body1\.0\.weight", key)) for key in weights),
        reduction=features // squeezed,
        value_range=value_range(weights["sub_mean.bias"]),
    )


def value_range(bias: Tensor) -> float:
    """White, for a network with this mean shift: its mean is about 0.43 of it, give or take.

    Raises:
        BadInput: means that fit neither 1 nor 255.
    """
    size = float(bias.detach().abs().double().mean())
    if 0.1 < size <= 2:
        return 1.0
    if 20 < size <= 255:
        return 255.0
    raise BadInput(
        f"a RIDNet that shifts colors by {size:.3g}, which does not tell whether it takes values "
        "up to 1 (about 0.43) or 255 (about 110)"
    )


ARCHITECTURE = Architecture(
    name="RIDNet",
    anchor=ANCHOR,
    config=RIDNetConfig,
    build=RIDNet,
    detect=detect,
    keys=("sub_mean.bias", ANCHOR, "b1.ca.c1.0.weight"),
    about="dilated convolutions and channel attention; Anwar and Barnes, ICCV 2019",
)
