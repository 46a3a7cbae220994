"""Synthetic noises on images in [0, 1], each an object made from a text such as `gaussian:15`.

Every noise follows its law exactly, then, as in test sets stored in 8 bits, the result is clipped
to [0, 1] and rounded to multiples of 1/255; `quantize=False` leaves out both. Random numbers come
from the generator that is passed, on its device, and from nowhere else.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from mtd import seeds
from mtd.errors import BadInput, nearest


@dataclass(frozen=True)
class Noise(ABC):
    """A noise of one kind and level; see the subclasses."""

    level: float

    name: ClassVar[str]
    meaning: ClassVar[str]
    highest: ClassVar[float] = math.inf

    def __post_init__(self) -> None:
        if not 0 <= self.level <= self.highest or math.isinf(self.level):
            top = f" to {self.highest:g}" if math.isfinite(self.highest) else " or more"
            raise BadInput(f"noise {self.spec}: {self.meaning} must be 0{top}")

    @property
    def spec(self) -> str:
        """The text that `parse` turns into this noise, in one form whatever way it was written."""
        return f"{self.name}:{self.level:.12g}"

    @abstractmethod
    def sample(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """The noisy image before clipping and rounding, from the noise's own law."""

    def __call__(
        self, clean: Tensor, *, generator: torch.Generator, quantize: bool = True
    ) -> Tensor:
        """Noisy version of `clean`, same shape, type and device.

        Args:
            clean: (B, C, H, W) in [0, 1].
            generator: the stream to draw from, on the device of `clean`.
            quantize: clip to [0, 1] and round to 8 bits.

        Raises:
            ValueError: `clean` is not a floating-point (B, C, H, W).
        """
        if clean.ndim != 4 or not clean.is_floating_point():
            raise ValueError(
                f"clean image of shape {tuple(clean.shape)} and {clean.dtype}: "
                "expected floating-point (B, C, H, W) in [0, 1]"
            )
        noisy = self.sample(clean, generator)
        return noisy.clamp(0, 1).mul(255).round().div(255) if quantize else noisy

    def __str__(self) -> str:
        return self.spec


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=generator, device=like.device, dtype=like.dtype)


class Gaussian(Noise):
    """y = x + n, n ~ N(0, (σ/255)²), independent per pixel and channel; level σ in 8-bit units."""

    name = "gaussian"
    meaning = "sigma (8-bit levels)"

    def sample(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        return clean + _normal(clean, generator) * (self.level / 255)


@dataclass(frozen=True)
class Poisson(Noise):
    """y = x + α (K/V − x), K ~ Poisson(V·x): mean x, variance α² x / V; level α.

    V is 256, or, with `values=unique`, 2^ceil(log2 u) for each image, u being the number of
    different 8-bit values in it (the rule of the paper's scripts; 256 for almost every photograph,
    but absurd for a constant image, where V = 1).

    Reference: `McM_poisson_20` of the paper's authors is α = 2.
    """

    values: int | None = 256

    name = "poisson"
    meaning = "alpha"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.values is not None and self.values < 1:
            raise BadInput(f"noise {self.spec}: values must be 1 or more, or 'unique'")

    @property
    def spec(self) -> str:
        """See `Noise.spec`."""
        special = {256: "", None: ",values=unique"}.get(self.values, f",values={self.values}")
        return f"{self.name}:{self.level:.12g}{special}"

    def sample(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        peak = clean.new_tensor([self.values or unique_values(image) for image in clean])
        peak = peak.view(-1, 1, 1, 1)
        counts = torch.poisson(clean.clamp(min=0) * peak, generator=generator)
        return clean + self.level * (counts / peak - clean)


def unique_values(image: Tensor) -> int:
    """2^ceil(log2 u), u the number of different 8-bit values of an image in [0, 1]."""
    count = int(image.mul(255).round().unique().numel())
    return int(2 ** math.ceil(math.log2(count)))


class Speckle(Noise):
    """y = x + x·n, n uniform with mean 0 and variance v (MATLAB's `imnoise`); level v.

    Mean x, variance x² v, excess kurtosis −1.2.
    """

    name = "speckle"
    meaning = "variance"

    def sample(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        half_width = math.sqrt(3 * self.level)
        return clean + clean * (2 * _uniform(clean, generator) - 1) * half_width


class Spatial(Noise):
    """Gaussian noise of level σ (8-bit units) smoothed by a 3 × 3 mean, so correlated in space.

    σ is the level before the mean, and nothing is renormalised: inside the image the standard
    deviation is σ/3 and the correlation at offset (dx, dy) is (3−|dx|)₊ (3−|dy|)₊ / 9. At the
    border the noise is mirrored, edge pixel included.
    """

    name = "spatial"
    meaning = "sigma (8-bit levels, before the mean)"

    def sample(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        white = _normal(clean, generator) * (self.level / 255)
        return clean + F.avg_pool2d(F.pad(white, (1, 1, 1, 1), mode="replicate"), 3, stride=1)


class SaltPepper(Noise):
    """Each value of each channel becomes 0 or 1 with probability d/2 each; level d."""

    name = "salt_pepper"
    meaning = "density"
    highest = 1.0

    def sample(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        u = _uniform(clean, generator)
        pepper = torch.where(u < self.level / 2, clean.new_zeros(()), clean)
        return torch.where((u >= self.level / 2) & (u < self.level), clean.new_ones(()), pepper)


KINDS: dict[str, type[Noise]] = {
    kind.name: kind for kind in (Gaussian, Poisson, Speckle, Spatial, SaltPepper)
}


def parse(spec: str) -> Noise:
    """The noise that a text names: `kind:level`, and for Poisson `,values=V` or `,values=unique`.

    >>> parse("gaussian:15")
    Gaussian(level=15.0)
    >>> parse("poisson:3.50").spec
    'poisson:3.5'

    Raises:
        BadInput: unknown kind, missing or impossible level, unknown option.
    """
    head, *options = spec.split(",")
    name, _, level = head.strip().partition(":")
    if name not in KINDS:
        raise BadInput(f"noise {spec!r}: no kind {name!r}; {nearest(name, KINDS)}")
    kind = KINDS[name]
    try:
        value = float(level)
    except ValueError:
        raise BadInput(
            f"noise {spec!r}: expected {name}:LEVEL, LEVEL being the {kind.meaning}"
        ) from None
    if not options:
        return kind(value)
    option, _, given = options[0].partition("=")
    if len(options) > 1 or kind is not Poisson or option.strip() != "values":
        raise BadInput(f"noise {spec!r}: the only option is values=V, for poisson")
    if given.strip() == "unique":
        return Poisson(value, None)
    if not given.strip().isdecimal():
        raise BadInput(f"noise {spec!r}: values is a whole number or 'unique'")
    return Poisson(value, int(given))


def add_keyed(
    noise: Noise,
    clean: Tensor,
    keys: Sequence[seeds.Key],
    *,
    seed: int = 0,
    quantize: bool = True,
) -> Tensor:
    """Noise for a batch in which image i's depends on (seed, keys[i], the noise) only.

    Drawn on the CPU whatever the device, one stream per image, so that a crop meets the same noise
    whatever the batch size, order, device or number of processes. The result is where `clean` is.
    """
    noisy = [
        noise(
            image[None].cpu(),
            generator=seeds.generator("noise", seed, key, noise.spec),
            quantize=quantize,
        )
        for image, key in zip(clean, keys, strict=True)
    ]
    return torch.cat(noisy).to(clean.device)
