"""`python -m analysis.findings`: contrasts against numbers made by hand, verdicts, and the page."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import evidence, findings, published
from analysis.attachments import attached
from analysis.claims import (
    ABSENT,
    AGREES,
    DISAGREES,
    METHOD,
    MIXED,
    TRAINED,
    UNDECIDED,
    Claim,
    claims,
    judged,
)
from analysis.evidence import Measured, Study, Term, contrast
from analysis.ranking import NOISY
from analysis.readings import findings as reading
from analysis.readings.findings import NAMES
from mtd import sweep
from mtd.errors import BadInput

ROOT = Path(__file__).parents[1]
IMAGES = 12
NOISES = (TRAINED, "mixture:1", "mixture:3")


def manifest(folder: Path, analysis: str, **entries: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    held = {"analysis": analysis, "in_distribution": [TRAINED], "models": {}, "crops": []}
    (folder / "manifest.json").write_text(json.dumps(held | entries))
    (folder / "run.json").write_text(json.dumps({"runs": [{"finished": "now"}]}))


def results(
    models: dict[str, float], noises: tuple[str, ...] = NOISES, seed: int = 0
) -> pd.DataFrame:
    """A benchmark's long table: each model's level, what images have in common, and a little."""
    dice, rows = np.random.default_rng(seed), []
    hard = dice.normal(0, 3, IMAGES)
    for noise in noises:
        kind, _, level = noise.partition(":")
        for model, height in models.items():
            drop = 0.0 if noise == TRAINED else 2.0 + float(level or 0)
            values = height - drop + hard + dice.normal(0, 0.1, IMAGES)
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
    """A study of made-up numbers: an ablation, brightness, curves, CKA and SRGA of a pair."""
    path = tmp_path / "study"
    cells = {
        cell.name: 20.0 for cell in sweep.load(str(ROOT / "reports/findings/ablations.toml")).cells
    }
    cells |= {"input-80-90": 21.0, "attention-only": 20.2, "input-only": 22.0, NOISY: 10.0}
    cells |= {"baseline": 19.0, "baseline-seed1": 19.3, METHOD: 21.1, f"{METHOD}-seed1": 21.0}
    manifest(path / "ablations", "generalization", noises=list(NOISES))
    frame = results(cells)
    frame.to_csv(path / "ablations/results.csv", index=False, na_rep="nan")
    from analysis import ranking

    scores = [ranking.table(frame, metric, [TRAINED]) for metric in ("psnr", "ssim")]
    made = {"generalization": ranking.generalization, "noises": ranking.noises}
    for name, maker in made.items():
        table = pd.concat([maker(one) for one in scores])
        table.to_csv(path / f"ablations/{name}.csv", index=False, na_rep="nan")
    manifest(path / "curves", "curves", trained={"baseline": TRAINED, "masked": TRAINED})
    curves = [
        (run, "log", "psnr", noise, step, value + (noise == TRAINED))
        for run, values in {"baseline": (24, 26, 25, 23), "masked": (22, 23, 24, 24.5)}.items()
        for noise in (TRAINED, "poisson:3")
        for step, value in zip((100, 200, 300, 400), values, strict=True)
    ]
    columns = ["run", "source", "quantity", "noise", "step", "value"]
    pd.DataFrame(curves, columns=columns).to_csv(
        path / "curves/curves.csv", index=False, na_rep="nan"
    )
    manifest(path / "pair/cka", "cka")
    deep = [(m, "gaussian:15", m, "poisson:3", v, v - 0.05, v + 0.05) for m, v in
            (("baseline", 0.4), ("masked", 0.8))]  # fmt: skip
    names = ["model_a", "noise_a", "model_b", "noise_b", "cka", "low", "high"]
    pd.DataFrame(deep, columns=names).to_csv(path / "pair/cka/deep.csv", index=False, na_rep="nan")
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
    more = [Term("input-80-90", MIXED), Term("baseline", TRAINED)]
    less = [Term("attention-only", MIXED), Term(METHOD, TRAINED)]
    found = contrast(Study(study), "ablations", "psnr", more, less)
    frame = pd.read_csv(study / "ablations/results.csv").query("metric == 'psnr'")
    wide = frame.pivot(index="image", columns=["model", "noise"], values="value")
    mixed = [(n, [f"mixture:{k}" for k in (1, 3)]) for n in ("input-80-90", "attention-only")]
    a, b = (wide[name][noises].mean(axis=1) for name, noises in mixed)
    each = (a - b + wide["baseline"][TRAINED] - wide[METHOD][TRAINED]).to_numpy()
    half = stats.sem(each) * stats.t.ppf(0.975, IMAGES - 1)
    assert found is not None and found.draws == IMAGES
    expected = (each.mean(), each.mean() - half, each.mean() + half)
    assert found[:3] == pytest.approx(expected, rel=1e-9)
    means = frame.groupby(["model", "noise"]).value.mean()
    floor = 0.0
    for noises in (["mixture:1", "mixture:3"], [TRAINED]):
        by = [means[:, n] for n in noises]
        parts = [abs(np.mean([m[a] - m[b] for m in by])) for a, b in evidence.SEEDS]
        floor += max(parts)
    assert found.floor == pytest.approx(floor, rel=1e-9) and floor > 0.2


def test_less_is_better_turns_the_sign(study):
    frame = pd.read_csv(study / "ablations/results.csv")
    lpips = frame[frame.metric == "psnr"].assign(metric="lpips")
    pd.concat([frame, lpips]).to_csv(study / "ablations/results.csv", index=False, na_rep="nan")
    given = ([Term(METHOD, MIXED)], [Term("baseline", MIXED)])
    psnr, turned = (contrast(Study(study), "ablations", m, *given) for m in ("psnr", "lpips"))
    assert psnr and turned and turned.value == pytest.approx(-psnr.value)
    assert (turned.low, turned.high) == pytest.approx((-psnr.high, -psnr.low))


@pytest.mark.parametrize(
    ("run", "metric", "model", "noise"),
    [
        ("levels", "psnr", METHOD, MIXED),
        ("ablations", "lpips", METHOD, MIXED),
        ("ablations", "psnr", "absent", MIXED),
        ("ablations", "psnr", METHOD, "speckle"),
    ],
)
def test_what_is_not_there_is_not_measured(study, run, metric, model, noise):
    less = [Term("baseline", MIXED)]
    assert contrast(Study(study), run, metric, [Term(model, noise)], less) is None


def test_brightness_is_of_each_image_whatever_its_sign(study):
    found = evidence.brightness(Study(study), "shift")
    assert found == Measured(4.0, 4.0, 4.0, draws=IMAGES) or found[:3] == pytest.approx((4, 4, 4))


def test_curves_fall_and_grow(study):
    held = Study(study)
    assert evidence.falls(held, "baseline") == Measured(3.0)
    assert evidence.grows(held, "baseline") == Measured(-1.0)  # after a quarter of 400 steps: 100
    assert evidence.grows(held, "masked") == Measured(2.5)
    assert evidence.falls(held, "other") is None


def test_bounds_of_two_intervals_are_the_furthest_apart(study):
    cka, srga = evidence.across_noises(Study(study)), evidence.srga(Study(study))
    assert cka and cka[:3] == pytest.approx((0.4, 0.3, 0.5))
    assert srga and srga[:3] == pytest.approx((0.2, -0.5, 0.9))


@pytest.mark.parametrize(
    ("found", "margin", "expected"),
    [
        (None, 0, ABSENT),
        (Measured(math.nan), 0, ABSENT),
        (Measured(1, 0.5, 1.5), 0, AGREES),
        (Measured(1, -0.5, 1.5), 0, UNDECIDED),
        (Measured(-1, -1.5, -0.5), 0, DISAGREES),
        (Measured(1, 0.5, 1.5, floor=1.2), 0, UNDECIDED),
        (Measured(-1, -1.5, -0.5, floor=1.2), 0, UNDECIDED),
        (Measured(0.05), 0.1, UNDECIDED),
        (Measured(0.15), 0.1, AGREES),
        (Measured(-0.15), 0.1, DISAGREES),
        (Measured(0.0), 0, UNDECIDED),
    ],
)
def test_verdicts(found, margin, expected):
    claim = Claim("table1", "", "", "", lambda study: None, margin=margin)
    assert claim.verdict(found) == expected


def test_the_papers_numbers_are_those_of_its_tables():
    rows = {(c.finding, c.text, c.unit): c.paper for c in claims()}
    assert rows["table1", "Without the input mask the network does not generalize.", "dB"] == (
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


def test_every_claim_has_a_place_on_the_page_and_every_cell_is_trained():
    assert {claim.finding for claim in claims()} == set(NAMES)
    text = (ROOT / "notebooks/findings.ipynb").read_text()
    for name in NAMES:
        assert f'verdicts(frames, \\"{name}\\")' in text
    names = {cell.name for cell in sweep.load(str(ROOT / "reports/findings/ablations.toml")).cells}
    for name in ("table1", "table2", "table3a"):
        assert set(published.table(name).cell) <= names
    assert {name for pair in evidence.SEEDS for name in pair} <= names
    assert not len({(c.finding, c.quantity) for c in claims()}) < len(claims())


def test_the_page(study, tmp_path, in_process):
    code, _, err = in_process(
        findings.main, str(study), "--output-dir", str(tmp_path / "page"), "--quiet"
    )
    assert code == 0, err
    page = tmp_path / "page"
    frame = pd.read_csv(page / "claims.csv")
    rows = judged(Study(study))
    assert list(frame.verdict) == list(rows.verdict)
    verdict = dict(zip(frame.quantity, frame.verdict, strict=True))
    assert verdict["PSNR under the mixture, input-80-90 − attention-only"] == AGREES
    assert verdict["PSNR under the mixture, input-80-90 − input-only"] == DISAGREES
    assert verdict["SRGA, baseline − masked, mean over unseen noises"] == UNDECIDED
    assert verdict["PSNR under mixture:5, masked − baseline"] == ABSENT
    html = (page / "findings.html").read_text()
    counts = frame.verdict.value_counts()
    run = len(frame) - counts[ABSENT]
    assert f"Of {run} claims that these runs can decide: {counts[AGREES]} agree" in html
    held = {a.name: a.content for a in attached(html)}
    assert held["claims.csv"] == (page / "claims.csv").read_bytes() and "cells.csv" in held
    assert "29.74" in html and "does not agree" in html
    first = html
    findings.run(findings.parser().parse_args([str(study), "--output-dir", str(page), "--quiet"]))
    assert (page / "findings.html").read_text() == first
    (page / "findings.html").unlink()
    findings.run(findings.parser().parse_args([str(page), "--quiet"]))  # of the tables alone
    assert (page / "findings.html").read_text() == first
    with pytest.raises(BadInput, match="made again where it is"):
        findings.run(findings.parser().parse_args([str(page), "--output-dir", "other"]))


def test_sentences_of_the_overview(study):
    frames = {"claims": judged(Study(study))}
    lines = reading.in_short(frames)
    assert lines[0].startswith("Of ") and any("Do not agree: Table 1" in line for line in lines)
    assert any("more were not run here" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "message"), [("absent", "no such folder"), ("empty", "none of the runs ablations")]
)
def test_what_cannot_be_used_is_one_line(tmp_path, in_process, name, message):
    (tmp_path / "empty").mkdir()
    code, out, err = in_process(findings.main, str(tmp_path / name))
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1 and not out
