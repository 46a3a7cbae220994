"""SRGA from Python: own modules and arrays, the figure, and the run folder of a result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from torch import nn

import analysis
from analysis.commands.command import run_arguments
from analysis.srga import SRGAResult, fit_ggd, kl_ggd, score_models, srga
from analysis.srga.command import ANALYSIS
from mtd.utils.errors import BadInput

NOISES = ("poisson:3.5", "gaussian:50")


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 3, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - self.body(x)


@pytest.fixture(scope="module")
def result() -> SRGAResult:
    torch.manual_seed(0)
    network = Own().train()
    images = np.random.default_rng(0).random((6, 48, 40, 3))
    settings = {"noises": NOISES, "crop": 16, "limit": 24}
    found = score_models(
        {"own": network, "bundled": "masked.pth"}, images=images, progress=False, **settings
    )
    assert network.training
    return found


def test_own_modules_and_arrays_have_scores(result):
    frame = result.scores
    assert [*frame.model] == ["own"] * 3 + ["bundled"] * 3
    assert [*frame.noise[:3]] == ["gaussian:15", *NOISES]
    assert set(frame.layer[:3]) == {"input:body.2"} and (frame.patches == 24).all()
    assert (frame.srga[frame.noise == frame.reference] == 0).all()
    assert frame.low.notna().sum() == 4 and result.manifest["crop"] == 16
    assert "SRGA against Gaussian σ = 15" in result.sentences()[0]


def test_points_and_bars_are_those_of_the_table(result):
    axes = Figure().subplots()
    assert result.plot_scores(axes) is axes
    bars = [part for part in axes.containers if isinstance(part, ErrorbarContainer)]
    assert [part.get_label() for part in bars] == ["own", "bundled"]
    for part, model in zip(bars, ("own", "bundled"), strict=True):
        rows = result.scores[
            (result.scores.model == model) & (result.scores.noise != "gaussian:15")
        ]
        points, _, (lines,) = part.lines
        assert points.get_ydata() == pytest.approx(rows.srga.to_numpy())
        ends = np.array([line[:, 1] for line in lines.get_segments()])
        assert ends == pytest.approx(rows[["low", "high"]].to_numpy())
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        "Poisson, α = 3.5",
        "Gaussian, σ = 50",
    ]
    assert "24 patches, 23 components; bars: rough 95% intervals over 6" in axes.get_title()


def test_nothing_is_written_but_by_save(result, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert set(result.figures()) == {"srga"} and not [*tmp_path.iterdir()]
    path = result.save("run")
    names = {"manifest.json", "run.json", "summary.txt", "srga.png"}
    names |= {"srga.csv", "srga_difference.csv", "robustness.csv"}
    assert {file.name for file in path.iterdir()} == names
    again = SRGAResult.read(ANALYSIS, path)
    pd.testing.assert_frame_equal(again.scores, result.scores)
    assert again.sentences() == result.sentences() and again.text() == result.text()


def test_the_command_has_the_numbers_of_the_function(tmp_path):
    settings = {"noises": NOISES, "crop": 32, "limit": 4}
    options = [f"--noise={spec}" for spec in NOISES]
    options += ["--crop=32", "--limit=4", "--quiet", f"--output-dir={tmp_path / 'run'}"]
    path = run_arguments(ANALYSIS, ["baseline.pth", *options])
    frame = score_models("baseline.pth", progress=False, **settings).scores
    pd.testing.assert_frame_equal(SRGAResult.read(ANALYSIS, path).scores, frame)


def test_what_cannot_be_scored(tmp_path: Path):
    with pytest.raises(BadInput, match="no convolution"):
        score_models(nn.Identity(), crop=16, limit=4, progress=False)
    with pytest.raises(BadInput, match="2 patches: SRGA needs 3"):
        score_models(Own(), crop=16, limit=2, progress=False)
    with pytest.raises(BadInput, match=r"--layer body\.\*: 3 layers of Own; name one"):
        score_models(Own(), crop=16, limit=4, layer="body.*", progress=False)


def test_public_names():
    assert analysis.srga.score_models is score_models and callable(fit_ggd) and callable(kl_ggd)
    assert {"SRGA", "SRGAResult", "score_models", "srga"} <= set(dir(analysis.srga))
    features = np.random.default_rng(0).normal(size=(9, 20))
    assert srga(features, features).srga == 0
