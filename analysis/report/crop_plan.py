"""The crops of each section of a report, chosen so that one pass serves all sections."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analysis.commands.job import PIXELS

if TYPE_CHECKING:
    from analysis.engine.observer import Batch
    from mtd.data.crops import Crop
    from mtd.data.recorded_noise import Recorded
    from mtd.noise.base import Noise


@dataclass(frozen=True)
class Share:
    """The crops of one section, and the batches that hold them; none of one with its own pass."""

    crops: list[Crop]
    batches: list[Batch]


def nested(crops: Sequence[Crop], counts: Sequence[int], seed: int) -> list[list[Crop]]:
    """Partition crops so that for each count, the first `count` of them are a random subset.

    One pass over all crops then serves sections that use only some of them. The parts end at the
    counts; within a part, crops are in their original order.

    Args:
        crops: all of them.
        counts: how many crops the sections use; capped at the number of crops.
        seed: of the random order.
    """
    order = shuffled(crops, seed)
    ends = sorted({min(count, len(crops)) for count in counts} | {len(crops)})
    starts = [0, *ends[:-1]]
    return [[crops[i] for i in sorted(order[a:b])] for a, b in zip(starts, ends, strict=True)]


def shuffled(crops: Sequence[Crop], seed: int) -> list[int]:
    """The places of crops in a random order."""
    order = list(range(len(crops)))
    random.Random(f"sections/{seed}").shuffle(order)
    return order


def one_of_each(crops: Sequence[Crop], count: int, seed: int) -> list[Crop]:
    """At most `count` of some crops in their order, a random one of each photograph.

    Args:
        crops: of all photographs.
        count: of crops.
        seed: of the random choice.
    """
    chosen: dict[str, int] = {}
    for i in shuffled(crops, seed):
        chosen.setdefault(crops[i].scene or crops[i].image, i)
    return [crops[i] for i in sorted(list(chosen.values())[:count])]


def center(crop: Crop, side: int) -> Crop:
    """The middle of a crop; the crop itself if it is no larger."""
    height, width = crop.pixels.shape[:2]
    if max(height, width) <= side:
        return crop
    top, left = (max(0, (size - side) // 2) for size in (height, width))
    pixels = np.ascontiguousarray(crop.pixels[top : top + side, left : left + side])
    return replace(crop, top=crop.top + top, left=crop.left + left, pixels=pixels)


def shares(
    parts: Sequence[Sequence[Crop]],
    counts: Mapping[str, int],
    noises: Sequence[Noise | Recorded],
    size: int | None,
) -> tuple[list[Batch], dict[str, Share]]:
    """Batches of all parts, and the crops and batches of each section; see `nested`.

    Args:
        parts: of `nested`.
        counts: how many crops each section has.
        noises: of the batches.
        size: maximum number of crops in a batch; None to choose it by their size.
    """
    batches: list[Batch] = []
    for part in parts:
        batches += batched(part, size, noises, len(batches))
    by_section = {}
    for name, count in counts.items():
        own, remaining = [], count
        for batch in batches:
            if remaining > 0:
                own.append(batch)
                remaining -= len(batch.crops)
        by_section[name] = Share([crop for batch in own for crop in batch.crops], own)
    return batches, by_section


def batched(
    crops: Sequence[Crop], size: int | None, noises: Sequence[Noise | Recorded], first: int = 0
) -> list[Batch]:
    """Batches of crops of one size under some noises, numbered from `first`."""
    from analysis.engine.run import batches

    most = size or max(1, PIXELS // crops[0].pixels.shape[0] ** 2)
    return [
        replace(batch, index=first + i, noises=list(noises))
        for i, batch in enumerate(batches(crops, most))
    ]
