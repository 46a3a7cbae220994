"""A metric of which less is better, beside its mirror image of which more is better.

Of each image LPIPS is here 1 - PSNR / 100, so that the order of models, ranks, tests and gains are
those of PSNR.
"""

from __future__ import annotations

import re
from typing import Any

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from analysis.commands import printed
from analysis.commands.registry import analysis
from analysis.generalization import (
    answer,
    beyond,
    figures,
    notebook,
    pairwise_tests,
    reading,
    summary,
    tables,
)
from analysis.generalization.result import GeneralizationResult
from analysis.report import basis, verdict
from analysis.report import figures as report_figures
from analysis.report.evidence import Evidence
from analysis.text.markdown import plain
from tests.helpers.benchmark_tables import RESULTS

REFERENCE = "classical:blur:1"
MANIFEST: dict[str, Any] = {"models": {"a": {}, "b": {}}, "in_distribution": ["gaussian:15"]}


def both_metrics() -> pd.DataFrame:
    """The long table with a reference, by PSNR and by its mirror image."""
    own = RESULTS[RESULTS.model == "a"]
    blurred = own.assign(model=REFERENCE, value=own.value - 2.0)
    psnr = pd.concat([RESULTS, blurred], ignore_index=True)
    psnr = psnr.assign(is_reference=psnr.model == REFERENCE)
    return pd.concat([psnr, psnr.assign(metric="lpips", value=1 - psnr.value / 100)])


@pytest.fixture(scope="module")
def result() -> GeneralizationResult:
    results = both_metrics()
    made = tables.of_scores(results, MANIFEST["in_distribution"])
    files = {f"{name}.csv": frame for name, frame in {**made, "results": results}.items()}
    return GeneralizationResult(analysis("generalization"), files, MANIFEST)


def test_order_ranks_gains_and_tests_are_those_of_the_mirror_image(result):
    frames = result.frames
    assert summary.best_first(result.scores, "lpips") == summary.best_first(result.scores, "psnr")
    by = {m: result.noises[result.noises.metric == m].reset_index() for m in ("psnr", "lpips")}
    assert by["psnr"].mean_rank.equals(by["lpips"].mean_rank)
    assert by["lpips"].gain.to_numpy() == pytest.approx(by["psnr"].gain.to_numpy() / 100)
    worse = [summary.worse_than_input(result.noises, m)[["model", "noise"]] for m in by]
    assert len(worse[0]) and worse[0].reset_index(drop=True).equals(worse[1].reset_index(drop=True))
    up, down = (pairwise_tests.paired_differences(result.tests, m, "a", "b") for m in by)
    assert {n: test.verdict for n, test in up.items()} == {n: t.verdict for n, t in down.items()}
    for noise, test in down.items():
        assert test.decided == up[noise].decided
        assert test.value == pytest.approx(up[noise].value / 100)
        assert test.low <= test.value <= test.high
    gains = [beyond.over_unseen(frames, m, beyond.BEST).gain.to_numpy() for m in by]
    assert gains[1] == pytest.approx(gains[0] / 100) and (gains[0] > 0).any()


def test_its_sentences_say_the_direction(result):
    best, other = summary.best_first(result.scores, "lpips")
    text = plain(" ".join(result.sentences("lpips")))
    assert "Mean LPIPS (lower is better) under unseen noise: 0." in text
    assert f"Image by image, the LPIPS of {best} is lower than that of {other} by 0." in text
    assert "advantage" not in text.partition("By PSNR")[0] and " below " not in text
    assert "in LPIPS (lower is better; +: the model is better), +0." in text
    assert f"By LPIPS (lower is better), {best} has the best mean too" in plain(
        " ".join(result.sentences("psnr"))
    )
    said = answer.answer(result.frames, "lpips")
    assert f"{best} has a mean LPIPS (lower is better) of 0." in plain(said.text)
    assert said.quantity == "LPIPS (lower is better), unseen noise"
    assert "Mean LPIPS (lower is better) over noise" in reading.alt_levels(result.frames, "lpips")


def test_a_reference_that_is_better_by_another_metric_alone_is_named():
    results = both_metrics()
    blurred = (results.model == REFERENCE) & (results.metric == "lpips")
    results.loc[blurred, "value"] -= 0.5
    made = tables.of_scores(results, MANIFEST["in_distribution"])
    frames = {**made, "results": results}
    assert beyond.main(frames, "psnr") == []
    (text,) = reading.others(frames, "psnr")
    assert re.search(
        rf"By LPIPS .*worse than a Gaussian blur \(`{REFERENCE}`\): `\w` by 0\.4", text
    )


def test_a_difference_against_the_order_of_means_is_higher(result):
    scores = summary.scores_of_models(result.frames, "lpips")
    test = pairwise_tests.PairedDifference(-0.02, -0.03, -0.01, 0.01, 24, 0.001, 1)
    text = plain(reading.verdict(test, scores.iloc[0], scores.iloc[1], "lpips"))
    a, b = scores.model
    assert text.startswith(
        f"Image by image, the LPIPS of {a} is higher than that of {b} by 0.0200 [0.0100, 0.0300]: "
        f"{b} is shown to be better"
    )


def test_its_tables_and_figures_say_the_direction(result):
    caption = summary.caption("lpips", MANIFEST)
    assert caption.startswith("LPIPS, lower is better;")
    assert "beyond: positive where the model is better" in caption
    assert "LPIPS increase" in result.leaderboard("lpips")
    shown = notebook.pairs(result, "lpips").data["text/html"]
    assert "a - b, LPIPS, lower is better; better: share of photographs" in shown
    assert result.plot_levels(metric="lpips").get_ylabel() == "LPIPS, lower is better"
    order = summary.best_first(result.scores, "lpips")
    map_ = figures.rank_map(result.noises, order, "lpips")
    assert map_ is not None
    title = map_.axes[0].get_title()
    assert "the mean LPIPS (lower is better)" in title and "framed in red" in title
    names = [text.get_text() for text in map_.axes[0].get_yticklabels()]
    ranks = {m: result.noises[result.noises.metric == m].mean_rank for m in ("psnr", "lpips")}
    assert names == order and ranks["psnr"].equals(ranks["lpips"])
    levels = [figures.curves(result.noises, metric) for metric in ("psnr", "lpips")]
    assert levels[0] is not None and levels[1] is not None
    assert levels[1].axes[0].get_ylabel() == "LPIPS, lower is better"
    marks = [next(t for t in f.axes[0].texts if "trained" in t.get_text()) for f in levels]
    assert [mark.get_verticalalignment() for mark in marks] == ["bottom", "top"]


def test_a_page_shows_every_metric_for_the_same_models(result):
    scores = result.scores.copy()
    place = (scores.metric == "lpips") & (scores.model == "a")
    scores.loc[place, "out_of_distribution"] = 0.123  # so that another model is the best by LPIPS
    assert summary.best_first(scores, "lpips") == ["a", "b"]
    files = {f"{name}.csv": frame for name, frame in result.frames.items()}
    files["generalization.csv"] = scores
    about = {**MANIFEST, "crop": 8, "images": "bundled", "recorded": {}}
    about["not_run"] = {"toy": "not run: missing"}
    other = GeneralizationResult(analysis("generalization"), files, about)
    page = BeautifulSoup(notebook.by_other_metrics(other, "psnr").data["text/html"], "html.parser")
    table = page.table
    assert table is not None and table.caption is not None
    assert table.caption.get_text() == (
        "Mean over unseen noise; lower is better for LPIPS; toy not run: missing"
    )
    rows = {row.td.get_text(): [cell.get_text() for cell in row("td")] for row in table("tr")[1:]}
    assert list(rows) == ["b", "a", f"{REFERENCE} (reference)", "noisy input"]
    assert rows["a"][1] == "0.1230" and rows["a"][-1] == "–"
    folds = [summary_.get_text() for summary_ in page.select("details > summary")]
    assert folds == ["LPIPS under each noise"]
    assert page.select_one("details figure img")["alt"].startswith("Mean LPIPS (lower is better)")
    pair = BeautifulSoup(notebook.pairs(other, "psnr").data["text/html"], "html.parser")
    (caption,) = pair.select("caption")
    assert caption.get_text().startswith("a - b, PSNR (dB); better")
    below = [caption.get_text() for caption in page.select("details caption")]
    assert below[0].startswith("Mean LPIPS, lower is better, under each noise")
    assert below[1].startswith("a - b, LPIPS, lower is better; better")


def test_differences_of_three_models_by_other_metrics_are_below_those_of_each_pair():
    results = both_metrics()
    third = results[results.model == "a"].assign(model="c")
    results = pd.concat([results, third.assign(value=third.value * 1.01)], ignore_index=True)
    made = tables.of_scores(results, MANIFEST["in_distribution"])
    files = {f"{name}.csv": frame for name, frame in {**made, "results": results}.items()}
    result = GeneralizationResult(analysis("generalization"), files, MANIFEST)
    page = BeautifulSoup(notebook.pairs(result, "psnr").data["text/html"], "html.parser")
    assert len(page.select("section")) == 3
    for pair in page.select("section"):
        captions = [caption.get_text() for caption in pair.select("caption")]
        assert ", PSNR (dB); better" in captions[0] and "LPIPS, lower is better" in captions[1]
        assert [fold.get_text() for fold in pair.select("summary")] == ["The same by LPIPS"]


def test_a_report_by_it_names_the_same_model(result):
    by = {m: Evidence(result.frames, MANIFEST, {}, ["a", "b"], m) for m in ("psnr", "lpips")}
    assert by["psnr"].ranked == by["lpips"].ranked
    words = {m: plain(verdict.verdict(evidence)) for m, evidence in by.items()}
    assert [re.sub(r"\([^)]*\)", "", text) for text in words.values()] == [
        re.sub(r"\([^)]*\)", "", words["psnr"])
    ] * 2
    assert basis.classical_ahead(by["lpips"]) == basis.classical_ahead(by["psnr"])
    up, down = (report_figures.differences(evidence) for evidence in by.values())
    assert up.alt.startswith("PSNR of a − b") and down.alt.startswith("LPIPS of b − a")
    points = [
        [line.get_xdata()[0] > 0 for line in main.figure.axes[0].lines if line.get_marker() == "o"]
        for main in (up, down)
    ]
    assert points[0] == points[1] and len(set(points[0])) == 2
    gains = report_figures.gains(by["lpips"])
    assert gains.alt.startswith("LPIPS of the noisy input minus that of the model under 4 noises")
    assert gains.figure.axes[0].get_xlabel() == "LPIPS of the noisy input − that of the model"


@pytest.mark.parametrize(
    ("border", "channel", "said"),
    [
        (0, "rgb", "own: RGB, 8"),
        (2, "rgb", "own: 2 pixels left out at every side, RGB (LPIPS: whole, RGB), 8"),
        (0, "y", "own: luma (LPIPS: whole, RGB), 8"),
        (1, "gray", "own: 1 pixel left out at every side, grayscale (LPIPS: whole), 8"),
    ],
)
def test_a_border_and_luma_are_said_of_psnr_and_ssim_alone(result, border, channel, said):
    about = {**MANIFEST, "crop": 8, "images": "bundled", "recorded": {}, "suite": None}
    about |= {"protocol": "own", "border": border, "channel": channel, "quantize": True}
    assert f"protocol {said}" in summary.heading(result.results, about)


def test_the_figure_to_look_at_first_is_that_of_psnr(tmp_path):
    for name in ("levels_lpips.png", "levels_psnr.png", "levels_ssim.png", "noises.csv"):
        (tmp_path / name).touch()
    assert printed.first_files(tmp_path, analysis("generalization"))[0] == "levels_psnr.png"
    (tmp_path / "levels_psnr.png").unlink()
    assert printed.first_files(tmp_path, analysis("generalization"))[0] == "levels_lpips.png"
