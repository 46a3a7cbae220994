"""Counter-based random numbers: each is a function of a key and a counter, without any state.

The numbers are outputs of SplitMix64, computed by operations on int64 tensors: CPU and GPU give the
same ones, a part of a batch needs no others than its own, and `torch.compile` takes them like any
arithmetic.

Reference: Steele, Lea and Flood, *Fast Splittable Pseudorandom Number Generators*, OOPSLA 2014.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

VERSION = 2
"""Raised when the same key gives other numbers, so that no training goes on with other masks.

Version 1 were the numbers of `torch.Generator`, which differ from device to device.
"""

INPUT_RATIO, INPUT_MASK, ATTENTION_MASK, STOCHASTIC_DEPTH, CHANNEL_DROPOUT = range(5)
STAGES, MIXING = range(5, 7)
"""The purposes of random numbers."""

BITS = 24
"""Bits of a number: as many as float32 represents exactly."""

# The odd constants of SplitMix64 as signed integers, whose products wrap around like unsigned ones.
STEP = 0x9E3779B97F4A7C15 - 2**64
ROUNDS = ((30, 0xBF58476D1CE4E5B9 - 2**64), (27, 0x94D049BB133111EB - 2**64))
LAST_SHIFT = 31


def xor_shifted_(x: Tensor, shift: int) -> Tensor:
    """x ^ (x >> shift) in place, for unsigned x; torch's shift of int64 repeats the sign bit."""
    shifted = x >> shift
    shifted &= (1 << 64 - shift) - 1
    x ^= shifted
    return x


def splitmix64_(x: Tensor) -> Tensor:
    """SplitMix64's output for each int64 state x, in place: a bijection of the 64-bit words."""
    for shift, factor in ROUNDS:
        xor_shifted_(x, shift)
        x *= factor
    return xor_shifted_(x, LAST_SHIFT)


@dataclass(frozen=True)
class BatchStream:
    """Random numbers for the images of a batch, or of a part of it.

    An image has 2⁶⁴ words: word w of an image with key k is SplitMix64's output for the state
    STEP · (k + w + 1). It gives two numbers of 24 bits, bits 40–63 and 16–39. Purpose p with index
    i, such as the attention mask of block i, has the words from 2⁵⁶ p + 2⁴⁰ i on.

    Attributes:
        keys: (images,) int64, on the device of the numbers.

    >>> whole, part = BatchStream.of(5, 0, 4), BatchStream.of(5, 2, 2)
    >>> torch.equal(whole.uniform(INPUT_MASK, 0, 8, 8)[2:], part.uniform(INPUT_MASK, 0, 8, 8))
    True
    """

    keys: Tensor

    @classmethod
    def of(
        cls, key: int, first: int, count: int, device: torch.device | str = "cpu"
    ) -> BatchStream:
        """The stream of `count` images of a batch; image n has the key SplitMix64(key + STEP · n).

        Args:
            key: of the batch, from 0 to 2⁶³ − 1, such as `seeds.derive("masks", seed, step)`.
            first: index of the first image in the whole batch.
            count: number of images.
            device: of the numbers; it is not waited for.
        """
        states = torch.arange(first + 1, first + count + 1, device=device)
        states *= STEP
        states += key
        return cls(splitmix64_(states))

    def integers24(self, purpose: int, index: int, *shape: int) -> Tensor:
        """Uniform integers from 0 to 2²⁴ − 1, int64 (images, *shape)."""
        count = math.prod(shape)
        start = (purpose << 56) + (index << 40) + 1
        words = torch.arange((count + 1) // 2, device=self.keys.device)
        # Before the product, which could otherwise be compiled as 32-bit arithmetic of indices.
        words = words + (self.keys + start)[:, None]
        words *= STEP
        splitmix64_(words)
        both = torch.stack((words >> 40, words >> 16), -1)
        both &= (1 << BITS) - 1
        return both.flatten(1)[:, :count].reshape(-1, *shape)

    def uniform(self, purpose: int, index: int, *shape: int) -> Tensor:
        """Multiples of 2⁻²⁴ in [0, 1), float32 (images, *shape)."""
        return self.integers24(purpose, index, *shape).float() * 2.0**-BITS

    def integers(self, low: int, high: int, purpose: int, index: int, *shape: int) -> Tensor:
        """Integers from `low` to `high`, both included, int64 (images, *shape).

        The probability of each of the n values differs from 1/n by less than 2⁻²⁴.
        """
        drawn = self.integers24(purpose, index, *shape)
        return low + (drawn * (high - low + 1) >> BITS)

    def kept(self, percent: int | Tensor, purpose: int, index: int, *shape: int) -> Tensor:
        """Boolean (images, *shape), False with a probability of `percent` whole percent.

        The probability is exact to 2⁻²⁴. Integers are compared, so that no device rounds otherwise.
        """
        masked = ((percent << BITS) + 99) // 100
        return self.integers24(purpose, index, *shape) >= masked
