"""Synthetic noises: Gaussian, Poisson, speckle, spatially correlated, salt and pepper."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from mtd.noise.base import Levelled
from mtd.utils.errors import BadInput


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=generator, device=like.device, dtype=like.dtype)


class Gaussian(Levelled):
    """y = x + n, n ~ N(0, (σ/255)²), independent per pixel and channel; level σ in 8-bit units."""

    name = "gaussian"
    meaning = "sigma (8-bit levels)"
    label = "Gaussian"
    level_unit = "σ (8-bit levels)"

    def sample(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        return clean + _normal(clean, generator) * (self.level / 255)


@dataclass(frozen=True)
class Poisson(Levelled):
    """y = x + α (K/V − x), K ~ Poisson(V·x): mean x, variance α² x / V; level α.

    V is 256, or, with `values=unique`, 2^ceil(log2 u) for each image, u being the number of
    different 8-bit values in it (the rule of the paper's scripts; 256 for almost every photograph,
    but absurd for a constant image, where V = 1).

    Reference: `McM_poisson_20` of the paper's authors is α = 2.
    """

    values: int | None = 256

    name = "poisson"
    meaning = "alpha"
    label = "Poisson"
    level_unit = "α"
    options = {"values": "V, a whole number, or 'unique'"}  # noqa: RUF012 (ClassVar in Noise)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.values is not None and self.values < 1:
            raise BadInput(f"noise {self.spec}: values must be 1 or more, or 'unique'")

    @classmethod
    def from_parts(cls, spec: str, level: str | None, options: Mapping[str, str]) -> Self:
        """See `Noise.from_parts`."""
        plain = super().from_parts(spec, level, {})
        given = options.get("values", "256")
        if given == "unique":
            return cls(plain.level, None)
        if not given.isdecimal():
            raise BadInput(f"noise {spec!r}: values is a whole number or 'unique'")
        return cls(plain.level, int(given))

    @property
    def spec(self) -> str:
        """See `Noise.spec`."""
        special = {256: "", None: ",values=unique"}.get(self.values, f",values={self.values}")
        return super().spec + special

    def sample(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        peak = clean.new_tensor([self.values or unique_values(image) for image in clean])
        peak = peak.view(-1, 1, 1, 1)
        counts = torch.poisson(clean.clamp(min=0) * peak, generator=generator)
        return clean + self.level * (counts / peak - clean)


def unique_values(image: Tensor) -> int:
    """2^ceil(log2 u), u the number of different 8-bit values of an image in [0, 1]."""
    count = int(image.mul(255).round().unique().numel())
    return int(2 ** math.ceil(math.log2(count)))


class Speckle(Levelled):
    """y = x + x·n, n uniform with mean 0 and variance v (MATLAB's `imnoise`); level v.

    Mean x, variance x² v, excess kurtosis −1.2.
    """

    name = "speckle"
    meaning = "variance"
    level_unit = "variance"

    def sample(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        half_width = math.sqrt(3 * self.level)
        return clean + clean * (2 * _uniform(clean, generator) - 1) * half_width


class Spatial(Levelled):
    """Gaussian noise of level σ (8-bit units) smoothed by a 3 × 3 mean, so correlated in space.

    σ is the level before the mean, and nothing is renormalised: inside the image the standard
    deviation is σ/3 and the correlation at offset (dx, dy) is (3−|dx|)₊ (3−|dy|)₊ / 9. At the
    border the noise is mirrored, edge pixel included.
    """

    name = "spatial"
    meaning = "sigma (8-bit levels, before the mean)"
    label = "spatially correlated Gaussian"
    level_unit = "σ before the 3 × 3 mean (8-bit levels)"

    def sample(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        white = _normal(clean, generator) * (self.level / 255)
        return clean + F.avg_pool2d(F.pad(white, (1, 1, 1, 1), mode="replicate"), 3, stride=1)


class SaltPepper(Levelled):
    """Each value of each channel becomes 0 or 1 with probability d/2 each; level d."""

    name = "salt_pepper"
    meaning = "density"
    label = "salt and pepper"
    level_unit = "density"
    highest = 1.0

    def sample(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        u = _uniform(clean, generator)
        pepper = torch.where(u < self.level / 2, clean.new_zeros(()), clean)
        return torch.where((u >= self.level / 2) & (u < self.level), clean.new_ones(()), pepper)
