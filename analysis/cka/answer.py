"""The answer of CKA to its heading."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analysis.cka.figures import MEASURES, measure
from analysis.text.answers import Answer, compared
from analysis.text.markdown import number
from analysis.text.rows import means_by_model, records
from analysis.text.verdicts import verdict


def answer(frames: Mapping[str, pd.DataFrame]) -> Answer:
    """How alike the last layers are under two noises, mean over pairs of noises.

    A difference of two models is shown if it is shown, in one direction, for every pair.
    """
    frame = frames.get("last_quarter")
    if frame is None or frame.empty:
        return Answer("This run compares no two views")
    rows = frame[(frame.model_a == frame.model_b) & (frame.noise_a != frame.noise_b)]
    if rows.empty:
        return Answer("This run compares no two noises")
    column = measure(frame)
    values = means_by_model(rows.assign(model=rows.model_a), column)
    name = str(MEASURES[column])
    about = f"{name}{redrawn(rows, values)}{beside(rows)}"
    what = f"The similarity of the last quarter of the blocks under two noises ({about})"
    return compared(what, f"{name}, last quarter", values, evidence(frames), 2)


def redrawn(rows: pd.DataFrame, values: Mapping[str, float]) -> str:
    """The largest gap between a mean and that of the same noise drawn again, which is its ceiling.

    >>> frame = pd.DataFrame({"model_a": ["a", "b"], "ceiling": [0.82, 0.83]})
    >>> redrawn(frame, {"a": 0.81, "b": 0.79})
    '; within 0.04 of the same noise redrawn'
    """
    if "ceiling" not in rows or rows.ceiling.isna().any():
        return ""
    ceilings = means_by_model(rows.assign(model=rows.model_a), "ceiling")
    gaps = [abs(ceilings[model] - value) for model, value in values.items() if value == value]
    return f"; within {number(max(gaps) + 0.005)} of the same noise redrawn" if gaps else ""


def beside(rows: pd.DataFrame) -> str:
    """The mean of untrained networks, by which a similarity is read; empty where there are none.

    >>> beside(pd.DataFrame({"model_a": ["a", "b"], "untrained": [0.811, 0.813]}))
    '; 0.81 in untrained networks'
    """
    if "untrained" not in rows or rows.untrained.isna().all():
        return ""
    means = means_by_model(rows.assign(model=rows.model_a), "untrained").values()
    texts = sorted({number(value) for value in means if value == value})
    return f"; {' to '.join(dict.fromkeys((texts[0], texts[-1])))} in untrained networks"


def evidence(frames: Mapping[str, pd.DataFrame]) -> str:
    """Whether two models are shown to differ under every pair of noises alike."""
    frame = frames.get("quarter_difference")
    if frame is None or frame.empty or len({*frame.model_a, *frame.model_b}) != 2:
        return ""
    rows = records(frame)
    found = {verdict(row["low"], row["high"], int(row["photographs"])) for row in rows}
    if "too few images" in found:
        return "too few images"
    signs = {row["difference"] > 0 for row in rows}
    return "shown" if found == {"shown"} and len(signs) == 1 else "not shown"
