"""Tables as CSV: numbers in full, missing ones as `nan`, texts by `mtd.utils.csv_cells`."""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Literal

import pandas as pd

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


def read(file: Path, names: Collection[str]) -> pd.DataFrame:
    """The table in a file.

    Args:
        file: CSV, or CSV compressed by gzip.
        names: columns that hold names: a model may be called 10000, NA or nan.

    Raises:
        BadInput: it cannot be read.
    """
    try:
        columns = list(pd.read_csv(file, nrows=0).columns)
        kinds = {name: str for name in columns if name in names}
        missing = {name: ["nan"] for name in columns if name not in names}
        frame = pd.read_csv(file, dtype=kinds, keep_default_na=False, na_values=missing)
    except (OSError, ValueError) as error:  # pandas' errors of parsing are ValueErrors
        raise BadInput(f"{file}: no table that can be read ({error})") from None
    return each_text(frame, unquoted)


def each_text(frame: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    """A table with a change of each text and each column's name."""
    changed = frame.rename(columns=lambda name: change(name) if isinstance(name, str) else name)
    for place in range(changed.shape[1]):
        column = changed.iloc[:, place]
        if pd.api.types.is_numeric_dtype(column.dtype):
            continue
        texts = [value for value in column.unique() if isinstance(value, str)]
        new = {value: change(value) for value in texts if change(value) != value}
        if new:
            other = [new.get(value, value) for value in column]
            kind = column.dtype if isinstance(column.dtype, pd.StringDtype) else object
            changed.isetitem(place, pd.Series(other, dtype=kind).array)
    return changed
