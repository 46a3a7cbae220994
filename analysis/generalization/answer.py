"""The answer of the benchmark to its heading."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from analysis.generalization import strength
from analysis.generalization.metrics import facts
from analysis.generalization.pairwise_tests import over_unseen
from analysis.generalization.summary import directed, scores_of_models
from analysis.text.answers import ENDINGS, Answer
from analysis.text.markdown import code, number
from analysis.text.rows import records


def answer(frames: Mapping[str, pd.DataFrame], metric: str = "psnr") -> Answer:
    """Which model has the best mean under unseen noise, and whether that is shown."""
    about, rows = facts(metric), records(scores_of_models(frames, metric))
    columns = {
        "out_of_distribution": "under unseen noise",
        "mean": "over all noises",
        "in_distribution": "under the noise trained on",
    }
    column = next(
        (c for c in columns if any(math.isfinite(row.get(c, math.nan)) for row in rows)), ""
    )
    if not column:
        return Answer(f"No model has a {about.label} here")

    def text(value: float) -> str:
        return " ".join(filter(None, (number(value, about.digits), about.unit)))

    values = {str(row["model"]): row.get(column, math.nan) for row in rows}
    known = [model for model, value in values.items() if math.isfinite(value)]
    unit = f" ({about.unit})" if about.unit else ""
    name = f"{about.label}{unit}" if about.higher_is_better else directed(metric)
    quantity = f"{name}, {columns[column].removeprefix('under ').removeprefix('over ')}"
    shown = {model: number(value, about.digits) for model, value in values.items()}
    best, where = known[0], columns[column]
    lead = f"{code(best)} has a mean {directed(metric)} of {text(values[best])} {where}"
    if len(known) == 1:
        return Answer(lead, "", quantity, shown)
    other = known[1]
    test = over_unseen(frames, metric, best, other)
    lead += f", {code(other)} {text(values[other])}" + (", the next" if len(known) > 2 else "")
    towards = strength.towards(frames, best, other) if metric == "psnr" and len(known) == 2 else ""
    if towards:
        trend = f"With stronger noise of a kind the difference moves towards {code(towards)}"
        lead = f"{trend}; {lead}"
    if test is None or not math.isfinite(test.value):
        return Answer(f"{lead}; there is no paired test", "", quantity, shown)
    return Answer(lead, test.verdict, quantity, shown, ENDINGS[test.verdict])
