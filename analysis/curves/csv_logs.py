"""The tables that `mtd.train` logs: `log.csv` and `validation.csv`."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from analysis.curves import text_files
from analysis.curves.logged import LOSS, PSNR, RATE, Line, Point, real
from mtd.utils.csv_cells import unquoted
from mtd.utils.errors import BadInput

LOG, VALIDATION = "log.csv", "validation.csv"
DIGITS = 18
"""Most digits of a step, which is stored in 64 bits."""


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
    """
    text = "".join(text_files.lines(file))
    head = text.partition("\n")[0]
    separator = next((mark for mark in ";\t" if mark in head), ",")
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        names, found = reader.fieldnames or (), list(reader)
    except csv.Error as error:
        raise BadInput(f"{file}: damaged ({error}); expected {', '.join(columns)}") from None
    absent = [name for name in columns if name not in names]
    if absent:
        raise BadInput(f"{file}: no column {absent[0]}; expected {', '.join(columns)}")
    for line, row in enumerate(found, 2):
        if None in row:
            raise BadInput(
                f"{file}, line {line}: more values than columns; where commas are decimal, "
                "separate columns by semicolons"
            )
        step = (row["step"] or "").strip()
        if not step.isdecimal() or len(step) > DIGITS:
            raise BadInput(f"{file}, line {line}: step {step!r}; expected a whole number")
        if separator != "," and "noise" in row:
            row["noise"] = re.sub(r"(?<=\d),(?=\d)", ".", row["noise"] or "")
        yield int(step), row
