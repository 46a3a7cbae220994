"""Labels of noises: their kind, level and unit."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.text.noise_names import CLEAN as CLEAN
from analysis.text.noise_names import NOISY as NOISY
from analysis.text.noise_names import RECORDED
from mtd.data.recorded_noise import Recorded
from mtd.noise.base import Noise
from mtd.noise.mixture import OURS
from mtd.noise.specs import kinds


def describe(noises: Sequence[Noise | Recorded]) -> pd.DataFrame:
    """Kind, level and note of each noise, by its text; the level of one without is NaN."""
    rows = [
        {
            "noise": noise.spec,
            "kind": noise.name,
            "level": float("nan") if noise.level is None else noise.level,
            "note": getattr(noise, "note", ""),
        }
        for noise in noises
    ]
    return pd.DataFrame(rows, columns=["noise", "kind", "level", "note"]).drop_duplicates("noise")


def kind_label(kind: str) -> str:
    """Label of a kind of noise in figures; its name, if the kind is unknown."""
    if kind in kinds():
        return kinds()[kind].label
    return RECORDED[kind][0] if kind in RECORDED else kind


def level_unit(kind: str) -> str:
    """Quantity and unit of the level of a kind of noise, for the axes of figures."""
    if kind in kinds():
        return kinds()[kind].level_unit
    return RECORDED[kind][1] if kind in RECORDED else "level"


def level_falls(kind: str) -> bool:
    """Whether a kind of noise becomes weaker as its level rises."""
    if kind in kinds():
        return kinds()[kind].level_falls
    return kind in RECORDED and RECORDED[kind][2]


def preset(part: pd.DataFrame) -> str:
    """The note that accompanies the mixture wherever it is shown; empty without it."""
    return OURS if "mixture" in set(part.kind) else ""
