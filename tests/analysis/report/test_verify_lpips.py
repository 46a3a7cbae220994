"""`--verify` of a report with LPIPS, where its backbone is, and where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from analysis.report import folders, verify
from analysis.report.command import parse
from analysis.report.settings import ReportOptions
from mtd.metrics import lpips_backbone
from tests.helpers import lpips_backbone as helper

pytest.importorskip("torchvision", reason="torchvision is not installed")

GIVEN = ("--limit", "2", "--crop", "32", "--benchmark-crop", "32", "--noise", "poisson:3.5")
GIVEN += ("--no-references", "--no-controls", "--lpips-channels", "bgr", "--quiet")


def test_lpips_is_recomputed_where_its_backbone_is(pair, monkeypatch, capsys):
    monkeypatch.chdir(pair)
    tensors = helper.drawn()
    helper.admit(tensors, monkeypatch)
    Path("data").mkdir()
    torch.save(tensors, "data/alexnet_features.pth")
    monkeypatch.setenv("MTD_DATA", "data")
    request = parse(("plain.pth", *GIVEN, "--output-dir", "out"))
    options = ReportOptions(sections="generalization")
    folders.compute(request.models, request.settings, options, request.output)
    whole = ReportOptions(verify="out", share=1.0, verify_seed=1)

    def verified() -> str:
        capsys.readouterr()
        verify.run(whole, request.settings, request.models)
        return capsys.readouterr().out

    rows = {line.split("  ")[0]: line for line in verified().splitlines()}
    assert rows["results.csv"].endswith("agree") and "results.csv: LPIPS (BGR)" not in rows
    monkeypatch.delenv("MTD_DATA")
    fetched: list[bool] = []
    monkeypatch.setattr(lpips_backbone, "fetch", lambda: fetched.append(True))
    rows = {line.split("  ")[0]: line for line in verified().splitlines()}
    assert rows["results.csv"].endswith("agree") and rows["generalization.csv"].endswith("agree")
    assert rows["results.csv: LPIPS (BGR)"].endswith("not recomputed") and not fetched
