"""The answer of the attribution to its heading."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analysis.text.answers import Answer, between, compared, judged, opposite
from analysis.text.model_differences import ModelDifferences
from analysis.text.rows import means_by_model


def answer(frames: Mapping[str, pd.DataFrame]) -> Answer:
    """How many pixels of the input the output depends on, mean over crops and noises."""
    values = means_by_model(frames["attribution"], "di")
    of = ModelDifferences.read(frames, "attribution_difference", "di")
    what = "The extent of the pixels that the output depends on (diffusion index)"
    return compared(
        *(what, "diffusion index", values, judged(between(of))),
        opposite=opposite(of, values),
    )
