"""The answer of SRGA to its heading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from analysis.srga.figures import others
from analysis.srga.reading import apart_in_psnr
from analysis.text.answers import Answer, between, compared, judged, opposite
from analysis.text.markdown import number
from analysis.text.model_differences import ModelDifferences
from analysis.text.rows import means_by_model


def answer(frames: Mapping[str, pd.DataFrame]) -> Answer:
    """How far features are from those under the reference, mean over other noises."""
    rows = others(frames["srga"])
    values = means_by_model(rows, "srga")
    of = ModelDifferences.read(frames, "srga_difference")
    what = "The distance of features under other noises from those under the reference (SRGA)"
    apart = apart_in_psnr(frames["srga"])
    evidence = judged(between(of))
    if apart and sum(value == value for value in values.values()) > 1:
        what = (
            "Between models that are hardly comparable (PSNR under the reference differs by "
            f"{number(apart, 1)} dB on these crops), the{what[3:]}"
        )
        found = compared(what, "SRGA, mean", values, "", opposite=opposite(of, values))
        return replace(found, evidence="hardly comparable")
    return compared(what, "SRGA, mean", values, evidence, opposite=opposite(of, values))
