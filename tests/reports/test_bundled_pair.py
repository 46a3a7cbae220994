"""What docs/bundled-pair.md says of the pair; `-m slow -s` prints its tables of Kodak24."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import mtd
from analysis.cka.command import ANALYSIS
from analysis.commands.command import run_arguments
from mtd.data import crops as data_crops
from mtd.data import photographs as data_photographs
from mtd.networks.swinir import SwinIR
from mtd.noise import specs as noise_specs
from tests.helpers.noises import add_keyed
from tests.helpers.paths import ROOT, data_folder

STRONG = ("gaussian:50", "poisson:3.5", "salt_pepper:0.05")
UNSEEN = (*STRONG, "speckle:0.04", "spatial:60")
NOISES = ("gaussian:15", *UNSEEN)


def psnr(output: torch.Tensor, clean: torch.Tensor) -> float:
    """RGB, after clipping and rounding to 8 bits, float64."""
    output = output.clamp(0, 1).mul(255).round().double()
    clean = clean.mul(255).round().double()
    return float(20 * np.log10(255) - 10 * torch.log10((output - clean).square().mean()))


def gains(values: pd.DataFrame) -> pd.DataFrame:
    """Masked - baseline by noise: mean over images, and its 95% interval by Student's t."""
    rows = {}
    for noise, of_noise in values.groupby("noise", sort=False):
        differences = of_noise.masked - of_noise.baseline
        rows[noise] = differences.mean(), *stats.ttest_1samp(differences, 0).confidence_interval()
    return pd.DataFrame(rows, index=["mean", "low", "high"]).T


@pytest.fixture(scope="module")
def values() -> pd.DataFrame:
    """PSNR on the whole images by noise and image (rows) and network (columns)."""
    networks: dict[str, SwinIR] = {
        "baseline": mtd.load("baseline.pth"),
        "masked": mtd.load("masked.pth"),
        "masked, attention mask off": mtd.load("masked.pth", attention_mask="off"),
    }
    rows = []
    for photo in data_photographs.photographs(data_folder("kodak24")):
        crop = data_crops.Crop(photo.name, 0, 0, photo.load())
        clean = data_crops.to_tensor([crop.pixels])
        for spec in NOISES:
            noisy = add_keyed(noise_specs.parse(spec), clean, [crop.digest])
            rows.append((spec, photo.name, "noisy", psnr(noisy, clean)))
            for name, network in networks.items():
                with torch.no_grad():
                    output = network(noisy, [crop.digest])
                    rows.append((spec, photo.name, name, psnr(output, clean)))
    frame = pd.DataFrame(rows, columns=["noise", "image", "model", "psnr"])
    frame = frame.pivot_table(index=["noise", "image"], columns="model", values="psnr", sort=False)
    means = frame.groupby("noise", sort=False).mean()
    print("\n" + means.join(gains(frame)).round(2).to_string())
    return frame


@pytest.mark.slow
def test_baseline_wins_where_it_was_trained(values):
    gain = gains(values).loc["gaussian:15"]
    assert gain.high < 0 and gain["mean"] >= -3


@pytest.mark.slow
def test_masked_wins_on_unseen_noise(values):
    gain = gains(values)
    assert gain.low[list(UNSEEN)].min() > 0
    assert gain["mean"][list(STRONG)].mean() >= 2


def test_the_caption_is_that_of_its_figure():
    run = ROOT / "reports" / "bundled-pair"
    depth = pd.read_csv(run / "depth.csv").pivot(index="layer", columns="model", values="cka")
    last = pd.read_csv(run / "last_quarter.csv")
    last = last[last.model_a == last.model_b].set_index("model_a").cka
    blocks = depth.loc[[f"layers.0.residual_group.blocks.{i}" for i in (2, 3)]]
    text = " ".join((ROOT / "docs" / "bundled-pair.md").read_text().split())
    low, high = ([f"{value:.2f}" for value in blocks[name]] for name in ("baseline", "masked"))
    assert f"(CKA {low[0]} and {low[1]}), those" in text
    assert f"more alike ({high[0]} and {high[1]})" in text
    assert f"baseline (mean {last.baseline:.2f}, against {last.masked:.2f}; 64 crops" in text
    frame = pd.read_csv(run / "depth.csv")
    ceilings = frame.pivot(index="layer", columns="model", values="ceiling").loc[blocks.index]
    drawn = [f"{value:.2f}" for name in ("baseline", "masked") for value in ceilings[name]]
    assert f"no more alike ({drawn[0]} and {drawn[1]}, {drawn[2]} and {drawn[3]})" in text
    inside = frame[frame.layer.str.contains(".blocks.", regex=False)]
    untrained = {f"{value:.2f}" for value in inside.untrained}
    assert len(untrained) == 1 and f"have {untrained.pop()} in every block" in text


@pytest.mark.slow
@pytest.mark.parametrize("photographs", ["kodak24", None])
@pytest.mark.parametrize("mask_draws", ["shared", "independent"])
def test_masked_is_more_similar_across_noises_in_the_first_group_and_not_in_the_last_quarter(
    tmp_path, photographs, mask_draws
):
    arguments = ["baseline.pth", "masked.pth", "--noise", "gaussian:15", "--noise", "poisson:3.5"]
    arguments += ["--mask-draws", mask_draws, "--output-dir", str(tmp_path / "run"), "--quiet"]
    if photographs:
        arguments += ["--images", str(data_folder(photographs))]
    folder = run_arguments(ANALYSIS, arguments)
    depth = pd.read_csv(folder / "depth.csv")
    layers = depth.pivot(index="layer", columns="model", values="cka")
    first = layers[layers.index.str.startswith("layers.0.")].mean()
    last = pd.read_csv(folder / "last_quarter.csv")
    last = last[last.model_a == last.model_b].set_index("model_a").cka
    for name, means in (("first group", first), ("last quarter", last)):
        row = f"{photographs or 'bundled'}, {mask_draws} masks, {name}"
        print(f"\n{row}: {means.round(3).to_dict()}")
    assert first["masked"] >= first["baseline"] + 0.25
    assert last["masked"] <= last["baseline"] - 0.05
