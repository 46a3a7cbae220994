"""The leaderboard by metrics beside PSNR: columns, directions, and metrics that were not run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from bs4 import BeautifulSoup, Tag

from analysis.generalization import metrics
from analysis.report import glossary, leaderboard, printed
from mtd.metrics import registry
from tests.helpers.benchmark_frames import NAN, scores

PSNR = {"a": (30.0, 20.0), "b": (28.0, 25.0)}
SSIM = {"a": (0.9, 0.5), "b": (0.8, 0.7)}
LPIPS = {"a": (0.1, 0.5), "b": (0.2, 0.3)}
SEE = "see mtd zoo get lpips/alexnet or --lpips-weights FILE"


def report(folder: Path, tables: list[pd.DataFrame], **more: Any) -> Path:
    """A report with a benchmark of two models alone."""
    models = {"a": {"sha256": "1"}, "b": {"sha256": "2"}}
    about = {"models": models, "noises": ["gaussian:15", "isp"], "in_distribution": ["gaussian:15"]}
    (folder / "generalization").mkdir()
    pd.concat(tables).to_csv(
        folder / "generalization/generalization.csv", index=False, na_rep="nan"
    )
    own = {"analysis": "generalization", **about, **more}
    (folder / "generalization/manifest.json").write_text(json.dumps(own))
    (folder / "manifest.json").write_text(json.dumps({"analysis": "report", "models": models}))
    return folder


def shown(folder: Path) -> Tag:
    page = BeautifulSoup(leaderboard.leaderboard(folder).data["text/html"], "html.parser")
    assert page.table is not None
    return page.table


def heads(table: Tag) -> list[str]:
    return [head.get_text() for head in table.select("th")]


def column(table: Tag, head: str) -> list[str]:
    place = heads(table).index(head)
    return [row.select("td")[place].get_text() for row in table.select("tbody tr")]


def test_ssim_and_lpips_stand_beside_psnr_with_their_direction(tmp_path):
    tables = [scores(PSNR), scores(SSIM, "ssim"), scores(LPIPS, "lpips")]
    frame = leaderboard.scores(report(tmp_path, tables)).set_index("model")
    assert list(frame.index) == ["b", "a"]
    assert frame["SSIM, unseen"].to_dict() == {"a": 0.5, "b": 0.7}
    assert frame["LPIPS, unseen"].to_dict() == {"a": 0.5, "b": 0.3}
    table = shown(tmp_path)
    assert heads(table)[3:] == ["drop", "SSIM", "LPIPS"]
    assert column(table, "LPIPS") == ["0.3000", "0.5000"]
    assert table.caption is not None and "; lower is better for LPIPS" in table.caption.get_text()
    assert "not run" not in table.caption.get_text()
    titles = {head.get_text(): head["title"] for head in table.select("th[title]")}
    assert titles["LPIPS"] == glossary.definition("LPIPS")
    assert titles["SSIM"] == glossary.definition("SSIM")


@pytest.mark.parametrize("higher", [True, False])
def test_the_direction_is_that_of_the_registry(tmp_path, monkeypatch, higher):
    monkeypatch.setattr(registry, "_described", {})
    entry = {
        "label": "toy",
        "unit": "",
        "higher_is_better": higher,
        "digits": 1,
        "full_reference": True,
    }
    folder = report(tmp_path, [scores(PSNR), scores(SSIM, "toy:x")], metrics={"toy:x": entry})
    table = shown(folder)
    assert table.caption is not None
    assert ("lower is better for toy" in table.caption.get_text()) is not higher
    assert column(table, heads(table)[-1]) == ["0.7", "0.5"]
    assert table.select("th")[-1]["title"] == f"toy, {'higher' if higher else 'lower'} is better."


def test_where_training_is_unknown_the_means_are_over_all_noises(tmp_path):
    none = {"in_distribution": NAN, "out_of_distribution": NAN, "ood_drop": NAN}
    tables = [scores(PSNR).assign(**none, mean=[21.0, 26.0])]
    tables += [scores(LPIPS, "lpips").assign(**none, mean=[0.4, 0.25])]
    folder = report(tmp_path, tables, not_run={"toy": "not run: missing"})
    frame = leaderboard.scores(folder)
    assert list(frame) == ["model", leaderboard.ALL, "LPIPS, all noises", "toy, all noises"]
    assert heads(shown(folder)) == ["model", "all noises", "LPIPS", "toy"]


@pytest.mark.parametrize(
    "about", [{"not_run": {"lpips": metrics.NO_BACKBONE}}, {"lpips": None, "lpips_requested": True}]
)
def test_without_its_backbone_lpips_keeps_an_empty_column_with_the_reason(
    tmp_path, capsys, monkeypatch, about
):
    folder = report(tmp_path, [scores(PSNR), scores(SSIM, "ssim")], **about)
    table = shown(folder)
    assert heads(table)[-2:] == ["SSIM", "LPIPS"] and column(table, "LPIPS") == ["–", "–"]
    assert table.caption is not None
    assert f"LPIPS not run: backbone missing, {SEE}" in table.caption.get_text()
    assert "lower is better" not in table.caption.get_text()
    assert leaderboard.scores(folder)["LPIPS, unseen"].isna().all()
    monkeypatch.setattr(printed, "headline", lambda folder: "Verdict.")
    printed.show(folder, [], quiet=True)
    assert capsys.readouterr().out == f"Verdict.\nLPIPS not run: backbone missing, {SEE}\n"


@pytest.mark.parametrize("reason", [metrics.LEFT_OUT, "not run: left out (--no-lpips)"])
def test_what_was_left_out_has_no_column_but_is_said(tmp_path, reason):
    folder = report(tmp_path, [scores(PSNR)], not_run={"lpips": reason})
    assert "LPIPS, unseen" not in leaderboard.scores(folder)
    assert shown(folder).caption is not None
    assert "; LPIPS not run: left out by --no-lpips" in shown(folder).caption.get_text()
