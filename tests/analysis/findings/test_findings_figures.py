"""Figures of the findings as files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from analysis.commands.drawing import Drawing
from analysis.findings import page
from tests.helpers.paths import ROOT


def test_figures_that_the_page_draws_are_files_with_captions(tmp_path: Path):
    tables = ("cells", "levels")
    frames = {name: pd.read_csv(ROOT / f"reports/findings/{name}.csv") for name in tables}
    page.write_figures(tmp_path, frames, Drawing(("svg",), "paper"), "mtd findings runs")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"figure7.svg", "figure7.txt", "figure11.svg", "figure11.txt"}
    text = (tmp_path / "figure7.txt").read_text(encoding="utf-8")
    assert "over the ratio of the input mask" in text and "95% intervals" in text
    assert text.endswith("Made by: mtd findings runs\n")
