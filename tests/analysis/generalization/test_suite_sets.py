"""Test sets of suites: found, missing, listed; results for each by itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import analysis
from analysis.commands.command import run_arguments
from analysis.commands.run_manifest import read_manifest
from analysis.commands.run_tables import read_tables
from analysis.generalization import command as generalization_command
from analysis.generalization import noise_suite, suite_sets
from mtd.data import test_sets
from mtd.data.test_sets import Form, Recipe
from mtd.networks.dncnn import DnCNN, DnCNNConfig
from mtd.utils.errors import BadInput

QUIET = ("--no-lpips", "--no-references")
SUITE = """\
noises = ["gaussian:25"]
test_sets = ["one", "two", "pairs", "absent"]
seed_policy = "legacy_per_image"
"""


def images(folder: Path, names: list[str], seed: int = 0) -> Path:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for name in names:
        pixels = rng.integers(0, 256, (24, 28, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def clean(name: str, count: int) -> Recipe:
    return Recipe(name, name, f"https://{name}", "DIR/*.png", (Form("", count),), test_sets._clean)


@pytest.fixture
def folder(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three test sets: one among the downloads, one elsewhere, pairs; a fourth is absent."""
    monkeypatch.chdir(pair)
    monkeypatch.setenv("MTD_HOME", str(pair / "home"))
    recipes = [clean("one", 3), clean("two", 4), clean("absent", 1)]
    find = test_sets._matched("pairs", "_real", "_mean", "", "*")
    recipes.append(Recipe("pairs", "pairs", "https://pairs", "x", (Form("", 3),), find))
    for recipe in recipes:
        monkeypatch.setitem(test_sets.RECIPES, recipe.name, recipe)
    images(pair / "home" / "testsets" / "one", ["a", "b", "c"])
    images(pair / "elsewhere", ["a", "b", "d", "e"], 1)
    names = [f"{i}_{side}" for i in range(3) for side in ("real", "mean")]
    images(pair / "home" / "testsets" / "pairs", names, 2)
    Path("own.toml").write_text(SUITE)
    return pair


def started(*arguments: str) -> Path:
    return run_arguments(generalization_command.ANALYSIS, arguments, "test")


def test_what_is_there_runs_and_the_rest_is_listed(folder, capsys):
    path = started("plain.pth", "--suite", "own.toml", "--testset", "two=elsewhere", *QUIET)
    said = capsys.readouterr()
    assert "test set absent is not here; see https://absent" in said.err
    out = " ".join(said.out.split())
    assert "test sets that are not here: absent" in out
    assert "this run deviates from its suite: without test set absent" in out
    manifest = read_manifest(path)
    assert manifest["testsets"] == [
        f"one={folder / 'home/testsets/one'}",
        "two=elsewhere",
        f"pairs={folder / 'home/testsets/pairs'}",
    ]
    assert manifest["testsets_missing"] == ["absent"]
    frames = read_tables(path, ["results", "testsets", "noises"])
    results = frames["results"].query("metric == 'psnr' and model == 'plain'")
    counts = results.groupby(["testset", "noise"]).image.nunique().to_dict()
    assert counts == {("one", "gaussian:25"): 3, ("two", "gaussian:25"): 4, ("pairs", "pairs"): 3}
    assert {"a.png", "two/a.png", "two/e.png"} <= set(results.image)  # equal names told apart
    table = frames["testsets"].query("metric == 'psnr' and model == 'plain'")
    means = results.groupby("testset").value.mean()
    for row in table.itertuples():
        assert row.mean == pytest.approx(means[row.testset], abs=1e-12)
        assert row.low < row.mean < row.high and row.photographs == counts[row.testset, row.noise]
    pooled = frames["noises"].query("metric == 'psnr' and model == 'plain'").set_index("noise")
    both = results[results.noise == "gaussian:25"].value.mean()
    assert pooled["mean"]["gaussian:25"] == pytest.approx(both, abs=1e-12)
    assert f"one, Gaussian σ = 25 3 {means['one']:.2f}" in out
    assert f"one: {means['one']:.2f} dB for plain" in out


def test_none_there_is_one_line(folder, in_process, monkeypatch):
    monkeypatch.setenv("MTD_HOME", str(folder / "empty"))
    code, _, err = in_process(
        generalization_command.main, "plain.pth", "--suite", "clipdenoising", *QUIET, "--quiet"
    )
    assert code == 2 and len(err.strip().splitlines()) == 1
    assert "none of its test sets is here (cbsd68, mcmaster, kodak24, urban100)" in err
    assert "--testset NAME=DIR" in err


def test_other_images_stand_for_the_test_sets_and_are_a_deviation(folder):
    path = started("plain.pth", "--suite", "own.toml", "--images", "elsewhere", *QUIET, "--quiet")
    manifest = read_manifest(path)
    assert manifest["deviations"] == [
        "without test sets one, two, pairs, absent",
        "with images of elsewhere",
    ]
    results = read_tables(path, ["results"])["results"]
    assert set(results.testset) <= {"", "nan"} or results.testset.isna().all()
    assert not (path / "testsets.csv").exists()


def test_paired_images_are_of_no_test_set_though_names_are_equal(folder):
    images(folder / "noisy", ["a", "b"], 3)
    images(folder / "clean", ["a", "b"], 4)
    path = started(
        *("plain.pth", "--testset", "two=elsewhere", "--noise", "gaussian:25"),
        *("--paired-images", "mine=noisy", "clean", *QUIET, "--quiet"),
    )
    frames = read_tables(path, ["results", "testsets"])
    sets = frames["results"].fillna({"testset": ""}).groupby("noise").testset.unique()
    assert {noise: set(of) for noise, of in sets.items()} == {"gaussian:25": {"two"}, "mine": {""}}
    assert set(frames["testsets"].noise) == {"gaussian:25"}


def test_a_suite_without_any_noise_is_one_line(folder, in_process):
    Path("own.toml").write_text('noises = []\ntest_sets = ["one"]\n')
    code, _, err = in_process(
        generalization_command.main, "plain.pth", "--suite", "own.toml", *QUIET, "--quiet"
    )
    assert code == 2 and "suite own has no noises, and its test sets no noisy images" in err


def test_in_python(folder):
    Path("own.toml").write_text(SUITE.replace(', "absent"', ""))
    result = analysis.generalization.benchmark(
        ["plain.pth"],
        suite="own.toml",
        testset="two=elsewhere",
        lpips=False,
        references=False,
        progress=False,
    )
    assert set(result.testsets.testset) == {"one", "two", "pairs"}
    assert result.manifest["deviations"] == []
    without = analysis.generalization.benchmark(
        ["plain.pth"],
        images=[np.zeros((24, 24, 3), np.uint8)],
        noises=["gaussian:25"],
        lpips=False,
        references=False,
        progress=False,
    )
    assert isinstance(without.testsets, pd.DataFrame) and without.testsets.empty


def test_the_list_of_suites(folder, in_process):
    images(folder / "home" / "testsets" / "kodak24", ["x"])
    code, out, _ = in_process(generalization_command.main, "--suite", "list")
    assert code == 0
    for name in noise_suite.names():
        assert f"{name}, version 1" in out
    assert "masked, version 1 (also called paper)" in out
    assert "cbsd68 (not here), mcmaster (not here), kodak24 (here), urban100 (not here)" in out
    assert "assumed training noise, where a model's is unknown: gaussian:15" in out
    lines = out.splitlines()
    assert all(len(line) <= 100 for line in lines if line.startswith("  "))
    assert sum(line.startswith("  noise:") for line in lines) == len(noise_suite.names())
    assert 'seed_policy = "legacy_per_image", clip_noisy = ["poisson"]' in out
    code, out, _ = in_process(
        generalization_command.main, "--suite", "list", "--testset", "cbsd68=elsewhere"
    )
    assert "cbsd68 (here), mcmaster (not here)" in out
    listed = {about["suite"]: about for about in analysis.generalization.suites()}
    assert set(listed) == set(noise_suite.names())
    assert json.loads(json.dumps(listed)) == listed
    assert listed["clipdenoising"]["test_sets"]["kodak24"].endswith("home/testsets/kodak24")


def test_no_folder_of_downloads_is_needed(monkeypatch, tmp_path):
    monkeypatch.setenv("MTD_HOME", str(tmp_path / "absent"))
    suite = noise_suite.load("clipdenoising")
    located = suite_sets.locate(suite, ["kodak24=x"])
    assert located.there == ("kodak24=x",) and len(located.messages) == 3
    with pytest.raises(BadInput, match="none of its test sets is here"):
        suite_sets.locate(suite, [])


def test_prepared_folders_run_whatever_levels_are_there(folder, capsys):
    for seed, of in enumerate(("kodak24", "cbsd68")):
        images(folder / "prepared" / of / "clean", ["a", "b", "c"], seed)
        images(folder / "prepared" / of / "gaussian_15", ["a", "b", "c"], seed + 5)
    images(folder / "prepared" / "cbsd68" / "speckle_0.04", ["a", "b", "c"], 9)
    path = started("plain.pth", "--suite", "idf", "--testset", "idf=prepared", *QUIET)
    manifest = read_manifest(path)
    assert manifest["testsets_missing"][:2] == ["sidd_validation", "sidd_plus"]
    assert list(manifest["recorded"]) == ["idf_gaussian:15", "idf_speckle:0.04"]
    assert manifest["in_distribution"] == ["idf_gaussian:15"]  # trained on gaussian:15
    table = read_tables(path, ["testsets"])["testsets"].query("metric == 'psnr'")
    rows = set(zip(table.testset, table.noise, table.photographs, strict=True))
    assert rows == {
        ("kodak24", "idf_gaussian:15", 3),
        ("cbsd68", "idf_gaussian:15", 3),
        ("cbsd68", "idf_speckle:0.04", 3),
    }
    said = capsys.readouterr()
    assert "test set nam is not here" in said.err
    assert "cbsd68, Gaussian σ = 15 (drawn in advance)" in said.out


PAIRS = '"pairs", "absent"'


@pytest.fixture
def without_clean(folder: Path) -> Path:
    """A suite with noises, of whose test sets one with pairs is there and the clean one is not."""
    Path("own.toml").write_text(SUITE.replace('"one", "two", "pairs", "absent"', PAIRS))
    return folder


def test_bundled_photographs_do_not_stand_in_for_test_sets(without_clean, capsys):
    path = started("plain.pth", "--suite", "own.toml", *QUIET)
    results = read_tables(path, ["results"])["results"]
    assert set(results.testset) == {"pairs"} and set(results.noise) == {"pairs"}
    manifest = read_manifest(path)
    assert manifest["images"] is None and manifest["testsets_missing"] == ["absent"]
    assert manifest["deviations"] == ["without noise gaussian:25", "without test set absent"]
    err = " ".join(capsys.readouterr().err.split())
    assert "test set absent is not here; see https://absent" in err
    assert "not drawn, as there are no clean images of the suite's test sets: gaussian:25" in err


def test_other_pairs_bring_no_bundled_photographs(without_clean):
    pairs = ("--paired-images", "home/testsets/pairs/*_real.png", "home/testsets/pairs/*_mean.png")
    path = started("plain.pth", "--suite", "clipdenoising", *pairs, *QUIET, "--quiet")
    manifest = read_manifest(path)
    assert manifest["images"] is None and len(manifest["recorded"]) == 1
    assert manifest["deviations"][0].startswith("without noise gaussian:15, gaussian:25")


def test_noise_that_is_given_and_has_no_clean_images_is_refused(without_clean, in_process):
    command = ("plain.pth", "--suite", "own.toml", "--noise", "poisson:3", "--quiet", *QUIET)
    code, _, err = in_process(generalization_command.main, *command)
    (line,) = (line for line in err.splitlines() if "recorded the SHA-256" not in line)
    assert code == 2 and "--noise poisson:3: suite own.toml has no clean images here" in line


@pytest.mark.parametrize("suite", ["masked", "paper"])
def test_nothing_to_run_on_is_one_line(folder, in_process, suite, monkeypatch):
    monkeypatch.setenv("MTD_HOME", str(folder / "empty"))
    code, _, err = in_process(generalization_command.main, "plain.pth", "--suite", suite, *QUIET)
    assert code == 2 and "suite masked: none of its test sets is here (cbsd68, kodak24," in err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["list", "--testset", "foo=/x"], "--testset foo: expected NAME=DIR"),
        (["list", "--testset", "cc=/x", "--testset", "cc=/y"], "--testset cc: given twice"),
        (["list", "plain.pth"], "plain.pth: has no effect with --suite list; leave it out"),
        (["check", "plain.pth"], "plain.pth: has no effect with --suite check"),
        (["check", "--noise", "isp"], "--noise: has no effect with --suite check"),
        (["check", "--testset", "cc=/x"], "--testset: has no effect with --suite check"),
        (["lst"], "suite 'lst': no suite of the package, and no file that ends in .toml; did you"),
    ],
)
def test_what_list_and_check_ignore_is_refused(folder, in_process, arguments, message):
    code, out, err = in_process(generalization_command.main, "--suite", *arguments)
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1 and not out


def test_a_suite_may_assume_training_on_a_test_set_that_is_not_here(folder):
    network = DnCNN(DnCNNConfig(features=8, depth=3))
    torch.save(dict(network.state_dict()), "bare.pth")
    Path("own.toml").write_text(SUITE + 'in_distribution = ["absent"]')
    path = started("bare.pth", "--suite", "own.toml", "--no-lpips", "--quiet")
    assert read_manifest(path)["in_distribution_assumed"]["noises"] == ["absent"]
