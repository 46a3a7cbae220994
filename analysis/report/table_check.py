"""Whether the tables of a report agree with recomputed ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

RELATIVE, ABSOLUTE = 1e-4, 1e-5
"""Tolerances for recomputed numbers: other machines add up in another order."""


BANDS = ("_band_low", "_band_high")
"""How columns end that depend on the other rows of a table; see `analysis.stats.controls`."""


@dataclass
class Check:
    """The check of one table.

    Attributes:
        table: its name.
        checked: count of recomputed values, numbers and text.
        of: count of values in the table.
        absolute: largest absolute difference of a number.
        relative: largest difference of a number relative to the computed one, where that is not 0.
        wrong: a line for each value that does not agree, with its row.
    """

    table: str
    checked: int = 0
    of: int = 0
    absolute: float = 0.0
    relative: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def compare(
        self,
        reported: pd.DataFrame,
        computed: pd.DataFrame,
        keys: Sequence[str],
        of: int | None = None,
    ) -> None:
        """Compare rows of the report with recomputed ones.

        Args:
            reported: rows of the report.
            computed: recomputed rows, which include the reported ones.
            keys: columns that identify a row.
            of: rows of the whole table; None if both are whole tables. Bounds that hold for all
                noises at once depend on how many there are, so that they are not compared.
        """
        names = [str(name) for name in computed if name not in keys]
        if of is not None:
            names = [name for name in names if not name.endswith(BANDS)]
        numeric = {name: pd.api.types.is_numeric_dtype(computed[name]) for name in names}
        missing = [name for name in (*keys, *names) if name not in reported]
        if missing:
            self.wrong.append(f"{self.table}: no column {missing[0]}")
            return
        rows = {self._key(row, keys): row for row in computed.to_dict("records")}
        checked: set[tuple[str, ...]] = set()
        self.of += (len(reported) if of is None else of) * len(names)
        for row in reported.to_dict("records"):
            key = self._key(row, keys)
            if key in checked:
                self.wrong.append(f"{self.table}, {', '.join(key)}: is there twice")
            elif key not in rows:
                self.wrong.append(f"{self.table}, {', '.join(key)}: is not among the computed rows")
            else:
                for name in names:
                    check = self._number if numeric[name] else self._text
                    check(key, name, row[name], rows[key][name])
            checked.add(key)
        if of is None:
            absent = [key for key in rows if key not in checked]
            self.wrong += [f"{self.table}, {', '.join(k)}: is not in the report" for k in absent]

    def complete(self, frame: pd.DataFrame, keys: Sequence[str], views: Sequence[Any]) -> None:
        """Check that a table has a row for every view that it should have."""
        present = set(frame[list(keys)].itertuples(index=False, name=None))
        for view in views:
            if view not in present:
                self.wrong.append(f"{self.table}, {', '.join(view)}: is not in the report")

    def distinct(self, frame: pd.DataFrame, keys: Sequence[str]) -> None:
        """Check that no row is repeated; rows that `compare` has listed are not listed again."""
        twice = frame[frame.duplicated(list(keys))]
        for row in twice.to_dict("records"):
            line = f"{self.table}, {', '.join(self._key(row, keys))}: is there twice"
            if line not in self.wrong:
                self.wrong.append(line)

    @staticmethod
    def _key(row: Mapping[Any, Any], keys: Sequence[str]) -> tuple[str, ...]:
        return tuple(str(row[name]) for name in keys)

    def _number(self, key: Sequence[str], name: str, value: Any, computed: float) -> None:
        self.checked += 1
        try:
            reported = float(value)
        except (TypeError, ValueError):
            self._disagree(key, name, repr(value), f"{computed:.8g}")
            return
        if reported == computed or (math.isnan(reported) and math.isnan(computed)):
            return
        if math.isfinite(reported) and math.isfinite(computed):
            absolute = abs(reported - computed)
            relative = absolute / abs(computed) if computed else 0.0
        else:
            absolute = relative = math.inf
        self.absolute, self.relative = max(self.absolute, absolute), max(self.relative, relative)
        if math.isinf(absolute) or absolute > ABSOLUTE + RELATIVE * abs(computed):
            self._disagree(key, name, f"{reported:.8g}", f"{computed:.8g}")

    def _text(self, key: Sequence[str], name: str, value: Any, computed: Any) -> None:
        self.checked += 1
        reported, expected = ("nan" if pd.isna(v) else str(v) for v in (value, computed))
        if reported != expected:
            self._disagree(key, name, repr(reported), repr(expected))

    def _disagree(self, key: Sequence[str], name: str, reported: str, computed: str) -> None:
        row = ", ".join(part[:24] for part in key)
        self.wrong.append(f"{self.table}, {row}: {name} is {reported}, computed {computed}")
