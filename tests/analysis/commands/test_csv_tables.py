"""Tables as CSV, written and read back."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.commands import csv_tables
from analysis.commands.run_folder import RunFolder
from analysis.commands.run_tables import read_tables
from analysis.findings import kept
from mtd.utils.errors import BadInput
from tests.helpers.paths import ROOT

NAMES = (
    *("=1+1", "'=1+1", "@a", "-1.5", "+1 [-1, +2]", "\ta", "\ra", "\na", "a\r\nb", 'a"b,c', "NA"),
    *("nan", "10000", " =1", "'a'", "＝1", ""),
)


def frame() -> pd.DataFrame:
    count = len(NAMES)
    values = np.arange(count) - 1.5
    return pd.DataFrame(
        {"model": NAMES, "image": pd.Categorical(NAMES), "psnr": values, "=2+2": range(count)}
    )


def test_names_are_read_back_and_numbers_stay_numbers(tmp_path: Path):
    path = RunFolder(tmp_path / "run", "a", {"a": 1}).table("a.csv", frame())
    found = read_tables(path.parent, ["a"])["a"]
    assert list(found.columns) == ["model", "image", "psnr", "=2+2"]
    assert list(found.model) == list(found.image) == list(NAMES)
    assert list(found.psnr) == list(frame().psnr)


def test_no_cell_is_a_formula(tmp_path: Path):
    kept.write(tmp_path, "a", frame())
    written = (csv_tables.text(frame()), (tmp_path / "a.csv").read_bytes().decode())
    for text in written:
        for row in csv.reader(io.StringIO(text, newline="")):
            for cell in row[:2] + row[3:]:
                assert cell in ("-1.5", "+1 [-1, +2]") or not cell.startswith(tuple("=+-@\t\r\n"))


def test_ordinary_tables_are_as_pandas_writes_them():
    ordinary = pd.DataFrame({"model": ["a", "b"], "psnr": [-1.5, np.nan], "n": [1, 2]})
    expected = ordinary.to_csv(index=False, na_rep="nan", lineterminator="\n")
    assert csv_tables.text(ordinary) == expected
    assert csv_tables.each_text(ordinary, str.upper).MODEL.tolist() == ["A", "B"]
    assert ordinary.model.tolist() == ["a", "b"]


def test_tables_are_written_in_one_place():
    writers = ("to_csv(", "csv.writer(", "DictWriter(", "read_csv(")
    found = {
        path.relative_to(ROOT).as_posix()
        for package in ("analysis", "mtd")
        for path in (ROOT / package).rglob("*.py")
        if any(word in path.read_text(encoding="utf-8") for word in writers)
    }
    assert found == {
        *("analysis/commands/csv_tables.py", "analysis/findings/published/__init__.py"),
        "mtd/training/logs.py",
    }


def test_an_endless_row_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch):
    """pandas would make an index of what is more than the names, one level after the other."""
    monkeypatch.setattr(pd, "read_csv", lambda *_, **__: pytest.fail("it was read"))
    content = b"model,psnr\na," + b"1," * 30_000 + b"\n"
    with pytest.raises(BadInput, match="30002 columns; the limit is 10000"):
        csv_tables.parsed(content, Path("a.csv"), ())


@pytest.mark.parametrize(
    "first",
    [
        "a,b",
        " a,b ",
        "\ufeffa,b",
        '"a",b',
        '"a,b",c',
        "a,",
        ",",
        "",
        "a\r",
        "a\0b,c",
        "a,\tb",
        "σ,x\u200b",
    ],
)
def test_the_names_of_columns_are_those_that_pandas_reads(first: str):
    content = f"{first}\nx,y\n".encode()
    expected = list(pd.read_csv(io.BytesIO(content), nrows=0).columns)
    if first == ",":  # two columns without a name
        with pytest.raises(BadInput, match="two columns are named ''"):
            csv_tables.header(content, Path("a.csv"))
    else:
        assert csv_tables.header(content, Path("a.csv")) == expected
