"""`python -m analysis.distributions`: its numbers from features taken by hand, what it says."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

import mtd
from analysis.commands.command import run_arguments
from analysis.commands.run_manifest import read_manifest
from analysis.commands.run_tables import read_tables
from analysis.distributions import command
from analysis.distributions import figures as distributions_figures
from analysis.distributions import tables as distributions_tables
from analysis.distributions.command import ANALYSIS
from analysis.engine.hooks import Activations
from analysis.stats import histograms
from analysis.stats.generalized_gaussian import fit_ggd
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.noise import base as noise_base
from mtd.noise import specs as noise_specs
from tests.helpers.divergences import direct_js

FEW = ("--crop", "16", "--limit", "6", "--quiet", "--no-controls")
TWO = ("--noise", "poisson:3.5", "--noise", "isp")
BLOCK = "layers.0.residual_group.blocks.1"


@pytest.fixture
def folder(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(pair)
    return pair


def started(*arguments: str) -> Path:
    return run_arguments(ANALYSIS, arguments, "test")


def tables(path: Path):
    return read_tables(path, ["distributions", "histograms"]).values()


def features(name: str, layer: str, spec: str, count: int = 6) -> np.ndarray:
    """(crops, features) under a noise."""
    network = mtd.load(f"{name}.pth")
    crops = data_crops.crops(photographs.photographs(), 16, count)
    clean = data_crops.to_tensor([crop.pixels for crop in crops])
    keys = [crop.digest for crop in crops]
    noisy, _ = noise_base.pair_keyed(noise_specs.parse(spec), clean, keys)
    with torch.no_grad(), Activations(network, layer) as seen:
        network(noisy, keys)
    return seen[layer].flatten(1).double().numpy()


def by_hand(reference: np.ndarray, test: np.ndarray) -> list[float]:
    x, y = reference.ravel(), test.ravel()
    w1 = stats.wasserstein_distance(x, y)
    shape = fit_ggd(y - y.mean(), "root").shape
    moments = [y.mean(), y.std(), stats.skew(y), stats.kurtosis(y)]
    return [w1, w1 / x.std(), direct_js(x, y, 256), *moments, shape]


@pytest.mark.parametrize("name", ["plain", "hidden"])
def test_numbers_are_those_of_the_features(folder, name):
    frame, _ = tables(started("plain.pth", "hidden.pth", *FEW, *TWO, "--layers", BLOCK))
    assert len(frame) == 2 * 3 * 2
    rows = frame.set_index(["model", "noise", "layer"])
    for layer in ("input:conv_last", BLOCK):
        reference = features(name, layer, "gaussian:15")
        for spec in ("gaussian:15", "poisson:3.5", "isp"):
            test = features(name, layer, spec)
            row = rows.loc[(name, spec, layer)]
            expected = dict(
                zip(distributions_tables.NUMBERS, by_hand(reference, test), strict=True)
            )
            assert row.w1 == pytest.approx(expected["w1"], abs=1e-3 * reference.std())
            assert row.w1_relative == pytest.approx(expected["w1_relative"], abs=1e-3)
            assert row.js == pytest.approx(expected["js"], abs=1e-3)
            for number in ("mean", "sigma", "skewness", "kurtosis", "shape"):
                assert row[number] == pytest.approx(expected[number], rel=1e-3, abs=1e-4), number
            assert row.features == test.size and row.crops == 6
    same = rows.xs("gaussian:15", level="noise")
    assert (same.w1 == 0).all() and (same.js == 0).all() and same.js_low.isna().all()


def test_intervals_are_a_jackknife_over_photographs(folder):
    path = started("plain.pth", *FEW, *TWO)
    frame, _ = tables(path)
    row = frame.set_index("noise").loc["poisson:3.5"]
    reference, test = (
        features("plain", "input:conv_last", spec) for spec in ("gaussian:15", "poisson:3.5")
    )
    of = [crop["image"] for crop in read_manifest(path)["crops"]]
    assert len(of) == 6 and len(set(of)) == 4 == row.photographs
    kept = [[i for i in range(6) if of[i] != out] for out in dict.fromkeys(of)]
    without = np.array([by_hand(reference[part], test[part]) for part in kept])
    error = np.sqrt(3 / 4 * np.square(without - without.mean(0)).sum(0))
    half = dict(zip(distributions_tables.NUMBERS, stats.t.ppf(0.975, 3) * error, strict=True))
    for number in ("w1", "w1_relative", "mean", "sigma", "skewness", "kurtosis", "shape"):
        found = row[f"{number}_high"] - row[number]
        assert found == pytest.approx(half[number], rel=0.01), number
        assert row[number] - row[f"{number}_low"] == pytest.approx(found), number
    # bins of the divergence stay those of all crops, unlike those by hand
    assert row.js_high - row.js == pytest.approx(half["js"], rel=0.25)


def test_curves_are_histograms_on_axes_shared_by_noises(folder):
    _, curves = tables(started("plain.pth", "hidden.pth", *FEW, *TWO))
    for name, part in curves.groupby("model"):
        sides = [held[["left", "right"]].to_numpy() for _, held in part.groupby("noise")]
        assert len(sides) == 3 and all(np.array_equal(sides[0], side) for side in sides)
        held = part[part.noise == "isp"]
        values = features(str(name), "input:conv_last", "isp").ravel()
        bounds = np.append(held.left, held.right.iloc[-1])
        expected = np.histogram(values, bounds)[0] / np.diff(bounds) / len(values)
        assert held.density.to_numpy() == pytest.approx(expected, abs=0.02 * expected.max())
        inside = float((held.density * (held.right - held.left)).sum())
        assert 0.97 < inside <= 1


@pytest.mark.drawn
def test_what_is_written_and_said(folder, capsys):
    path = started("plain.pth", "hidden.pth", *FEW, "--noise", "isp", "--noise", "mixture:2")
    assert {file.name for file in path.iterdir()} == {
        *(
            "manifest.json",
            "run.json",
            "summary.txt",
            "distributions.csv",
            "distributions_difference.csv",
            "histograms.csv",
            "distributions.png",
        )
    }
    manifest = read_manifest(path)
    assert manifest["layers"] == {name: ["input:conv_last"] for name in ("plain", "hidden")}
    assert manifest["grid"]["bins"] == histograms.BINS and manifest["noises"][0] == "gaussian:15"
    out = " ".join(capsys.readouterr().out.split())
    assert "6 crops of 16 x 16 from 4 photographs, with 95% intervals" in out
    assert "leave out one photograph at a time" in out and "this project's own preset" in out
    assert "With 4 photographs they are rough" in out and "illustration, not inference" in out
    assert "minus their own mean" in out and "Features before the last convolution" in out
    assert "W1 of features before the last convolution from Gaussian σ = 15" in out


@pytest.mark.parametrize("crops", ["1", "2"])
def test_without_three_photographs_there_are_no_intervals(folder, capsys, crops):
    frame, _ = tables(started("plain.pth", "--crop", "16", "--limit", crops, "--quiet", *TWO))
    assert frame.mean_low.isna().all() and not math.isnan(frame["mean"][0])
    assert "too few for intervals: at least 3" in " ".join(capsys.readouterr().out.split())


def test_a_figure_has_a_row_for_each_model_and_layer_up_to_a_limit(folder, monkeypatch):
    frame, curves = tables(started("plain.pth", "hidden.pth", *FEW, *TWO, "--layers", BLOCK))
    drawn = distributions_figures.figure(frame, curves)
    assert len(drawn.axes) == 4 * 2
    monkeypatch.setattr(distributions_figures, "MOST", 3)
    drawn = distributions_figures.figure(frame, curves)
    assert len(drawn.axes) == 3 * 2 and "first 3 of 4 rows" in drawn.get_suptitle()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--reference", "gausian:15"], "did you mean gaussian"),
        (["--noise", "gaussian:15"], "no noise beside the reference"),
        (["--layers", "blocks"], "plain: layer 'blocks' matches no module"),
        (
            ["--layers", "layers.*.residual_group.blocks.*.attn"],
            "crops; choose one with features for each",
        ),
        (["--limit", "0"], "from 1 up"),
    ],
)
def test_what_cannot_be_used_is_one_line(folder, in_process, arguments, message):
    code, out, err = in_process(command.main, "plain.pth", *FEW, *arguments)
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1 and not out


def test_features_that_do_not_vary_have_no_numbers(folder, in_process):
    network = mtd.load("plain.pth")
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.startswith(("conv_first", "conv_after_body")):
                parameter.zero_()
    torch.save(network.state_dict(), "dead.pth")
    arguments = ("dead.pth", *FEW, *TWO, "--output-dir", "run")
    code, out, err = in_process(command.main, *arguments)
    under = "under Gaussian σ = 15, Poisson α = 3.5 and camera pipeline"
    said = f"input:conv_last of dead {under}: its features do not"
    assert code == 0 and f"No value for {said} vary by more" in " ".join(out.split()), err
    assert (folder / "run/histograms.csv").read_text() == "model,noise,layer,left,right,density\n"
