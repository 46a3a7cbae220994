"""Names of models that are formulas, commands of a terminal or of a spreadsheet, or markup."""

from __future__ import annotations

import csv
import io
import shutil
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

import analysis
from analysis.commands.command import run_arguments
from analysis.commands.run_folder import RunFolder
from analysis.plotting.literal_text import literal
from analysis.srga.command import ANALYSIS
from mtd.utils.printable import UNSAFE, one_line

NAMES = ("=x$a_$b\x1b[2J\u202e\n<b>|`", "$\\frac$")
SMALL = ("--crop", "16", "--limit", "4", "--untrained", "1", "--quiet", "--noise", "gaussian:50")


def test_a_run_of_such_models(tiny_pair: Path, tmp_path: Path, monkeypatch, in_process):
    monkeypatch.chdir(tmp_path)
    for name, own in zip(NAMES, ("plain", "hidden"), strict=True):
        shutil.copy(tiny_pair / f"{own}.pth", tmp_path / f"{name}.pth".replace("/", "_"))
    models = [f"{name}.pth" for name in NAMES]
    code, out, err = in_process(
        lambda: run_arguments(ANALYSIS, [*models, *SMALL, "--output-dir", "run"])
    )
    assert code == 0 and not err
    shown = [one_line(name) for name in NAMES]
    result = analysis.open_run("run", "srga")
    assert list(dict.fromkeys(result.frames["srga"].model)) == shown
    summary = (tmp_path / "run" / "summary.txt").read_text(encoding="utf-8")
    for text in (out, err, summary, *result.sentences()):
        assert not UNSAFE.search(text)
    text = (tmp_path / "run" / "srga.csv").read_text(encoding="utf-8")
    cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    assert f"'{shown[0]}" in cells
    axes = result.plot_scores(Figure().subplots())
    assert all(not text.get_parse_math() for text in legend(axes))


def legend(axes) -> list[Text]:
    return list(axes.get_legend().get_texts())


@pytest.mark.drawn
def test_names_in_every_place_of_a_figure_are_shown_as_they_are(tmp_path: Path):
    figure = Figure()
    axes = figure.subplots()
    name = "x$a_$b\x1b\t" + "c" * 500
    axes.plot([0, 1], label=name)
    axes.legend()
    axes.set_title(name)
    axes.set_xlabel(name)
    axes.set_xticks([0, 1], [name, name])
    axes.annotate(name, (0, 0))
    axes.set_yscale("log")
    figure.suptitle(name)
    figure.set_dpi(20)
    RunFolder(tmp_path / "run", "a", {"a": 1}).figure("a.png", figure)
    assert (tmp_path / "run" / "a.png").stat().st_size
    shown = [text.get_text() for text in figure.findobj(Text) if "x$" in text.get_text()]
    assert len(shown) >= 7 and {len(text) for text in shown} == {200}
    assert all(text.startswith("x$a_$b\\x1b ") for text in shown)


def test_logarithmic_axes_keep_their_formulas():
    figure = Figure()
    axes = figure.subplots()
    axes.plot([1, 1000])
    axes.set_yscale("log")
    literal(figure).draw_without_rendering()
    labels = [text for text in axes.get_yticklabels() if "mathdefault" in text.get_text()]
    assert labels and all(text.get_parse_math() for text in labels)
