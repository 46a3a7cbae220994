"""The test-time wrapper `normalize`, which makes a network equivariant to contrast and brightness.

With f the network, y the noisy image, and m and d mean and standard deviation of y over all visible
pixels and channels of one image,

    f̃(y) = s (f((y − m) / s + 0.5) − 0.5) + m,   s = d / 0.25,

so that the network is always given an image of mean 0.5 and standard deviation 0.25, values of
usual photographs in [0, 1]. For every network and every a > 0 and b, f̃(a y + b) = a f̃(y) + b up to
rounding. Channels have one mean and deviation, which keeps colors as they are to each other; a
noise level is divided by s. Of a constant image d = 0, and f̃(y) = y.

Reference: networks with these equivariances built in are those of Mohan et al., *Robust and
Interpretable Blind Image Denoising via Bias-Free Convolutional Neural Networks*, ICLR 2020 (scale),
and of Herbreteau, Moebel and Kervrann, *Normalization-Equivariant Neural Networks with Application
to Image Denoising*, NeurIPS 2023 (scale and brightness).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

MEAN, DEVIATION = 0.5, 0.25
"""Of the image that a network is given."""

ROUNDING = 1e-6
"""An image whose standard deviation is no larger part of its largest value is constant."""


class Normalization(NamedTuple):
    """How a batch is normalized.

    Attributes:
        mean: (B, 1, 1, 1), m.
        scale: (B, 1, 1, 1), s; 0 of a constant image.
    """

    mean: Tensor
    scale: Tensor

    @classmethod
    def of(cls, images: Tensor, visible: Tensor | None = None) -> Normalization:
        """Mean and scale of each image of a batch, over all its channels.

        Args:
            images: (B, C, H, W), whole images, not tiles of them.
            visible: boolean (B, 1, H, W), True at pixels that count; by default all do. An image
                without any has mean 0 and scale 0.

        Returns:
            In float32 at least; with a gradient, if the images have one.

        >>> found = Normalization.of(torch.tensor([0.25, 0.75]).view(1, 1, 1, 2))
        >>> found.mean.item(), found.scale.item(), found.apply(torch.tensor(1.0)).item()
        (0.5, 1.0, 1.0)
        """
        values = images.to(torch.promote_types(images.dtype, torch.float32))
        over = (1, 2, 3)
        counts = torch.ones_like(values[:, :1]) if visible is None else visible.to(values)
        count = (counts.sum(over, keepdim=True) * values.shape[1]).clamp(min=1)
        values = torch.where(counts > 0, values, 0)
        mean = values.sum(over, keepdim=True) / count
        variance = ((values - mean) * counts).square().sum(over, keepdim=True) / count
        largest = values.detach().abs().amax(over, keepdim=True)
        varies = variance.detach().sqrt() > ROUNDING * largest
        # the square root of 0 has no derivative
        deviation = torch.where(varies, variance, 1).sqrt()
        return cls(mean, torch.where(varies, deviation / DEVIATION, 0))

    @property
    def divisor(self) -> Tensor:
        """s, or 1 where it is 0."""
        return torch.where(self.scale > 0, self.scale, 1)

    def apply(self, images: Tensor) -> Tensor:
        """(y − m) / s + 0.5, for images (B, C, H, W) or parts of them."""
        mean, divisor = self.mean.to(images), self.divisor.to(images)
        return (images - mean) / divisor + MEAN

    def undo(self, outputs: Tensor) -> Tensor:
        """s (x − 0.5) + m, for outputs (B, C, H, W) or parts of them."""
        return self.scale.to(outputs) * (outputs - MEAN) + self.mean.to(outputs)
