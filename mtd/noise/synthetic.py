"""Synthetic noises: Gaussian, Poisson, speckle, spatially correlated, salt and pepper."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from mtd.noise.base import Levelled
from mtd.utils.errors import BadInput
from mtd.utils.lazy import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import torch
    import torch.nn.functional as F
    from numpy.typing import NDArray
    from torch import Tensor

    Image = NDArray[np.floating]
    """(H, W, C)."""
else:
    np, torch, F = map(LazyModule, ("numpy", "torch", "torch.nn.functional"))

DIGITS = 9
"""Most digits of a number of values."""


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=generator, device=like.device, dtype=like.dtype)


class Gaussian(Levelled):
    """Additive Gaussian noise, y = x + n, n ~ N(0, (σ/255)²), with level σ in 8-bit levels.

    Independent for each pixel and channel.
    """

    name = "gaussian"
    meaning = "sigma (8-bit levels)"
    label = "Gaussian"
    level_unit = "σ (8-bit levels)"
    symbol = "σ"
    of_255 = True

    def sample(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise.sample`."""
        return clean + _normal(clean, generator) * (self.level / 255)

    def sample_legacy(self, image: Image, stream: np.random.RandomState) -> Image:
        """See `Noise.sample_legacy`: x + N(0, σ/255) in float64."""
        return image + stream.normal(0, self.level / 255, image.shape)

    def sigma_of(self, noisy: Tensor, target: Tensor) -> Tensor:
        """See `Noise.sigma_of`; its level, whatever clipping has removed."""
        return torch.full((len(noisy),), self.level / 255, dtype=torch.float64)


@dataclass(frozen=True)
class Poisson(Levelled):
    """Poisson noise, y = x + α (K/V − x), K ~ Poisson(V·x), with level α.

    Mean x, variance α² x / V. V is 256, or, with `values=unique`, 2^ceil(log2 u) for each image, u
    being its number of different 8-bit values (the rule of the paper's scripts: 256 for almost
    every photograph, but 1 for a constant image).

    Attributes:
        level: α, 0 or more.
        values: V; None for `unique`.

    Reference: `McM_poisson_20` of the paper's authors is α = 2.
    """

    values: int | None = 256

    name = "poisson"
    meaning = "alpha"
    label = "Poisson"
    level_unit = "α"
    symbol = "α"
    options = {"values": "V, a whole number, or 'unique'"}  # noqa: RUF012 (ClassVar in Noise)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.values is not None and self.values < 1:
            raise BadInput(f"noise {self.spec}: values must be 1 or more, or 'unique'")

    @classmethod
    def from_parts(cls, spec: str, level: str | None, options: Mapping[str, str]) -> Self:
        """See `Noise.from_parts`."""
        plain = super().from_parts(spec, level, {})
        values = options.get("values", "256")
        if values == "unique":
            return cls(plain.level, None)
        if not values.isdecimal() or len(values) > DIGITS:
            raise BadInput(f"noise {spec!r}: values is a whole number or 'unique'")
        return cls(plain.level, int(values))

    @property
    def spec(self) -> str:
        """See `Noise.spec`."""
        special = {256: "", None: ",values=unique"}.get(self.values, f",values={self.values}")
        return super().spec + special

    def sample(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise.sample`."""
        peak = clean.new_tensor([self.values or unique_values(image) for image in clean])
        peak = peak.view(-1, 1, 1, 1)
        counts = torch.poisson(clean.clamp(min=0) * peak, generator=generator)
        return clean + self.level * (counts / peak - clean)

    def sample_legacy(self, image: Image, stream: np.random.RandomState) -> Image:
        """See `Noise.sample_legacy`: in float32 but for K / V, as BasicSR's function does."""
        peak = self.values or unique_values(torch.from_numpy(image))
        drawn = (stream.poisson(image * np.float64(peak)) / peak).astype(image.dtype)
        change: Image = (drawn - image) * image.dtype.type(self.level)
        return image + change


def unique_values(image: Tensor) -> int:
    """2^ceil(log2 u), u the number of different 8-bit values of an image in [0, 1].

    >>> unique_values(torch.tensor([0.0, 0.5, 1.0]))
    4
    """
    count = int(image.mul(255).round().unique().numel())
    return int(2 ** math.ceil(math.log2(count)))


class Speckle(Levelled):
    """Speckle, y = x + x·n, n uniform with mean 0 and variance v (as MATLAB's `imnoise`).

    The level is v. Mean x, variance x² v, excess kurtosis −1.2.
    """

    name = "speckle"
    meaning = "variance"
    level_unit = "variance"

    def sample(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise.sample`."""
        half_width = math.sqrt(3 * self.level)
        return clean + clean * (2 * _uniform(clean, generator) - 1) * half_width

    def sample_legacy(self, image: Image, stream: np.random.RandomState) -> Image:
        """See `Noise.sample_legacy`: a uniform number for each value, as MATLAB's `imnoise`."""
        width = math.sqrt(12 * self.level)
        noisy: Image = image + image * width * (stream.random_sample(image.shape) - 0.5)
        return noisy


class Spatial(Levelled):
    """Spatially correlated Gaussian noise: noise of level σ, smoothed by a 3 × 3 mean.

    σ, in 8-bit levels, is the standard deviation before the mean, and is not renormalized: inside
    the image the standard deviation is σ/3 and the correlation at offset (dx, dy) is
    (3−|dx|)₊ (3−|dy|)₊ / 9. At the border the noise is mirrored, edge pixel included.
    """

    name = "spatial"
    meaning = "sigma (8-bit levels, before the mean)"
    label = "spatially correlated Gaussian"
    level_unit = "σ before the 3 × 3 mean (8-bit levels)"
    short = "spatial"
    symbol = "σ"
    of_255 = True

    def sample(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise.sample`."""
        white = _normal(clean, generator) * (self.level / 255)
        return clean + F.avg_pool2d(F.pad(white, (1, 1, 1, 1), mode="replicate"), 3, stride=1)

    def sample_legacy(self, image: Image, stream: np.random.RandomState) -> Image:
        """See `Noise.sample_legacy`: `scipy.ndimage.convolve` of each channel, in float64."""
        from scipy.ndimage import convolve

        white = stream.normal(0, self.level / 255, image.shape)
        kernel = np.ones((3, 3)) / 9
        channels = [convolve(white[..., c], kernel) for c in range(image.shape[-1])]
        noisy: Image = image + np.stack(channels, axis=-1)
        return noisy


class SaltPepper(Levelled):
    """Salt and pepper: each value becomes 0 or 1 with probability d/2 each, with level d."""

    name = "salt_pepper"
    meaning = "density"
    label = "salt and pepper"
    short = "salt-and-pepper"
    level_unit = "density"
    highest = 1.0

    def sample(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise.sample`."""
        u = _uniform(clean, generator)
        pepper = torch.where(u < self.level / 2, clean.new_zeros(()), clean)
        return torch.where((u >= self.level / 2) & (u < self.level), clean.new_ones(()), pepper)

    def sample_legacy(self, image: Image, stream: np.random.RandomState) -> Image:
        """See `Noise.sample_legacy`: a uniform number for each value, as MATLAB's `imnoise`."""
        u, half = stream.random_sample(image.shape), self.level / 2
        return np.where(u < half, 0, np.where(u < self.level, 1, image))
