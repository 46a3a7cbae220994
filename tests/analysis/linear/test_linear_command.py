"""`python -m analysis.linear`: the table again by hand, what it writes, says and refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import mtd
from analysis.commands.command import run_arguments
from analysis.commands.run_tables import read_tables
from analysis.linear import command, derivatives, local_map
from analysis.linear.result import LinearResult
from analysis.linear.settings import LinearSettings
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.noise import base as noise_base
from mtd.noise import specs as noise_specs
from mtd.utils.errors import BadInput
from tests.helpers.networks import save_trainings

FEW = ("--crop", "8", "--limit", "2", "--levels", "15", "--quiet")
ONE = ("--noise", "gaussian:50")
SCENES = [np.random.default_rng(i).integers(0, 256, (8, 8, 3), dtype=np.uint8) for i in range(4)]


@pytest.fixture
def folder(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(pair)
    return pair


def started(*arguments: str) -> Path:
    return run_arguments(command.ANALYSIS, arguments, "test")


class Damp(nn.Module):
    """Half of its input: a map that is known."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 0.5 * x


class Silent(Damp):
    @torch.no_grad()
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x)


def test_the_table_is_that_of_jacobians_taken_by_hand(folder, capsys):
    path = started("hidden.pth", *FEW, *ONE)
    assert {file.suffix for file in path.iterdir()} >= {".csv", ".png", ".safetensors"}
    assert {file.stem for file in path.glob("*.png")} == {
        *("linear", "singular_values", "levels", "equivariance", "filters")
    }
    row = read_tables(path, ["linear"])["linear"].iloc[0]
    network = mtd.load("hidden.pth")
    traces, sizes, errors = [], [], []
    for crop in data_crops.crops(photographs.photographs(), 8, 2):
        clean = data_crops.to_tensor([crop.pixels])
        noisy, _ = noise_base.pair_keyed(noise_specs.parse("gaussian:50"), clean, [crop.digest])
        y = noisy.clone().requires_grad_()
        output = network(y, [crop.digest])
        j = np.stack(
            [
                torch.autograd.grad(value, y, retain_graph=True)[0].double().numpy().ravel()
                for value in output.flatten()
            ]
        )
        traces.append(np.trace(j) / 192)
        sizes.append(np.square(np.linalg.svd(j, compute_uv=False)).sum())
        errors.append(255**2 * float((output.detach().double() - clean).square().mean()))
    assert row.trace == pytest.approx(np.mean(traces), rel=1e-4)
    assert row.effective_dimension == pytest.approx(np.mean(sizes), rel=1e-4)
    assert row.mse == pytest.approx(np.mean(errors), rel=1e-5)
    out = capsys.readouterr().out
    assert "Local linear map: 2 crops of 8 x 8" in out and "SURE minus the true MSE" in out


def test_a_map_that_is_known():
    result = local_map(Damp(), images=SCENES, crop=8, noises=ONE[1], levels="25", progress=False)
    row = result.linear.iloc[0]
    assert row.trace == pytest.approx(0.5) and row.largest == pytest.approx(0.5)
    assert row.effective_dimension == pytest.approx(192 / 4)
    assert row.asymmetry == 0 and row.reach95 == 0 and row.affine_rest < 1e-6
    assert row.row_sum == pytest.approx(0.5) and row.row_sum_sd == pytest.approx(0)
    errors = result.equivariance.set_index("change").error
    assert errors["contrast x 2"] == 0 and errors["flip up-down"] == 0
    assert errors["brightness + 0.1"] > 0.01
    assert (result.singular_values.value - 0.5).abs().max() < 1e-6
    center = result.filters_table.center
    assert center.to_numpy() == pytest.approx(0.5)  # gray output by gray input
    assert len(result.levels) == 1 and len(result.sentences()) > 5
    result.plot_levels()
    result.plot_singular_values()
    with pytest.raises(BadInput, match="noise"):
        result.plot_singular_values(noise="poisson:3")


def test_larger_crops_are_estimated():
    how = {
        "images": SCENES,
        "whole": 7,
        "crop": 8,
        "noises": ONE[1],
        "levels": "25",
        "progress": False,
    }
    result = local_map(Damp(), probes=4, **how)
    row = result.linear.iloc[0]
    assert row.trace == pytest.approx(0.5) and row.trace_error == pytest.approx(0, abs=1e-6)
    assert row.effective_dimension == pytest.approx(48, rel=1e-5)
    assert row.largest == pytest.approx(0.5) and row.singular_error < 1e-6 and row.directions == 8
    assert row.asymmetry == 0 and row.affine_rest < 1e-6 and row.row_sum == pytest.approx(0.5)
    assert row.chance_share == pytest.approx(8 / 192) and not row.reason
    assert result.singular_values.value.to_numpy() == pytest.approx(np.full(8, 0.5))
    assert any("estimated from random vectors (Hutchinson)" in text for text in result.sentences())
    result.plot_singular_values()
    result = local_map(Damp(), probes=4, rank=0, **how)
    row = result.linear.iloc[0]
    assert np.isnan(row.largest) and np.isnan(row.asymmetry) and result.singular_values.empty
    assert row.trace == pytest.approx(0.5) and "transposed" in row.reason
    with pytest.raises(BadInput, match="no singular values"):
        result.plot_singular_values()


def test_values_of_larger_crops_are_those_of_the_whole_jacobian(folder):
    how = {"crop": 8, "limit": 2, "noises": ONE[1], "levels": "25", "progress": False}
    whole = local_map("hidden.pth", **how).linear.iloc[0]
    result = local_map("hidden.pth", whole=7, rank=4, **how)
    row = result.linear.iloc[0]
    assert row.largest == pytest.approx(whole.largest, abs=0.01 * whole.largest)
    assert row.singular_error < 0.01 * whole.largest
    for name in ("affine_rest", "row_sum", "row_sum_sd"):
        assert row[name] == pytest.approx(whole[name], rel=1e-3)
    for name, error in (
        ("trace", "trace_error"),
        ("effective_dimension", "dimension_error"),
        ("asymmetry", "asymmetry_error"),
    ):
        assert abs(row[name] - whole[name]) < 4 * row[error]
        assert np.isnan(whole[error])


def test_a_network_whose_gradient_cannot_be_differentiated():
    class Once(torch.autograd.Function):
        @staticmethod
        def forward(_, x):
            return 0.5 * x

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(_, slope):
            return 0.5 * slope

    class Network(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return Once.apply(x)

    how = {
        "images": SCENES,
        "whole": 7,
        "crop": 8,
        "noises": ONE[1],
        "levels": "25",
        "progress": False,
    }
    result = local_map(Network(), **how)
    row = result.linear.iloc[0]
    assert row.trace == pytest.approx(0.5) and np.isnan(row.affine_rest)
    assert "cannot be differentiated" in row.reason
    assert any("cannot be differentiated" in text for text in result.sentences())


def test_a_network_without_gradient_ends_no_run():
    models = {"damp": Damp(), "silent": Silent()}
    result = local_map(models, images=SCENES, crop=8, noises=ONE[1], levels="25", progress=False)
    frame = result.linear.set_index("model")
    assert np.isnan(frame.trace["silent"]) and frame.trace["damp"] == pytest.approx(0.5)
    assert "no gradient" in frame.reason["silent"] and frame.reason["damp"] in ("", None)
    assert result.levels.psnr.notna().all()
    assert any("`silent`" in text and "no gradient" in text for text in result.sentences())


def test_an_interrupted_run_ends_with_the_same_tables(folder, monkeypatch):
    whole = started("plain.pth", *FEW, *ONE, "--output-dir", "whole")
    original, calls = derivatives.Linearized.matrix, []

    def stopped(self):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(self)

    monkeypatch.setattr(derivatives.Linearized, "matrix", stopped)
    with pytest.raises(KeyboardInterrupt, match="--resume"):
        started("plain.pth", *FEW, *ONE, "--output-dir", "cut")
    cut = started("plain.pth", *FEW, *ONE, "--output-dir", "cut", "--resume")
    assert len(calls) == 3  # the first crop is not computed again
    for file in whole.glob("*.csv"):
        assert file.read_bytes() == (cut / file.name).read_bytes()
    file = "linear.safetensors"
    assert (whole / file).read_bytes() == (cut / file).read_bytes()


def test_several_trainings_are_averaged(tmp_path):
    pattern = save_trainings(tmp_path, 2)
    how = {"images": SCENES[:2], "crop": 8, "noises": ONE[1], "levels": "25", "progress": False}
    result = local_map({"a": pattern}, **how)
    single = result.frames["linear_by_training"]
    assert len(single) == 2 and len(result.linear) == 1
    assert result.linear.trace.iloc[0] == pytest.approx(single.trace.mean())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"levels": [0, 5]}, "levels '0,5': expected levels above 0"),
        ({"levels": "0,5"}, "levels '0,5': expected levels above 0"),
        ({"levels": "5,5"}, "expected each level once"),
        ({"crop": None}, "give --crop"),
        ({"autocast": "bf16"}, "gradients need float32"),
        ({"probes": 1}, "probes 1"),
        ({"rank": -1}, "rank -1"),
    ],
)
def test_settings_that_cannot_be_used(given, message):
    with pytest.raises(BadInput, match=message):
        LinearSettings.of(**given)


def test_filters_without_their_file(folder):
    path = started("plain.pth", *FEW, *ONE)
    result = LinearResult.read(command.ANALYSIS, path)
    assert result.filters["plain", "gaussian:50", 0, "edge"].shape == (8, 8)
    (path / "linear.safetensors").unlink()
    with pytest.raises(BadInput, match="missing"):
        assert LinearResult.read(command.ANALYSIS, path).filters
    assert isinstance(result.difference, pd.DataFrame) and result.difference.empty
