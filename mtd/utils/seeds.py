"""Random streams that depend on what they are for, never on when or where they are drawn.

Every random number comes from a generator that is seeded by a key, such as
`("noise", seed, crop, "gaussian:15")`, so that neither batch size, order, device nor the number of
processes changes a result.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mtd.utils.lazy import LazyModule

if TYPE_CHECKING:
    import torch
else:
    torch = LazyModule("torch")

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
