"""The index of an analysis: one number of a model, which might predict how it generalizes."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Index:
    """A number of each model, read from a table of its analysis.

    `analysis.compare` correlates it with the models' PSNR drop, and a report's leaderboard shows
    it. Where it has a value for each noise, it is their mean over unseen noises.

    Attributes:
        name: its column; no other index has it.
        label: for figures and sentences.
        short: for the head of a column.
        table: that holds it.
        read: its values from that table, the reference of the run (its first noise) and the noises
            that count as trained on; see `index_values`.
        from_reference: it compares unseen noises with the reference.
        by_model: the analysis computes it for one model at a time, so that models are not compared
            with each other.
        value: the column of its values in that table.
        untrained: the column of the same table that holds the values of untrained networks; empty
            where there is none. A run without controls lacks it.
    """

    name: str
    label: str
    short: str
    table: str
    read: Callable[[pd.DataFrame, str, Collection[str]], pd.DataFrame]
    from_reference: bool = False
    by_model: bool = False
    value: str = ""
    untrained: str = ""

    def read_untrained(
        self, table: pd.DataFrame, reference: str, trained: Collection[str]
    ) -> pd.DataFrame:
        """As `read`, of untrained networks in place of each model."""
        return self.read(table.assign(**{self.value: table[self.untrained]}), reference, trained)


def index_values(
    rows: pd.DataFrame, value: str, model: str = "model", noise: str = "noise"
) -> pd.DataFrame:
    """Three columns of a table, as `Index.read` returns them: `model`, `noise` and `value`.

    Args:
        rows: one for each model and unseen noise.
        value: column of the values.
        model: column of the models.
        noise: column of the noises; empty texts where the index has no values by noise.
    """
    return rows[[model, noise, value]].set_axis(["model", "noise", "value"], axis=1)
