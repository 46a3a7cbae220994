"""Cells that a spreadsheet would run, and texts that begin like them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtd.training.logs import VALIDATED, Table
from mtd.utils.csv_cells import quoted, unquoted

RUN = ("=1+1", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "=cmd|'/C calc'!A0")


@pytest.mark.parametrize("text", RUN)
def test_no_spreadsheet_runs_a_text(text: str):
    assert quoted(text) == f"'{text}"
    assert unquoted(quoted(text)) == text


@pytest.mark.parametrize(
    "text", ("baseline", "a=b", "'a'", "", "-1.5", "+1e-3", "-inf", "+0.4 [-0.5, +1.4]", "it's")
)
def test_other_texts_and_numbers_stay_as_they_are(text: str):
    assert quoted(text) == text == unquoted(text)


@given(st.text("'=+-@a1\t") | st.text("'=＝＋－＠@ \r\n,é\udcff\x1b"))
def test_every_text_is_read_back(text: str):
    assert unquoted(quoted(text)) == text


def test_a_training_logs_such_a_noise(tmp_path: Path):
    from analysis.curves import csv_logs

    table = Table(tmp_path / "validation.csv", VALIDATED)
    table.start(0)
    table.add({"step": 1, "noise": "=1+1", "psnr": "-1.5"})
    table.start(1)  # of a resumed run, which writes the rows again
    written = list(csv.reader(io.StringIO(table.path.read_text())))
    assert written[1] == ["1", "'=1+1", "-1.5"]
    (line,) = csv_logs.read(table.path)
    assert (line.points[0].name, line.points[0].value) == ("=1+1", -1.5)
