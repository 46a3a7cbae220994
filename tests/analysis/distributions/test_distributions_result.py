"""Distributions of features from Python: own modules and arrays, figures, the run folder."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch
from torch import nn

import analysis
from analysis.distributions import DistributionsResult, measure_distances
from analysis.distributions.command import ANALYSIS
from analysis.text.noise_names import noise_label
from mtd.utils.errors import BadInput

NOISES = ("poisson:3.5", "gaussian:50")


class Own(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.Tanh(), nn.Conv2d(6, 3, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - self.body(x)


@pytest.fixture(scope="module")
def result() -> DistributionsResult:
    torch.manual_seed(0)
    images = torch.rand(4, 3, 40, 48, generator=torch.Generator().manual_seed(0))
    return measure_distances(
        {"own": Own(), "bundled": "masked.pth"},
        images=images,
        noises=NOISES,
        layers="re:body\\.0|conv_first",
        crop=16,
        limit=6,
        progress=False,
    )


def test_own_modules_and_arrays_have_distances(result):
    frame = result.distances
    assert set(frame.layer[frame.model == "own"]) == {"body.0", "input:body.2"}
    assert set(frame.layer[frame.last_features]) == {"input:body.2", "input:conv_last"}
    assert len(frame) == 2 * 3 * 2 and (frame.w1[frame.noise == "gaussian:15"] == 0).all()
    assert set(result.histograms.noise) == {"gaussian:15", *NOISES}


def test_a_histogram_is_that_of_the_table(result):
    axes = Figure().subplots()
    assert result.plot_histogram(axes, model="bundled", noise="gaussian:50") is axes
    curves = result.histograms
    own = curves[(curves.model == "bundled") & (curves.layer == "input:conv_last")]
    filled, outlined = [part for part in axes.patches if isinstance(part, StepPatch)]
    for patch, noise in ((filled, "gaussian:15"), (outlined, "gaussian:50")):
        values, edges, _ = patch.get_data()
        part = own[own.noise == noise]
        assert values == pytest.approx(
            part.density.to_numpy()
        ) and patch.get_label() == noise_label(noise)
        assert edges == pytest.approx([*part.left, part.right.iloc[-1]])
    assert filled.get_fill() and not outlined.get_fill()
    rows = result.distances.set_index(["model", "noise", "layer"])
    row = rows.loc[("bundled", "gaussian:50", "input:conv_last")]
    distances, *controls = axes.texts[0].get_text().split("\nnoise redrawn")
    assert distances == f"W1 {row.w1_relative:.3f} σ\nJS {row.js:.4f}"
    assert (
        f" {row.w1_relative_ceiling:.3f}\nother photographs {row.w1_relative_floor:.3f}"
        in controls[0]
    )
    assert axes.get_xlabel() == "feature value: input:conv_last"


def test_the_first_model_and_noise_and_the_last_features_are_shown_by_default(result):
    axes = result.plot_histogram()
    assert axes.get_title() == "own" and axes.get_xlabel() == "feature value: input:body.2"
    assert [part.get_label() for part in axes.patches] == [
        "Gaussian, σ = 15",
        "Poisson, α = 3.5",
    ]
    assert "body.0" in result.plot_histogram(layer="body.0").get_xlabel()


@pytest.mark.parametrize(
    "chosen, message",
    [
        ({"model": "bundle"}, "model 'bundle': did you mean bundled"),
        ({"noise": "gaussian:15"}, "noise 'gaussian:15'"),
        ({"layer": "conv_first"}, "layer 'conv_first'"),
    ],
)
def test_what_the_run_does_not_hold_is_refused(result, chosen, message):
    with pytest.raises(BadInput, match=message):
        result.plot_histogram(**chosen)


def test_nothing_is_written_but_by_save(result, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (figure,) = result.figures().values()
    assert len(figure.axes) == 4 * 2 and not [*tmp_path.iterdir()]
    path = result.save("run")
    assert {file.name for file in path.iterdir()} == {
        *("manifest.json", "run.json", "summary.txt"),
        *("distributions.csv", "distributions_difference.csv", "histograms.csv"),
        "distributions.png",
    }
    again = DistributionsResult.read(ANALYSIS, path)
    pd.testing.assert_frame_equal(again.distances, result.distances)
    assert again.sentences() == result.sentences() and again.text() == result.text()


def test_what_cannot_be_measured():
    with pytest.raises(BadInput, match="Identity: no convolution in the network"):
        measure_distances(nn.Identity(), crop=16, limit=4, progress=False)
    with pytest.raises(BadInput, match="Own: layer 'head' matches no module"):
        measure_distances(Own(), layers="head", crop=16, limit=4, progress=False)


def test_public_names():
    assert analysis.distributions.measure_distances is measure_distances
    assert {"DistributionsResult", "measure_distances"} <= set(dir(analysis.distributions))


@pytest.mark.parametrize("column, unit", [("unit", "crop"), ("draw", "scene")])
def test_intervals_of_an_earlier_version_are_refused(result, tmp_path, column, unit):
    path = result.save(tmp_path / "run")
    assert analysis.open_run(path, "distributions").frames
    table = path / "distributions.csv"
    pd.read_csv(table).assign(**{column: unit}).to_csv(table, index=False)
    with pytest.raises(BadInput, match=r"which left out crops; run the analysis again"):
        analysis.open_run(path, "distributions")


def test_srga_over_patches_is_refused(tmp_path):
    scores = analysis.srga.score_models("masked.pth", crop=16, limit=6, progress=False)
    table = scores.save(tmp_path / "run") / "srga.csv"
    pd.read_csv(table).drop(columns="photographs").to_csv(table, index=False)
    with pytest.raises(BadInput, match=r"srga.csv: .* which left out crops; run the analysis"):
        analysis.open_run(tmp_path / "run", "srga")
