"""Layers without a value in a table, and why: its column `reason`, empty where there is a value."""

from __future__ import annotations

import pandas as pd

from analysis.text.markdown import code
from analysis.text.noise_names import noise_phrases
from mtd.networks import block_names
from mtd.utils.messages import plural

MOST = 4
"""Maximum number of layers without a value that are listed."""


def missing(frame: pd.DataFrame, file: str) -> list[str]:
    """A sentence for each layer of a model without a value, with the noises and the reason.

    Args:
        frame: a table with columns `model`, `layer`, `reason`, and `noise` if values are by noise;
            tables of earlier versions without reasons have all values.
        file: the table's name, where layers beyond `MOST` are looked up.
    """
    if "reason" not in frame:
        return []
    without = frame[frame.reason.fillna("") != ""]
    groups = list(without.groupby(["model", "layer", "reason"], sort=False))
    text = [described(rows) for _, rows in groups[:MOST]]
    if len(groups) > MOST:
        text.append(f"{plural(len(groups) - MOST, 'more layer')} without values: see {file}.")
    return text


def described(rows: pd.DataFrame) -> str:
    """Which layer has no value under which noises, and why; of rows that differ in noise alone."""
    first = rows.iloc[0]
    where = f"{block_names.label(str(first.layer))} of {code(first.model)}"
    noises = f" under {noise_phrases(rows.noise)}" if "noise" in rows else ""
    return f"No value for {where}{noises}: {first.reason}."
