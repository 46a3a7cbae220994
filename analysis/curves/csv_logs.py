"""The tables that `mtd.train` logs: `log.csv` and `validation.csv`."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from analysis.curves import text_files
from analysis.curves.logged import DIGITS, LOSS, PSNR, RATE, Line, Point, real, short
from mtd.utils.csv_cells import unquoted
from mtd.utils.errors import BadInput

LOG, VALIDATION = "log.csv", "validation.csv"


def read(file: Path) -> Iterator[Line]:
    """What one of the tables holds.

    Raises:
        BadInput: a column is missing, or a step is no whole number.
    """
    if file.name == VALIDATION:
        for step, row in rows(file, ("step", "noise", "psnr")):
            point = Point("validation", PSNR, unquoted(row["noise"]), step, real(row["psnr"]))
            yield Line((point,), file.name)
        return
    for step, row in rows(file, ("step", "loss", "learning_rate")):
        loss = Point("log", LOSS, "loss", step, real(row["loss"]))
        rate = Point("log", RATE, "", step, real(row["learning_rate"]))
        yield Line((loss, rate), file.name)


def rows(file: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows with their steps; a last row without a line end, of a run that was killed, is left out.

    Columns may be separated by semicolons or tabs, as where commas are decimal.

    Args:
        file: a table.
        columns: that are wanted, `step` among them.

    Raises:
        BadInput: a column is missing or there twice, a row is damaged, or a step is no whole
            number.
    """
    lines = text_files.lines(file)
    head = next(lines, "")
    separator = next((mark for mark in ";\t" if mark in head), ",")
    reader = csv.reader(chain([head], lines), delimiter=separator)
    try:
        names = next(reader, [])
        places = _places(file, names, columns)
        for line, row in enumerate(filter(None, reader), 2):
            if len(row) > len(names):
                raise BadInput(
                    f"{file}, line {line}: more values than columns; where commas are decimal, "
                    "separate columns by semicolons"
                )
            found = {name: row[at] if at < len(row) else "" for name, at in places.items()}
            step = found["step"].strip()
            if not step.isdecimal() or len(step) > DIGITS:
                raise BadInput(f"{file}, line {line}: step {short(step)}; expected a whole number")
            if separator != "," and "noise" in found:
                found["noise"] = re.sub(r"(?<=\d),(?=\d)", ".", found["noise"])
            yield int(step), found
    except csv.Error as error:
        raise BadInput(f"{file}: damaged ({error}); expected {', '.join(columns)}") from None


def _places(file: Path, names: Sequence[str], columns: Sequence[str]) -> dict[str, int]:
    """Where in a row the columns are.

    Raises:
        BadInput: one is missing, or there twice.
    """
    for name in columns:
        if name not in names:
            raise BadInput(f"{file}: no column {name}; expected {', '.join(columns)}")
        if names.count(name) > 1:
            raise BadInput(f"{file}: column {name} is there twice; expected {', '.join(columns)}")
    return {name: names.index(name) for name in columns}
