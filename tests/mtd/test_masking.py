"""Mask policy and the statistics of drawn masks."""

from __future__ import annotations

import pytest
import torch

from mtd.masking import DrawnMasks, KeyedMasks, MaskedInference, MaskPolicy, draw_input_mask
from mtd.utils import seeds
from mtd.utils.counter_random import BatchStream
from mtd.utils.errors import BadInput


def test_input_mask_ratio_is_a_whole_percent_per_image_and_both_ends_occur():
    masks = draw_input_mask(64, 64, (75, 78), BatchStream.of(0, 0, 400))
    assert masks.shape == (400, 1, 64, 64) and masks.dtype == torch.bool
    ratio = 1 - masks.double().mean((1, 2, 3))
    # a pixel is masked with p: the ratio's standard deviation within an image is 0.0067
    nearest = ratio.mul(100).round()
    counts = torch.stack([(nearest == p).sum() for p in range(74, 80)])
    assert counts[1:5].min() > 50
    assert abs(ratio.mean() - 0.765) < 4 * 0.0131 / 20  # std of the mix over sqrt(400) images


def test_whole_and_empty_masks():
    stream = BatchStream.of(0, 0, 2)
    assert draw_input_mask(8, 8, (0, 0), stream).all()
    assert not draw_input_mask(8, 8, (100, 100), stream).any()


def test_masks_of_a_stream_stay_those_of_earlier_versions():
    """A run that is resumed goes on with the masks that it would have had."""
    masks = draw_input_mask(5, 6, (40, 60), BatchStream.of(seeds.derive("masks", 0, 0), 0, 2))
    rows = [["".join(".#"[kept] for kept in row) for row in mask[0].int()] for mask in masks]
    assert rows == [
        ["..##..", "##.#.#", ".#####", ".#.#..", "##.#.."],
        ["#.###.", "#.#.##", ".#...#", ".####.", ".##.##"],
    ]


def test_drawn_masks_keep_a_quarter_and_depend_on_the_key():
    first, again, other = (
        DrawnMasks(75, BatchStream.of(key, 0, 8))(0, 8, 64, 64) for key in (0, 0, 1)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert abs(first.double().mean() - 0.25) < 4 * (0.25 * 0.75 / first.numel()) ** 0.5


def test_keyed_masks_depend_on_seed_key_block_and_draw():
    base = KeyedMasks(75, 0, ["a", "b"])(0, 2, 4, 64)
    assert torch.equal(base[1], KeyedMasks(75, 0, ["b"])(0, 1, 4, 64)[0])
    others = [
        KeyedMasks(75, 1, ["a"])(0, 1, 4, 64),
        KeyedMasks(75, 0, ["c"])(0, 1, 4, 64),
        KeyedMasks(75, 0, ["a"])(1, 1, 4, 64),
        KeyedMasks(75, 0, ["a"], draw=1)(0, 1, 4, 64),
    ]
    assert all(not torch.equal(base[0], other[0]) for other in others)
    with pytest.raises(BadInput, match="1 mask key for a batch of 2"):
        KeyedMasks(75, 0, ["a"])(0, 2, 4, 64)


def test_without_a_word_nothing_is_masked():
    assert MaskPolicy.from_dict({}) == MaskPolicy((0, 0), "pixel", 0, "always")
    assert MaskPolicy((0, 1)).masks_input and not MaskPolicy((0, 0)).masks_input


def test_policy_survives_plain_values():
    for policy in (MaskPolicy(), MaskPolicy((70, 90), "learnable", 65, "train")):
        assert MaskPolicy.from_dict(policy.to_dict()) == policy


@pytest.mark.parametrize(
    "values, message",
    [
        ({"input_percent": [90, 80]}, "0 <= low <= high"),
        ({"input_percent": [80, 101]}, "0 <= low <= high <= 100"),
        ({"input_percent": [-1, 80]}, "0 <= low <= high <= 100"),
        ({"input_percent": 80}, r"\[low, high\]"),
        ({"attention_percent": 101}, "0 to 100"),
        ({"fill": "blak"}, "known: pixel, zero, learnable"),
        ({"active": "alway"}, "did you mean always"),
        ({"ratio": 3}, "no 'ratio'"),
    ],
)
def test_impossible_policies(values, message):
    with pytest.raises(BadInput, match=message):
        MaskPolicy.from_dict(values)


def test_impossible_inference():
    with pytest.raises(BadInput, match="samples 0"):
        MaskedInference(samples=0)
    with pytest.raises(BadInput, match="known: auto, on, off"):
        MaskedInference(switch="maybe")  # type: ignore[arg-type]
