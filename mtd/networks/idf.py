"""IDF: one small network that predicts a filter for each pixel, applied again and again.

Module names follow the published checkpoints, so that their state dicts load strictly. Ten
iterations, exponent 3, the means and deviations of colors and RGB in [0, 1] are those of the
authors' code (github.com/dongjinkim9/IDF: idf/archs/idf_arch.py, configs/models/idfnet.yaml,
demo.py). Their option of stopping early by the change of the filters, which is off by default, is
left out.

Reference: Kim, Ko, Ali and Kim, *IDF: Iterative Dynamic Filtering Networks for Generalizable Image
Denoising*, ICCV 2025.
"""

from __future__ import annotations

from collections import OrderedDict
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
from mtd.utils import seeds
from mtd.utils.counter_random import MIXING, BatchStream
from mtd.utils.errors import BadInput

SIDE = 3
"""Height and width of a filter, in pixels."""

EPSILON = 1e-4
"""Of all normalizations."""

MEAN = (0.36187348, 0.4361255, 0.4335091)
DEVIATION = (0.19088039, 0.19967876, 0.21309015)
"""Of the training photographs, as the authors apply them to red, green and blue.

Their configuration says that they are in this order; of these photographs red is the brightest on
average, so that they may be of blue, green and red. What counts is how the network was trained.
"""

SPREAD = 0.5
"""Standard deviation of the colors that the network is given."""


@dataclass(frozen=True)
class IDFConfig(Config):
    """Hyper-parameters; the defaults are the published network (49,021 weights).

    Attributes:
        features: channels between convolutions.
        iterations: how often the network is applied.
        exponent: of the predicted numbers before they are made a filter; the larger, the fewer
            pixels a filter averages.
    """

    features: int = 64
    iterations: int = 10
    exponent: float = 3.0

    @property
    def layers(self) -> int:
        """See `Config.layers`."""
        return self.iterations

    def check(self) -> None:
        """Check that the network can be built.

        Raises:
            BadInput: sizes out of range, or not RGB.
        """
        if self.in_chans != 3:
            raise BadInput(f"IDF of {self.in_chans} channels: expected 3, its means are of RGB")
        if min(self.features, self.iterations) < 1 or not 0 < self.exponent < 100:
            raise BadInput(
                f"IDF of {self.features} features, {self.iterations} iterations, exponent "
                f"{self.exponent}: expected 1 or more, the exponent above 0"
            )


class IDF(Denoiser):
    """Denoiser yₙ of x, with y₀ = x and yₛ = block(yₛ₋₁, yₛ₋₂ − yₛ₋₁), (B, 3, H, W) in [0, 1].

    Colors are normalized by `MEAN` and `DEVIATION` to the standard deviation `SPREAD` before, and
    back after; nothing is clamped. Every second iteration, beginning with the first, filters pixels
    two apart, with reflected borders; the others neighbours, with borders of the mean color.

    The block uses statistics of the whole image, so that an image in tiles gives another result
    than the whole. In training, each iteration's result is mixed with its input, with a share of
    the input that is drawn for each image from 0 to 1. It was trained without masks.
    """

    draws = True
    smallest = SIDE

    def __init__(self, config: IDFConfig | None = None) -> None:
        super().__init__()
        self.config: IDFConfig = config or IDFConfig()
        self.block = FilterBlock(self.config)
        shape = (1, len(MEAN), 1, 1)
        scale = SPREAD / torch.tensor(DEVIATION, dtype=torch.float64).view(shape)
        shift = -scale * torch.tensor(MEAN, dtype=torch.float64).view(shape)
        self.register_buffer("scale", scale.float(), persistent=False)
        self.register_buffer("shift", shift.float(), persistent=False)
        self.scale: Tensor
        self.shift: Tensor

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
            x: (B, 3, H, W), nominally in [0, 1].
            keys: one per image.
            stream: of training, from which the shares of mixing are drawn; none without it.
            options: unused.
        """
        y, residual = x * self.scale + self.shift, None
        for i in range(self.config.iterations):
            filtered = self.block(y, residual, apart=2 - i % 2)
            if self.training and stream is not None:
                filtered = filtered.lerp(y, stream.uniform(MIXING, i, 1, 1, 1).to(y))
            y, residual = filtered, y - filtered
        return (y - self.shift) / self.scale


class FilterBlock(nn.Module):
    """One iteration: a filter of 3 x 3 for each pixel, of |p|^exponent / sum, and its application.

    p is predicted from features of the image, weighted by `gca` from the second iteration on, and
    from the correlation of each neighbour's color with the pixel's.
    """

    def __init__(self, config: IDFConfig) -> None:
        super().__init__()
        self.exponent, features = config.exponent, config.features
        self.feature_extractor = nn.Sequential(
            nn.Conv2d(config.in_chans, features, 3, padding=1, bias=False),
            nn.ReLU(True),
            nn.Conv2d(features, features, 3, padding=1, bias=False),
            nn.ReLU(True),
        )
        self.kernel_predictor = nn.Conv2d(features + SIDE**2, SIDE**2, 3, padding=1, bias=False)
        self.gca = ResidualAttention(config.in_chans, features)

    def forward(self, x: Tensor, residual: Tensor | None, apart: int) -> Tensor:
        """Filter images.

        Args:
            x: (B, C, H, W).
            residual: what the last iteration took away, of the same shape; None in the first.
            apart: distance of the pixels that are filtered, 1 or 2.

        Returns:
            (B, C, H, W).
        """
        batch, channels, height, width = x.shape
        border = (apart,) * 4
        padded = F.pad(x, border, mode="reflect") if apart > 1 else F.pad(x, border)
        patches = F.unfold(padded, SIDE, dilation=apart)
        patches = patches.view(batch, channels, SIDE**2, height, width)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.training):
            alike = color_correlation(patches)
        features = self.feature_extractor(unit_power(x))
        if residual is not None:
            features = self.gca(features, residual)
        predicted = self.kernel_predictor(unit_power(torch.cat([features, alike], 1)))
        powers = predicted.abs() ** self.exponent
        filters = powers / (powers.sum(1, keepdim=True) + EPSILON)
        filtered: Tensor = (patches * filters[:, None]).sum(2)
        return filtered


class ResidualAttention(nn.Module):
    """A factor from 0 to 1 for each channel, of means and deviations of the last residual."""

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2 * channels, 2 * channels, 1, bias=False)
        self.attention = nn.Sequential(
            OrderedDict(
                {
                    "0": nn.Conv2d(2 * channels, features, 1, bias=False),
                    "1": nn.ReLU(True),
                    "2": nn.Conv2d(features, features, 1, bias=False),
                    "3": nn.Sigmoid(),
                }
            )
        )

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        """(B, features, H, W) to the same shape, for a residual (B, channels, H, W)."""
        over = (2, 3)
        variance = residual.var(over, keepdim=True)
        statistics = [residual.mean(over, keepdim=True), root(variance)]
        factors: Tensor = self.attention(unit_power(self.conv(torch.cat(statistics, 1))))
        return x * factors


def unit_power(x: Tensor) -> Tensor:
    """x / (root of the mean square of each image + ε), (B, C, H, W) to the same shape."""
    values = x.to(torch.promote_types(x.dtype, torch.float32))
    power = root(values.square().mean((1, 2, 3), keepdim=True))
    return x / (power + EPSILON).to(x)


def root(x: Tensor) -> Tensor:
    """The square root of numbers from 0 on, with the derivative 0 at 0.

    What is divided by root + ε here is 0 there too, so that the quotient's derivative is exact.
    """
    positive = x > 0
    return torch.where(positive, torch.where(positive, x, 1).sqrt(), 0)


def color_correlation(patches: Tensor) -> Tensor:
    """The correlation of each neighbour's color with that of the pixel in the middle.

    Over C channels, Σ (a − ā)(b − b̄) / ((s_a + ε)(s_b + ε)), which is C − 1 times Pearson's; s are
    standard deviations of C − 1 degrees of freedom.

    Args:
        patches: (B, C, K, H, W), K neighbours with the pixel itself in the middle.

    Returns:
        (B, K, H, W).
    """
    values = patches.to(torch.promote_types(patches.dtype, torch.float32))
    centered = values - values.mean(1, keepdim=True)
    scaled = centered / (root(values.var(1, keepdim=True)) + EPSILON)
    middle = scaled[:, :, patches.shape[2] // 2, None]
    return (scaled * middle).sum(1).to(patches)


def detect(weights: Weights) -> IDFConfig | None:
    """Hyper-parameters of an IDF from its keys and shapes; None for another architecture.

    It is assumed, since tensors do not show it, that it has 10 iterations and the exponent 3.
    """
    first = weights.get("block.feature_extractor.0.weight")
    if first is None or first.ndim != 4 or first.shape[1] != len(MEAN) or not first.numel():
        return None
    config = IDFConfig(features=first.shape[0])
    return if_it_fits(config, IDF, weights)


ARCHITECTURE = Architecture(
    name="IDF",
    anchor="block.kernel_predictor.weight",
    config=IDFConfig,
    build=IDF,
    detect=detect,
    keys=("block.kernel_predictor.weight", "block.gca.conv.weight"),
    about="predicts a filter for each pixel, applied again and again; Kim et al., ICCV 2025",
    assumes="10 iterations, filters of powers of 3",
)
