"""BF-RCNN: one plain stack of convolutions, run several times, without additive constants.

Module names follow the published checkpoints, so that their state dicts load strictly. Four stages
of 5 hidden convolutions, 64 features and values in [0, 1] are those of the authors' code
(github.com/LabForComputationalVision/bias_free_denoising: allcode/models/rcnn.py).

Reference: Mohan et al., *Robust and Interpretable Blind Image Denoising via Bias-Free Convolutional
Neural Networks*, ICLR 2020; the network with biases is that of Zhang et al., *Dynamically Unfolding
Recurrent Restorer*, 2018.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mtd.networks.architecture import Architecture
from mtd.networks.base import Denoiser
from mtd.networks.bias_free import Stage
from mtd.networks.config import Config, Weights
from mtd.networks.fitting import if_it_fits
from mtd.utils import seeds
from mtd.utils.counter_random import STAGES, BatchStream
from mtd.utils.errors import BadInput


@dataclass(frozen=True)
class BFRecurrentCNNConfig(Config):
    """Hyper-parameters; the defaults are the published grayscale network (186,048 weights).

    Attributes:
        in_chans: image channels.
        features: channels between convolutions.
        hidden: convolutions between the first and the last.
        stages: how often the stack is run.
        bias: whether all convolutions but the last have one.
    """

    in_chans: int = 1
    features: int = 64
    hidden: int = 5
    stages: int = 4
    bias: bool = False

    @property
    def layers(self) -> int:
        """See `Config.layers`."""
        return self.hidden + self.stages

    def check(self) -> None:
        """Check that the network can be built.

        Raises:
            BadInput: sizes out of range.
        """
        if min(self.in_chans, self.features, self.stages) < 1 or self.hidden < 0:
            raise BadInput(
                f"BF-RCNN of {self.in_chans} channels, {self.features} features, {self.stages} "
                f"stages, {self.hidden} hidden convolutions: expected 1, 1, 1 and 0 or more"
            )


class BFRecurrentCNN(Denoiser):
    """Denoiser yₙ of x, with y₀ = x, yₛ = f([x, yₛ₋₁]), (B, C, H, W) in [0, 1] to the same shape.

    The brackets join channels, f is `Stage`, n is `stages`; nothing is clamped. In training, n is
    drawn anew for each image, from 1 to `stages` with equal probability (the authors draw it for
    each batch). Without biases f(a x) = a f(x) for a > 0. It was trained without masks.
    """

    draws = True

    def __init__(self, config: BFRecurrentCNNConfig | None = None) -> None:
        super().__init__()
        self.config: BFRecurrentCNNConfig = config or BFRecurrentCNNConfig()
        c = self.config
        self.cnn = Stage(2 * c.in_chans, c.in_chans, c.features, c.hidden, c.bias, False)

    @property
    def reach(self) -> int:
        """One pixel for each convolution of each stage."""
        return self.config.stages * (self.config.hidden + 2)

    def restore(
        self,
        x: Tensor,
        keys: Sequence[seeds.Key] | None = None,
        *,
        stream: BatchStream | None = None,
        **options: Any,
    ) -> Tensor:
        """Denoise; `keys` are unused, since the network has no masks.

        Args:
            x: (B, C, H, W), nominally in [0, 1].
            keys: one per image.
            stream: of training, from which the number of stages is drawn; all without it.
            options: unused.
        """
        last = self.config.stages
        drawn = None
        if self.training and stream is not None:
            drawn = stream.integers(1, last, STAGES, 0, 1, 1, 1)
        out = result = x
        for stage in range(1, last + 1):
            out = self.cnn(torch.cat([x, out], 1))
            result = out if drawn is None else torch.where(drawn >= stage, out, result)
        return result


def detect(weights: Weights) -> BFRecurrentCNNConfig | None:
    """Hyper-parameters of a BF-RCNN from its keys and shapes; None for another architecture.

    It is assumed, since tensors do not show it, that there are 4 stages.
    """
    first = weights.get("cnn.first_layer.weight")
    if first is None or first.ndim != 4 or first.shape[1] % 2 or not first.numel():
        return None
    hidden = sum(bool(re.fullmatch(r"cnn\.hidden_layer_list\.\d+\.weight", k)) for k in weights)
    bias = "cnn.first_layer.bias" in weights
    config = BFRecurrentCNNConfig(first.shape[1] // 2, first.shape[0], hidden, bias=bias)
    return if_it_fits(config, BFRecurrentCNN, weights)


ARCHITECTURE = Architecture(
    name="BFRecurrentCNN",
    anchor="cnn.first_layer.weight",
    config=BFRecurrentCNNConfig,
    build=BFRecurrentCNN,
    detect=detect,
    keys=("cnn.first_layer.weight", "cnn.last_layer.weight"),
    about="a stack of convolutions run several times, without additive constants or with them; "
    "Mohan et al., ICLR 2020",
    assumes="4 stages",
)
