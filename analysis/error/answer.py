"""The answer of the error decomposition to its heading."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.stats.model_differences import MEAN
from analysis.text.answers import Answer, judged
from analysis.text.markdown import code, listed, number
from analysis.text.rows import means_by_model, records

MOST = 3
"""Up to so many models are named."""

PARTS = {"leak": "lets more noise through", "damage": "loses more detail"}
"""What a model does whose PSNR is lower because of a part of the error."""


def answer(frames: Mapping[str, pd.DataFrame]) -> Answer:
    """Which share of the error is noise that leaks, and what makes two models differ."""
    frame = frames["error"]
    shares = {model: 100 * v for model, v in means_by_model(frame, "leak_share").items()}
    known = {model: share for model, share in shares.items() if share == share}
    texts = {model: f"{number(share, 0)}%" for model, share in shares.items()}
    if not known:
        return Answer("No share of the error is known here", "", "leak", texts)
    each = listed([f"{texts[model]} in {code(model)}" for model in list(known)[:MOST]])
    if len(known) > MOST:
        each = f"{number(min(known.values()), 0)} to {number(max(known.values()), 0)}%"
    sentence = f"Of the error, averaged over noises, {each} is noise that leaks through"
    found, evidence = differing(frames.get("error_difference"))
    ends = {"shown": ": shown", "too few images": ": too few images to tell"}
    text = f"{sentence}{found}"
    return Answer(text, evidence, "leak, share of the MSE", texts, ends.get(evidence, ""))


def differing(frame: pd.DataFrame | None) -> tuple[str, str]:
    """Which of two models lets more noise through and which loses more detail, with evidence."""
    if frame is None or len({*frame.model_a, *frame.model_b}) != 2:
        return "", ""
    rows = {row["measure"]: row for row in records(frame[frame.noise == MEAN])}
    parts = {part: rows[part] for part in PARTS if part in rows}
    verdicts = {part: judged(row) for part, row in parts.items()}
    if "too few images" in verdicts.values():
        words = {
            part: f"{code(worse(row))} {PARTS[part]}"
            for part, row in parts.items()
            if row["low"] > 0 or row["high"] < 0
        }
        some = f"; on these photographs {listed(list(words.values()))}" if words else ""
        return some, "too few images"
    words = {
        part: f"{code(worse(row))} {PARTS[part]}"
        for part, row in parts.items()
        if verdicts[part] == "shown"
    }
    if words:
        return f"; {listed(list(words.values()))}", "shown"
    return ("; what differs between the models is not shown", "not shown") if parts else ("", "")


def worse(row: Mapping[str, Any]) -> str:
    """The model whose PSNR is lower because of a part of the error."""
    return str(row["model_a"] if row["value"] > 0 else row["model_b"])
