"""The answer of the sensitivity to its heading."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analysis.sensitivity.reading import outputs
from analysis.text.answers import Answer, between, compared, judged, opposite
from analysis.text.model_differences import ModelDifferences
from analysis.text.rows import means_by_model, shared_noises
from analysis.text.terminal import plural


def answer(frames: Mapping[str, pd.DataFrame]) -> Answer:
    """How much of the change that noise makes is left in the output, mean over noises."""
    rows = outputs(frames["sensitivity"])
    values = means_by_model(rows, "gain")
    of = ModelDifferences.read(frames, "sensitivity_ratio", ratio=True)
    count = len(shared_noises(rows, "gain"))
    over = f", averaged over {plural(count, 'noise')}," if count > 1 else ""
    what = f"The change of the output caused by noise, relative to that of the input (gain){over}"
    return compared(
        *(what, "gain of the output", values, judged(between(of), ratio=True)),
        opposite=opposite(of, values),
    )
