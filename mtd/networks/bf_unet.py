"""BF-UNet: a small U-Net of one level with dilated convolutions, without additive constants.

Module names follow the published checkpoints, so that their state dicts load strictly. Layers, 32
features and values in [0, 1] are those of the authors' code
(github.com/LabForComputationalVision/bias_free_denoising: allcode/models/unet.py).

Reference: Mohan et al., *Robust and Interpretable Blind Image Denoising via Bias-Free Convolutional
Neural Networks*, ICLR 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtd.networks.architecture import Architecture
from mtd.networks.base import Denoiser
from mtd.networks.config import Config, Weights
from mtd.networks.fitting import if_it_fits
from mtd.networks.layer_roles import LayerRoles
from mtd.utils import seeds
from mtd.utils.errors import BadInput


@dataclass(frozen=True)
class BFUNetConfig(Config):
    """Hyper-parameters; the defaults are the published grayscale network (233,024 weights).

    Attributes:
        in_chans: image channels.
        features: channels at full size; twice as many at half size.
        bias: whether all convolutions but the last have one.
    """

    in_chans: int = 1
    features: int = 32
    bias: bool = False

    def check(self) -> None:
        """Check that the network can be built.

        Raises:
            BadInput: sizes out of range.
        """
        if min(self.in_chans, self.features) < 1:
            raise BadInput(
                f"BF-UNet of {self.in_chans} channels, {self.features} features: expected 1 or more"
            )


class BFUNet(Denoiser):
    """Denoiser f(x), (B, C, H, W) in [0, 1] to the same shape, never clamped.

    Two convolutions at full size, of 5 x 5 and 3 x 3; at half size four, of which the last two have
    dilations 2 and 4; a transposed one of 4 x 4 back, joined with the features of the second, and
    two more, of 3 x 3 and 5 x 5. A ReLU follows all but the last; borders are padded with zeros, as
    is an odd height or width at the bottom or right. Without biases f(a x) = a f(x) for a > 0.
    """

    multiple = 2

    def __init__(self, config: BFUNetConfig | None = None) -> None:
        super().__init__()
        self.config: BFUNetConfig = config or BFUNetConfig()
        channels, f, bias = self.config.in_chans, self.config.features, self.config.bias
        self.conv1 = nn.Conv2d(channels, f, 5, padding=2, bias=bias)
        self.conv2 = nn.Conv2d(f, f, 3, padding=1, bias=bias)
        self.conv3 = nn.Conv2d(f, 2 * f, 3, stride=2, padding=1, bias=bias)
        self.conv4 = nn.Conv2d(2 * f, 2 * f, 3, padding=1, bias=bias)
        self.conv5 = nn.Conv2d(2 * f, 2 * f, 3, padding=2, dilation=2, bias=bias)
        self.conv6 = nn.Conv2d(2 * f, 2 * f, 3, padding=4, dilation=4, bias=bias)
        self.conv7 = nn.ConvTranspose2d(2 * f, 2 * f, 4, stride=2, padding=1, bias=bias)
        self.conv8 = nn.Conv2d(3 * f, f, 3, padding=1, bias=bias)
        self.conv9 = nn.Conv2d(f, channels, 5, padding=2, bias=False)

    @property
    def reach(self) -> int:
        """3 before halving, 1 by it, 2 · 7 at half size, 2 by doubling, 3 after it."""
        return 3 + 1 + 2 * 7 + 2 + 3

    def own_layer_roles(self) -> LayerRoles:
        """The last convolution holds the image."""
        return LayerRoles(frozenset({"conv9"}), "conv9", "image")

    def restore(self, x: Tensor, keys: Sequence[seeds.Key] | None = None, **options: Any) -> Tensor:
        """Denoise; `keys` are unused, since the network has no masks."""
        height, width = x.shape[-2:]
        full = self.conv1(F.pad(x, (0, width % 2, 0, height % 2))).relu_()
        full = self.conv2(full).relu_()
        half = full
        for layer in (self.conv3, self.conv4, self.conv5, self.conv6, self.conv7):
            half = layer(half).relu_()
        out: Tensor = self.conv9(self.conv8(torch.cat([half, full], 1)).relu_())
        return out[..., :height, :width]


def detect(weights: Weights) -> BFUNetConfig | None:
    """Hyper-parameters of a BF-UNet from its keys and shapes; None for another architecture.

    It is assumed, since tensors do not show it, that the network predicts the image, not the noise
    (an option of the authors' code that is off by default).
    """
    first = weights.get("conv1.weight")
    if first is None or first.ndim != 4 or "conv9.weight" not in weights or not first.numel():
        return None
    config = BFUNetConfig(first.shape[1], first.shape[0], "conv1.bias" in weights)
    return if_it_fits(config, BFUNet, weights)


ARCHITECTURE = Architecture(
    name="BFUNet",
    anchor="conv9.weight",
    config=BFUNetConfig,
    build=BFUNet,
    detect=detect,
    keys=("conv1.weight", "conv7.weight", "conv9.weight"),
    about="a small U-Net without additive constants, or with them; Mohan et al., ICLR 2020",
    assumes="outputs f(x)",
)
