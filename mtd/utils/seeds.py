"""Random streams that depend on what they are for, never on when or where they are drawn.

Every random number comes from a generator that is seeded by a key, such as
`("noise", seed, crop, "gaussian:15")`, so that neither batch size, order, device nor the number of
processes changes a result.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

Key = str | int


def derive(*key: Key) -> int:
    """A 63-bit seed from a key: SHA-256 of its parts, so that similar keys give unrelated streams.

    >>> derive(0, "noise") == derive(0, "noise"), derive(0, "noise") == derive(1, "noise")
    (True, False)
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in key)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(*key: Key, device: torch.device | str = "cpu") -> torch.Generator:
    """A new `torch.Generator` on `device`, seeded by `derive(*key)`.

    Torch's CPU generator takes 32 of the bits, so that two of N streams are the same with a
    probability of about N² / 2³³. Such a pair shares its random numbers; nothing is biased.

    >>> torch.rand(2, generator=generator("crop", 0, "kodim01"))
    tensor([0.3870, 0.7000])
    """
    return torch.Generator(device=device).manual_seed(derive(*key))


@dataclass(frozen=True)
class BatchStream:
    """Random numbers for a part of a batch, the same whichever process draws them.

    They are drawn for the whole batch and sliced, so that neither the number of processes nor
    gradient accumulation changes what an image gets.

    Attributes:
        generator: of the whole batch; every process starts with it in the same state.
        total: images in the whole batch.
        first: index of the first image of this part.
        count: images in this part.
    """

    generator: torch.Generator
    total: int
    first: int
    count: int

    @classmethod
    def whole(cls, generator: torch.Generator, total: int) -> BatchStream:
        """A stream for all images of a batch."""
        return cls(generator, total, 0, total)

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1), (count, *shape), on the generator's device."""
        device = self.generator.device
        drawn = torch.rand(self.total, *shape, generator=self.generator, device=device)
        return drawn[self.first : self.first + self.count]

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        """Integers from `low` to `high`, both included, (count, *shape)."""
        shape, device = (self.total, *shape), self.generator.device
        drawn = torch.randint(low, high + 1, shape, generator=self.generator, device=device)
        return drawn[self.first : self.first + self.count]
