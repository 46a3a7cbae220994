"""The answer of the degradation clusters to their heading."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analysis.degradation.reading import marked
from analysis.text.answers import Answer, between, compared, judged
from analysis.text.model_differences import ModelDifferences
from analysis.text.rows import means_by_model


def answer(frames: Mapping[str, pd.DataFrame]) -> Answer:
    """Whether the last features cluster by noise or by content."""
    values = means_by_model(marked(frames["degradation"], "last_features"), "ch_noise")
    effect = between(ModelDifferences.read(frames, "degradation_ratio", ratio=True))
    known = [value for value in values.values() if value == value]
    what = "The index of clusters by noise (CH)"
    if known and max(known) < 1:
        what = "Content outweighs noise in the last features; the index of clusters by noise (CH)"
    if known and min(known) > 1:
        what = "The last features form clusters by noise; their index (CH)"
    return compared(what, "CH by noise", values, judged(effect, ratio=True), 3)
