"""Rows drawn at random from the tables of a report, to be recomputed."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.commands.registry import analysis
from analysis.commands.run_tables import read_tables
from analysis.commands.trainings import TRAINING
from analysis.text import matched_noises
from mtd.utils import folder_files
from mtd.utils.errors import BadInput

CROP = ("image", "top", "left", "sha256")
BY_TRAINING = f"_by_{TRAINING}"
"""The end of the names of tables of single trainings."""

VIEWS = ("model_a", "noise_a", "model_b", "noise_b")


def keys_of(section: str, table: str) -> tuple[str, ...]:
    """The columns that identify a row of a section's table; none if it is not verified.

    Those of a table of single trainings have the names of these beside the models'.
    """
    if table == matched_noises.NAME:
        return matched_noises.KEYS
    keys = analysis(section).keys.get(table.removesuffix(BY_TRAINING), ())
    if not table.endswith(BY_TRAINING):
        return tuple(keys)
    names = [key.replace("model", TRAINING) for key in keys if key.startswith("model")]
    return (*keys, *names)


def first_table(section: str) -> str:
    """The table of a section whose rows are drawn; "" if its record names no keys."""
    return next(iter(analysis(section).keys), "")


@dataclass
class RandomRows:
    """Random rows of the tables of a report.

    Attributes:
        folder: of the report.
        source: of randomness.
        share: of the rows of each table.
    """

    folder: Path
    source: random.Random
    share: float

    def frame(self, section: str, table: str) -> pd.DataFrame:
        """A table of a section.

        Raises:
            BadInput: it is missing or damaged.
        """
        place = f"{section}/{table}.csv of the report"
        try:
            frame = read_tables(folder_files.path_of(self.folder, section), [table])[table]
        except (KeyError, ValueError) as error:
            what = "missing" if isinstance(error, KeyError) else f"damaged ({error})"
            raise BadInput(f"{place}: {what}") from None
        missing = [key for key in keys_of(section, table) if key not in frame]
        if missing:
            raise BadInput(f"{place}: damaged (no column {missing[0]})")
        return frame

    def holds(self, section: str) -> bool:
        """Whether the section's first table is present; pages omit tables that are too large."""
        return folder_files.holds(self.folder, f"{section}/{first_table(section)}.csv")

    def rows(self, frame: pd.DataFrame) -> pd.DataFrame:
        """A random part of the rows, in order, at least one; whole pairs of views for CKA."""
        if set(VIEWS) <= set(frame):
            return self._pairs(frame, list(VIEWS))
        count = min(len(frame), math.ceil(self.share * len(frame)))
        return frame.iloc[sorted(self.source.sample(range(len(frame)), count))]

    def _pairs(self, frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
        """Whole pairs of views, so that few views are needed."""
        pairs = list(frame[list(names)].drop_duplicates().itertuples(index=False, name=None))
        self.source.shuffle(pairs)
        chosen = pairs[: max(1, math.ceil(self.share * len(pairs)))]
        rows = frame[list(names)].itertuples(index=False, name=None)
        return frame[[row in chosen for row in rows]]
