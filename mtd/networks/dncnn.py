"""DnCNN: a plain stack of 3 x 3 convolutions that predicts the noise.

Module names follow the published checkpoints, so that their state dicts load strictly.

Reference: Zhang et al., *Beyond a Gaussian Denoiser: Residual Learning of Deep CNN for Image
Denoising*, IEEE TIP 2017.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from mtd.networks.architecture import Architecture
from mtd.networks.base import Denoiser, convolutions
from mtd.networks.config import Config, Weights
from mtd.networks.layer_roles import LayerRoles
from mtd.utils import seeds
from mtd.utils.errors import BadInput

EPSILON = 1e-4
"""Of the published batch normalization."""


@dataclass(frozen=True)
class DnCNNConfig(Config):
    """Hyper-parameters; the defaults are the published color blind network (668,227 weights).

    Attributes:
        features: channels between convolutions.
        depth: number of convolutions; a pixel of the output depends on `depth` pixels to each side.
        batch_norm: batch normalization after all convolutions but the first and the last.
        bias: whether convolutions have one.
    """

    features: int = 64
    depth: int = 20
    batch_norm: bool = False
    bias: bool = True

    @property
    def layers(self) -> int:
        """See `Config.layers`."""
        return self.depth

    def check(self) -> None:
        """Check that the network can be built.

        Raises:
            BadInput: sizes out of range.
        """
        if min(self.in_chans, self.features) < 1 or self.depth < 2:
            raise BadInput(
                f"DnCNN of {self.in_chans} channels, {self.features} features, depth {self.depth}: "
                "expected 1, 1 and 2 or more"
            )


class DnCNN(Denoiser):
    """Denoiser x − f(x), (B, C, H, W) in [0, 1] to the same shape, never clamped.

    f is a convolution and ReLU, `depth` − 2 times convolution, batch normalization (if any) and
    ReLU, and a last convolution; borders are padded with zeros. It was trained without masks.
    """

    def __init__(self, config: DnCNNConfig | None = None) -> None:
        super().__init__()
        self.config: DnCNNConfig = config or DnCNNConfig()
        c = self.config
        layers: list[nn.Module] = [convolution(c.in_chans, c.features, c.bias), nn.ReLU(True)]
        for _ in range(c.depth - 2):
            layers.append(convolution(c.features, c.features, c.bias))
            if c.batch_norm:
                layers.append(nn.BatchNorm2d(c.features, eps=EPSILON))
            layers.append(nn.ReLU(True))
        layers.append(convolution(c.features, c.in_chans, c.bias))
        self.model = nn.Sequential(*layers)

    @property
    def reach(self) -> int:
        """One pixel for each convolution."""
        return self.config.depth

    def bytes_per_pixel(self) -> int:
        """12 · features, three feature maps.

        Measured equals estimated (768 for 64 features) from 400 x 400 up; below, where the
        allocator keeps what is freed, it is up to twice that.
        """
        return 12 * self.config.features

    def own_layer_roles(self) -> LayerRoles:
        """The last convolution holds the noise."""
        last = convolutions(self)[-1]
        return LayerRoles(frozenset({last}), last, "noise")

    def restore(self, x: Tensor, keys: Sequence[seeds.Key] | None = None, **options: Any) -> Tensor:
        """Denoise; `keys` are unused, since the network has no masks."""
        noise: Tensor = self.model(x)
        return x - noise


def convolution(inputs: int, outputs: int, bias: bool) -> nn.Conv2d:
    """A 3 x 3 convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)


def detect(weights: Weights) -> DnCNNConfig | None:
    """Hyper-parameters of a DnCNN from its keys and shapes; None for another architecture.

    It is assumed, since tensors do not show it, that the network predicts the noise and not the
    image, with ReLUs between convolutions that are not dilated.

    Raises:
        BadInput: a stack of convolutions under DnCNN's names that is no DnCNN.
    """
    if not all(re.fullmatch(r"model\.\d+\.\w+", key) for key in weights):
        return None
    kernels = {
        int(key.split(".")[1]): value.shape
        for key, value in weights.items()
        if key.endswith(".weight") and value.ndim == 4
    }
    if len(kernels) < 2 or 0 not in kernels:
        return None
    if any(shape[-2:] != (3, 3) for shape in kernels.values()):
        return None
    first, last = kernels[0], kernels[max(kernels)]
    if first[1] != last[0]:
        level_map = first[1] == last[0] + 1
        likely = ", probably an FDnCNN, with the noise level as a channel" if level_map else ""
        raise BadInput(
            f"a stack of convolutions from {first[1]} to {last[0]} channels{likely}; a DnCNN has "
            "as many at both ends; with a class of your own: --model package.module:factory"
        )
    normed = any(key.endswith(".weight") and v.ndim == 1 for key, v in weights.items())
    normed = normed or any(key.endswith("running_mean") for key in weights)
    if (len(kernels), first[0], normed) == (7, 64, False):
        raise BadInput(
            "7 convolutions of 64 features are those of an IRCNN, whose kernels are "
            "dilated; the weights do not show it, and run as a DnCNN they would give wrong images"
        )
    return DnCNNConfig(
        in_chans=first[1],
        features=first[0],
        depth=len(kernels),
        batch_norm=normed,
        bias="model.0.bias" in weights,
    )


ARCHITECTURE = Architecture(
    name="DnCNN",
    anchor="model.0.weight",
    config=DnCNNConfig,
    build=DnCNN,
    detect=detect,
    keys=("model.0.weight", "model.2.weight"),
    about="a stack of 3 x 3 convolutions that predicts the noise; Zhang et al., TIP 2017",
    assumes="outputs x - f(x), ReLU between convolutions, no dilation",
)
