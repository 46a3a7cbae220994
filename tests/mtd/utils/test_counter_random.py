"""Counter-based random numbers: SplitMix64, parts of a batch, and their distribution."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from mtd.utils import counter_random, seeds
from mtd.utils.counter_random import (
    ATTENTION_MASK,
    CHANNEL_DROPOUT,
    INPUT_MASK,
    INPUT_RATIO,
    STEP,
    STOCHASTIC_DEPTH,
    BatchStream,
)
from tests.helpers import splitmix64

PURPOSES = (INPUT_RATIO, INPUT_MASK, ATTENTION_MASK, STOCHASTIC_DEPTH, CHANNEL_DROPOUT)


def test_published_outputs_of_splitmix64():
    states = 1234567 + torch.arange(1, 6) * STEP
    assert [int(word) % 2**64 for word in counter_random.splitmix64_(states)] == [
        *(6457827717110365317, 3203168211198807973, 9817491932198370423),
        *(4593380528125082431, 16408922859458223821),
    ]


def test_words_of_all_signs_equal_unsigned_ones():
    states = torch.tensor([0, 1, -1, 2**63 - 1, -(2**63), 2**62, -(2**62), 12345])
    unsigned = states.numpy().view(np.uint64)
    one_less = unsigned - np.uint64(0x9E3779B97F4A7C15)
    expected = splitmix64.SplitMix64(one_less).next()
    assert (counter_random.splitmix64_(states).numpy().view(np.uint64) == expected).all()


@pytest.mark.parametrize("key", [0, 5, 2**63 - 1])
@pytest.mark.parametrize("purpose", PURPOSES)
def test_numbers_are_those_of_unsigned_words(key, purpose):
    stream, keys = BatchStream.of(key, 0, 3), splitmix64.image_keys(key, 3)
    assert (stream.keys.numpy().view(np.uint64) == keys).all()
    for index, shape in itertools.product((0, 1, 47), ((1,), (2, 3), (3, 5, 1))):
        expected = splitmix64.integers24(keys, purpose, index, int(np.prod(shape)))
        expected = torch.from_numpy(expected).view(3, *shape)
        assert torch.equal(stream.integers24(purpose, index, *shape), expected)
        uniform = stream.uniform(purpose, index, *shape)
        assert uniform.dtype == torch.float32
        assert torch.equal(uniform.double(), expected.double() / 2**24)
        integers = stream.integers(75, 85, purpose, index, *shape)
        assert integers.tolist() == (75 + (expected.double() / 2**24 * 11).floor()).tolist()
        percent = torch.tensor([0, 37, 100]).view(3, *[1] * len(shape))
        kept = stream.kept(percent, purpose, index, *shape)
        assert torch.equal(kept, expected * 100 >= percent * 2**24)
        assert torch.equal(stream.kept(37, purpose, index, *shape)[1], kept[1])


def test_a_number_depends_neither_on_the_shape_nor_on_the_other_images():
    whole = BatchStream.of(3, 0, 8).integers24(ATTENTION_MASK, 2, 5, 7)
    for first, count in ((0, 8), (0, 3), (3, 1), (4, 4)):
        part = BatchStream.of(3, first, count)
        assert torch.equal(part.integers24(ATTENTION_MASK, 2, 5, 7), whole[first : first + count])
        assert torch.equal(
            part.integers24(ATTENTION_MASK, 2, 11), whole.flatten(1)[first : first + count, :11]
        )


def test_every_image_purpose_index_and_step_has_its_own_numbers():
    seen = set()
    for step, purpose, index in itertools.product(range(5), PURPOSES, range(24)):
        stream = BatchStream.of(seeds.derive("masks", 0, step), 0, 16)
        seen |= {tuple(row) for row in stream.integers24(purpose, index, 6).tolist()}
    assert len(seen) == 5 * len(PURPOSES) * 24 * 16


def blocks(count: int, seed: int = 0, step: int = 0, images: int = 16) -> Tensor:
    """(blocks, images, 4096) numbers of attention masks."""
    stream = BatchStream.of(seeds.derive("masks", seed, step), 0, images)
    drawn = [stream.integers24(ATTENTION_MASK, block, 4096) for block in range(count)]
    return torch.stack(drawn)


def test_numbers_are_uniform():
    """χ² of 256 classes within 5 standard deviations of 255, of high and low halves of words."""
    drawn = blocks(8)
    for half in (drawn[..., ::2], drawn[..., 1::2]):
        for shift in (16, 8, 0):  # each byte of the numbers
            counts = torch.bincount((half >> shift & 255).flatten(), minlength=256).double()
            expected = half.numel() / 256
            assert abs(((counts - expected) ** 2 / expected).sum() - 255) < 5 * 510**0.5
    uniform = drawn.double() / 2**24
    assert abs(uniform.mean() - 0.5) < 5 * (1 / 12 / drawn.numel()) ** 0.5
    assert uniform.var() == pytest.approx(1 / 12, rel=0.01)


NEIGHBORS: dict[str, Callable[[], tuple[Tensor, Tensor]]] = {
    "images": lambda: (blocks(4)[:, :-1], blocks(4)[:, 1:]),
    "blocks": lambda: (blocks(5)[:-1], blocks(5)[1:]),
    "steps": lambda: (blocks(4, step=6), blocks(4, step=7)),
    "seeds": lambda: (blocks(4, seed=1), blocks(4, seed=2)),
    "elements": lambda: (blocks(4)[..., :-1], blocks(4)[..., 1:]),
    "words": lambda: (blocks(4)[..., :-2], blocks(4)[..., 2:]),
    "purposes": lambda: tuple(  # type: ignore[return-value]
        BatchStream.of(1, 0, 16).integers24(p, 0, 4096) for p in (INPUT_MASK, ATTENTION_MASK)
    ),
    "keys": lambda: tuple(  # type: ignore[return-value]
        BatchStream.of(key, 0, 16).integers24(INPUT_MASK, 0, 4096) for key in (8, 9)
    ),
}


@pytest.mark.parametrize("name", NEIGHBORS)
def test_neighbors_are_not_correlated(name):
    """|r| < 5/√n for the numbers and for their lowest bits; no more equal ones than by chance."""
    a, b = (drawn.flatten() for drawn in NEIGHBORS[name]())
    n = len(a)
    for left, right in ((a, b), (a & 1, b & 1), (a >> 22, b >> 22)):
        r = torch.corrcoef(torch.stack((left, right)).double())[0, 1]
        assert abs(r) < 5 / n**0.5
    assert (a == b).sum() <= 3  # n / 2²⁴ are expected, 0.02


def test_integers_have_equal_shares():
    drawn = BatchStream.of(0, 0, 50).integers(75, 85, INPUT_RATIO, 0, 2000)
    counts = torch.bincount(drawn.flatten() - 75, minlength=11).double()
    assert len(counts) == 11
    expected = drawn.numel() / 11
    assert abs(((counts - expected) ** 2 / expected).sum() - 10) < 5 * 20**0.5


@pytest.mark.parametrize("percent", [1, 25, 75, 99])
def test_share_that_is_kept(percent):
    kept = BatchStream.of(0, 0, 32).kept(percent, INPUT_MASK, 0, 64, 64)
    p = 1 - percent / 100
    assert abs(kept.double().mean() - p) < 5 * (p * (1 - p) / kept.numel()) ** 0.5
    each, size = kept.double().mean((1, 2)), 64 * 64
    assert each.std() == pytest.approx((p * (1 - p) / size) ** 0.5, rel=0.5)


class Given(BatchStream):
    """A stream whose numbers are its keys."""

    def integers24(self, purpose: int, index: int, *shape: int) -> Tensor:
        return self.keys


def test_the_number_from_which_on_all_are_kept_is_exact():
    for percent in range(101):
        near = torch.arange(-2, 3) + percent * 2**24 // 100
        expected = [number * 100 >= percent * 2**24 for number in near.tolist()]
        for share in (percent, torch.tensor([percent])):
            assert Given(near).kept(share, INPUT_MASK, 0).tolist() == expected
