"""Tables for LaTeX: what they hold, in which digits, and what they leave out."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis.commands.latex_tables import (
    INDEX,
    MOST_ROWS,
    WIDEST,
    columns,
    escaped,
    interval_of,
    table,
    write_latex,
)
from analysis.commands.run_folder import RunFolder
from tests.helpers.paths import ROOT

FRAME = pd.DataFrame(
    {
        "model": ["a_b", "50% & c"],
        "noise": ["poisson:3.5", "gaussian:15"],
        "mean": [34.7038, 4.1],
        "low": [33.0, np.nan],
        "high": [36.25, np.nan],
        "sha256": ["0", "1"],
        "share": [0.12345, -0.5],
        "images": [24, 8],
        "same": [1.0, 1.0],
    }
)

DOCUMENT = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{booktabs}
\begin{document}
\input{tables}
\end{document}
"""


def test_cells():
    assert columns(FRAME) == {
        "model": ["a\\_b", "50\\% \\& c"],
        "noise": ["Poisson, $\\alpha$ = 3.5", "Gaussian, $\\sigma$ = 15"],
        "mean": ["34.70 [33.00, 36.25]", "4.10"],
        "share": ["0.123", "$-$0.500"],
        "images": ["24", "8"],
    }


def test_a_table():
    text = table("noises", FRAME, "Quality: 95% intervals.")
    assert "\\begin{tabular}{llrrr}" in text and "\\textbf" not in text
    assert text.count("\\toprule") == text.count("\\midrule") == text.count("\\bottomrule") == 1
    assert "\\caption{Quality: 95\\% intervals.}" in text
    assert "% left out: sha256, same" in text
    wide = pd.DataFrame({f"column_{i}": [f"text {i}", "x" * 20] for i in range(20)})
    (row,) = re.findall(r"^    text .*", table("wide", wide), re.M)
    assert 3 <= row.count("&") < WIDEST // 20 + 1


def test_letters_that_latex_does_not_know_have_their_code():
    assert escaped("é α 中") == "é $\\alpha$ U+4E2D"


def test_long_tables_are_left_out_and_named(tmp_path: Path):
    folder = RunFolder(tmp_path / "run", "a", {"a": 1})
    long = pd.concat([FRAME] * 30)
    write_latex(folder, {"short": FRAME, "long": long, "empty": FRAME[:0]}, "Quality")
    assert (tmp_path / "run" / INDEX).read_text().splitlines()[1:] == [
        "\\input{short}",
        f"% left out: long.csv (60 rows, of at most {MOST_ROWS})",
        f"% left out: empty.csv (0 rows, of at most {MOST_ROWS})",
    ]
    assert (tmp_path / "run" / "short.tex").is_file()
    assert not (tmp_path / "run" / "long.tex").exists()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
@pytest.mark.parametrize("section", ["generalization", "srga", "causal", "degradation"])
def test_latex_reads_them(tmp_path: Path, section: str):
    analysis.open_run(f"reports/example/{section}", section).save(tmp_path / "run", latex=True)
    (tmp_path / "run" / "t.tex").write_text(DOCUMENT, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path / "run", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-500:]


def test_intervals_are_those_of_their_values():
    checked = 0
    for path in sorted((ROOT / "reports/example").glob("*/*.csv")):
        frame = pd.read_csv(path)
        for name in frame.select_dtypes("number"):
            if ends := interval_of(str(name), frame):
                value, low, high = frame[[name, *ends]].dropna().to_numpy(dtype=float).T
                assert ((low <= value) & (value <= high)).all(), f"{path.name}: {name}"
                checked += len(value)
    assert checked > 1000
