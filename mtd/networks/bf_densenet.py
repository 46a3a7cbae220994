"""BF-DenseNet: plain stacks in a row, each given the image too, without additive constants.

The authors call it a simplified DenseNet. Module names follow their code, so that its state dicts
load strictly; four stages of 5 hidden convolutions, 64 features, 5 channels between stages (as many
as hidden convolutions) and values in [0, 1] are those of
github.com/LabForComputationalVision/bias_free_denoising (models/sdensenet.py).

Reference: Mohan et al., *Robust and Interpretable Blind Image Denoising via Bias-Free Convolutional
Neural Networks*, ICLR 2020.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mtd.networks.architecture import Architecture
from mtd.networks.base import Denoiser
from mtd.networks.bias_free import Stage
from mtd.networks.config import Config, Weights
from mtd.networks.fitting import if_it_fits
from mtd.utils import seeds
from mtd.utils.errors import BadInput


@dataclass(frozen=True)
class BFDenseNetConfig(Config):
    """Hyper-parameters; the defaults are the authors' grayscale network.

    Attributes:
        in_chans: image channels.
        features: channels between convolutions.
        hidden: convolutions between the first and the last of a stage; channels between stages.
        stages: number of them.
        bias: whether all convolutions but the very last have one.
    """

    in_chans: int = 1
    features: int = 64
    hidden: int = 5
    stages: int = 4
    bias: bool = False

    @property
    def layers(self) -> int:
        """See `Config.layers`."""
        return self.stages * (self.hidden + 2)

    def check(self) -> None:
        """Check that the network can be built.

        Raises:
            BadInput: sizes out of range.
        """
        if min(self.in_chans, self.features, self.stages, self.hidden) < 1:
            raise BadInput(
                f"BF-DenseNet of {self.in_chans} channels, {self.features} features, {self.stages} "
                f"stages, {self.hidden} hidden convolutions: expected 1 or more of each"
            )


class BFDenseNet(Denoiser):
    """Denoiser yₙ of x, with y₁ = f₁(x) and yₛ = fₛ([x, yₛ₋₁]), (B, C, H, W) to the same shape.

    The brackets join channels, each f is a `Stage` with weights of its own, n is `stages`; values
    are in [0, 1] and never clamped. Without biases f(a x) = a f(x) for a > 0.
    """

    def __init__(self, config: BFDenseNetConfig | None = None) -> None:
        super().__init__()
        self.config: BFDenseNetConfig = config or BFDenseNetConfig()
        c, last = self.config, self.config.stages - 1
        self.cnn_list = nn.ModuleList(
            Stage(
                c.in_chans + (c.hidden if i else 0),
                c.hidden if i < last else c.in_chans,
                c.features,
                c.hidden,
                c.bias,
                c.bias and i < last,
            )
            for i in range(c.stages)
        )

    @property
    def reach(self) -> int:
        """One pixel for each convolution of each stage."""
        return self.config.stages * (self.config.hidden + 2)

    def restore(self, x: Tensor, keys: Sequence[seeds.Key] | None = None, **options: Any) -> Tensor:
        """Denoise; `keys` are unused, since the network has no masks."""
        first, *others = self.cnn_list
        out: Tensor = first(x)
        for stage in others:
            out = stage(torch.cat([x, out], 1))
        return out


def detect(weights: Weights) -> BFDenseNetConfig | None:
    """Hyper-parameters of a BF-DenseNet from its keys and shapes; None for another architecture."""
    first = weights.get("cnn_list.0.first_layer.weight")
    if first is None or first.ndim != 4 or not first.numel():
        return None

    def count(pattern: str) -> int:
        return sum(bool(re.fullmatch(pattern, key)) for key in weights)

    config = BFDenseNetConfig(
        in_chans=first.shape[1],
        features=first.shape[0],
        hidden=count(r"cnn_list\.0\.hidden_layer_list\.\d+\.weight"),
        stages=count(r"cnn_list\.\d+\.first_layer\.weight"),
        bias="cnn_list.0.first_layer.bias" in weights,
    )
    return if_it_fits(config, BFDenseNet, weights)


ARCHITECTURE = Architecture(
    name="BFDenseNet",
    anchor="cnn_list.0.first_layer.weight",
    config=BFDenseNetConfig,
    build=BFDenseNet,
    detect=detect,
    keys=("cnn_list.0.first_layer.weight", "cnn_list.0.last_layer.weight"),
    about="stacks of convolutions, each given the image too, without additive constants or with "
    "them; Mohan et al., ICLR 2020",
)
