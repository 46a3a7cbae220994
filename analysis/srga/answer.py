"""The answer of SRGA to its heading."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analysis.srga.figures import others
from analysis.text.answers import Answer, between, compared, judged
from analysis.text.model_differences import ModelDifferences
from analysis.text.rows import means_by_model


def answer(frames: Mapping[str, pd.DataFrame]) -> Answer:
    """How far features are from those under the reference, mean over other noises."""
    values = means_by_model(others(frames["srga"]), "srga")
    effect = between(ModelDifferences.read(frames, "srga_difference"))
    what = "The distance of features under other noises from those under the reference (SRGA)"
    return compared(what, "SRGA, mean", values, judged(effect))
