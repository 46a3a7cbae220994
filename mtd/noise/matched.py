"""Gaussian noise that is as strong as another noise, image by image: `gaussian:=poisson:3`.

Beside a noise of another kind it tells strength from kind: what a network does under both alike may
be due to how strong the noise is, what it does under one of them alone is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from mtd.noise.base import (
    Noise,
    NoisyImages,
    Quantize,
    Stream,
    check,
    mean_square,
    quantized,
)
from mtd.noise.synthetic import Gaussian
from mtd.utils.errors import BadInput
from mtd.utils.lazy import LazyModule

if TYPE_CHECKING:
    import torch
    from torch import Tensor
else:
    torch = LazyModule("torch")

DOUBLINGS = 20
"""How often σ is doubled at most, from its value without clipping, until the noise is as strong."""

HALVINGS = 30
"""Of the interval that σ lies in; finer than float32."""

EQUAL = 1e-12
"""Relative difference of two sums of the same numbers that is due to their order."""


@dataclass(frozen=True)
class MatchedGaussian(Noise):
    """Additive Gaussian noise whose σ makes it as strong as another noise, for each image.

    σ solves mean (q(x + σ z) − x)² = mean (y − t)², means being over an image's pixels and
    channels: y is the image x with the other noise, t its target (x itself for most noises), z the
    standard normal values that are drawn, and q clips to [0, 1] and rounds to 8 bits if y is
    clipped and rounded. Without clipping and rounding, σ = √(mean (y − t)² / mean z²). With them
    the left side rises in steps as σ grows: σ is found by halving an interval, and is the smallest
    one whose noise is at least as strong.

    Where noise is keyed by image (`mtd.noise.base.noisy_images`), y is the image as a run shows it
    under the other noise.

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
    def note(self) -> str:  # type: ignore[override]
        """The other noise's."""
        return self.other.note

    @property
    def needs_color(self) -> bool:  # type: ignore[override]
        """As the other noise does."""
        return self.other.needs_color

    @property
    def spec(self) -> str:
        """See `Noise.spec`."""
        return f"{self.name}:={self.other.spec}"

    def written(self, before_level: str = ", ") -> str:
        """See `Noise.written`."""
        return f"{self.label} as strong as {self.other.written(before_level)}"

    def redrawn(self, draw: int) -> Self:
        """See `Noise.redrawn`; the draw is the other noise's."""
        return replace(self, other=self.other.redrawn(draw))

    def sample(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """See `Noise.sample`; as strong as the other noise without clipping and rounding."""
        return self(clean, generator=generator, quantize=False)

    def __call__(
        self, clean: Tensor, *, generator: torch.Generator, quantize: Quantize = True
    ) -> Tensor:
        """See `Noise.__call__`; the other noise is drawn first, from the same generator."""
        check(clean)
        strength = mean_square(*self.other.pair(clean, generator=generator, quantize=quantize))
        return self._as_strong(clean, strength, generator, quantize).noisy

    def noisy_image(self, image: Tensor, stream: Stream, quantize: Quantize = True) -> NoisyImages:
        """See `Noise.noisy_image`; the other noise is that which the image has under it."""
        check(image)
        other = self.other.noisy_image(image, stream, quantize)
        strength = mean_square(other.noisy, other.target)
        return self._as_strong(image, strength, stream(self.spec), quantize)

    def _as_strong(
        self, clean: Tensor, strength: Tensor, generator: torch.Generator, quantize: Quantize
    ) -> NoisyImages:
        """Images with Gaussian noise of given mean squares, (B,), and its σ."""
        values = torch.randn(
            clean.shape, dtype=clean.dtype, device=clean.device, generator=generator
        )

        def noisy(sigma: Tensor) -> Tensor:
            shift = sigma.to(clean.dtype).view(-1, 1, 1, 1) * values
            return quantized(clean + shift, quantize)

        def is_weak(sigma: Tensor) -> Tensor:
            return mean_square(noisy(sigma), clean) < strength * (1 - EQUAL)

        sigma = (strength / mean_square(values, torch.zeros_like(values))).sqrt()
        if quantize:
            sigma = self._smallest(is_weak, sigma)
        sigma = sigma.to(clean.dtype).double()  # as it is applied: sums differ in their last digit
        return NoisyImages(noisy(sigma), clean, sigma)

    def _smallest(self, is_weak: Callable[[Tensor], Tensor], start: Tensor) -> Tensor:
        """The smallest σ of each image, (B,), whose noise is not too weak.

        Args:
            is_weak: of σ, (B,), whether noise is too weak; it is not from some σ on.
            start: of the search.

        Raises:
            BadInput: there is none.
        """
        low, high = torch.zeros_like(start), start
        none = ~is_weak(low)
        for _ in range(DOUBLINGS):
            weak = is_weak(high)
            if not weak.any():
                break
            high = torch.where(weak, 2 * high, high)
        else:
            raise BadInput(
                f"noise {self.spec}: no Gaussian noise is as strong as {self.other.spec}"
            )
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            weak = is_weak(middle)
            low, high = torch.where(weak, middle, low), torch.where(weak, high, middle)
        return torch.where(none, 0, high)
