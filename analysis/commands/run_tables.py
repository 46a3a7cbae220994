"""The tables of a run folder, which may come from anybody."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from analysis.commands import csv_tables
from mtd.utils import folder_files, limits
from mtd.utils.errors import BadInput
from mtd.utils.unpacked import unpacked

TEXT = {
    *("model", "model_a", "model_b", "noise", "noise_a", "noise_b", "layer", "layer_a", "layer_b"),
    *("training", "training_a", "training_b"),
    *("image", "scene", "sha256", "reason", "estimator", "unit", "kernel", "centering", "pairs"),
    *("kind", "metric", "run", "source", "quantity", "trained", "reference", "compared_with"),
    "testset",
    *(
        "worst_noise",
        "worst_image",
        "protocol",
        "channel",
        "training",
        "note",
        "checkpoint",
        "masks",
    ),
}
"""Columns that hold names."""

PACKED = ".gz"

DAMAGED = (
    *(LookupError, AttributeError, TypeError, ValueError, ArithmeticError, StopIteration),
    *(RecursionError, csv.Error, pd.errors.InvalidIndexError, pd.errors.DataError),
)
"""What reading tables or a manifest raises if they are not as they were written."""


@contextmanager
def reading(place: str | Path) -> Iterator[None]:
    """Context in which the manifest and the tables of a run are used.

    Args:
        place: the run, for the message.

    Raises:
        BadInput: an entry, table or column is missing or damaged, as in a run of another version or
            a folder that was edited.
    """
    try:
        yield
    except BadInput:
        raise
    except DAMAGED as error:
        what = " ".join(str(error).split())[:200] or type(error).__name__
        raise BadInput(f"{place}: incomplete or damaged ({what}); run it again") from None


def table_names(path: str | Path) -> list[str]:
    """The names of all uncompressed tables in a folder."""
    return [file.stem for file in sorted(Path(path).glob("*.csv")) if not file.is_dir()]


def read_tables(path: str | Path, names: Iterable[str]) -> dict[str, pd.DataFrame]:
    """The named tables that a run folder has, all if none is named; columns of names stay text.

    A named table may be compressed, `NAME.csv.gz`.

    Raises:
        BadInput: one is damaged, too large, or no file of the folder.
    """
    stems = list(names) or table_names(path)
    places = [(name, f"{name}{end}") for name in stems for end in (f".csv{PACKED}", ".csv")]
    files = {name: file for name, file in places if folder_files.holds(path, file)}
    return {name: _read(Path(path), file) for name, file in files.items()}


def _read(folder: Path, name: str) -> pd.DataFrame:
    place = folder / name
    content = folder_files.content(folder, name, limits.TABLE)
    if name.endswith(PACKED):
        content = unpacked(content, limits.TABLE, str(place))
    return csv_tables.parsed(content, place, TEXT)
