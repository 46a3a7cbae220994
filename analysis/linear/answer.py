"""The answer of the local linear map to its heading."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analysis.text.answers import Answer, between, compared, judged, opposite
from analysis.text.model_differences import ModelDifferences
from analysis.text.rows import means_by_model, shared_noises
from analysis.text.terminal import plural


def answer(frames: Mapping[str, pd.DataFrame]) -> Answer:
    """How much of the input passes: the effective dimension, mean over noises."""
    rows = frames["linear"]
    values = means_by_model(rows, "effective_dimension")
    of = ModelDifferences.read(frames, "linear_difference", "effective_dimension")
    count = len(shared_noises(rows, "effective_dimension"))
    over = f", averaged over {plural(count, 'noise')}," if count > 1 else ""
    what = f"The number of directions of the input that pass (effective dimension){over}"
    return compared(
        *(what, "effective dimension", values, judged(between(of)), 0),
        opposite=opposite(of, values),
    )
