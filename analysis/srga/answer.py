"""The answer of SRGA to its heading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from analysis.srga.figures import others
from analysis.srga.reading import apart_in_psnr
from analysis.text.answers import Answer, between, compared, judged
from analysis.text.markdown import number
from analysis.text.model_differences import ModelDifferences
from analysis.text.rows import means_by_model, opposite


def answer(frames: Mapping[str, pd.DataFrame]) -> Answer:
    """How far features are from those under the reference, mean over other noises."""
    rows = others(frames["srga"])
    values = means_by_model(rows, "srga")
    effect = between(ModelDifferences.read(frames, "srga_difference"))
    what = "The distance of features under other noises from those under the reference (SRGA)"
    found = compared(*(what, "SRGA, mean", values, judged(effect)), opposite=opposite(rows, "srga"))
    apart = apart_in_psnr(frames["srga"])
    if not apart:
        return found
    caveat = f"PSNR under the reference differs by {number(apart, 1)} dB, so that they are hardly"
    return replace(found, text=f"{found.text}; {caveat} comparable")
