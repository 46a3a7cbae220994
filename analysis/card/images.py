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
from mtd.utils.errors import BadInput
from mtd.utils.output import plain

COLUMNS = (
    *("noise", "kind", "level", "image", "scene", "top", "left", "height", "width", "sha256"),
    *("testset", "metric", "value"),
)
"""Of the table of single images; `sha256` is that of the clean pixels."""

LATER = {"testset": ""}
"""Columns that earlier cards do not have, and what stands for them."""

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
    return "".join(f"{json.dumps(plain(row))}\n" for row in frame.to_dict("records"))


def read(path: Path) -> pd.DataFrame:
    """The values of a file of JSON Lines.

    Raises:
        BadInput: not such a file.
    """
    try:
        text = path.read_text(encoding="utf-8")
        rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        return pd.DataFrame([LATER | _numbers(row) for row in rows])[[*COLUMNS]].assign(
            **{TRAINING: [row.get(TRAINING, "") for row in rows]}
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{path}: no values of images as cards have them ({error})") from None


def _numbers(row: dict[str, Any]) -> dict[str, Any]:
    """A line with its numbers as floats; null is NaN."""
    given = {name: row[name] for name in ("level", "value")}
    return row | {name: float("nan" if v is None else v) for name, v in given.items()}
