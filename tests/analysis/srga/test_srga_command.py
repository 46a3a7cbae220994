"""`python -m analysis.srga`: its numbers from features taken by hand, what it says and refuses."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

import mtd
from analysis.commands.command import run_arguments
from analysis.commands.run_manifest import read_manifest
from analysis.commands.run_tables import read_tables
from analysis.engine.hooks import Activations
from analysis.engine.layers import choose, last_convolution
from analysis.srga import command, fits
from analysis.srga.command import ANALYSIS
from analysis.srga.score import srga
from analysis.stats import gram_pca, jackknife
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.metrics import psnr_ssim
from mtd.networks.dncnn import DnCNN, DnCNNConfig
from mtd.noise import base as noise_base
from mtd.noise import specs as noise_specs
from mtd.utils.errors import BadInput

FEW = ("--crop", "16", "--limit", "24", "--quiet", "--no-controls")
TWO = ("--noise", "poisson:3.5", "--noise", "isp")


@pytest.fixture
def folder(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(pair)
    torch.manual_seed(0)
    torch.save(DnCNN(DnCNNConfig(features=8, depth=3)).state_dict(), pair / "dncnn.pth")
    return pair


def started(*arguments: str) -> Path:
    return run_arguments(ANALYSIS, arguments, "test")


def table(path: Path):
    return read_tables(path, ["srga"])["srga"]


@pytest.mark.parametrize("name", ["plain", "hidden", "dncnn"])
def test_numbers_are_those_of_the_features_before_the_last_convolution(folder, name):
    path = started("plain.pth", "hidden.pth", "dncnn.pth", *FEW, *TWO, "--components", "15")
    frame = table(path).set_index(["model", "noise"])
    network = mtd.load(f"{name}.pth")
    seen: list[torch.Tensor] = []
    last = network.get_submodule(last_convolution(network))
    last.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach().clone()))
    features, psnr = {}, {}
    for spec in ("gaussian:15", "poisson:3.5", "isp"):
        seen.clear()
        values = []
        for crop in data_crops.crops(photographs.photographs(), 16, 24):
            clean = data_crops.to_tensor([crop.pixels])
            noisy, target = noise_base.pair_keyed(noise_specs.parse(spec), clean, [crop.digest])
            with torch.no_grad():
                values.append(float(psnr_ssim.psnr(network(noisy, [crop.digest]), target)))
        features[spec], psnr[spec] = torch.cat(seen).flatten(1), np.mean(values)
    for spec, held in features.items():
        expected = srga(features["gaussian:15"], held, 15)
        row = frame.loc[(name, spec)]
        # a batch's last bits differ from an image's alone
        assert row.srga == pytest.approx(expected.srga, abs=2e-2 if expected.srga else 1e-12)
        assert row.sigma == pytest.approx(expected.sigma, rel=1e-5)
        assert row["shape"] == pytest.approx(expected.shape, abs=0.0011)
        assert row.features == held.shape[1] and row.components == 15
        assert row.psnr == pytest.approx(psnr[spec], abs=1e-3)
    assert frame.loc[(name, "gaussian:15")].srga == 0


def test_what_goes_into_a_module_can_be_recorded():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True), nn.Conv2d(4, 3, 1))
    x = torch.randn(2, 3, 5, 5)
    with Activations(model, ["input:2", "0", "input:0"]) as seen:
        model(x)
    assert list(dict(seen.items())) == ["input:0", "0", "input:2"]
    assert torch.equal(seen["input:0"], x) and torch.equal(seen["input:2"], seen["0"].relu())
    assert choose(model, "input:*") == ["input:0", "input:1", "input:2"]
    assert last_convolution(model) == "2"
    with pytest.raises(BadInput, match="'input:7' matches no module"):
        choose(model, "input:7")
    with pytest.raises(BadInput, match="no convolution"):
        last_convolution(nn.Linear(3, 3))


def test_intervals_leave_out_photographs_with_all_their_patches(folder):
    path = started("plain.pth", *FEW, *TWO)
    frame = table(path).set_index("noise")
    of = np.array([crop["image"] for crop in read_manifest(path)["crops"]])
    assert len(of) == 24 and set(frame.photographs) == {4} == {len(set(of))}
    kept = [np.flatnonzero(of != image) for image in dict.fromkeys(of)]
    network = mtd.load("plain.pth")
    held = {}
    for spec in ("gaussian:15", "poisson:3.5"):
        crops = data_crops.crops(photographs.photographs(), 16, 24)
        clean = data_crops.to_tensor([crop.pixels for crop in crops])
        noisy, _ = noise_base.pair_keyed(
            noise_specs.parse(spec), clean, [crop.digest for crop in crops]
        )
        with torch.no_grad(), Activations(network, "input:conv_last") as seen:
            network(noisy)
        held[spec] = seen["input:conv_last"].flatten(1)
    values = np.array(
        [srga(held["gaussian:15"][part], held["poisson:3.5"][part]).srga for part in kept]
    )
    error = math.sqrt(3 / 4 * np.sum((values - values.mean()) ** 2))
    row = frame.loc["poisson:3.5"]
    half = stats.t.ppf(0.975, 3) * error
    assert (row.high - row.srga, row.srga - row.low) == pytest.approx((half, half), rel=0.02)
    assert math.isnan(frame.low["gaussian:15"])


def test_a_fifth_of_many_photographs_is_left_out_at_a_time():
    assert fits.subsets(9, 0) == [(i,) for i in range(9)]
    assert fits.subsets(10, 0) == list(itertools.combinations(range(10), 2))  # 45
    many = fits.subsets(24, 0)
    assert len(many) == 60 and all(len(set(part)) == 4 for part in many)
    assert {place for part in many for place in part} == set(range(24))
    assert many == fits.subsets(24, 0) != fits.subsets(24, 1)
    values = np.random.default_rng(0).normal(size=9)
    found = fits.interval(1.0, values, 9)
    assert found == pytest.approx(tuple(map(float, jackknife.interval(np.array(1.0), values))))


@pytest.mark.parametrize("count", [3, 10])
def test_the_interval_of_a_mean_is_students(count):
    """With every subset of a size left out, the delete-d jackknife of a mean is exact."""
    x = np.random.default_rng(0).normal(size=count)
    without = np.array([np.delete(x, out).mean() for out in fits.subsets(count, 0)])
    expected = stats.t.interval(0.95, count - 1, x.mean(), stats.sem(x))
    assert fits.interval(x.mean(), without, count) == pytest.approx(expected)


def test_the_memory_decides_nothing(folder, monkeypatch):
    frame = table(started("hidden.pth", *FEW, *TWO, "--output-dir", "large"))
    observed: list[int] = []
    original = gram_pca.gram_of

    def gram_of(columns, device="cpu"):
        def counted():
            for part in columns:
                observed.append(part.numel())
                yield part

        return original(counted(), device)

    monkeypatch.setattr(gram_pca, "gram_of", gram_of)
    small = table(started("hidden.pth", *FEW, *TWO, "--output-dir", "small", "--memory", "1e-5"))
    assert max(observed) <= 1e-5 * 2**30 / 24 and len(observed) > 20
    assert small.srga.to_numpy() == pytest.approx(frame.srga.to_numpy(), abs=1e-9)


@pytest.mark.drawn
def test_what_is_written_and_said(folder, capsys):
    path = started("plain.pth", "hidden.pth", *FEW, *TWO, "--noise", "mixture:2")
    assert {file.name for file in path.iterdir()} == {
        *("manifest.json", "run.json", "summary.txt", "srga.png"),
        *("srga.csv", "srga_difference.csv", "robustness.csv"),
    }
    manifest = read_manifest(path)
    assert manifest["layers"] == dict.fromkeys(("plain", "hidden"), "input:conv_last")
    assert manifest["components"] == 23 and manifest["noises"][0] == "gaussian:15"
    out = " ".join(capsys.readouterr().out.split())
    assert "SRGA of features before the last convolution against Gaussian σ = 15, lower" in out
    assert "24 patches of 16 x 16, 23 components, with 95% intervals" in out
    assert "With 4 photographs they are rough" in out and "illustration, not inference" in out
    assert out.count("24 patches are few") == 1 and "this project's own preset" in out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--reference", "gausian:15"], "did you mean gaussian"),
        (["--noise", "gaussian:15"], "no noise beside the reference"),
        (["--layer", "blocks"], "plain: layer 'blocks' matches no module"),
        (["--layer", "conv_*"], "layers of plain; name one"),
        (["--limit", "2"], "2 patches: SRGA needs 3"),
        (["--components", "0"], "from 1 up"),
        (["--fit", "exact"], "expected grid or root"),
        (["--memory", "0"], "expected a number above 0"),
    ],
)
def test_what_cannot_be_used_is_one_line(folder, in_process, arguments, message):
    code, out, err = in_process(command.main, "plain.pth", *FEW, *arguments)
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1 and not out
