"""`python -m analysis.findings`: the page, its sentences, and the scores that it keeps."""

from __future__ import annotations

import math
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from analysis.commands.parser import OutputOptions
from analysis.findings import command as findings_command
from analysis.findings import kept, notebook, page, published, reading
from analysis.findings import study as findings_study
from analysis.findings.claims import claims, judge
from analysis.findings.reading import TITLES
from analysis.findings.study import Study
from analysis.findings.verdicts import AGREES, DISAGREES, UNDECIDED, UNTESTABLE, Claim
from analysis.pages.attachments import attached
from analysis.text.noise_labels import NOISY
from mtd.metrics import registry
from mtd.training import sweep
from mtd.utils.errors import BadInput
from tests.analysis.findings.conftest import manifest, results
from tests.helpers.paths import ROOT, data_folder


def test_the_papers_numbers_are_those_of_its_tables():
    rows = {(c.finding, c.text, c.unit): c.paper for c in claims()}
    assert rows["table1", "The input mask makes the network generalize.", "dB"] == (
        pytest.approx(29.74 - 29.17)
    )
    assert rows["table2", "A ratio of 75% is better than 85%.", ""] == pytest.approx(
        0.8678 - 0.8548
    )
    lpips = [c.paper for c in claims() if c.finding == "table3c" and "LPIPS" in c.quantity]
    assert lpips == [pytest.approx(0.2917 - 0.2368)]
    levels = [
        c
        for c in claims()
        if c.finding == "figure11" and "mixture level 5, masked − b" in c.quantity
    ]
    assert [c.paper for c in levels] == [pytest.approx(25.9 - 20.1)]
    with pytest.raises(BadInput, match="table3a"):
        published.table("table3")


def test_every_claim_is_on_the_page_and_every_cell_is_trained():
    assert {claim.finding for claim in claims()} == set(TITLES)
    text = (ROOT / "notebooks/findings.ipynb").read_text()
    for name in TITLES:
        assert f'claims_of(frames, \\"{name}\\")' in text
    names = {cell.name for cell in sweep.load(str(ROOT / "reports/findings/ablations.toml")).cells}
    for name in ("table1", "table2", "table3a"):
        assert set(published.table(name).cell) <= names
    assert not len({(c.finding, c.quantity) for c in claims()}) < len(claims())


@pytest.mark.usefixtures("forked_kernels")
def test_the_page(study, tmp_path, in_process):
    code, _, err = in_process(
        findings_command.main, str(study), "--output-dir", str(tmp_path / "page"), "--quiet"
    )
    assert code == 0, err
    folder = tmp_path / "page"
    frame = pd.read_csv(folder / "claims.csv")
    rows = judge(Study(study))
    assert list(frame.verdict) == list(rows.verdict)
    verdict = dict(zip(frame.quantity, frame.verdict, strict=True))
    assert verdict["PSNR under the mixture, input-80-90 − attention-only"] == AGREES
    assert verdict["PSNR under the mixture, input-80-90 − input-only"] == DISAGREES
    assert verdict["SRGA, baseline − masked, mean over unseen noises"] == UNDECIDED
    assert verdict["PSNR under mixture level 5, masked − baseline"] == UNTESTABLE
    html = (folder / "findings.html").read_text()
    text = html[html.index("<body") :]
    start = text.index(f"Of {len(frame)} claims of the paper, ")
    assert "How to read the verdicts" not in text[:start]  # the counts come first
    for name, words in (
        *((AGREES, "agree with our trainings"), (DISAGREES, "do not agree")),
        *((UNDECIDED, "are undecided"), (UNTESTABLE, "are not testable here")),
    ):
        count = (frame.verdict == name).sum()
        assert f"<strong>{count}</strong> {words}" in text[start : start + 400]
    files = {a.name: a.content for a in attached(html)}
    assert files["claims.csv"] == (folder / "claims.csv").read_bytes() and "cells.csv" in files
    assert "29.74" in html and "does not agree" in html
    (folder / "findings.html").unlink()
    assert page.run(folder, OutputOptions(quiet=True)) == folder  # from the tables alone
    assert (folder / "findings.html").read_text() == html
    with pytest.raises(BadInput, match="made again where it is"):
        page.run(folder, OutputOptions("other"))


def test_everything_is_computed_again_from_the_scores_that_a_page_keeps(study, tmp_path):
    scores = tmp_path / "scores"
    kept.keep(Study(study), scores)
    shown = {"results", "images", "curves", "last_quarter", "srga"}
    assert {path.name.partition(".")[0] for path in scores.rglob("*.csv*")} == shown | {"noises"}
    for again in (tmp_path / "again", tmp_path / "again"):  # what was kept can be kept again
        kept.keep(Study(scores), again)
        files = [path.relative_to(scores) for path in scores.rglob("*") if path.is_file()]
        assert len(files) > 10
        for path in files:
            assert (again / path).read_bytes() == (scores / path).read_bytes(), path
    here, there = judge(Study(study)), judge(Study(scores))
    pd.testing.assert_frame_equal(here, there, rtol=1e-12)
    assert (here.value.notna().sum()) > 20


def test_tables_say_of_which_metric_less_is_better():
    row = {"noise": "isp", "kind": "isp", "model": "masked", "mean": 0.5, "low": 0.4, "high": 0.6}
    for metrics, said in ((("psnr", "ssim"), False), (("psnr", "lpips"), True)):
        frame = pd.DataFrame([row | {"metric": metric} for metric in metrics])
        shown = notebook.scores({"levels": frame}, "levels", "Hidden").data["text/html"]
        assert ("Hidden; lower is better for LPIPS" in shown) is said


def test_the_backbone_of_lpips_is_kept_where_it_was_used():
    run = {"analysis": "generalization", "crops": [], "lpips_channels": "bgr"}
    about = kept.summary(run | {"lpips": "a71f"})
    assert (about["lpips"], about["lpips_channels"]) == ("a71f", "bgr")
    assert not {"lpips", "lpips_channels"} & set(kept.summary(run | {"lpips": None}))


def test_sentences_of_the_overview(study):
    rows = judge(Study(study))
    first, why = reading.counts({"claims": rows})
    counts = rows.verdict.value_counts()
    assert first == (
        f"Of {len(rows)} claims of the paper, **{counts[AGREES]}** agree with our trainings, "
        f"**{counts[DISAGREES]}** do not agree, **{counts[UNDECIDED]}** are undecided and "
        f"**{counts[UNTESTABLE]}** are not testable here."
    )
    shown = notebook.badges({"claims": rows}).data
    assert f'<li class="badge agrees"><strong>{counts[AGREES]}</strong> agree' in shown["text/html"]
    assert shown["text/plain"].endswith(f"{counts[UNTESTABLE]} not testable here")
    missing = int(rows.reason.str.startswith("not run").sum())
    assert f"{missing} need a run that is missing" in why
    lines = notebook.count_by_finding({"claims": rows}).data["text/plain"].splitlines()
    assert [line.split()[-4:] for line in lines if "Table 1" in line] == [["2", "2", "0", "0"]]


def test_directions_of_claims_and_tables_are_those_of_the_registry(monkeypatch):
    def of_lpips() -> Claim:
        return next(c for c in claims() if c.quantity.startswith("LPIPS under camera pipeline"))

    before = of_lpips()
    assert before.quantity.endswith("baseline − masked") and before.paper > 0
    assert notebook.directions(["psnr", "lpips"]) == "; lower is better for LPIPS"
    for table, spp in (("table3b", 64), ("table3c", 0)):
        shown = notebook.methods({}, table, "levels", "isp", spp).data["text/html"]
        assert "Under camera pipeline; lower is better for LPIPS" in shown
    known = registry.metrics()
    monkeypatch.setitem(known, "lpips", replace(known["lpips"], higher_is_better=True))
    assert of_lpips().quantity.endswith("masked − baseline")
    assert of_lpips().paper == -before.paper and notebook.directions(["lpips"]) == ""


def test_the_main_claims_are_claims(study):
    assert set(reading.MAIN_QUANTITIES) <= {claim.quantity for claim in claims()}
    lines = reading.main_claims({"claims": judge(Study(study))})
    assert len(lines) == len(reading.MAIN_QUANTITIES)
    first = lines[0]
    assert "at the weakest level to" in first and "in the paper +0.57 dB" in first


def test_networks_that_are_worse_than_their_input_are_named():
    cells = pd.DataFrame(
        [("a", "psnr", 23.0), ("b", "psnr", 26.0), (NOISY, "psnr", 24.8), ("b", "ssim", 0.1)],
        columns=["model", "metric", "in_distribution"],
    )
    text = reading.below_noisy_input(cells)
    assert "1 of the ablation's 2 trainings" in text and "24.80 dB: `a`." in text
    assert not reading.below_noisy_input(cells[cells.model != "a"])


def test_claims_that_seeds_hide_are_counted(study):
    rows = judge(Study(study)).assign(trainings_low=math.nan, trainings_high=math.nan)
    some = rows.finding == "table2"
    rows.loc[some, ["verdict", "paper", "trainings_low", "trainings_high"]] = [
        UNDECIDED,
        0.2,
        -0.4,
        0.1,
    ]
    assert any("For 4 of the undecided" in line for line in reading.summary({"claims": rows}))
    rows.loc[some, "trainings_low"] = -0.2
    assert not any("of the undecided" in line for line in reading.summary({"claims": rows}))


def test_a_claim_says_on_what_it_rests(study):
    row = judge(Study(study)).set_index("quantity", drop=False)
    text = reading.claim(dict(row.loc["SRGA, baseline − masked, mean over unseen noises"]))
    assert "[-0.500, +0.900] over images, one training" in text and text.startswith(
        "**Undecided**. "
    )
    text = reading.claim(dict(row.loc["PSNR under camera pipeline, masked − baseline"]))
    assert text.startswith("**Not testable here**: not run (levels). Under the noise")
    seeds = dict(row.loc["PSNR under the mixture, input-75-85 − attention-65"])
    seeds |= {
        "trainings": "input-75-85 4, attention-65 1",
        "trainings_low": -1,
        "trainings_high": 2,
    }
    assert (
        "[-1.00, +2.00] over trainings (4 of `input-75-85` and one of `attention-65`)"
        in reading.claim(seeds)
    )
    pair = seeds | {"trainings": "5", "pair": 0.5, "pair_longer": -0.25}
    assert (
        "[-1.00, +2.00] over 5 trainings, the pair +0.50, the longer pair -0.25"
        in reading.claim(pair)
    )


def test_what_masks_cost_and_gain():
    frame = pd.DataFrame(
        [
            *(("gaussian:15", True, "psnr", *row) for row in (("baseline", 33.0), ("masked", 29))),
            *(("poisson:2", False, "psnr", *row) for row in (("baseline", 25.0), ("masked", 27))),
            *(("isp", False, "psnr", *row) for row in (("baseline", 29.0), ("masked", 28.5))),
            *(("isp", False, "ssim", *row) for row in (("baseline", 0.9), ("masked", 0.8))),
        ],
        columns=["noise", "in_distribution", "metric", "model", "mean"],
    )
    assert reading.masked_against_baseline(frame) == (
        "PSNR of the pair's masked network minus its baseline's: -4.00 dB under Gaussian σ = 15, "
        "the noise trained on; by means, without intervals, it is higher under 1 of 2 unseen "
        "noises, from +2.00 dB under Poisson α = 2 to -0.50 dB under camera pipeline."
    )
    assert not reading.against_blur(frame)
    blur = [("poisson:2", 26.0), ("isp", 28.75), ("gaussian:15", 40.0)]
    names = ["noise", "mean"]
    rows = pd.DataFrame(blur, columns=names).assign(model="classical:blur:0.8", metric="psnr")
    rows["in_distribution"] = rows.noise == "gaussian:15"
    (text,) = reading.against_blur(pd.concat([frame, rows]))
    assert "than the baseline under 1 of 2 unseen noises" in text
    assert "than the masked network under 1." in text and "is +0.38 dB" in text
    for part in (frame[frame.in_distribution], frame[~frame.in_distribution]):
        assert "was not compared" in reading.masked_against_baseline(part)


def test_similarity_stands_beside_its_controls():
    rows = [("a", "gaussian:15", "a", "isp", 0.5, 0.6, 0.8), ("a", "x", "b", "x", 0, 0, 0)]
    rows += [("a", "gaussian:15", "a", "poisson:3", 0.25, 0.7, 0.9)]
    names = ["model_a", "noise_a", "model_b", "noise_b", "cka", "ceiling", "untrained"]
    frames = {"last_quarter": pd.DataFrame(rows, columns=names)}
    assert reading.similarity(frames) == [
        "CKA across noises in the last quarter of the blocks of `a`, mean over 2 unseen noises: "
        "0.375, with the same noise drawn again 0.650 and untrained 0.850."
    ]
    assert reading.similarity({}) == ["Not run here."]


@pytest.mark.parametrize(
    ("name", "message"), [("absent", "no such folder"), ("empty", "decides no claim")]
)
def test_an_unusable_study_is_one_line(tmp_path, in_process, name, message):
    (tmp_path / "empty").mkdir()
    code, out, err = in_process(findings_command.main, str(tmp_path / name))
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1 and not out


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("ablations/results", lambda f: f.drop(columns="metric"), "damaged (no column metric)"),
        ("ablations/results", lambda f: f[:-7], "damaged (rows are missing)"),
        ("pair/cka/last_quarter", lambda f: f.assign(cka="x"), "damaged (cka holds no numbers)"),
        ("pair/srga/srga", lambda f: f.rename(columns={"srga": "x"}), "damaged (no column srga)"),
    ],
)
def test_damaged_tables_are_named(study, in_process, name, change, message):
    path = study / f"{name}.csv"
    change(pd.read_csv(path)).to_csv(path, index=False, na_rep="nan")
    code, _, err = in_process(findings_command.main, str(study))
    assert code == 2 and message in err and path.name in err and len(err.splitlines()) == 1


def test_an_empty_table_is_damaged(study, in_process):
    (study / "curves/curves.csv").write_text("")
    code, _, err = in_process(findings_command.main, str(study))
    assert code == 2 and "curves.csv: damaged" in err


def test_other_runs_are_not_overwritten(study, in_process):
    before = (study / "curves/manifest.json").read_bytes()
    for place, message in ((study / "curves", "holds another run"), (study, "is the study")):
        code, _, err = in_process(findings_command.main, str(study), "--output-dir", str(place))
        assert code == 2 and message in err
    assert (study / "curves/manifest.json").read_bytes() == before


def test_networks_with_other_names_are_an_error(tmp_path, in_process):
    manifest(tmp_path / "levels", "generalization")
    results({"mine": 20, "theirs": 21}).to_csv(tmp_path / "levels/results.csv", index=False)
    code, _, err = in_process(findings_command.main, str(tmp_path))
    assert code == 2 and "decides no claim" in err and "remake.sh" in err


def test_the_script_makes_the_runs_that_the_page_reads():
    text = (ROOT / "reports/findings/remake.sh").read_text()
    calls = set(re.findall(r"^\s*(?:PYTHONPATH=\S+ )?analyze (\S+ \S+)", text, re.MULTILINE))
    runs = {call.partition(" ")[2].replace("$share", "80").strip('"') for call in calls}
    places = {
        run for run, _ in (*findings_study.TABLES.values(), *findings_study.PICTURES.values())
    }
    places |= {run for runs in findings_study.DERIVED.values() for run in runs}
    needed = {place.partition("/")[0].replace("_90", "_80") for place in places}
    assert needed <= runs
    repeated = {run.removesuffix("-seed$seed") for run in runs if run.endswith("-seed$seed")}
    assert repeated == {"ablations", "tissue", "tissue_hidden", "curves", "pair"}


@pytest.mark.slow
def test_the_script_runs_from_end_to_end_twice(tmp_path):
    """With trainings of two steps and a few crops; the second time all steps are skipped."""
    pytest.importorskip("skimage")
    data = data_folder("kodak24").parent
    text = (ROOT / "reports/findings/remake.sh").read_text()
    for old, new in (
        ("--set 'run.precision=\"bf16\"' --set run.compile=true", ""),
        ("run.steps=2000", "run.steps=2"),
        ("run.steps=2500", "run.steps=2"),
        ("run.steps=40000", "run.steps=2"),
        ("run.steps=10000", "run.steps=2"),
        ("run.save_every=500", "run.save_every=1"),
        ("validation.every=1000", "validation.every=1"),
        ("validation.every=500", "validation.every=1"),
        ("--crop 96 --crop-rule center --limit 68", "--crop 32 --limit 3"),
        ("--crop 128 --crop-rule center --limit 24", "--crop 32 --limit 3"),
        ('--images "$data/kodak24" --max-crops srga=341', "--limit 6 --crop 32"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    text = re.sub(r"optimizer.milestones=\[[\d,]+\]", "optimizer.milestones=[1]", text)
    here = tmp_path / "findings"
    shutil.copytree(ROOT / "reports/findings", here)
    (here / "remake.sh").write_text(text)
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    place = os.environ | {"PYTHONPATH": str(ROOT), "PATH": programs}
    pages = []
    for _ in range(2):
        script = subprocess.run(
            ["bash", str(here / "remake.sh"), str(data), str(tmp_path / "study")],
            cwd=tmp_path, env=place, capture_output=True, text=True,
        )  # fmt: skip
        assert script.returncode == 0, script.stderr[-2000:]
        pages.append((here / "findings.html").read_bytes())
    assert pages[0] == pages[1]
    rows = pd.read_csv(here / "claims.csv")
    absent = rows[rows.value.isna()]
    few = ("LPIPS", "SRGA")  # six crops are too few for SRGA
    assert all(any(name in quantity for name in few) for quantity in absent.quantity)
    for name in {*findings_study.TABLES, *findings_study.DERIVED} - {"srga"}:
        assert (here / f"{name}.csv").is_file(), name
    for name in set(findings_study.PICTURES) - {"figure14"}:
        assert (here / f"{name}.png").is_file(), name
    assert len(list((here / "training").rglob("log.csv"))) == 43
