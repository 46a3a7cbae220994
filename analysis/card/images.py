"""The values of single images as JSON Lines: a line for each noise, image and metric.

Every Eval Ever has a form for single samples, too, but it is that of questions and answers: it
requires a text and whether the answer is right. These lines are this project's own; docs/cards.md
describes them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.card.measured import Measured
from analysis.commands.trainings import TRAINING
from analysis.text.noise_labels import NOISY
from mtd.utils import input_files, limits
from mtd.utils.errors import BadInput
from mtd.utils.output import plain
from mtd.utils.printable import shortened

COLUMNS = (
    *("noise", "kind", "level", "image", "scene", "top", "left", "height", "width", "sha256"),
    *("testset", "metric", "value"),
)
"""Of the table of single images; `sha256` is that of the clean pixels."""

LATER = {"testset": ""}
"""Columns that earlier cards do not have, and what stands for them."""

LARGEST = 2**53
"""The largest whole number in a line."""

KEYS = ["noise", "image", "top", "left", "sha256", "metric"]
"""What identifies a value of a model with one training."""


def lines(measured: Measured) -> str:
    """The JSON Lines of a model, in the order of its table; infinities are "inf" and "-inf"."""
    values = measured.values()
    columns = [*([TRAINING] if TRAINING in values else []), *COLUMNS]
    results = measured.frames["results"]
    noisy = results[results.model == NOISY].set_index(KEYS).value
    keys = pd.MultiIndex.from_frame(values[KEYS])
    frame = values[columns].assign(noisy_value=noisy.reindex(keys).to_numpy())
    return "".join(
        f"{json.dumps(plain(row), allow_nan=False)}\n" for row in frame.to_dict("records")
    )


def read(path: Path) -> pd.DataFrame:
    """The values of a file of JSON Lines.

    Raises:
        BadInput: not such a file.
    """
    text = input_files.text(path, limits.JSON_LINES)
    try:
        lines = [line for line in text.split("\n") if line.strip()]
        rows = [_row(input_files.parsed_json(line, path)) for line in lines]
        return pd.DataFrame(rows, columns=[*COLUMNS, TRAINING])
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        reason = shortened(str(error).removeprefix(f"{path}: "))
        raise BadInput(f"{path}: no values of images as cards have them ({reason})") from None


def _row(line: Any) -> dict[str, Any]:
    """The columns of a line, with its numbers as floats; null is NaN.

    Raises:
        ValueError, KeyError, TypeError, OverflowError: it is not one of a card.
    """
    row: dict[str, Any] = {**LATER, TRAINING: "", **dict(line)}
    given = {name: row[name] for name in (*COLUMNS, TRAINING)}
    for name, value in given.items():
        if isinstance(value, list | dict):
            raise TypeError(f"{name} is no number or text")
        if isinstance(value, int) and abs(value) > LARGEST:
            raise ValueError(f"{name} is above {LARGEST}")
    numbers = {name: given[name] for name in ("level", "value")}
    return given | {name: float("nan" if v is None else v) for name, v in numbers.items()}
