"""The sections of a report: what each looks at, and how much of it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from analysis.commands.subset import Subset
from analysis.report.sections import BUDGETS
from mtd.utils.errors import BadInput, nearest

if TYPE_CHECKING:
    from analysis.commands.inputs import RunInputs
    from analysis.engine.observer import Batch
    from mtd.data.crops import Crop
    from mtd.data.recorded_noise import Recorded
    from mtd.noise.base import Noise


TOGETHER = 2**16
"""Pixels that go through a network together."""


def budgets(texts: Sequence[str]) -> dict[str, float]:
    """Megapixels by section: the defaults, but for what texts such as `srga=1.2` say.

    Raises:
        BadInput: another form, no such section, or not a number above 0.
    """
    found = dict(BUDGETS)
    for text in texts:
        name, _, number = text.partition("=")
        if name not in BUDGETS:
            raise BadInput(f"--budget {text}: {nearest(name, BUDGETS)}")
        try:
            value = float(number)
        except ValueError:
            value = 0.0
        if not 0 < value < 1e9:
            raise BadInput(f"--budget {text}: expected megapixels, as {name}=0.5")
        found[name] = value
    return found


def crops_for(megapixels: float, side: int) -> int:
    """How many crops a budget is, one at least."""
    return max(1, int(megapixels * 1e6 / side**2))


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
    asked: RunInputs, parts: Sequence[Sequence[Crop]], counts: Mapping[str, int], size: int | None
) -> tuple[list[Batch], dict[str, Subset]]:
    """Batches of crops in parts, and which of them each section looks at; see `nested`.

    Args:
        asked: models and noises of all sections.
        parts: the crops.
        counts: how many crops each section looks at.
        size: most crops of a batch; by default as many as are shown together well.
    """
    groups: list[Batch] = []
    for part in parts:
        groups += batched(part, size, asked.noises, len(groups))
    found = {}
    for name, count in counts.items():
        mine, left = [], count
        for batch in groups:
            if left > 0:
                mine.append(batch)
                left -= len(batch.crops)
        crops = [crop for batch in mine for crop in batch.crops]
        found[name] = Subset(replace(asked, crops=crops), mine)
    return groups, found


def batched(
    crops: Sequence[Crop], size: int | None, noises: Sequence[Noise | Recorded], first: int = 0
) -> list[Batch]:
    """Batches of crops of one size that are seen under some noises, counted from `first`."""
    from analysis.engine.run import batches

    most = size or max(1, TOGETHER // crops[0].pixels.shape[0] ** 2)
    made = batches(crops, most)
    return [replace(b, index=first + i, noises=list(noises)) for i, b in enumerate(made)]
