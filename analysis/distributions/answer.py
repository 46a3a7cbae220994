"""The answer of the feature distributions to their heading."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analysis.distributions.reading import main_rows
from analysis.text.answers import Answer, between, compared, judged, opposite
from analysis.text.model_differences import ModelDifferences
from analysis.text.rows import means_by_model


def answer(frames: Mapping[str, pd.DataFrame]) -> Answer:
    """How far the features before the last convolution move from the reference noise to others."""
    rows = main_rows(frames["distributions"])
    values = means_by_model(rows, "w1_relative")
    of = ModelDifferences.read(frames, "distributions_difference", "w1_relative")
    what = "The shift of the last features under other noises (W1)"
    return compared(
        *(what, "W1, mean (σ)", values, judged(between(of)), 3, "σ"),
        opposite=opposite(of, values),
    )
