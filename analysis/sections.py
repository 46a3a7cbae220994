"""The sections of a report: what each looks at, and how much of it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from analysis.commands.subset import Share
from mtd.utils.errors import BadInput, nearest

if TYPE_CHECKING:
    from analysis.commands.inputs import Asked
    from analysis.engine.observer import Batch
    from mtd.data.crops import Crop
    from mtd.data.recorded_noise import Recorded
    from mtd.noise.base import Noise


@dataclass(frozen=True)
class Section:
    """An analysis on the page.

    Attributes:
        name: of the analysis, its run folder in the report's, and its notebook.
        heading: on the page.
        megapixels: of clean images that each model is shown under each noise, unless asked
            otherwise; None where no images are shown.
    """

    name: str
    heading: str
    megapixels: float | None = None


SECTIONS = (
    Section("generalization", "Generalization", 0.4),
    Section("cka", "CKA", 0.2),
    Section("srga", "SRGA", 0.4),
    Section("distributions", "Feature distributions", 0.2),
    Section("degradation", "Degradation clusters", 0.2),
    Section("sensitivity", "Sensitivity", 0.2),
    Section("attribution", "Attribution", 0.005),
    Section("compare", "Indices against loss"),
    Section("training", "Training curves"),
)
"""In the order of the page. The defaults take two cores less than five minutes for two networks of
100,000 parameters, and less than twenty for two of 824,118."""

NAMES = tuple(section.name for section in SECTIONS)
BUDGETS = {s.name: s.megapixels for s in SECTIONS if s.megapixels is not None}
BENCHMARK = "generalization"
ONE_PASS = ("cka", "srga", "distributions", "degradation", "sensitivity", BENCHMARK)
"""Sections that share the one pass."""

TOGETHER = 2**16
"""Pixels that go through a network together."""


def choose(text: str | None) -> list[str]:
    """The sections that a list with commas names, in the order of the page; all for None.

    Raises:
        BadInput: an unknown one, or none.
    """
    if text is None:
        return list(NAMES)
    asked = [name.strip() for name in text.split(",") if name.strip()]
    for name in asked:
        if name not in NAMES:
            raise BadInput(f"--sections {name}: {nearest(name, NAMES)}")
    if not asked:
        raise BadInput(f"--sections names none: {', '.join(NAMES)}")
    return [name for name in NAMES if name in asked]


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
    asked: Asked, parts: Sequence[Sequence[Crop]], counts: Mapping[str, int], size: int | None
) -> tuple[list[Batch], dict[str, Share]]:
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
        found[name] = Share(replace(asked, crops=crops), mine)
    return groups, found


def batched(
    crops: Sequence[Crop], size: int | None, noises: Sequence[Noise | Recorded], first: int = 0
) -> list[Batch]:
    """Batches of crops of one size that are seen under some noises, counted from `first`."""
    from analysis.engine.run import batches

    most = size or max(1, TOGETHER // crops[0].pixels.shape[0] ** 2)
    made = batches(crops, most)
    return [replace(b, index=first + i, noises=list(noises)) for i, b in enumerate(made)]
