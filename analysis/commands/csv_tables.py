"""Tables as CSV: numbers in full, missing ones as `nan`, texts by `mtd.utils.csv_cells`."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Literal

import pandas as pd

from mtd.utils import limits
from mtd.utils.csv_cells import quoted, unquoted
from mtd.utils.errors import BadInput


def text(frame: pd.DataFrame) -> str:
    """A table as CSV.

    >>> print(text(pd.DataFrame({"model": ["=1+1", "a"], "loss": [-1.5, float("nan")]})), end="")
    model,loss
    '=1+1,-1.5
    a,nan
    """
    written = _text(each_text(frame, quoted), csv.QUOTE_MINIMAL)
    if "\r" in written:  # which pandas leaves bare, as if a row ended there
        written = _text(each_text(frame, quoted), csv.QUOTE_NONNUMERIC)
    return written


def _text(frame: pd.DataFrame, quoting: Literal[0, 2]) -> str:
    return frame.to_csv(index=False, na_rep="nan", lineterminator="\n", quoting=quoting)


def parsed(content: bytes, place: Path, names: Collection[str]) -> pd.DataFrame:
    """The table in the content of a CSV file.

    Args:
        content: not compressed.
        place: of the file, for messages.
        names: columns that hold names: a model may be called 10000, NA or nan.

    Raises:
        BadInput: it cannot be read.
    """
    try:
        columns = header(content, place)
        kinds = {name: str for name in columns if name in names}
        missing = {name: ["nan"] for name in columns if name not in names}
        frame = pd.read_csv(
            io.BytesIO(content), dtype=kinds, keep_default_na=False, na_values=missing
        )
    except BadInput:
        raise
    except (ValueError, ArithmeticError, csv.Error) as error:  # pandas' errors are ValueErrors
        what = " ".join(str(error).split())[:200]
        raise BadInput(f"{place}: no table that can be read ({what})") from None
    if not isinstance(frame.index, pd.RangeIndex):
        raise BadInput(f"{place}: no table that can be read (rows of more columns than names)")
    return each_text(frame, unquoted)


def header(content: bytes, place: Path) -> list[str]:
    """The names of a table's columns.

    Raises:
        BadInput: there are too many, or a name is there twice.
    """
    end = content.find(b"\n")
    first = content if end < 0 else content[:end]
    most = max(line.count(b",") for line in content.split(b"\n"))  # which would be an index
    limits.COLUMNS.check(most + 1, f"{place}")
    line = first.decode("utf-8-sig")
    names = next(csv.reader([line]), [])
    # the columns that pandas finds, which takes as long for one line as for the whole table
    plain = names and all(names) and line.isprintable() and '"' not in line
    columns = names if plain else list(pd.read_csv(io.BytesIO(content), nrows=0).columns)
    name, times = max(Counter(names).items(), key=lambda item: item[1], default=("", 0))
    if times > 1:
        raise BadInput(f"{place}: no table that can be read (two columns are named {name!r})")
    return columns


def each_text(frame: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    """A table with a change of each text and each column's name."""
    names = {name: change(name) for name in frame.columns if isinstance(name, str)}
    other_names = any(name != new for name, new in names.items())
    changed = frame.rename(columns=names) if other_names else frame.copy(deep=False)
    for place, (_, column) in enumerate(frame.items()):
        if pd.api.types.is_numeric_dtype(column.dtype):
            continue
        texts = [value for value in column.unique() if isinstance(value, str)]
        new = {value: change(value) for value in texts if change(value) != value}
        if new:
            other = [new.get(value, value) for value in column]
            kind = column.dtype if isinstance(column.dtype, pd.StringDtype) else object
            changed.isetitem(place, pd.Series(other, dtype=kind).array)
    return changed
