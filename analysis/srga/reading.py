"""What SRGA's table says: how far deep features move from those under the reference noise."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analysis.srga.tables import SIMILAR
from analysis.text.marginals import by_noise, tidy
from analysis.text.markdown import code, codes, listed, number
from analysis.text.rows import reaches

TABLES = ("srga",)

Frames = Mapping[str, pd.DataFrame]


def unseen(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of other noises than the reference."""
    return frame[frame.noise != frame.reference]


def sentences(frames: Frames) -> list[str]:
    """All that follows from the table."""
    return [*main(frames), *near(frames), *scope(frames)]


def main(frames: Frames) -> list[str]:
    """The score of each model under unseen noises, and where models differ."""
    frame = frames["srga"]
    what = f"SRGA against {code(frame.reference.iloc[0])}"
    return [*by_noise(tidy(unseen(frame), "srga"), what), *comparable(frame)]


def comparable(frame: pd.DataFrame) -> list[str]:
    """A warning where models differ in quality under the reference."""
    own = frame[frame.noise == frame.reference].psnr
    apart = float(own.max() - own.min())
    if not apart > SIMILAR:
        return []
    text = f"PSNR under the reference differs by {number(apart, 1)} dB between these models"
    return [f"{text}: their scores are hardly comparable."]


def near(frames: Frames) -> list[str]:
    """Where a score is not told from 0, no distance."""
    part = unseen(frames["srga"])
    found = part[part.low <= 0]
    each = [f"{code(name)} under {codes(of.noise, 3)}" for name, of in found.groupby("model")]
    return [f"Not told from 0, no distance: {listed(each)}."] if each else []


def scope(frames: Frames) -> list[str]:
    """What intervals are about."""
    if frames["srga"].low.isna().all():
        return ["This run has no intervals: nothing is told apart."]
    return ["Intervals are about other patches of these photographs, not about other trainings."]


def alt(frames: Frames) -> str:
    """Of the figure: the range of each model's scores."""
    return f"SRGA under unseen noises: {reaches(unseen(frames['srga']), 'srga', 2, 4)}."
