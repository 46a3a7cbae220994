"""Noisy images that depend on a key for each."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from mtd.noise.base import Noise, pair_keyed
from mtd.utils import seeds


def add_keyed(
    noise: Noise, clean: Tensor, keys: Sequence[seeds.Key], seed: int = 0, quantize: bool = True
) -> Tensor:
    """The noisy half of `pair_keyed`."""
    return pair_keyed(noise, clean, keys, seed=seed, quantize=quantize)[0]
