"""Which crops each section of a report is computed of, so that one pass serves them all."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from analysis.commands.job import PIXELS

if TYPE_CHECKING:
    from analysis.engine.observer import Batch
    from mtd.data.crops import Crop
    from mtd.data.recorded_noise import Recorded
    from mtd.noise.base import Noise


@dataclass(frozen=True)
class Share:
    """The crops of one section, and the batches that hold them."""

    crops: list[Crop]
    batches: list[Batch]


def nested(crops: Sequence[Crop], counts: Sequence[int], seed: int) -> list[list[Crop]]:
    """Crops in parts, such that the first `count` of them, for each count, are spread at random.

    So one pass over all crops serves sections that look at some of them only. The parts end at the
    counts; the crops of each are in their own order.

    Args:
        crops: all of them.
        counts: how many the sections look at; more than there are is all.
        seed: of the order in which they are drawn.
    """
    order = list(range(len(crops)))
    random.Random(f"sections/{seed}").shuffle(order)
    ends = sorted({min(count, len(crops)) for count in counts} | {len(crops)})
    starts = [0, *ends[:-1]]
    return [[crops[i] for i in sorted(order[a:b])] for a, b in zip(starts, ends, strict=True)]


def shares(
    parts: Sequence[Sequence[Crop]],
    counts: Mapping[str, int],
    noises: Sequence[Noise | Recorded],
    size: int | None,
) -> tuple[list[Batch], dict[str, Share]]:
    """Batches of crops in parts, and which of them each section has; see `nested`.

    Args:
        parts: the crops.
        counts: how many crops each section has.
        noises: of the batches.
        size: most crops of a batch; None for what suits their size.
    """
    batches: list[Batch] = []
    for part in parts:
        batches += batched(part, size, noises, len(batches))
    found = {}
    for name, count in counts.items():
        own, left = [], count
        for batch in batches:
            if left > 0:
                own.append(batch)
                left -= len(batch.crops)
        found[name] = Share([crop for batch in own for crop in batch.crops], own)
    return batches, found


def batched(
    crops: Sequence[Crop], size: int | None, noises: Sequence[Noise | Recorded], first: int = 0
) -> list[Batch]:
    """Batches of crops of one size under some noises, counted from `first`."""
    from analysis.engine.run import batches

    most = size or max(1, PIXELS // crops[0].pixels.shape[0] ** 2)
    return [
        replace(batch, index=first + i, noises=list(noises))
        for i, batch in enumerate(batches(crops, most))
    ]
