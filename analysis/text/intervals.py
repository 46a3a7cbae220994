"""What 95% intervals are about, and whether there are photographs enough for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.stats.jackknife import ENOUGH, LEAST
from analysis.text.trainings import counts
from mtd.utils.messages import plural, verb

BUNDLED = "bundled"
"""What a manifest has as images where no others are given."""

PHOTOGRAPHS = "The 95% intervals over photographs leave out one photograph at a time."
"""Where intervals are over trainings too, of which a sentence of its own speaks."""

ABOUT = (
    "The 95% intervals leave out one photograph at a time: they are about other photographs, not "
    "other trainings. They are symmetric, so that an end may lie beyond what a quantity can be."
)


def about_intervals(
    photographs: int, manifest: Mapping[str, Any], present: bool = True
) -> list[str]:
    """What a run's intervals are about, and whether it has photographs enough for inference.

    Args:
        photographs: that are left out in turn; see `analysis.stats.jackknife.draws`.
        manifest: of the run.
        present: whether it has intervals.

    >>> about_intervals(24, {})[0].partition(":")[0]
    'The 95% intervals leave out one photograph at a time'
    >>> about_intervals(2, {})
    ['2 photographs are too few for intervals: at least 3 are needed, 10 for inference.']
    """
    count = plural(photographs, "photograph")
    about = PHOTOGRAPHS if max(counts(manifest).values(), default=1) > 1 else ABOUT
    if photographs < LEAST:
        are = verb(photographs, "is", "are")
        needed = f"at least {LEAST} are needed, {ENOUGH} for inference"
        text = [f"{count} {are} too few for intervals: {needed}."]
    elif not present:
        text = ["This run has no intervals: no difference can be shown."]
    elif photographs < ENOUGH:
        text = [f"{about} With {count} they are rough: at least {ENOUGH} are needed."]
    else:
        text = [about]
    return [*text, *illustration(manifest)]


def photographs_of(manifest: Mapping[str, Any]) -> int:
    """How many photographs, or scenes that several of them show, the crops of a run are of."""
    crops = manifest.get("crops", ())
    return len({crop.get("scene") or crop["image"] for crop in crops})


def illustration(manifest: Mapping[str, Any]) -> list[str]:
    """That the few bundled photographs illustrate and infer nothing, if a run has no others."""
    if manifest.get("images") != BUNDLED:
        return []
    return [
        "The bundled photographs are an illustration, not inference: give at least "
        f"{ENOUGH} of your own with --images."
    ]


def bands(photographs: int, trainings: int = 1) -> str:
    """What a figure's bands are.

    Args:
        photographs: of the run.
        trainings: of the model that has most.

    >>> bands(24), bands(4)
    ('95% intervals over 24 photographs', 'rough 95% intervals over 4 photographs')
    >>> bands(24, 3)
    '95% intervals over 24 photographs and over trainings'
    """
    rough = "rough " if photographs < ENOUGH else ""
    too = " and over trainings" if trainings >= LEAST else ""
    return f"{rough}95% intervals over {plural(photographs, 'photograph')}{too}"
