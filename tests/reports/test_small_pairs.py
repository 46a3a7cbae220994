"""The criterion of `reports/small-pairs/compare.py`, on PSNR values that are known."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from mtd.networks.swinir import SwinIR
from mtd.training import config, sweep
from tests.helpers.paths import ROOT

SCRIPT = ROOT / "reports" / "small-pairs" / "compare.py"


@pytest.fixture
def compare():
    spec = importlib.util.spec_from_file_location("small_pairs_compare", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_criterion_is_of_photographs_means_over_unseen_noises(compare, monkeypatch):
    rng = np.random.default_rng(0)
    noises = ("gaussian:15", "gaussian:50", "poisson:3.5")
    best = compare.scores()[2]
    psnr = {model: rng.normal(25, 2, (3, 5)) for model in ("masked", "baseline", best)}
    rows = [
        (metric, model, noise, f"{i}.png", value if metric == "psnr" else 0.0)
        for metric in ("psnr", "ssim")
        for model, values in psnr.items()
        for noise, of_noise in zip(noises, values, strict=True)
        for i, value in enumerate(of_noise)
    ]
    results = pd.DataFrame(rows, columns=["metric", "model", "noise", "image", "value"])
    given = {}
    monkeypatch.setattr(
        compare,
        "benchmark",
        lambda models, images: given.update(models) or SimpleNamespace(results=results),
    )
    lines = compare.criterion("m.pth", "b.pth", ["photos"]).splitlines()
    assert set(given) == {"masked", "baseline", best}
    assert lines[0] == "| mean of 5 photographs | dB |"
    expected = [
        (psnr["masked"] - psnr[best])[1:].mean(0),
        (psnr["masked"] - psnr["baseline"])[1:].mean(0),
        (psnr["baseline"] - psnr["masked"])[0],
    ]
    for line, values in zip(lines[2:], expected, strict=True):
        half = 2.7764451 * values.std(ddof=1) / np.sqrt(5)  # t of 4 degrees of freedom, 0.975
        mean = values.mean()
        assert f"| {mean:+.2f} [{mean - half:+.2f}, {mean + half:+.2f}] |" in line


def test_best_blur_is_that_of_the_table(compare):
    psnr = pd.read_csv(SCRIPT.with_name("scores.csv")).pivot(
        index="model", columns="noise", values="psnr"
    )
    unseen = psnr.drop(columns="gaussian:15").mean(axis=1)
    best = compare.scores()[2]
    assert unseen[best] == max(unseen[f"blur {sigma}"] for sigma in compare.BLURS)
    assert (
        f"{best.split()[1]} pixels, {unseen[best]:.2f} dB"
        in SCRIPT.with_name("README.md").read_text()
    )


def test_table_is_that_of_the_readme(compare):
    assert compare.table() in SCRIPT.with_name("README.md").read_text()


def test_means_of_the_criterion_are_those_of_the_table(compare):
    psnr, unseen, best = compare.scores()
    means, text = unseen.mean(axis=1), SCRIPT.with_name("README.md").read_text()
    masked, baseline, early = (
        "8/8 masked-small.toml",
        "8/8 baseline-small.toml",
        "1/8 baseline-w48-d4-b8-c32-steps",
    )
    assert f"unseen noises (2 dB or more) | {means[masked] - means[best]:+.2f} [" in text
    assert f"unseen noises (above 0) | {means[masked] - means[baseline]:+.2f} [" in text
    loss = psnr["gaussian:15"][baseline] - psnr["gaussian:15"][masked]
    assert f"(3 dB or less) | {loss:+.2f} [" in text
    flat = " ".join(text.split())
    assert f"{means[early]:.2f} dB, that of 19,000 steps {means[baseline]:.2f} dB" in flat
    assert f"by {means[masked] - means[early]:.2f} dB [" in flat
    assert (unseen.loc[masked] > unseen.loc[baseline]).sum() == 6
    assert "under six of eleven" in flat


def test_every_recipe_is_what_its_name_says(compare):
    whole = sweep.load(str(compare.RECIPES))
    costs = {row["recipe"]: row for row in compare.rows(compare.TIMES)}
    assert [cell.name for cell in whole.cells] == list(costs)
    for cell in whole.cells:
        recipe = cell.recipe(whole.base, [], ["photos"])
        named = re.fullmatch(r"(?:r(\d+)-(\d+)-)?w(\d+)-d(\d)-b(\d+)-c(\d+)(-steps)?", cell.name)
        ratio = tuple(
            int(part or other) for part, other in zip(named.groups()[:2], (75, 85), strict=True)
        )
        width, depth, batch, crop = map(int, named.groups()[2:6])
        network = recipe.network
        assert tuple(recipe.mask.input_percent) == ratio, cell.name
        assert (network.embed_dim, tuple(network.depths)) == (width, (depth, depth)), cell.name
        assert (recipe.run.batch_size, recipe.data.crop) == (batch, crop), cell.name
        count = sum(p.numel() for p in SwinIR(network).parameters())
        assert count == int(costs[cell.name]["parameters"]), cell.name


def test_the_recipe_chosen_is_small_toml(compare):
    whole = sweep.load(str(compare.RECIPES))
    cell = next(cell for cell in whole.cells if cell.name == "r60-70-w48-d4-b8-c32-steps")
    changes = compare.settings(cell.name, 19000)
    chosen = cell.recipe(whole.base, changes, ["photos"])
    bundled = config.load("small.toml", folders=["photos"])
    for section in ("network", "mask", "data", "optimizer"):
        assert getattr(chosen, section) == getattr(bundled, section), section


def test_criterion_without_photographs_is_one_line():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "criterion", "masked.pth", "baseline.pth"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "expected two checkpoints" in done.stderr
