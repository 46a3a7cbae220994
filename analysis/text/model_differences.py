"""Sentences on the differences between models, read from the tables of them.

The lowest and the highest of many models are not compared: they are selected for being far apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any, NamedTuple

import pandas as pd

from analysis.stats.jackknife import ENOUGH
from analysis.stats.model_differences import MEAN, averaged
from analysis.text import verdicts
from analysis.text.markdown import bounded, code
from analysis.text.noise_names import noise_phrases
from analysis.text.rows import records
from analysis.text.terminal import plural

MOST = 3
"""Up to so many models, every two of them are compared in sentences."""


class ModelDifferences(NamedTuple):
    """A table of differences between models.

    Attributes:
        rows: columns of `analysis.stats.model_differences.table`, of one quantity.
        table: its file's name.
        ratio: whether its values are ratios.
    """

    rows: pd.DataFrame
    table: str
    ratio: bool = False

    @classmethod
    def read(
        cls, frames: Mapping[str, pd.DataFrame], name: str, measure: str = "", ratio: bool = False
    ) -> ModelDifferences | None:
        """The table of a run; None if the run has none.

        Args:
            frames: tables of the run.
            name: of the table.
            measure: the quantity, where the table has several.
            ratio: whether its values are ratios.
        """
        rows = frames.get(name)
        if rows is None:
            return None
        return cls(rows[rows.measure == measure] if measure else rows, f"{name}.csv", ratio)

    def effect(self, row: Mapping[str, Any], digits: int, unit: str) -> str:
        """A row's difference or ratio with its interval."""
        sign, ends = "/" if self.ratio else "-", (row["value"], row["low"], row["high"])
        value = bounded(*ends, digits, "" if self.ratio else unit, signed=not self.ratio)
        return f"{code(row['model_b'])} {sign} {code(row['model_a'])} is {value}"

    def verdict(self, row: Mapping[str, Any], name: str = "") -> verdicts.Verdict:
        """The verdict on a row by its interval, or another one of the name `name`."""
        judge = verdicts.of_ratio if self.ratio else verdicts.verdict
        return judge(row[f"{name}low"], row[f"{name}high"], int(row["photographs"]))


def sentences(
    of: ModelDifferences | None, digits: int = 2, unit: str = "", within: Set[str] = frozenset()
) -> list[str]:
    """By how much models differ, over noises and noise by noise, and whether that is shown.

    Args:
        of: None for a run without such a table.
        digits: after the point.
        unit: of differences.
        within: noises under which models are not compared.
    """
    if of is None or of.rows.empty:
        return []
    if len({*of.rows.model_a, *of.rows.model_b}) > MOST:
        return [f"The differences between every two models are in `{of.table}`."]
    known = of.rows[of.rows.value.notna()]
    single = known[(known.noise != MEAN) & ~known.noise.isin(within)]
    joint = known[known.noise == MEAN]
    if single.empty:
        return []
    return [*overall(of, single if joint.empty else joint, digits, unit), *by_noise(of, single)]


def overall(of: ModelDifferences, rows: pd.DataFrame, digits: int, unit: str) -> list[str]:
    """The differences of every two models in one mean, or under the only noise.

    Args:
        of: the table.
        rows: one of each pair.
        digits: after the point.
        unit: of differences.
    """
    where = "Between models"
    if (rows.noise == MEAN).all():
        where = f"Averaged over {plural(averaged(of.rows), 'noise')}"
    effects = [(of.effect(row, digits, unit), of.verdict(row)) for row in records(rows)]
    return [f"{where}, {verdicts.joined(effects)}."]


def by_noise(of: ModelDifferences, rows: pd.DataFrame) -> list[str]:
    """Under which noises which of two models is shown to be lower, a sentence for each pair.

    By intervals that hold for all noises at once. With too few photographs there is nothing to say
    beyond the mean.

    Args:
        of: the table.
        rows: of single noises.
    """
    text = []
    middle = 1.0 if of.ratio else 0.0
    for (a, b), part in rows.groupby(["model_a", "model_b"], sort=False):
        if len(part) < 2 or part.photographs.min() < ENOUGH:
            continue
        found: dict[str, list[str]] = {}
        for row in records(part):
            lower = a if row["band_low"] > middle else b
            shown = of.verdict(row, "band_") == "shown"
            word = f"shown to be lower in {code(lower)}" if shown else "not shown to differ"
            found.setdefault(word, []).append(str(row["noise"]))
        each = "; ".join(f"{word} under {noise_phrases(noises)}" for word, noises in found.items())
        pair = "" if len(rows) == len(part) else f" of {code(a)} and {code(b)}"
        text.append(f"Noise by noise{pair}, by intervals that hold for all noises at once: {each}.")
    return text
