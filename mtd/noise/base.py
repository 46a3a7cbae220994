"""Synthetic noises on images in [0, 1], each an object made from a text such as `gaussian:15`.

Every noise follows its law exactly, then, as in test sets stored in 8 bits, the result is clipped
to [0, 1] and rounded to multiples of 1/255; `quantize=False` leaves out both. Random numbers come
from the generator that is passed, on its device, and from nowhere else.

Here are the noises of one law each; `mtd.noise.camera_pipeline` and `mtd.noise.mixture` hold the
composed ones.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from mtd.utils import seeds
from mtd.utils.errors import BadInput


class Noise(ABC):
    """A noise; see the subclasses, each a frozen dataclass.

    Attributes:
        level: its strength, in the unit of its kind; None for a kind that has no level.
        name: of the kind, the first word of a spec.
        options: what may follow in a spec as `,option=value`, and what each option is.
        label: what the kind is called in figures and tables; by default its name.
        level_unit: what its level is, for the axes of figures.
        level_falls: whether the noise becomes weaker as the level rises.
        note: what every output that shows this kind has to say; empty if nothing.

    A kind of noise of your own, registered as an entry point of the group `mtd.noises`:

    >>> @dataclass(frozen=True)
    ... class Quantization(Levelled):
    ...     name = "quantization"
    ...     meaning = "number of levels"
    ...     label = "coarse quantization"
    ...     level_unit = "levels"
    ...     level_falls = True
    ...
    ...     def sample(self, clean, generator):
    ...         return clean.mul(self.level - 1).round().div(self.level - 1)
    >>> Quantization(3)(torch.full((1, 1, 1, 2), 0.4), generator=torch.Generator(), quantize=False)
    tensor([[[[0.5000, 0.5000]]]])
    """

    level: float | None

    name: ClassVar[str]
    options: ClassVar[Mapping[str, str]] = {}
    label: ClassVar[str] = ""
    level_unit: ClassVar[str] = "level"
    level_falls: ClassVar[bool] = False
    note: ClassVar[str] = ""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "name" in cls.__dict__ and "label" not in cls.__dict__:
            cls.label = cls.name

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
