"""Gaussian noise that is as strong as another noise, image by image: `gaussian:=poisson:3`.

Beside a noise of another kind it separates strength from kind: what a network does under both is
due to how strong the noise is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from mtd.noise.base import Noise, Stream, check, to_8_bits
from mtd.noise.synthetic import Gaussian
from mtd.utils.errors import BadInput

HALVINGS = 60
"""Of the interval that σ lies in."""

HIGHEST = 2.0**20
"""The largest σ that is tried, in 8-bit levels."""


@dataclass(frozen=True)
class MatchedGaussian(Noise):
    """Additive Gaussian noise whose σ makes it as strong as another noise, for each image.

    σ solves mean (q(x + σ z) − x)² = mean (y − t)², means being over an image's pixels and
    channels: y is the image x with the other noise, t its target (x itself for most noises), z the
    standard normal values that are drawn, and q clips to [0, 1] and rounds to 8 bits if y is
    clipped and rounded. The left side does not fall as σ grows, so that σ is found by halving an
    interval.

    Attributes:
        other: the noise whose strength it has.
    """

    other: Noise

    name = Gaussian.name
    label = Gaussian.label
    level_unit = Gaussian.level_unit
    level = None

    def __post_init__(self) -> None:
        if isinstance(self.other, MatchedGaussian):
            raise BadInput(f"noise {self.spec}: expected a noise of its own strength after :=")

    @classmethod
    def from_parts(cls, spec: str, level: str | None, options: Mapping[str, str]) -> Self:  # noqa: ARG003
        """See `Noise.from_parts`; `mtd.noise.specs.parse` reads what follows `:=`."""
        raise BadInput(f"noise {spec!r}: expected gaussian:=NOISE")

    @property
    def draw(self) -> int:  # type: ignore[override]
        """The other noise's."""
        return self.other.draw

    @property
    def spec(self) -> str:
        """See `Noise.spec`."""
        return f"{self.name}:={self.other.spec}"

    def redrawn(self, draw: int) -> Self:
        """See `Noise.redrawn`; the draw is the other noise's."""
        return replace(self, other=self.other.redrawn(draw))

    def sample(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise.sample`; as strong as the other noise without clipping and rounding."""
        return self(clean, generator=generator, quantize=False)

    def __call__(
        self, clean: Tensor, *, generator: torch.Generator, quantize: bool = True
    ) -> Tensor:
        """See `Noise.__call__`; the other noise is drawn first, from the same generator."""
        check(clean)
        noisy, target = self.other.pair(clean, generator=generator, quantize=quantize)
        return self._noisy(clean, noisy - target, generator, quantize)[0]

    def pair_keyed(
        self, image: Tensor, stream: Stream, quantize: bool = True
    ) -> tuple[Tensor, Tensor]:
        """See `Noise.pair_keyed`; the other noise is that which the image has under it."""
        return self._keyed(image, stream, quantize)[0], image

    def sigma(self, image: Tensor, stream: Stream, quantize: bool = True) -> float:
        """σ of an image, in 8-bit levels; arguments as for `pair_keyed`."""
        return float(self._keyed(image, stream, quantize)[1])

    def _keyed(self, image: Tensor, stream: Stream, quantize: bool) -> tuple[Tensor, Tensor]:
        noisy, target = self.other.pair_keyed(image, stream, quantize)
        return self._noisy(image, noisy - target, stream(self.spec), quantize)

    def _noisy(
        self, clean: Tensor, change: Tensor, generator: torch.Generator, quantize: bool
    ) -> tuple[Tensor, Tensor]:
        """The noisy images and σ of each, (B,)."""
        values = torch.randn(
            clean.shape, dtype=clean.dtype, device=clean.device, generator=generator
        )

        def noisy(sigma: Tensor) -> Tensor:
            made = clean + sigma.to(clean.dtype).view(-1, 1, 1, 1) / 255 * values
            return to_8_bits(made) if quantize else made

        def strength(change: Tensor) -> Tensor:
            return change.double().square().mean((1, 2, 3))

        wanted = strength(change)
        low, high = torch.zeros_like(wanted), torch.full_like(wanted, HIGHEST)
        if (strength(noisy(high) - clean) < wanted).any():
            raise BadInput(
                f"noise {self.spec}: no Gaussian noise is as strong as {self.other.spec}"
            )
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            weak = strength(noisy(middle) - clean) < wanted
            low, high = torch.where(weak, middle, low), torch.where(weak, high, middle)
        return noisy(high), high
