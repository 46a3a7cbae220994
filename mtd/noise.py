"""Synthetic noises on images in [0, 1], each an object made from a text such as `gaussian:15`.

Every noise follows its law exactly, then, as in test sets stored in 8 bits, the result is clipped
to [0, 1] and rounded to multiples of 1/255; `quantize=False` leaves out both. Random numbers come
from the generator that is passed, on its device, and from nowhere else.

Here are the noises of one law each; `mtd.isp` and `mtd.mixture` hold the composed ones.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from mtd.utils import seeds
from mtd.utils.errors import BadInput, nearest


class Noise(ABC):
    """A noise; see the subclasses, each a frozen dataclass.

    Attributes:
        level: its strength, in the unit of its kind; None for a kind that has no level.
        name: of the kind, the first word of a spec.
        options: what may follow in a spec as `,option=value`, and what each option is.
    """

    level: float | None

    name: ClassVar[str]
    options: ClassVar[Mapping[str, str]] = {}

    @classmethod
    @abstractmethod
    def from_parts(cls, spec: str, level: str | None, options: Mapping[str, str]) -> Self:
        """The noise that the parts of `spec` name; option names are already known to be right."""

    @property
    @abstractmethod
    def spec(self) -> str:
        """The text that `parse` turns into this noise, in one form whatever way it was written."""

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
        check(clean)
        noisy = self.sample(clean, generator)
        return to_8_bits(noisy) if quantize else noisy

    def pair(
        self, clean: Tensor, *, generator: torch.Generator, quantize: bool = True
    ) -> tuple[Tensor, Tensor]:
        """(noisy, target): the noisy version and what a perfect denoiser would make of it.

        The target is `clean` itself, but for noises that change what the right answer is. Arguments
        and errors are those of a call, and the noisy version is the same.
        """
        return self(clean, generator=generator, quantize=quantize), clean

    def __str__(self) -> str:
        return self.spec


@dataclass(frozen=True)
class Levelled(Noise):
    """A noise whose spec is `kind:level`."""

    level: float

    meaning: ClassVar[str]
    highest: ClassVar[float] = math.inf

    def __post_init__(self) -> None:
        if not 0 <= self.level <= self.highest or math.isinf(self.level):
            top = f" to {self.highest:g}" if math.isfinite(self.highest) else " or more"
            raise BadInput(f"noise {self.spec}: {self.meaning} must be 0{top}")

    @classmethod
    def from_parts(cls, spec: str, level: str | None, options: Mapping[str, str]) -> Self:  # noqa: ARG003
        """See `Noise.from_parts`; a kind with options reads them itself."""
        try:
            value = float(level or "")
        except ValueError:
            raise BadInput(
                f"noise {spec!r}: expected {cls.name}:LEVEL, LEVEL being the {cls.meaning}"
            ) from None
        return cls(value)

    @property
    def spec(self) -> str:
        """See `Noise.spec`."""
        return f"{self.name}:{number(self.level)}"


def check(clean: Tensor) -> None:
    """Refuse what is not a floating-point (B, C, H, W) with a ValueError."""
    if clean.ndim != 4 or not clean.is_floating_point():
        raise ValueError(
            f"clean image of shape {tuple(clean.shape)} and {clean.dtype}: "
            "expected floating-point (B, C, H, W) in [0, 1]"
        )


def to_8_bits(image: Tensor) -> Tensor:
    """Clipped to [0, 1] and rounded to multiples of 1/255."""
    return image.clamp(0, 1).mul(255).round().div(255)


def number(value: float) -> str:
    """A number as specs write it: as short as can be, and never so short that it changes.

    >>> number(15.0), number(2e-3), number(1 / 3)
    ('15', '0.002', '0.3333333333333333')
    """
    short = f"{value + 0.0:.12g}"  # + 0.0: no sign on a zero
    return short if float(short) == value else repr(value)


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, device=like.device, dtype=like.dtype)


def _uniform(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(like.shape, generator=generator, device=like.device, dtype=like.dtype)


class Gaussian(Levelled):
    """y = x + n, n ~ N(0, (σ/255)²), independent per pixel and channel; level σ in 8-bit units."""

    name = "gaussian"
    meaning = "sigma (8-bit levels)"

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

    def sample(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        white = _normal(clean, generator) * (self.level / 255)
        return clean + F.avg_pool2d(F.pad(white, (1, 1, 1, 1), mode="replicate"), 3, stride=1)


class SaltPepper(Levelled):
    """Each value of each channel becomes 0 or 1 with probability d/2 each; level d."""

    name = "salt_pepper"
    meaning = "density"
    highest = 1.0

    def sample(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        u = _uniform(clean, generator)
        pepper = torch.where(u < self.level / 2, clean.new_zeros(()), clean)
        return torch.where((u >= self.level / 2) & (u < self.level), clean.new_ones(()), pepper)


@cache
def kinds() -> dict[str, type[Noise]]:
    """Every kind of noise by its name."""
    # imported here, because both build on this module
    from mtd.isp import ISP
    from mtd.mixture import Mixture

    known = (Gaussian, Poisson, Speckle, Spatial, SaltPepper, Mixture, ISP)
    return {kind.name: kind for kind in known}


def parse(spec: str) -> Noise:
    """The noise that a text names: `kind[:level][,option=value…]`.

    All kinds but `isp` have a level; `poisson` and `isp` have options, see there. The `spec` of
    what is returned is the same for every spelling, and parses to an equal noise.

    >>> parse("gaussian:15")
    Gaussian(level=15.0)
    >>> parse("poisson:3.50, values=256").spec
    'poisson:3.5'

    Raises:
        BadInput: unknown kind, missing or impossible level, unknown or impossible option.
    """
    head, *rest = spec.split(",")
    name, colon, level = head.strip().partition(":")
    if name not in kinds():
        raise BadInput(f"noise {spec!r}: no kind {name!r}; {nearest(name, kinds())}")
    kind = kinds()[name]
    return kind.from_parts(spec, level if colon else None, _options(spec, kind, rest))


def _options(spec: str, kind: type[Noise], parts: Sequence[str]) -> dict[str, str]:
    """The options of a spec by name, each one that the kind has, given once."""
    given: dict[str, str] = {}
    for part in parts:
        option, equals, value = (text.strip() for text in part.partition("="))
        if option not in kind.options:
            owners = [name for name, other in kinds().items() if option in other.options]
            hint = f"{option} is for {' and '.join(owners)}" if owners else "it has none"
            if not owners and kind.options:
                hint = nearest(option, kind.options)
            raise BadInput(f"noise {spec!r}: {kind.name} has no option {option!r}; {hint}")
        if not equals or option in given:
            wrong = "is given twice" if option in given else "has no value"
            meaning = kind.options[option]
            raise BadInput(f"noise {spec!r}: {option} {wrong}; expected one {option}={meaning}")
        given[option] = value
    return given


def pair_keyed(
    noise: Noise,
    clean: Tensor,
    keys: Sequence[seeds.Key],
    *,
    seed: int = 0,
    quantize: bool = True,
) -> tuple[Tensor, Tensor]:
    """(noisy, target) for a batch in which image i's depend on (seed, keys[i], the noise) only.

    Drawn on the CPU whatever the device, one stream per image, so that a crop meets the same noise
    whatever the batch size, order, device or number of processes. The results are where `clean` is.
    """
    pairs = [
        noise.pair(
            image[None].cpu(),
            generator=seeds.generator("noise", seed, key, noise.spec),
            quantize=quantize,
        )
        for image, key in zip(clean, keys, strict=True)
    ]
    noisy, target = (torch.cat(side).to(clean.device) for side in zip(*pairs, strict=True))
    return noisy, target


def add_keyed(
    noise: Noise,
    clean: Tensor,
    keys: Sequence[seeds.Key],
    *,
    seed: int = 0,
    quantize: bool = True,
) -> Tensor:
    """The noisy half of `pair_keyed`."""
    return pair_keyed(noise, clean, keys, seed=seed, quantize=quantize)[0]
