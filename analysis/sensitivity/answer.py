"""The answer of the sensitivity to its heading."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analysis.sensitivity.reading import outputs
from analysis.text.answers import Answer, between, compared, judged
from analysis.text.model_differences import ModelDifferences
from analysis.text.rows import means_by_model


def answer(frames: Mapping[str, pd.DataFrame]) -> Answer:
    """How much of the change that noise makes is left in the output, mean over noises."""
    values = means_by_model(outputs(frames["sensitivity"]), "gain")
    effect = between(ModelDifferences.read(frames, "sensitivity_ratio", ratio=True))
    what = "What is left of the change by noise in the denoised image (gain)"
    return compared(what, "gain of the output", values, judged(effect, ratio=True))
