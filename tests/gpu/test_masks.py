"""Masks drawn on the device: those of the host, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mtd.masking import DrawnMasks, draw_input_mask
from mtd.utils import counter_random, seeds
from mtd.utils.counter_random import BatchStream

pytestmark = pytest.mark.gpu

GOLDEN, WORD = 0x9E3779B97F4A7C15, 2**64


def splitmix(state: int) -> int:
    """SplitMix64's output for a state, in Python's integers."""
    x = state % WORD
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % WORD
    x = (x ^ x >> 27) * 0x94D049BB133111EB % WORD
    return x ^ x >> 31


def test_masks_are_those_of_the_definition_in_integers(device):
    """The attention mask of block 5, image by image, token by token."""
    key, first, images, windows, tokens = seeds.derive("masks", 7, 123), 2, 3, 2, 5
    masks = DrawnMasks(75, BatchStream.of(key, first, images, device))(5, images, windows, tokens)
    start = (counter_random.ATTENTION_MASK << 56) + (5 << 40)
    for image, found in enumerate(masks.flatten(1).tolist()):
        own = splitmix(key + GOLDEN * (first + image + 1))
        words = [splitmix(GOLDEN * (own + start + word + 1)) for word in range(5)]
        numbers = [number >> shift & 2**24 - 1 for number in words for shift in (40, 16)]
        assert found == [number >= 0.75 * 2**24 for number in numbers]


def test_masks_are_those_of_the_host(device):
    images, side = (64, 64) if device == "cuda" else (4, 16)
    for step in (0, 1, 199_999):
        key = seeds.derive("masks", 0, step)
        there, here = (BatchStream.of(key, 0, images, where) for where in (device, "cpu"))
        found = draw_input_mask(side, side, (75, 85), there)
        assert found.device.type == device
        assert torch.equal(found.cpu(), draw_input_mask(side, side, (75, 85), here))
        for block in (0, 23):
            drawn = [DrawnMasks(75, s)(block, images, side**2 // 64, 64) for s in (there, here)]
            assert torch.equal(drawn[0].cpu(), drawn[1])
        part = BatchStream.of(key, images // 2, images // 4, device)
        whole = found[images // 2 : images // 2 + images // 4]
        assert torch.equal(draw_input_mask(side, side, (75, 85), part), whole)


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_numbers_drawn_where_everything_is_compiled(device, compiled):
    """Long enough for indices beyond 32 bits once they are multiplied."""

    def draw(keys: torch.Tensor) -> torch.Tensor:
        return BatchStream(keys).integers24(counter_random.INPUT_MASK, 1, 300)

    keys = BatchStream.of(seeds.derive("masks", 3), 0, 4).keys
    found = (torch.compile(draw, fullgraph=True) if compiled else draw)(keys.to(device))
    start = (counter_random.INPUT_MASK << 56) + (1 << 40)
    words = [
        [splitmix(GOLDEN * (key % WORD + start + word + 1)) for word in range(150)]
        for key in keys.tolist()
    ]
    both = np.array([[(w >> 40, w >> 16 & 2**24 - 1) for w in row] for row in words], np.int64)
    assert np.array_equal(found.cpu().numpy(), both.reshape(4, 300))
