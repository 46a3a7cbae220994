"""Random numbers of masks on the device: those of a NumPy oracle, eager and compiled."""

from __future__ import annotations

import pytest
import torch

from mtd.masking import DrawnMasks, draw_input_mask
from mtd.utils.counter_random import ATTENTION_MASK, INPUT_MASK, INPUT_RATIO, BatchStream
from tests.helpers import splitmix64
from tests.helpers.compilers import needs_a_compiler

pytestmark = pytest.mark.gpu

SIDE, IMAGES = 32, 4


def masks(stream: BatchStream) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Input masks, attention masks of block 23, and uniform numbers."""
    kept = draw_input_mask(SIDE, SIDE, (75, 85), stream)
    attention = DrawnMasks(75, stream)(23, IMAGES, SIDE**2 // 64, 64)
    return kept, attention, stream.uniform(ATTENTION_MASK, 23, SIDE**2)


def check(found: tuple[torch.Tensor, ...], key: int, first: int) -> None:
    keys = splitmix64.image_keys(key, first + IMAGES)[first:]
    ratio = splitmix64.integers24(keys, INPUT_RATIO, 0, 1) * 11 // 2**24 + 75
    pixels = splitmix64.integers24(keys, INPUT_MASK, 0, SIDE**2)
    tokens = splitmix64.integers24(keys, ATTENTION_MASK, 23, SIDE**2)
    expected = pixels * 100 >= ratio * 2**24, tokens * 100 >= 75 * 2**24, tokens / 2.0**24
    for one, other in zip(found, expected, strict=True):
        assert (one.cpu().flatten(1).numpy() == other).all()


def test_masks_are_the_same_on_every_device(device):
    for key, first in ((0, 0), (2**63 - 1, 60)):
        found = masks(BatchStream.of(key, first, IMAGES, device))
        assert all(one.device.type == device for one in found)
        check(found, key, first)


@needs_a_compiler
@pytest.mark.slow
def test_compiled_masks_are_the_same(device):
    compiled = torch.compile(masks, fullgraph=True)
    for key, first in ((1, 0), (2, 8)):
        check(compiled(BatchStream.of(key, first, IMAGES, device)), key, first)
