"""Cards of a suite with several test sets: scores of each, and what every score rests on."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from bs4 import BeautifulSoup
from PIL import Image
from scipy.stats import t, wilcoxon

from analysis.card.command import make
from analysis.commands.command import run_arguments
from analysis.compare_cards import command as compare_command
from analysis.compare_cards.command import compare
from analysis.generalization.command import ANALYSIS
from mtd.data import test_sets
from mtd.data.test_sets import Form, Recipe
from tests.helpers.figures import leave_unrendered

Call = Callable[..., tuple[int, str, str]]

SUITE = """\
noises = ["gaussian:15", "poisson:3"]
test_sets = ["one", "two", "pairs"]
"""
COUNTS = {"one": 10, "two": 4, "pairs": 3}


def images(folder: Path, names: list[str], seed: int) -> None:
    folder.mkdir(parents=True)
    draw = np.random.default_rng(seed)
    for name in names:
        low, span = draw.uniform(20, 120), draw.uniform(20, 90)
        plane = low + span * np.sin(np.mgrid[:24, :24][0] / draw.uniform(2, 9)) ** 2
        pixels = np.stack([plane, plane.T, 0.7 * plane], -1) + draw.normal(0, 3, (24, 24, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{name}.png")


@pytest.fixture(scope="module")
def run(tiny_pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, one trained on gaussian:15, on two test sets and one of pairs."""
    place = shutil.copytree(tiny_pair, tmp_path_factory.mktemp("sets") / "pair")
    with pytest.MonkeyPatch.context() as patch:
        leave_unrendered(patch)
        for name in ("one", "two"):
            form = (Form("", COUNTS[name]),)
            address = f"https://{name}"
            recipe = Recipe(name, name, address, "DIR/*.png", form, test_sets._clean)
            patch.setitem(test_sets.RECIPES, name, recipe)
        find = test_sets._matched("pairs", "_real", "_mean", "", "*")
        recipe = Recipe("pairs", "pairs", "https://pairs", "x", (Form("", 3),), find)
        patch.setitem(test_sets.RECIPES, "pairs", recipe)
        images(place / "one", [f"{i}" for i in range(10)], 1)
        images(place / "two", [f"{i}" for i in range(4)], 2)
        images(place / "pairs", [f"{i}_{s}" for i in range(3) for s in ("real", "mean")], 3)
        (place / "own.toml").write_text(SUITE)
        given = [str(place / "plain.pth"), str(place / "hidden.pth")]
        given += ["--suite", str(place / "own.toml"), "--no-lpips", "--no-references", "--quiet"]
        for name in COUNTS:
            given += ["--testset", f"{name}={place / name}"]
        return run_arguments(ANALYSIS, [*given, "--output-dir", str(place / "run")], "test")


@pytest.fixture(scope="module")
def cards(run: Path) -> Path:
    make(run, run.parent / "cards")
    return run.parent / "cards"


def scores(card: Path) -> dict[str, dict]:
    record = json.loads((card / "result.json").read_text())
    return {r["evaluation_result_id"]: r for r in record["evaluation_results"]}


def by_image(run: Path, testset: str, noise: str, model: str = "plain") -> np.ndarray:
    results = pd.read_csv(run / "results.csv", keep_default_na=False)
    own = results[(results.model == model) & (results.metric == "psnr")]
    return own[(own.testset == testset) & (own.noise == noise)].value.to_numpy(np.float64)


def test_means_by_test_set_with_student_s_interval(run, cards) -> None:
    found = scores(cards / "plain")
    for noise in ("gaussian:15", "poisson:3"):
        for name in ("one", "two"):
            values = by_image(run, name, noise)
            one = found[f"psnr/testset:{name}/noise:{noise}"]
            details = one["score_details"]
            half = t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
            bounds = details["uncertainty"]["confidence_interval"]
            assert len(values) == COUNTS[name] == details["uncertainty"]["num_samples"]
            assert details["score"] == pytest.approx(values.mean(), rel=1e-12)
            assert bounds["upper"] == pytest.approx(values.mean() + half, rel=1e-9)
            assert bounds["lower"] == pytest.approx(values.mean() - half, rel=1e-9)
            assert details["details"]["testset"] == one["source_data"]["dataset_name"] == name
            assert details["details"]["images"] == str(COUNTS[name])
            assert one["evaluation_name"].endswith(f": under {noise} on {name}")


@pytest.mark.parametrize(
    "name, sets, photographs, rough",
    [
        ("in_distribution", "one, two", 14, ""),
        ("out_of_distribution", "one, two, pairs", 17, "; rough, of fewer than 10 under one noise"),
        ("ood_drop", "one, two, pairs", 17, "; rough, of fewer than 10 under one noise"),
        ("noise:poisson:3", "one, two", 14, ""),
        ("testset:two/noise:poisson:3", "two", 4, "; rough, of fewer than 10"),
        ("noise:pairs", "pairs", 3, "; rough, of fewer than 10"),
    ],
)
def test_what_a_score_rests_on(cards, name, sets, photographs, rough) -> None:
    one = scores(cards / "plain")[f"psnr/{name}"]
    details = one["score_details"]
    assert one["source_data"]["dataset_name"] == sets
    assert details["details"]["photographs"] == str(photographs)
    assert details["uncertainty"]["num_samples"] == photographs
    method = details["uncertainty"]["confidence_interval"]["method"]
    assert method.partition("Student's t")[2] == rough
    if name == "ood_drop":
        assert details["details"]["differs_from_0"] == "too few images"


def test_the_worst_rests_on_the_photographs_of_its_noise(cards) -> None:
    details = scores(cards / "plain")["psnr/worst"]["score_details"]["details"]
    assert details["photographs"] == {"poisson:3": "14", "pairs": "3"}[details["noise"]]


def test_the_model_card_has_a_row_for_each(run, cards) -> None:
    body = (cards / "plain" / "README.md").read_text()
    two = f"{by_image(run, 'two', 'gaussian:15').mean():.2f}"
    assert f"| Gaussian σ = 15 on `two`, 4 images | {two} [" in body
    assert "| Gaussian σ = 15 (trained on), all 14 images |" in body
    assert body.count("| `pairs`") == 1 and "on `pairs`," not in body  # the same numbers
    missing = body.partition("## What is missing")[2].partition("## Protocol")[0]
    assert "3 photographs under `pairs`: too few" in missing
    assert "4 photographs on `two`: too few" in missing and "on `one`" not in missing


def test_the_table_in_html_has_a_row_for_each(run, cards) -> None:
    soup = BeautifulSoup((cards / "plain" / "badge.html").read_text(), "html.parser")
    part = next(b for b in soup.select("tbody.noise") if b.th.get_text().startswith("Poisson"))
    rows = {row.th.contents[0]: row for row in part.select("tr")}
    assert list(rows) == ["Poisson,", "one", "two *"]
    assert rows["two *"].td.contents[0] == f"{by_image(run, 'two', 'poisson:3').mean():.2f}"
    assert rows["one"].small.get_text() == "10 images"
    below = soup.figure.find_all("p")[-1].get_text()
    assert "over 3 to 17 photographs" in below and "* too few images to tell" in below


def test_single_images_and_the_hub_have_it(run, cards) -> None:
    lines = (cards / "plain" / "images.jsonl").read_text().splitlines()
    rows = pd.DataFrame(map(json.loads, lines))
    assert rows[rows.metric == "psnr"].groupby(["testset", "noise"]).size().to_dict() == {
        ("one", "gaussian:15"): 10,
        ("one", "poisson:3"): 10,
        ("two", "gaussian:15"): 4,
        ("two", "poisson:3"): 4,
        ("pairs", "pairs"): 3,
    }
    entries = yaml.safe_load((cards / "plain" / ".eval_results/mtd.yaml").read_text())
    by_task = {entry["dataset"]["task_id"]: entry for entry in entries}
    one = by_task["psnr_two_gaussian:15"]
    assert one["value"] == pytest.approx(by_image(run, "two", "gaussian:15").mean(), rel=1e-12)
    assert "under gaussian:15 on two" in one["notes"] and "over 4 photographs" in one["notes"]


def test_cards_are_compared_by_test_set(run, cards, in_process: Call) -> None:
    found = compare(cards)
    part = found.differences.query("metric == 'psnr' and noise == 'poisson:3'")
    assert set(part.testset) == {"", "one", "two"}
    row = part[part.testset == "one"].iloc[0]
    change = by_image(run, "one", "poisson:3", row.model_a)
    change = change - by_image(run, "one", "poisson:3", row.model_b)
    half = t.ppf(0.975, 9) * change.std(ddof=1) / math.sqrt(10)
    expected = [change.mean(), change.mean() - half, change.mean() + half]
    assert np.allclose([row.difference, row.low, row.high], expected, rtol=1e-9)
    assert part[part.testset == "two"].verdict.tolist() == ["too few images"]
    assert not (found.differences.testset == "pairs").any()  # all images of its noise
    whole = found.differences[found.differences.testset == ""]
    tests = pd.read_csv(run / "tests.csv").set_index(["metric", "noise"]).p_holm
    here = whole.set_index(["metric", "noise"]).p_holm
    pd.testing.assert_series_equal(here.sort_index(), tests.sort_index(), rtol=1e-12)
    code, out, _ = in_process(compare_command.main, str(cards))
    value = scores(cards / "hidden")["psnr/testset:two/noise:gaussian:15"]["score_details"]["score"]
    line = next(line for line in out.splitlines() if line.startswith("two, Gaussian σ = 15"))
    assert (
        code == 0 and f"{value:.2f} [" in line and "PSNR (dB), higher is better, by test set" in out
    )


def test_p_values_on_test_sets_are_corrected_together(run, cards) -> None:
    frame = compare(cards).differences.query("metric == 'psnr' and testset == 'one'")
    plain = {
        noise: wilcoxon(by_image(run, "one", noise) - by_image(run, "one", noise, "hidden")).pvalue
        for noise in ("gaussian:15", "poisson:3")
    }
    least, most = sorted(plain, key=plain.__getitem__)
    # Holm; on two there are too few photographs for a p-value
    expected = {least: 2 * plain[least], most: max(2 * plain[least], plain[most])}
    found = frame.set_index("noise").p_holm.to_dict()
    assert found == pytest.approx(expected, rel=1e-9)


def test_crops_are_called_so(run, tmp_path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"crop": 24}))
    frame = pd.read_csv(copy / "testsets.csv", keep_default_na=False)
    frame.loc[frame.testset == "two", "photographs"] = 3
    frame.to_csv(copy / "testsets.csv", index=False)
    body = (make(copy, tmp_path / "card", "plain")[0] / "README.md").read_text()
    assert "| Gaussian σ = 15 on `one`, 10 crops |" in body
    assert "| Gaussian σ = 15 on `two`, 4 crops of 3 photographs |" in body


def test_a_card_without_test_sets_is_still_read(cards, tmp_path) -> None:
    old = shutil.copytree(cards, tmp_path / "old")
    for card in old.iterdir():
        (card / "card.json").unlink()
        rows = [json.loads(line) for line in (card / "images.jsonl").read_text().splitlines()]
        text = "".join(
            json.dumps({k: v for k, v in r.items() if k != "testset"}) + "\n" for r in rows
        )
        (card / "images.jsonl").write_text(text)
        record = json.loads((card / "result.json").read_text())
        del record["source_metadata"]["additional_details"]["per_image.sha256"]
        (card / "result.json").write_text(json.dumps(record))
    assert set(compare(old).differences.testset) == {""}
    mixed = compare(old / "plain", cards / "hidden").differences
    assert set(mixed.testset) == {""} and len(mixed)
