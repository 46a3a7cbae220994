"""BF-DnCNN: a DnCNN without additive constants, and its counterpart with them.

Module names follow the published checkpoints, so that their state dicts load strictly. Depth 20, 64
features, values in [0, 1] and x − f(x) are those of the authors' code
(github.com/LabForComputationalVision/bias_free_denoising: models/dncnn.py, utils/demo_utils.py).

Reference: Mohan et al., *Robust and Interpretable Blind Image Denoising via Bias-Free Convolutional
Neural Networks*, ICLR 2020.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from mtd.networks.architecture import Architecture
from mtd.networks.base import Denoiser
from mtd.networks.bias_free import BiasFreeBatchNorm2d, convolution
from mtd.networks.config import Config, Weights
from mtd.networks.fitting import if_it_fits
from mtd.networks.layer_roles import LayerRoles
from mtd.utils import seeds
from mtd.utils.errors import BadInput


@dataclass(frozen=True)
class BFDnCNNConfig(Config):
    """Hyper-parameters; the defaults are the published grayscale network.

    Attributes:
        in_chans: image channels.
        features: channels between convolutions.
        depth: number of convolutions.
        bias: whether convolutions have a bias and batch normalization subtracts the mean and adds a
            bias, as in the counterpart that is published for comparison.
    """

    in_chans: int = 1
    features: int = 64
    depth: int = 20
    bias: bool = False

    @property
    def layers(self) -> int:
        """See `Config.layers`."""
        return self.depth

    def check(self) -> None:
        """Check that the network can be built.

        Raises:
            BadInput: sizes out of range.
        """
        if min(self.in_chans, self.features) < 1 or self.depth < 3:
            raise BadInput(
                f"BF-DnCNN of {self.in_chans} channels, {self.features} features, depth "
                f"{self.depth}: expected 1, 1 and 3 or more"
            )


class BFDnCNN(Denoiser):
    """Denoiser x − f(x), (B, C, H, W) in [0, 1] to the same shape, never clamped.

    f is a convolution and ReLU, `depth` − 2 times convolution, `BiasFreeBatchNorm2d` (with biases
    the usual one) and ReLU, and a last convolution; borders are padded with zeros. Without biases
    f(a x) = a f(x) for a > 0 in eval mode. It was trained without masks.
    """

    def __init__(self, config: BFDnCNNConfig | None = None) -> None:
        super().__init__()
        self.config: BFDnCNNConfig = config or BFDnCNNConfig()
        c = self.config
        norm = nn.BatchNorm2d if c.bias else BiasFreeBatchNorm2d
        between = range(c.depth - 2)
        self.first_layer = convolution(c.in_chans, c.features, c.bias)
        self.hidden_layer_list = nn.ModuleList(
            convolution(c.features, c.features, c.bias) for _ in between
        )
        self.bn_layer_list = nn.ModuleList(norm(c.features) for _ in between)
        self.last_layer = convolution(c.features, c.in_chans, c.bias)

    @property
    def reach(self) -> int:
        """One pixel for each convolution."""
        return self.config.depth

    def main_layers(self) -> list[str]:
        """All convolutions, in order of depth."""
        hidden = [f"hidden_layer_list.{i}" for i in range(self.config.depth - 2)]
        return ["first_layer", *hidden, "last_layer"]

    def own_layer_roles(self) -> LayerRoles:
        """The last convolution holds the noise."""
        return LayerRoles(frozenset({"last_layer"}), "last_layer", "noise")

    def restore(self, x: Tensor, keys: Sequence[seeds.Key] | None = None, **options: Any) -> Tensor:
        """Denoise; `keys` are unused, since the network has no masks."""
        out = self.first_layer(x).relu_()
        for layer, norm in zip(self.hidden_layer_list, self.bn_layer_list, strict=True):
            out = norm(layer(out)).relu_()
        noise: Tensor = self.last_layer(out)
        return x - noise


def detect(weights: Weights) -> BFDnCNNConfig | None:
    """Hyper-parameters of a BF-DnCNN from its keys and shapes; None for another architecture.

    It is assumed, since tensors do not show it, that the network predicts the noise.
    """
    first = weights.get("first_layer.weight")
    if first is None or first.ndim != 4 or "bn_layer_list.0.weight" not in weights:
        return None
    hidden = sum(bool(re.fullmatch(r"hidden_layer_list\.\d+\.weight", key)) for key in weights)
    if hidden != sum(bool(re.fullmatch(r"bn_layer_list\.\d+\.weight", key)) for key in weights):
        return None
    config = BFDnCNNConfig(
        first.shape[1], first.shape[0], hidden + 2, "first_layer.bias" in weights
    )
    return if_it_fits(config, BFDnCNN, weights)


ARCHITECTURE = Architecture(
    name="BFDnCNN",
    anchor="first_layer.weight",
    config=BFDnCNNConfig,
    build=BFDnCNN,
    detect=detect,
    keys=("first_layer.weight", "hidden_layer_list.0.weight", "bn_layer_list.0.running_var"),
    about="a DnCNN without additive constants, or with them; Mohan et al., ICLR 2020",
    assumes="outputs x - f(x)",
)
