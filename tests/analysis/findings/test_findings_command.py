"""`python -m analysis.findings`: contrasts against hand-made numbers, verdicts, and the page."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.commands.parser import OutputOptions
from analysis.findings import command as findings_command
from analysis.findings import measurements as findings_measurements
from analysis.findings import notebook, page, published, reading
from analysis.findings import study as findings_study
from analysis.findings.claims import (
    AGREES,
    BEST_CELL,
    DISAGREES,
    NOT_RUN,
    UNDECIDED,
    Claim,
    claims,
    judge,
)
from analysis.findings.measurements import MIXTURE, TRAINED, Measurement, Study, Term, contrast
from analysis.findings.reading import TITLES
from analysis.pages.attachments import attached
from analysis.text.noise_labels import NOISY
from mtd.training import sweep
from mtd.utils.errors import BadInput
from tests.helpers.paths import ROOT, data_folder

IMAGES = 12
NOISES = (TRAINED, "mixture:1", "mixture:3")


def manifest(folder: Path, analysis: str, **entries: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shared = {"analysis": analysis, "in_distribution": [TRAINED], "models": {}, "crops": []}
    (folder / "manifest.json").write_text(json.dumps(shared | entries))
    (folder / "run.json").write_text(json.dumps({"runs": [{"finished": "now"}]}))


def results(
    models: dict[str, float], noises: tuple[str, ...] = NOISES, seed: int = 0
) -> pd.DataFrame:
    """A benchmark's long table: a level for each model, an offset for each image, and noise."""
    rng, rows = np.random.default_rng(seed), []
    offsets = rng.normal(0, 3, IMAGES)
    for noise in noises:
        kind, _, level = noise.partition(":")
        for model, height in models.items():
            drop = 0.0 if noise == TRAINED else 2.0 + float(level or 0)
            values = height - drop + offsets + rng.normal(0, 0.1, IMAGES)
            for metric, scale in (("psnr", 1.0), ("ssim", 0.02)):
                for i, value in enumerate(values):
                    rows.append(
                        (
                            *(model, noise, kind, float(level or "nan"), f"{i}.png", f"{i}.png"),
                            *(0, 0, 8, 8, f"digest{i}", metric, value * scale),
                        )
                    )
    names = ["model", "noise", "kind", "level", "image", "scene", "top", "left", "height", "width"]
    return pd.DataFrame(rows, columns=[*names, "sha256", "metric", "value"])


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study with invented numbers: an ablation, brightness, curves, CKA and SRGA of a pair."""
    path = tmp_path / "study"
    cells = {
        cell.name: 20.0 for cell in sweep.load(str(ROOT / "reports/findings/ablations.toml")).cells
    }
    cells |= {"input-80-90": 23.0, "attention-only": 20.2, "input-only": 26.0, NOISY: 10.0}
    cells |= {"baseline": 19.0, "baseline-seed1": 19.3, BEST_CELL: 21.1, f"{BEST_CELL}-seed1": 21.0}
    manifest(path / "ablations", "generalization", noises=list(NOISES))
    frame = results(cells)
    frame.to_csv(path / "ablations/results.csv", index=False, na_rep="nan")
    from analysis.generalization import scoring

    scores = [scoring.table(frame, metric, [TRAINED]) for metric in ("psnr", "ssim")]
    tables = {"generalization": scoring.generalization, "noises": scoring.noises}
    for name, function in tables.items():
        table = pd.concat([function(one) for one in scores])
        table.to_csv(path / f"ablations/{name}.csv", index=False, na_rep="nan")
    manifest(path / "curves", "curves", trained={"baseline": TRAINED, "masked": TRAINED})
    curves = [
        (run, "validation", "psnr", noise, step, value + (noise == TRAINED))
        for run, values in {"baseline": (24, 26, 25, 23), "masked": (22, 23, 24, 24.5)}.items()
        for noise in (TRAINED, "poisson:3")
        for step, value in zip((100, 200, 300, 400), values, strict=True)
    ]
    columns = ["run", "source", "quantity", "noise", "step", "value"]
    pd.DataFrame(curves, columns=columns).to_csv(
        path / "curves/curves.csv", index=False, na_rep="nan"
    )
    manifest(path / "pair/cka", "cka")
    cka = [
        (model, "gaussian:15", model, "poisson:3", value, value - 0.05, value + 0.05)
        for model, value in (("baseline", 0.4), ("masked", 0.8))
    ]
    names = ["model_a", "noise_a", "model_b", "noise_b", "cka", "low", "high"]
    pd.DataFrame(cka, columns=names).to_csv(path / "pair/cka/last_quarter.csv", index=False)
    manifest(path / "pair/srga", "srga")
    srga = [
        ("baseline", "gaussian:15", 0.0, math.nan, math.nan),
        ("masked", "gaussian:15", 0, *2 * [math.nan]),
    ]
    srga += [("baseline", "poisson:3", 3.0, 2.5, 3.5), ("masked", "poisson:3", 2.8, 2.6, 3.0)]
    rows = pd.DataFrame(srga, columns=["model", "noise", "srga", "low", "high"])
    rows.assign(reference="gaussian:15").to_csv(
        path / "pair/srga/srga.csv", index=False, na_rep="nan"
    )
    manifest(path / "brightness", "brightness")
    images = [
        (model, noise, f"{i}.png", 0, 0, f"digest{i}", shift * (-1) ** i, abs(shift), 30.0, 31.0)
        for model, shift in (("input-only", 6.0), ("input-80-90", 2.0))
        for noise in (TRAINED, "mixture:3")
        for i in range(IMAGES)
    ]
    names = ["model", "noise", "image", "top", "left", "sha256", "shift", "distance"]
    frame = pd.DataFrame(images, columns=[*names, "psnr", "psnr_matched"])
    frame.to_csv(path / "brightness/images.csv", index=False, na_rep="nan")
    return path


def test_a_contrast_is_the_t_interval_of_paired_differences(study):
    more = [Term("input-80-90", MIXTURE), Term("baseline", TRAINED)]
    less = [Term("attention-only", MIXTURE), Term(BEST_CELL, TRAINED)]
    measurement = contrast(Study(study), "ablations", "psnr", more, less)
    frame = pd.read_csv(study / "ablations/results.csv").query("metric == 'psnr'")
    wide = frame.pivot(index="image", columns=["model", "noise"], values="value")
    mixed = [(n, [f"mixture:{k}" for k in (1, 3)]) for n in ("input-80-90", "attention-only")]
    a, b = (wide[name][noises].mean(axis=1) for name, noises in mixed)
    each = (a - b + wide["baseline"][TRAINED] - wide[BEST_CELL][TRAINED]).to_numpy()
    half = stats.sem(each) * stats.t.ppf(0.975, IMAGES - 1)
    assert measurement is not None and measurement.draws == IMAGES
    expected = (each.mean(), each.mean() - half, each.mean() + half)
    assert measurement[:3] == pytest.approx(expected, rel=1e-9)
    means = frame.groupby(["model", "noise"]).value.mean().unstack()
    means["mixture"] = means[["mixture:1", "mixture:3"]].mean(axis=1)
    changes = {
        n: [means[n][a] - means[n][b] for a, b in findings_measurements.SEED_PAIRS]
        for n in (TRAINED, MIXTURE)
    }
    variance = sum(2 * np.mean(np.square(values)) / 2 for values in changes.values())
    assert measurement.seed_bound == pytest.approx(stats.t.ppf(0.975, 2) * variance**0.5, rel=1e-9)


def test_the_ends_of_a_kind_are_beside_its_mean(study):
    terms = ([Term("input-80-90", MIXTURE), Term("baseline", TRAINED)], [Term(BEST_CELL, MIXTURE)])
    measurement = contrast(Study(study), "ablations", "psnr", *terms)
    frame = pd.read_csv(study / "ablations/results.csv").query("metric == 'psnr'")
    means = frame.groupby(["model", "noise"]).value.mean().unstack()
    ends = [
        means[noise]["input-80-90"] - means[noise][BEST_CELL] + means[TRAINED]["baseline"]
        for noise in ("mixture:1", "mixture:3")
    ]
    assert measurement and (measurement.weakest, measurement.strongest) == pytest.approx(ends)
    measurement = contrast(Study(study), "ablations", "psnr", [Term(BEST_CELL, TRAINED)])
    assert measurement and math.isnan(measurement.weakest) and math.isnan(measurement.strongest)


def test_snapshots_are_compared_with_the_first_one(study):
    models = {"masked-step-10": 24.0, "masked-step-20": 25.0, "masked-finished": 23.0, NOISY: 10.0}
    for seed, run in enumerate(findings_study.DERIVED["snapshots"]):
        manifest(study / run, "generalization")
        results(models, (TRAINED,), seed).to_csv(
            study / run / "results.csv", index=False, na_rep="nan"
        )
    table = findings_measurements.snapshots(Study(study)).set_index("model")
    assert list(table.index) == list(models)[:3]
    for run in findings_study.DERIVED["snapshots"]:
        name = run.removeprefix("snapshots_")
        frame = pd.read_csv(study / run / "results.csv").query("metric == 'psnr'")
        wide = frame.pivot(index="image", columns="model", values="value")
        assert table[name].to_numpy() == pytest.approx(wide[table.index].mean().to_numpy())
        each = wide["masked-finished"] - wide["masked-step-10"]
        half = stats.sem(each) * stats.t.ppf(0.975, IMAGES - 1)
        row = table.loc["masked-finished"]
        ends = [row[f"{name}_change{end}"] for end in ("", "_low", "_high")]
        assert ends == pytest.approx([each.mean(), each.mean() - half, each.mean() + half])
        assert math.isnan(table[f"{name}_change"]["masked-step-10"])
    half = table.reset_index().drop(columns=[name for name in table if name.startswith("hidden")])
    assert "masked-finished" in notebook.snapshots({"snapshots": half}).data["text/plain"]
    text = notebook.snapshots({"snapshots": table.reset_index()}).data["text/plain"]
    assert "masked-finished" in text and "[-" in text


def test_seeds_of_terms_of_one_network_go_together(study):
    both = [Term(BEST_CELL, MIXTURE), Term(BEST_CELL, TRAINED)]
    bound = findings_measurements.seed_bound(
        Study(study), "psnr", [*both, Term(NOISY, TRAINED, -2.0)]
    )
    frame = pd.read_csv(study / "ablations/results.csv").query("metric == 'psnr'")
    means = frame.groupby(["model", "noise"]).value.mean().unstack()
    total = means[TRAINED] + means[["mixture:1", "mixture:3"]].mean(axis=1)
    square = np.mean([(total[a] - total[b]) ** 2 for a, b in findings_measurements.SEED_PAIRS])
    assert bound == pytest.approx(stats.t.ppf(0.975, 2) * (square / 2) ** 0.5, rel=1e-9)
    assert math.isnan(
        findings_measurements.seed_bound(Study(study), "psnr", [Term(BEST_CELL, "speckle:0.04")])
    )


def test_the_sign_is_reversed_where_lower_is_better(study):
    frame = pd.read_csv(study / "ablations/results.csv")
    lpips = frame[frame.metric == "psnr"].assign(metric="lpips")
    pd.concat([frame, lpips]).to_csv(study / "ablations/results.csv", index=False, na_rep="nan")
    terms = ([Term(BEST_CELL, MIXTURE)], [Term("baseline", MIXTURE)])
    psnr, reversed_ = (contrast(Study(study), "ablations", m, *terms) for m in ("psnr", "lpips"))
    assert psnr and reversed_ and reversed_.value == pytest.approx(-psnr.value)
    assert (reversed_.low, reversed_.high) == pytest.approx((-psnr.high, -psnr.low))


@pytest.mark.parametrize(
    ("run", "metric", "model", "noise"),
    [
        ("levels", "psnr", BEST_CELL, MIXTURE),
        ("ablations", "lpips", BEST_CELL, MIXTURE),
        ("ablations", "psnr", "absent", MIXTURE),
        ("ablations", "psnr", BEST_CELL, "speckle"),
    ],
)
def test_nothing_is_measured_of_missing_runs_models_and_noises(study, run, metric, model, noise):
    less = [Term("baseline", MIXTURE)]
    assert contrast(Study(study), run, metric, [Term(model, noise)], less) is None


def test_brightness_is_of_each_image_and_its_interval_over_images(study):
    frame = pd.read_csv(study / "brightness/images.csv")
    frame["shift"] *= 1 + 0.1 * np.random.default_rng(1).random(len(frame))
    frame.to_csv(study / "brightness/images.csv", index=False)
    runs = Study(study)
    sizes = frame.assign(size=frame["shift"].abs()).groupby(["model", "image"])["size"].mean()
    each = (sizes["input-only"] - sizes["input-80-90"]).to_numpy()
    half = stats.sem(each) * stats.t.ppf(0.975, IMAGES - 1)
    measurement = findings_measurements.brightness(runs, "shift", "input-only", "input-80-90")
    assert measurement and measurement[:3] == pytest.approx(
        (each.mean(), each.mean() - half, each.mean() + half)
    )
    signed = findings_measurements.brightness(runs, "shift", "input-only", signed=True)
    means = frame[frame.model == "input-only"].groupby("image")["shift"].mean()
    assert signed and signed.value == pytest.approx(means.mean()) and signed.low < signed.high
    assert findings_measurements.brightness(runs, "shift", "input-only", "attention-only") is None


def test_gain_and_drop_over_training(study):
    runs = Study(study)
    assert findings_measurements.gain_over_training(runs, "baseline") == Measurement(
        -1.0
    )  # of 400 steps: 400 − 100
    assert findings_measurements.drop_over_training(runs, "baseline") == Measurement(1.0)
    assert findings_measurements.gain_over_training(runs, "masked") == Measurement(2.5)
    assert findings_measurements.difference_of_gains(runs) == Measurement(3.5)
    assert findings_measurements.drop_over_training(runs, "other") is None


def test_curves_are_of_what_was_logged_and_tails_are_means(study):
    path = study / "curves/curves.csv"
    steps = np.arange(1000, 40001, 1000)
    rows = [
        ("masked", "validation", "psnr", noise, step, 20 + step / 10000 + (noise == TRAINED))
        for noise in (TRAINED, "poisson:3", "speckle:0.04")
        for step in steps
    ]
    rows += [("masked", "checkpoints", "psnr", "poisson:3", 40000, 99.0)]
    columns = ["run", "source", "quantity", "noise", "step", "value"]
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False)
    measurement = findings_measurements.gain_over_training(Study(study), "masked")
    assert measurement and measurement.value == pytest.approx(
        (38.5 - 8.5) / 10
    )  # means of 37…40 and 7…10


def test_bounds_of_two_intervals_are_the_furthest_apart(study):
    cka, srga = (
        findings_measurements.cka_across_noises(Study(study)),
        findings_measurements.srga(Study(study)),
    )
    assert cka and cka[:3] == pytest.approx((0.4, 0.3, 0.5))
    assert srga and srga[:3] == pytest.approx((0.2, -0.5, 0.9))


@pytest.mark.parametrize(
    ("measurement", "options", "expected"),
    [
        (None, {}, NOT_RUN),
        (Measurement(1, 0.5, 1.5), {}, AGREES),
        (Measurement(1, -0.5, 1.5), {}, UNDECIDED),
        (Measurement(-1, -1.5, -0.5), {}, DISAGREES),
        (Measurement(1, 0.5, 1.5, seed_bound=1.2), {}, UNDECIDED),
        (Measurement(-1, -1.5, -0.5, seed_bound=1.2), {}, UNDECIDED),
        (Measurement(math.nan), {}, UNDECIDED),
        (Measurement(math.inf), {}, UNDECIDED),
        (Measurement(5.0), {}, UNDECIDED),  # it should have an interval
        (Measurement(1, 0.5, 1.5), {"threshold": 2.0}, DISAGREES),
        (Measurement(1, 0.5, 2.5), {"threshold": 2.0}, UNDECIDED),
        (Measurement(4, 3.5, 4.5, seed_bound=1.0), {"threshold": 2.0}, AGREES),
        (Measurement(4, 3.5, 4.5, seed_bound=3.0), {"threshold": 2.0}, UNDECIDED),
        (Measurement(0.05), {"margin": 0.1}, UNDECIDED),
        (Measurement(0.15), {"margin": 0.1}, AGREES),
        (Measurement(-0.15), {"margin": 0.1}, DISAGREES),
        (Measurement(math.nan), {"margin": 0.1}, UNDECIDED),
    ],
)
def test_verdicts(measurement, options, expected):
    assert (
        Claim("table1", "", "", "", lambda study: None, **options).verdict(measurement) == expected
    )


@pytest.mark.parametrize("images", [1, 2])
def test_few_images_decide_nothing(study, images):
    path = study / "ablations/results.csv"
    frame = pd.read_csv(path)
    frame[frame.image.isin([f"{i}.png" for i in range(images)])].to_csv(path, index=False)
    rows = judge(Study(study))
    part = rows[rows.finding.isin(["table1", "table2", "table3a", "figure7"])]
    assert set(part.verdict) == {UNDECIDED} and len(part) > 10


def test_infinite_scores_decide_nothing(study):
    path = study / "ablations/results.csv"
    frame = pd.read_csv(path)
    frame.loc[(frame.model == "attention-65") & (frame.image == "3.png"), "value"] = math.inf
    frame.to_csv(path, index=False)
    rows = judge(Study(study)).set_index("quantity")
    assert rows.verdict["PSNR under the mixture, input-75-85 − attention-65"] == UNDECIDED
    assert rows.verdict["PSNR under the mixture, input-80-90 − attention-only"] == AGREES


def test_each_layer_of_the_baseline_counts_with_its_highest_cka(study):
    layers = [f"layers.0.residual_group.blocks.{i}" for i in range(8)]
    rows = [
        ("baseline", TRAINED, a, "masked", TRAINED, b, 0.9 - 0.05 * i - 0.01 * abs(i - j))
        for i, a in enumerate(layers)
        for j, b in enumerate(layers)
    ]
    names = ["model_a", "noise_a", "layer_a", "model_b", "noise_b", "layer_b", "cka"]
    pd.DataFrame(rows, columns=names).to_csv(study / "pair/cka/cka.csv", index=False)
    measurement = findings_measurements.cka_across_models(
        Study(study)
    )  # mean over 0…3 less mean over 6 and 7
    assert (
        measurement
        and measurement.value == pytest.approx(0.05 * (6.5 - 1.5))
        and math.isnan(measurement.low)
    )


def test_distances_are_of_features_before_the_last_convolution_under_unseen_noise(study):
    rows = [
        (model, noise, TRAINED, deep, value * (1 if deep else 9), value - 0.1, value + 0.1)
        for model, value in (("baseline", 0.5), ("masked", 0.2))
        for noise in (TRAINED, "poisson:3", "speckle:0.04")
        for deep in (True, False)
    ]
    names = ["model", "noise", "reference", "last_features", "w1_relative"]
    manifest(study / "pair/distributions", "distributions")
    frame = pd.DataFrame(rows, columns=[*names, "w1_relative_low", "w1_relative_high"])
    frame.loc[(frame.noise == "speckle:0.04"), "w1_relative_low"] = math.nan  # left out
    frame.to_csv(study / "pair/distributions/distributions.csv", index=False, na_rep="nan")
    measurement = findings_measurements.distribution_shift(Study(study))
    assert measurement and measurement[:3] == pytest.approx((0.3, 0.1, 0.5))


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
        c for c in claims() if c.finding == "figure11" and "mixture:5, masked − b" in c.quantity
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
    assert {name for pair in findings_measurements.SEED_PAIRS for name in pair} <= names
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
    assert verdict["PSNR under mixture:5, masked − baseline"] == NOT_RUN
    html = (folder / "findings.html").read_text()
    counts = frame.verdict.value_counts()
    run = len(frame) - counts[NOT_RUN]
    assert f"Of {run} claims that were measured here: {counts[AGREES]} agree" in html
    files = {a.name: a.content for a in attached(html)}
    assert files["claims.csv"] == (folder / "claims.csv").read_bytes() and "cells.csv" in files
    assert "29.74" in html and "does not agree" in html
    (folder / "findings.html").unlink()
    assert page.run(folder, OutputOptions(quiet=True)) == folder  # from the tables alone
    assert (folder / "findings.html").read_text() == html
    with pytest.raises(BadInput, match="made again where it is"):
        page.run(folder, OutputOptions("other"))


def test_sentences_of_the_overview(study):
    frames = {"claims": judge(Study(study))}
    lines = reading.summary(frames)
    assert lines[0].startswith("Of ") and "more were not run" in lines[0]
    rows = notebook.count_by_finding(frames).data["text/plain"].splitlines()
    assert [line.split()[-4:] for line in rows if "Table 1" in line] == [["2", "2", "0", "0"]]


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
    assert "1 of the ablation's 2 networks" in text and "24.80 dB: `a`." in text
    assert not reading.below_noisy_input(cells[cells.model != "a"])


def test_claims_that_seeds_hide_are_counted(study):
    rows = judge(Study(study))
    rows.loc[rows.finding == "table2", ["verdict", "paper", "seed_bound"]] = [UNDECIDED, 0.2, 0.4]
    rows.loc[rows.finding != "table2", "seed_bound"] = math.nan
    assert any("For 4 of the undecided" in line for line in reading.summary({"claims": rows}))


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
        "PSNR of the pair's masked network minus its baseline's: -4.00 dB under `gaussian:15`, the "
        "noise trained on; by means, without intervals, it is higher under 1 of 2 unseen noises, "
        "from +2.00 dB under `poisson:2` to -0.50 dB under `isp`."
    )
    for part in (frame[frame.in_distribution], frame[~frame.in_distribution]):
        assert "was not compared" in reading.masked_against_baseline(part)


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
    runs = {call.partition(" ")[2].replace("$share", "80") for call in calls}
    places = {
        run for run, _ in (*findings_study.TABLES.values(), *findings_study.PICTURES.values())
    }
    places |= {run for runs in findings_study.DERIVED.values() for run in runs}
    needed = {place.partition("/")[0].replace("_90", "_80") for place in places}
    assert needed <= runs


@pytest.mark.slow
def test_the_script_runs_from_end_to_end_twice(tmp_path):
    """With trainings of two steps and a few crops; the second time all steps are skipped."""
    pytest.importorskip("skimage")
    data = data_folder("kodak24").parent
    text = (ROOT / "reports/findings/remake.sh").read_text()
    for old, new in (
        ("--set 'run.precision=\"bf16\"' --set run.compile=true", ""),
        ("run.steps=2000", "run.steps=2"),
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
    absent = rows[rows.verdict == NOT_RUN]
    few = ("LPIPS", "SRGA")  # six crops are too few for SRGA
    assert all(any(name in quantity for name in few) for quantity in absent.quantity)
    for name in {*findings_study.TABLES, *findings_study.DERIVED} - {"srga"}:
        assert (here / f"{name}.csv").is_file(), name
    for name in set(findings_study.PICTURES) - {"figure14"}:
        assert (here / f"{name}.png").is_file(), name
    assert len(list((here / "training").rglob("log.csv"))) == 27
