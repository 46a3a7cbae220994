"""Tables of the last quarter on a page: gaps to the controls, and differences between models."""

from __future__ import annotations

import re

import pytest
from bs4 import BeautifulSoup

import analysis
from analysis.cka import notebook
from tests.helpers.paths import ROOT


@pytest.fixture
def example():
    return analysis.open_run(ROOT / "reports/example/cka", "cka")


def cells(table):
    heads = [head.get_text() for head in table.select("th")]
    return [
        dict(zip(heads, (cell.get_text() for cell in row.select("td")), strict=True))
        for row in table.select("tbody tr")
    ]


def test_gaps_to_the_controls_have_their_intervals(example):
    page = BeautifulSoup(notebook.quarter(example).data["text/html"], "html.parser")
    rows = cells(page.table)
    assert len(rows) == len(example.last_quarter)
    for shown, (_, row) in zip(rows, example.last_quarter.iterrows(), strict=True):
        if row.model_a != row.model_b:
            continue
        value, low, high = map(float, re.findall(r"[-+][\d.]+", shown["ceiling - value"]))
        assert value == pytest.approx(row.ceiling - row.cka, abs=6e-4)
        assert low == pytest.approx(row.below_ceiling_low, abs=6e-4)
        assert high == pytest.approx(row.below_ceiling_high, abs=6e-4)
        own = float(shown["value - untrained"].split(" ")[0])
        assert own == pytest.approx(row.cka - row.untrained, abs=6e-4)


def test_differences_between_models_are_one_table_for_each_two(example):
    page = BeautifulSoup(notebook.quarter_differences(example).data["text/html"], "html.parser")
    (section,) = page.select("section")
    frame = example.frames["quarter_difference"]
    for shown, (_, row) in zip(cells(section.table), frame.iterrows(), strict=True):
        assert float(shown["difference"]) == pytest.approx(row.difference, abs=6e-4)
    assert section.caption.get_text().startswith("masked - baseline, ")


def test_sentences_are_about_two_pairs_of_noises_and_name_the_tables_of_the_others(example):
    text = example.sentences()
    (rest,) = (line for line in text if "more pairs of noises" in line)
    assert rest == "3 more pairs of noises: see last_quarter.csv and quarter_difference.csv."
    assert sum(line.startswith("In this mean, ") for line in text) == 2
