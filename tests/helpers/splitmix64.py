"""SplitMix64 by its definition, one output after another, on unsigned words of NumPy."""

from __future__ import annotations

import numpy as np

GAMMA = np.uint64(0x9E3779B97F4A7C15)


class SplitMix64:
    """Generators side by side, one for each element of `state`; Steele, Lea and Flood (2014)."""

    def __init__(self, state: object) -> None:
        self.state = np.array(state, dtype=np.uint64, ndmin=1)

    def next(self) -> np.ndarray:
        self.state = self.state + GAMMA
        z = self.state
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def image_keys(key: int, images: int) -> np.ndarray:
    """The keys of the images of a batch: the first outputs of a generator with the batch's key."""
    batch = SplitMix64(key)
    return np.concatenate([batch.next() for _ in range(images)])


def integers24(keys: np.ndarray, purpose: int, index: int, count: int) -> np.ndarray:
    """The first `count` numbers for a purpose, (images, count) from 0 to 2²⁴ − 1."""
    offset = np.uint64((purpose << 56) + (index << 40))
    images = SplitMix64((keys + offset) * GAMMA)
    numbers = []
    for _ in range(-(-count // 2)):
        word = images.next()
        numbers += [word >> np.uint64(40), word >> np.uint64(16) & np.uint64(0xFFFFFF)]
    return np.stack(numbers[:count], 1).astype(np.int64)
