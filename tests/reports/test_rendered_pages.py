"""The rendered pages in `reports/` are those of today's checkpoints, notebooks and code."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.findings import page as findings_page
from analysis.findings import published
from analysis.findings.claims import judge
from analysis.findings.study import Study
from analysis.pages import fingerprint
from analysis.pages.attachments import attached
from analysis.report import verify
from analysis.report.publish import made_with
from analysis.report.sections import headings
from analysis.report.settings import ReportOptions, ReportSettings
from analysis.text.noise_labels import NOISY
from mtd.loading import locations
from tests.helpers.paths import ROOT

EXAMPLE = ROOT / "reports" / "example"
FINDINGS = EXAMPLE.with_name("findings")
REMAKE = "rm -r reports/example && python -m analysis.report baseline.pth masked.pth "
REMAKE += "--output-dir reports/example --format html"
REDRAW = "python -m analysis.findings reports/findings"


def changed(recorded: dict[str, Any], current: dict[str, Any]) -> list[str]:
    """The inputs of a page that are not as recorded."""
    return [
        f"{group} {name}"
        for group, digests in current.items()
        if isinstance(digests, dict)
        for name in sorted({*digests, *recorded.get(group, {})})
        if digests.get(name) != recorded.get(group, {}).get(name)
    ]


def test_it_is_not_stale():
    recorded = json.loads((EXAMPLE / fingerprint.INPUTS).read_text())
    current = made_with([name for name in headings() if name in recorded["notebooks"]])
    stale = changed(recorded, current)
    manifest = json.loads((EXAMPLE / "manifest.json").read_text())
    for name, about in manifest["models"].items():
        digest = hashlib.sha256(locations.locate(about["path"]).read_bytes()).hexdigest()
        stale += [] if digest == about["sha256"] else [f"checkpoint {name}"]
    assert not stale, f"reports/example is stale ({', '.join(stale)}); make it again: {REMAKE}"
    assert recorded["mtd"] == current["mtd"]


def test_the_readme_says_how_it_is_made():
    text = (ROOT / "README.md").read_text()
    assert "reports/example/report.html" in text
    assert REMAKE in (ROOT / "CONTRIBUTING.md").read_text()


def test_its_attachments_are_the_tables_beside_it():
    files = {a.name: a.content for a in attached((EXAMPLE / "report.html").read_text())}
    tables = list(EXAMPLE.rglob("*.csv"))
    assert len(tables) > 15
    for path in tables:
        assert files[path.relative_to(EXAMPLE).as_posix()] == path.read_bytes()
    assert (EXAMPLE / "report.html").stat().st_size < 10e6


@pytest.mark.slow
def test_its_numbers_are_confirmed(capsys):
    verify.run(ReportOptions(verify=str(EXAMPLE)), ReportSettings())
    assert "DO NOT AGREE" not in capsys.readouterr().out


def test_the_page_shows_the_numbers_of_its_tables():
    frame = pd.read_csv(EXAMPLE / "generalization" / "generalization.csv")
    psnr = frame[frame.metric == "psnr"].set_index("model")
    text = (EXAMPLE / "report.html").read_text()
    lpips = frame[frame.metric == "lpips"].set_index("model")
    for model in ("baseline", "masked"):
        assert f">{psnr.out_of_distribution[model]:.2f}</td>" in text
        assert f">{lpips.out_of_distribution[model]:.4f}</td>" in text


def test_the_findings_are_judged_by_todays_claims():
    manifest = json.loads((FINDINGS / "manifest.json").read_text())
    stale = changed(manifest, {"judged_by": findings_page.code_digests()})
    assert not stale, f"reports/findings is stale ({', '.join(stale)}); make it again: {REDRAW}"


def test_the_findings_follow_from_the_scores_beside_them():
    """Every claim again, and of some contrasts and similarities the arithmetic by hand."""
    scores = Study(FINDINGS / "scores")
    claims = pd.read_csv(FINDINGS / "claims.csv").set_index("quantity")
    again = judge(scores).set_index("quantity")
    numbers = [name for name in again if pd.api.types.is_float_dtype(again[name])]
    pd.testing.assert_frame_equal(again[numbers], claims[numbers], rtol=1e-9)
    assert list(again.verdict) == list(claims.verdict)
    seeds = [f"pair-seed{i}" for i in range(1, 6) if (scores.path / f"pair-seed{i}").is_dir()]
    for quantity, values in (
        ("PSNR under mixture level 4, masked − baseline", [psnr_difference(run) for run in seeds]),
        (DEEP_CKA, [deep_difference(run) for run in seeds]),
    ):
        mean, low, high = claims.loc[quantity, ["value", "trainings_low", "trainings_high"]]
        half = stats.sem(values) * stats.t.ppf(0.975, len(values) - 1)
        assert len(values) >= 3 and mean == pytest.approx(np.mean(values), rel=1e-9)
        assert (low, high) == pytest.approx((mean - half, mean + half), rel=1e-9)
    assert sum(path.stat().st_size for path in scores.path.rglob("*")) < 3e6


def test_every_contrast_whose_scores_were_not_kept_is_that_of_a_claim():
    stored = pd.read_csv(FINDINGS / "scores" / "stored.csv")
    claims = pd.read_csv(FINDINGS / "claims.csv").set_index(["finding", "quantity"])
    for row in stored.itertuples():
        assert (row.finding, row.quantity) in claims.index, row.quantity
        assert np.isfinite(claims.value[row.finding, row.quantity])


def test_what_the_readme_of_the_findings_says_of_lpips():
    text = " ".join((FINDINGS / "README.md").read_text().split())

    def difference(run: str, noise: str, a: str, b: str) -> pd.Series:
        """LPIPS of network a minus that of network b, image by image."""
        rows = pd.read_csv(FINDINGS / "scores" / run / "results.csv.gz")
        rows = rows[(rows.metric == "lpips") & (rows.noise == noise)]
        wide = rows.pivot(index=["image", "top", "left"], columns="model", values="value")
        return wide[a] - wide[b]

    def interval(values: pd.Series) -> str:
        low, high = stats.ttest_1samp(values, 0).confidence_interval()
        return f"{values.mean():.3f} [{low:.3f}, {high:.3f}]"

    isp = difference("levels", "isp", "baseline", "masked")
    assert len(isp) == 24 and f"is {interval(isp)}, of one training" in text
    paper = published.table("table3c").set_index("method").lpips
    assert f"In the paper it is {paper.baseline - paper.masked:+.3f}" in text
    rendered = [
        difference("monte_carlo", f"monte_carlo:{n}", "masked", "baseline").mean()
        for n in (64, 128)
    ]
    assert f"by {rendered[0]:.3f} with 64 samples per pixel and {rendered[1]:.3f} with 128" in text
    bgr = pd.read_csv(ROOT / "docs/numbers/lpips_bgr.csv").set_index("noise")
    value, low, high = bgr.loc["isp", ["difference", "low", "high"]]
    more, most = (-bgr.difference[f"monte_carlo:{n}"] for n in (64, 128))
    said = f"values are {value:.3f} [{low:.3f}, {high:.3f}], {more:.3f} and {most:.3f}"
    assert said in text
    hidden = [
        interval(difference(f"completion_{share}", "gaussian:0", "masked", "nearest"))
        for share in (80, 90)
    ]
    assert f"by {hidden[0]} with 80% of the pixels hidden, by {hidden[1]} with 90%" in text


DEEP_CKA = "CKA across noises in the last quarter of the blocks, masked − baseline"


def psnr_difference(run: str) -> float:
    """Mean PSNR of masked − baseline under mixture:4, of the scores of a run."""
    rows = pd.read_csv(FINDINGS / "scores" / run / "generalization/results.csv.gz")
    rows = rows[(rows.metric == "psnr") & (rows.noise == "mixture:4")]
    means = rows.groupby("model").value.mean()
    return float(means.masked - means.baseline)


def deep_difference(run: str) -> float:
    """CKA of each of the last two of eight blocks with itself across noises, masked − baseline."""
    rows = pd.read_csv(FINDINGS / "scores" / run / "cka/cka.csv.gz")
    rows = rows[(rows.model_a == rows.model_b) & (rows.noise_a != rows.noise_b)]
    deep = [f"layers.1.residual_group.blocks.{i}" for i in (2, 3)]
    rows = rows[(rows.layer_a == rows.layer_b) & rows.layer_a.isin(deep)]
    means = rows.groupby("model_a").cka.mean()
    return float(means.masked - means.baseline)


def test_the_page_of_findings_is_not_stale():
    recorded = json.loads((FINDINGS / fingerprint.INPUTS).read_text())
    stale = changed(recorded, findings_page.page_inputs())
    assert not stale, f"the page of findings is stale ({', '.join(stale)}); make it again: {REDRAW}"


def test_the_page_of_findings_has_its_tables_and_the_trainings_are_beside_it():
    page = FINDINGS / "findings.html"
    files = {a.name: a.content for a in attached(page.read_text())}
    tables = list(FINDINGS.glob("*.csv"))
    assert len(tables) > 10
    for path in tables:
        assert files[path.name] == path.read_bytes()
    assert page.stat().st_size < 10e6
    trained = {path.parent for path in FINDINGS.glob("training/**/validation.csv")}
    cells = set(pd.read_csv(FINDINGS / "cells.csv").model) - {NOISY}
    assert {path.name for path in trained if path.parent.name == "ablations"} == cells
    assert {"masked", "baseline", "dncnn"} < {path.name for path in trained}
    for path in trained:
        assert {"recipe.json", "log.csv"} < {file.name for file in path.iterdir()}
