"""The rendered pages in `reports/` are those of today's checkpoints, notebooks and code."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pandas as pd
import pytest

from analysis.findings import command as findings_command
from analysis.findings import study as findings_study
from analysis.pages import fingerprint
from analysis.pages.attachments import attached
from analysis.report.sections import NAMES
from analysis.text.noise_labels import NOISY
from mtd.loading import checkpoint_file
from tests.helpers.paths import ROOT

EXAMPLE = ROOT / "reports" / "example"
FINDINGS = EXAMPLE.with_name("findings")
REMAKE = "rm -r reports/example && python -m analysis.report baseline.pth masked.pth --no-lpips "
REMAKE += "--output-dir reports/example --format html"
REJUDGE = "make it anew: bash reports/findings/remake.sh DATA STUDY"
REDRAW = "python -m analysis.findings reports/findings"


def changed(made: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What a page was made of that is another today."""
    return [
        f"{what} {name}"
        for what, held in now.items()
        if isinstance(held, dict)
        for name in sorted({*held, *made[what]})
        if held.get(name) != made[what].get(name)
    ]


def test_it_is_not_stale():
    made = json.loads((EXAMPLE / fingerprint.INPUTS).read_text())
    present = [name for name in NAMES if name in made["notebooks"]]
    now = fingerprint.inputs(present)
    stale = changed(made, now)
    manifest = json.loads((EXAMPLE / "manifest.json").read_text())
    for name, about in manifest["models"].items():
        digest = hashlib.sha256(checkpoint_file.locate(about["path"]).read_bytes()).hexdigest()
        stale += [] if digest == about["sha256"] else [f"checkpoint {name}"]
    assert not stale, f"reports/example is stale ({', '.join(stale)}); make it anew: {REMAKE}"
    assert made["mtd"] == now["mtd"]


def test_the_readme_says_how_it_is_made():
    text = (ROOT / "README.md").read_text()
    assert "reports/example/report.html" in text
    assert REMAKE in (ROOT / "CONTRIBUTING.md").read_text()


def test_it_holds_its_tables_as_they_lie_beside_it():
    held = {a.name: a.content for a in attached((EXAMPLE / "report.html").read_text())}
    tables = list(EXAMPLE.rglob("*.csv"))
    assert len(tables) > 15
    for path in tables:
        assert held[path.relative_to(EXAMPLE).as_posix()] == path.read_bytes()
    assert (EXAMPLE / "report.html").stat().st_size < 10e6


@pytest.mark.slow
def test_its_numbers_are_confirmed(capsys):
    from analysis.report.options import parser

    from analysis.report.command import run

    run(parser().parse_args(["--verify", str(EXAMPLE), "--quiet"]))
    assert "DO NOT AGREE" not in capsys.readouterr().out


def test_a_table_of_it_reads_as_the_page_shows_it():
    frame = pd.read_csv(EXAMPLE / "generalization" / "generalization.csv")
    psnr = frame[frame.metric == "psnr"].set_index("model")
    text = (EXAMPLE / "report.html").read_text()
    for model in ("baseline", "masked"):
        assert f">{psnr.out_of_distribution[model]:.2f}</td>" in text


def test_the_findings_are_judged_by_todays_claims():
    made = json.loads((FINDINGS / "manifest.json").read_text())
    stale = changed(made, {"judged_by": findings_command.judges()})
    assert not stale, f"reports/findings is stale ({', '.join(stale)}); {REJUDGE}"


def test_the_page_of_findings_is_not_stale():
    made = json.loads((FINDINGS / fingerprint.INPUTS).read_text())
    stale = changed(made, fingerprint.inputs([findings_study.NAME]))
    assert not stale, f"the page of findings is stale ({', '.join(stale)}); make it anew: {REDRAW}"


def test_the_page_of_findings_holds_its_tables_and_the_trainings_lie_beside_it():
    page = FINDINGS / "findings.html"
    held = {a.name: a.content for a in attached(page.read_text())}
    tables = list(FINDINGS.glob("*.csv"))
    assert len(tables) > 10
    for path in tables:
        assert held[path.name] == path.read_bytes()
    assert page.stat().st_size < 10e6
    trained = {path.parent for path in FINDINGS.glob("training/**/validation.csv")}
    cells = set(pd.read_csv(FINDINGS / "cells.csv").model) - {NOISY}
    assert {path.name for path in trained if path.parent.name == "ablations"} == cells
    assert {"masked", "baseline", "dncnn"} < {path.name for path in trained}
    for path in trained:
        assert {"recipe.json", "log.csv"} < {file.name for file in path.iterdir()}
