"""Rows of tables, as plain dictionaries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.text.markdown import listed, number
from analysis.text.noise_names import noise_words

Row = dict[str, Any]


def records(frame: pd.DataFrame) -> list[Row]:
    """All rows."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def ends(frame: pd.DataFrame, column: str) -> tuple[Row, Row]:
    """The rows with the smallest and the largest value; the first of equal ones.

    Args:
        frame: with one known value at least.
        column: of the values.
    """
    values = frame[column].to_numpy(dtype=float, na_value=float("nan"))
    known = [(value, place) for place, value in enumerate(values) if value == value]
    low = min(known)[1]
    high = min(known, key=lambda pair: (-pair[0], pair[1]))[1]
    return records(frame.iloc[[low]])[0], records(frame.iloc[[high]])[0]


def means_by_model(frame: pd.DataFrame, column: str) -> dict[str, float]:
    """The mean of a column over the rows of each model; NaN for one without a value.

    Means over noises are over those under which each model has a value, as differences of models
    are; see `shared_noises`.

    >>> values = {"model": [*"aabb"], "noise": [*"xyxy"], "v": [1.0, 3, 5, float("nan")]}
    >>> means_by_model(pd.DataFrame(values), "v")
    {'a': 1.0, 'b': 5.0}
    """
    models = list(dict.fromkeys(frame.model))
    if "noise" in frame:
        frame = frame[frame.noise.isin(shared_noises(frame, column))]
    means = frame[column].astype(float).groupby(frame.model, sort=False).mean().reindex(models)
    return {str(model): float(value) for model, value in means.items()}


def shared_noises(frame: pd.DataFrame, column: str) -> list[str]:
    """The noises under which each model has a value in a column, models without any left out."""
    known = frame[frame[column].notna()]
    of = known.groupby("noise", sort=False).model.nunique()
    return [str(noise) for noise, models in of.items() if models == known.model.nunique()]


def p_values(frame: pd.DataFrame, columns: Sequence[str], digits: int) -> pd.DataFrame:
    """A table in which no p-value is rounded to 0: columns with such values become text.

    Args:
        frame: any table.
        columns: of p-values.
        digits: after the point, all of a column alike, so that text sorts as numbers do.

    Example:
        >>> p_values(pd.DataFrame({"p": [1e-9, 0.5]}), ["p"], 3).p.tolist()
        ['<0.001', '0.500']
    """
    least = 10.0**-digits
    formatted = frame.copy()
    for name in columns:
        if (frame[name] < least).any():
            formatted[name] = [
                f"<{least:.{digits}f}" if value < least else number(value, digits)
                for value in frame[name]
            ]
    return formatted


def reaches(frame: pd.DataFrame, column: str, digits: int, most: int, unit: str = "") -> str:
    """The smallest and the largest value of each model, with their noises; plain text."""
    spans: list[str] = []
    for model, rows in frame.groupby("model", sort=False):
        if rows[column].notna().any():
            low, high = ends(rows, column)
            values = [
                f"{number(end[column], digits)}{unit} under {noise_words(end['noise'])}"
                for end in (low, high)
            ]
            span = values[0] if values[0] == values[1] else f"from {values[0]} to {values[1]}"
            spans.append(f"{model} {span}")
    return listed(spans, most) or "no value"
