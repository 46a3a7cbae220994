"""The top of a report: its verdict, one figure, the leaderboard with its terms explained."""

from __future__ import annotations

import html
import json
import shutil
from dataclasses import replace

import pytest
from bs4 import BeautifulSoup

from analysis.plotting import notebook_output
from analysis.report import figures, glossary, leaderboard, reading, verdict
from analysis.report.evidence import Evidence
from tests.helpers.paths import ROOT

EXAMPLE = ROOT / "reports/example"


def test_the_answer_comes_before_everything_else():
    cells = json.loads((ROOT / "notebooks/report.ipynb").read_text(encoding="utf-8"))["cells"]
    order = [cell["id"].removeprefix("report-") for cell in cells]
    shown = ["title", "verdict", "figure", "leaderboard-text", "leaderboard", "short", "sections"]
    shown += ["glossary", "entries"]
    assert sorted(shown, key=order.index) == shown
    before = [cell for cell in cells[: order.index("leaderboard")] if cell["cell_type"] != "code"]
    assert all("".join(cell["source"]).startswith("#") for cell in before)  # no definitions


def test_the_verdict_of_a_page_is_its_own_element():
    page = BeautifulSoup(reading.answer(EXAMPLE).data["text/html"], "html.parser")
    assert page.select_one(".verdict").get_text() == verdict.headline(EXAMPLE)
    why, beyond, rule, average, single = (line.get_text() for line in page.select(".evidence p"))
    assert why.startswith(
        "Why (error decomposition, 6 noises): on these 4 photographs, more lost detail"
    )
    assert "makes the PSNR of masked lower than that of baseline under all 6 noises" in why
    assert "best classical reference" in beyond and "95% interval" in rule
    assert "kinds of unseen noise" in average and "single training run" in single
    scope = page.select_one(".evidence summary").get_text()
    assert "4 photographs (at least 10 are needed: --images); one training of each" in scope
    assert "*" not in rule and page.select(".evidence em")


def test_headings_of_the_leaderboard_are_short_and_say_what_they_mean():
    table = BeautifulSoup(leaderboard.leaderboard(EXAMPLE).data["text/html"], "html.parser")
    heads = table.select("th")
    assert max(len(head.get_text()) for head in heads) <= 13
    own = [head for head in heads if head.get_text() != "model"]
    assert own and all(head["title"] for head in own)
    assert html.unescape(own[-1]["title"]) in [text for _, text, _ in glossary.terms()]
    assert "+0.45\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.97" in [
        cell.get_text() for cell in table.select("td")
    ]
    assert "[" not in table.tbody.get_text()


def test_terms_are_in_order_and_short():
    names = [name for name, _, _ in glossary.terms()]
    assert names == sorted(names, key=str.casefold)
    for name, text, source in glossary.terms():
        assert text.endswith(".") and text.count(". ") <= 1, name
        assert not source or source.startswith("https://")
    shown = BeautifulSoup(reading.terms().data["text/html"], "html.parser")
    assert [term.get_text() for term in shown.select("dl.glossary dt")] == names
    assert len(shown.select("dd")) == len(names)


def test_two_models_are_compared_noise_by_noise_and_one_with_its_input():
    evidence = Evidence.read(EXAMPLE)
    two = figures.main(EXAMPLE)
    assert two.csv == "generalization/tests.csv" and "-2.55 dB for Gaussian σ = 50" in two.alt
    (axes,) = two.figure.axes
    assert len(axes.get_yticks()) == 13  # all noises, and their mean
    assert "Gaussian, σ = 15 (trained)" in [text.get_text() for text in axes.get_yticklabels()]
    hollow = [line for line in axes.lines if line.get_fillstyle() == "none"]
    filled = [line for line in axes.lines if line.get_marker() == "o"]
    assert len(hollow) == two.alt.count("includes 0") and len(filled) == 13
    board = evidence.scores["generalization"]
    scores = {**evidence.scores, "generalization": board[board.model != "baseline"]}
    one = figures.gains(replace(evidence, scores=scores, models=["masked"]))
    assert one.csv == "generalization/noises.csv" and "classical:median:3" in one.alt


def test_a_report_without_a_benchmark_has_neither_figure_nor_interval(tmp_path):
    assert reading.main_figure(tmp_path) is None
    shutil.copytree(EXAMPLE / "error", tmp_path / "error")
    assert reading.main_figure(tmp_path) is None
    text = verdict.headline(tmp_path)
    assert text.startswith("No model was scored") and "baseline leaks more noise" in text


@pytest.mark.parametrize("kind", ["agrees", "disagrees"])
def test_counts_are_badges(kind):
    shown = notebook_output.badges({kind: (3, "of <these>")})
    assert shown.data["text/html"] == (
        f'<ul class="badges"><li class="badge {kind}"><strong>3</strong> of &lt;these&gt;</li></ul>'
    )
    assert shown.data["text/plain"] == "3 of <these>"


def test_the_leaderboard_says_what_its_means_are_over_only_where_that_is_so(monkeypatch):
    def caption() -> str:
        table = BeautifulSoup(leaderboard.leaderboard(EXAMPLE).data["text/html"], "html.parser")
        return table.caption.get_text()

    assert "over the unseen noises" in caption()
    without = leaderboard.scores(EXAMPLE).drop(columns=leaderboard.UNSEEN)
    monkeypatch.setattr(leaderboard, "scores", lambda path: without)
    assert "unseen" not in caption()
