"""How noisy images are drawn and stored: random streams, clipping, rounding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from mtd.noise.base import Noise, NoisyImages, Quantize, noisy_images, quantized
from mtd.utils import seeds
from mtd.utils.lazy import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor
else:
    np, torch = LazyModule("numpy"), LazyModule("torch")

SeedPolicy = Literal["per_cell", "legacy_per_image"]


@dataclass(frozen=True)
class Drawing:
    """How noisy images are drawn and stored.

    Attributes:
        seed_policy: `per_cell`: a stream for each (seed, image, noise), so that no two cells of a
            benchmark share random numbers. `legacy_per_image`: `numpy.random.RandomState(seed)`
            anew for each image, drawn in the order (H, W, C), as many published scripts do: equal
            random numbers for all images of one size, see `Noise.sample_legacy`.
        clip: clip noisy images to [0, 1]: all, none, or those under some kinds of noise.
        quantize: also round them to multiples of 1/255, which clips them.
    """

    seed_policy: SeedPolicy = "per_cell"
    clip: bool | tuple[str, ...] = True
    quantize: bool = True

    @classmethod
    def stored(cls, quantize: bool) -> Drawing:
        """Keyed streams; images as 8-bit files hold them, or neither clipped nor rounded."""
        return cls(clip=quantize, quantize=quantize)

    def storage(self, noise: Noise) -> Quantize:
        """What is done to images under a noise, as `mtd.noise.base.quantized` takes it.

        >>> from mtd.noise import parse
        >>> own = Drawing(clip=("poisson",), quantize=False)
        >>> own.storage(parse("poisson:3")), own.storage(parse("gaussian:15"))
        ('clip', False)
        """
        clips = noise.name in self.clip if isinstance(self.clip, tuple) else self.clip
        return True if self.quantize else "clip" if clips else False

    def check(self, noises: Iterable[Noise]) -> None:
        """Check that noises can be drawn so.

        Raises:
            BadInput: one cannot.
        """
        for noise in noises if self.seed_policy == "legacy_per_image" else ():
            if type(noise).sample_legacy is Noise.sample_legacy:
                noise.sample_legacy(np.zeros((1, 1, 3), np.float32), np.random.RandomState(0))

    @property
    def key(self) -> Any:
        """What of it decides noisy images, for the keys of caches, ready for JSON."""
        if self == Drawing.stored(self.quantize):
            return self.quantize
        clip = list(self.clip) if isinstance(self.clip, tuple) else self.clip
        return [self.seed_policy, clip, self.quantize]

    def noisy_images(
        self, noise: Noise, clean: Tensor, keys: Sequence[seeds.Key], seed: int = 0
    ) -> NoisyImages:
        """Images under a noise.

        Args:
            noise: the noise.
            clean: (B, C, H, W) in [0, 1].
            keys: one per image; without effect under `legacy_per_image`.
            seed: of the noise.

        Raises:
            BadInput: a noise that cannot be drawn from NumPy's legacy stream.
        """
        how = self.storage(noise)
        if self.seed_policy == "per_cell":
            return noisy_images(noise, clean, keys, seed=seed, quantize=how)
        noisy = torch.stack([legacy_image(noise, image, seed) for image in clean.cpu()])
        noisy = quantized(noisy.to(clean.device), how)
        return NoisyImages(noisy, clean, noise.sigma_of(noisy, clean))


STORED = Drawing()
"""Keyed streams; images in 8 bits."""


def legacy_image(noise: Noise, clean: Tensor, seed: int = 0) -> Tensor:
    """One image (C, H, W) under a noise from NumPy's legacy stream, neither clipped nor rounded.

    A draw other than 0 of the noise has a stream seeded with the sum.
    """
    image = clean.permute(1, 2, 0).contiguous().numpy()
    stream = np.random.RandomState(seed + getattr(noise, "draw", 0))
    noisy = noise.sample_legacy(image, stream).astype(image.dtype)
    return torch.from_numpy(noisy).permute(2, 0, 1).contiguous()
