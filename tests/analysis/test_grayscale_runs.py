"""Every analysis of grayscale networks, and what equals a run on each channel of gray images."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import nn

import mtd
from analysis.commands.command import run_arguments
from mtd.data import crops as data_crops
from mtd.data.grayscale import of_channels
from mtd.data.photographs import photographs
from mtd.noise import parse
from mtd.noise.base import pair_keyed
from tests.analysis.commands.test_every_command import ANALYSES, arguments
from tests.helpers.architectures import TINY, saved, tiny
from tests.helpers.grayscale import gray_pair, save_gray, save_pairs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four networks, and pairs of noisy and clean files, that no test changes."""
    place = gray_pair(tmp_path_factory.mktemp("gray"))
    for seed, name in enumerate(("third", "fourth"), 5):
        save_gray(place / f"{name}.pth", seed)
    save_pairs(place)
    return place


@pytest.fixture(autouse=True)
def inside(folder, monkeypatch):
    monkeypatch.chdir(folder)


def run(name: str, place: Path, *given: str) -> Path:
    record = import_module(f"analysis.{name}.command").ANALYSIS
    return run_arguments(record, [*given, "--quiet", "--output-dir", str(place)], "test")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name == "compare" else ()) for name in ANALYSES],
)
def test_every_analysis_runs_on_one_channel(tmp_path, name):
    path = run(name, tmp_path / "run", *arguments(name))
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["channels"] == 1
    size = arguments(name)[arguments(name).index("--crop") + 1]
    clean = [of_channels(photo, 1) for photo in photographs()]
    assert manifest["crops"]
    for crop in manifest["crops"]:
        (photo,) = (one for one in clean if one.name == crop["image"])
        rows, columns = (slice(crop[at], crop[at] + int(size)) for at in ("top", "left"))
        pixels = np.ascontiguousarray(photo.load()[rows, columns])
        assert data_crops.Crop("", 0, 0, pixels).digest == crop["sha256"]
    assert (path / "summary.txt").stat().st_size and list(path.glob("*.csv"))


def test_psnr_and_ssim_are_those_of_scikit_image(tmp_path):
    given = ("plain.pth", "--noise", "gaussian:15", "--crop", "32", "--limit", "3", "--no-lpips")
    path = run("generalization", tmp_path / "run", *given)
    results = pd.read_csv(path / "results.csv")
    assert set(results.channel) == {"gray"}
    network, noise = mtd.load("plain.pth"), parse("gaussian:15")
    crops = data_crops.crops([of_channels(photo, 1) for photo in photographs()], 32, 3)
    for crop in crops:
        noisy, _ = pair_keyed(noise, data_crops.to_tensor([crop.pixels]), [crop.digest])
        with torch.no_grad():
            output = network(noisy)[0, 0].double().clamp(0, 1).mul(255).round().numpy()
        clean = crop.pixels[..., 0].astype(np.float64)
        expected = {
            "psnr": peak_signal_noise_ratio(clean, output, data_range=255),
            "ssim": structural_similarity(
                clean,
                output,
                data_range=255,
                gaussian_weights=True,
                sigma=1.5,
                use_sample_covariance=False,
            ),
        }
        rows = results[(results.sha256 == crop.digest) & (results.model == "plain")]
        found = rows.set_index("metric").value.to_dict()
        assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "file", "column"),
    [
        ("generalization", "results.csv", "value"),
        ("cka", "cka.csv", "cka"),
        ("sensitivity", "sensitivity.csv", "gain"),
        ("brightness", "brightness.csv", "shift"),
    ],
)
def test_gray_files_give_what_a_run_on_each_channel_gives(tmp_path, name, file, column):
    """Recorded noise is the same in the three equal channels, and so is what follows from it."""
    given = ["plain.pth", "--images", "clean", "--noise", "folder:noisy", "--crop", "24"]
    given += [
        "--limit",
        "4",
        *(("--no-lpips", "--no-references") if name == "generalization" else ()),
    ]
    given += ["--noise", "gaussian:0", "--no-controls", "--unit", "image"] if name == "cka" else []
    one = run(name, tmp_path / "one", *given)
    each = run(name, tmp_path / "each", *given, "--grayscale", "per-channel")
    a, b = (pd.read_csv(path / file) for path in (one, each))
    assert len(a) and np.isfinite(a[column]).any()
    np.testing.assert_allclose(a[column], b[column], rtol=2e-4, atol=1e-6)
    assert "channels" not in json.loads((each / "manifest.json").read_text())


def test_other_architectures_and_modules_of_ones_own(tmp_path, monkeypatch):
    """Ours with one channel, one that spandrel knows, and a class of a user's, in one run."""
    from spandrel.architectures.DRUNet import DRUNet

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    names = [name for name in TINY if name not in ("RIDNet", "IDF")]  # whose means are of RGB
    for seed, name in enumerate(names):
        config = replace(TINY[name], in_chans=1)
        if name == "RNAN":
            config = replace(config, value_range=255.0)
        saved(tiny(name, seed, config), tmp_path / f"{name}.pth")
    torch.manual_seed(0)
    torch.save(DRUNet(in_nc=2, out_nc=1, nc=[4, 4, 8, 8], nb=2).state_dict(), "DRUNet.pth")
    (tmp_path / "graymod.py").write_text(
        "from torch import nn\n\n\n"
        "def small():\n"
        "    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 1, 3, padding=1))\n"
    )
    given = [*(f"{name}.pth" for name in (*names, "DRUNet")), "--model", "graymod:small"]
    own = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 1, 3, padding=1))
    torch.save(own.state_dict(), "small.pth")
    given += ["--checkpoint", "small.pth"]
    given += ["--sigma", "oracle", "--noise", "gaussian:15", "--crop", "16", "--limit", "4"]
    path = run("generalization", tmp_path / "scores", *given, "--no-lpips", "--no-references")
    frame = pd.read_csv(path / "results.csv")
    values = frame[frame.metric == "psnr"]
    assert len(set(values.model)) == len(names) + 3 and np.isfinite(values.value).all()
    assert set(frame.channel) == {"gray"}
    other = run("sensitivity", tmp_path / "moved", *given)
    assert set(pd.read_csv(other / "sensitivity.csv").model) == set(values.model) - {"noisy input"}
