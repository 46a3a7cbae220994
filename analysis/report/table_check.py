"""Whether numbers that are told agree with numbers that were computed again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

RELATIVE, ABSOLUTE = 1e-4, 1e-5
"""How far a number may be from what is computed again: other machines add up in another order."""


@dataclass
class Check:
    """How the numbers of a table fare.

    Attributes:
        table: its name.
        checked: numbers that were computed again.
        of: numbers that it has.
        worst: largest relative difference.
        wrong: those that do not agree, each with its row.
    """

    table: str
    checked: int = 0
    of: int = 0
    worst: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def compare(
        self, told: pd.DataFrame, again: pd.DataFrame, keys: Sequence[str], of: int | None = None
    ) -> None:
        """Numbers of rows as they are told, and as they are computed again.

        Args:
            told: rows of the report.
            again: rows that have those among them.
            keys: columns that name a row.
            of: rows of the whole table; None if `told` is the whole, and `again` too.
        """
        names = [
            str(name)
            for name in again
            if name not in keys and pd.api.types.is_numeric_dtype(again[name])
        ]
        lacking = [name for name in (*keys, *names) if name not in told]
        if lacking:
            self.wrong.append(f"{self.table}: no column {lacking[0]}")
            return
        held = {self._key(row, keys): row for row in again.to_dict("records")}
        seen: set[tuple[str, ...]] = set()
        self.of += (len(told) if of is None else of) * len(names)
        for row in told.to_dict("records"):
            key = self._key(row, keys)
            if key in seen:
                self.wrong.append(f"{self.table}, {', '.join(key)}: is there twice")
            elif key not in held:
                self.wrong.append(f"{self.table}, {', '.join(key)}: is not found again")
            else:
                for name in names:
                    self._number(key, name, row[name], float(held[key][name]))
            seen.add(key)
        if of is None:
            gone = [key for key in held if key not in seen]
            self.wrong += [f"{self.table}, {', '.join(key)}: is not in the report" for key in gone]

    def complete(self, frame: pd.DataFrame, keys: Sequence[str], views: Sequence[Any]) -> None:
        """See that a table has a row for every view that it should have."""
        there = set(frame[list(keys)].itertuples(index=False, name=None))
        for view in views:
            if view not in there:
                self.wrong.append(f"{self.table}, {', '.join(view)}: is not in the report")

    def distinct(self, frame: pd.DataFrame, keys: Sequence[str]) -> None:
        """See that a table has no row twice; those that `compare` has seen twice are told once."""
        twice = frame[frame.duplicated(list(keys))]
        for row in twice.to_dict("records"):
            line = f"{self.table}, {', '.join(self._key(row, keys))}: is there twice"
            if line not in self.wrong:
                self.wrong.append(line)

    @staticmethod
    def _key(row: Mapping[Any, Any], keys: Sequence[str]) -> tuple[str, ...]:
        return tuple(str(row[name]) for name in keys)

    def _number(self, key: Sequence[str], name: str, text: Any, again: float) -> None:
        self.checked += 1
        row = ", ".join(part[:24] for part in key)
        try:
            told = float(text)
        except (TypeError, ValueError):
            self.wrong.append(f"{self.table}, {row}: {name} is {text!r}, computed {again:.8g}")
            return
        if told == again or (math.isnan(told) and math.isnan(again)):
            return
        difference = abs(told - again)
        relative = difference / abs(again) if again else math.inf
        if not difference <= ABSOLUTE + RELATIVE * abs(again):
            self.wrong.append(f"{self.table}, {row}: {name} is {told:.8g}, computed {again:.8g}")
        if difference > ABSOLUTE:
            self.worst = max(self.worst, relative)
