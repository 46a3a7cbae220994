"""SRGA of snapshots of equal PSNR, against scores of the same networks."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

import numpy as np
import pandas as pd
import pytest
import torch

import analysis
from analysis.commands.command import run_arguments
from analysis.commands.snapshots import Snapshot
from analysis.srga.command import ANALYSIS, score_models
from analysis.srga.matched_psnr.command import score_snapshots
from analysis.srga.matched_psnr.figures import figure
from analysis.srga.matched_psnr.reading import FAR
from analysis.srga.matched_psnr.result import MatchedResult
from analysis.srga.matched_psnr.tables import snapshots
from analysis.stats.controls import NO_CONTROLS, Series
from mtd.loading import checkpoint_file
from mtd.masking import MaskPolicy
from mtd.utils.errors import BadInput
from tests.helpers.control_runs import CONFIG, draw_photographs
from tests.helpers.figures import leave_unrendered
from tests.helpers.networks import tiny_network

SETTINGS = {"crop": 16, "limit": 12, "seed": 3, "untrained": 2, "progress": False}
SETTINGS |= {"noises": ["poisson:3.5", "speckle:0.04"]}
STEPS = (500, 1000, 1500)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs whose networks approach the identity, each at its own pace."""
    folder = tmp_path_factory.mktemp("matched")
    for run, pace in (("a", 1.0), ("b1", 1.5), ("b2", 1.6)):
        for step in STEPS:
            network = tiny_network(len(run), CONFIG)
            with torch.no_grad():
                for name, parameter in network.named_parameters():
                    if name.startswith("conv_last"):
                        parameter *= 0.3 ** (pace * step / 500)
            path = folder / run / f"snapshot-{step:06d}.pth"
            path.parent.mkdir(exist_ok=True)
            weights = network.state_dict()
            weights["norm.bias"] = weights["norm.bias"] + 0.01 * step * len(run)
            checkpoint_file.save(path, weights, network=CONFIG, mask=MaskPolicy())
    draw_photographs(folder / "photos", 6)
    return folder


@pytest.fixture(scope="module")
def matched(place: Path) -> MatchedResult:
    runs = {"a": place / "a", "b": [place / "b1", place / "b2"]}
    return score_snapshots(runs, images=place / "photos", **SETTINGS)


def test_the_target_is_what_all_trainings_reach(matched: MatchedResult) -> None:
    frame = matched.snapshots.drop_duplicates(["training", "step"])
    best = frame.groupby("training").psnr.max()
    assert (frame.target == best.min()).all()
    for _, rows in frame.groupby("training"):
        distance = (rows.psnr - rows.target).abs()
        assert list(rows.step[rows.chosen]) == [rows.step[distance.idxmin()]]


def test_scores_are_those_of_the_chosen_networks(place: Path, matched: MatchedResult) -> None:
    frame = matched.snapshots
    chosen = frame[frame.chosen].drop_duplicates("training").set_index("training").step
    folders = {"a": "a", "b (b1)": "b1", "b (b2)": "b2"}
    files = {
        name: place / folders[name] / f"snapshot-{step:06d}.pth" for name, step in chosen.items()
    }
    models = {"a": files["a"], "b": [files["b (b1)"], files["b (b2)"]]}
    single = score_models(models, images=place / "photos", **SETTINGS)
    assert list(matched.scores.model) == list(single.scores.model)
    for name in ("srga", "low", "high", "ceiling", "floor", "psnr", "trainings"):
        np.testing.assert_allclose(matched.scores[name], single.scores[name], err_msg=name)
    np.testing.assert_allclose(matched.difference.value, single.difference.value)


def test_of_equal_distances_the_later_step_is_chosen() -> None:
    where = {"a 1": Snapshot("a", 1), "a 2": Snapshot("a", 2), "b 1": Snapshot("b", 1)}
    nothing = Series(1.0, np.zeros(0)), NO_CONTROLS
    scores = {(name, noise): nothing for name in where for noise in ("x", "y")}
    psnr = {"a 1": 29.5, "a 2": 30.5, "b 1": 30.0}
    frame = snapshots(scores, psnr, where, {"a": "a", "b": "b"}, ["x", "y"])
    assert list(frame.chosen) == [False, True, True]


def test_the_lowest_panel_of_each_column_has_a_labelled_axis(matched: MatchedResult) -> None:
    rows = matched.snapshots
    rows = rows[rows.noise == rows.noise.iloc[0]]
    five = pd.concat([rows.assign(noise=f"poisson:{i}") for i in range(1, 6)])
    drawn = figure(five)
    panels = [axes for axes in drawn.axes if axes.lines]
    assert len(panels) == 5
    labelled = [axes.xaxis.get_tick_params()["labelbottom"] for axes in panels]
    assert labelled == [False, False, True, True, True]
    assert [bool(axes.get_xlabel()) for axes in panels] == labelled


def test_sentences_and_figures(matched: MatchedResult, tmp_path: Path) -> None:
    text = " ".join(matched.sentences())
    rows = matched.snapshots
    rows = rows[rows.chosen].drop_duplicates("training")
    assert "All trainings reach" in text
    assert ("is not equal" in text) == bool(((rows.psnr - rows.target).abs() > FAR).any())
    assert "`b` is the mean over two trainings" in text
    assert {"srga", "matched_psnr"} <= set(matched.figures())
    again = analysis.open_run(matched.save(tmp_path / "run"), "srga_matched_psnr")
    assert isinstance(again, MatchedResult)


def test_the_command(
    place: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leave_unrendered(monkeypatch)
    runs = ["--matched-psnr", str(place / "a"), "--matched-psnr", f"b={place / 'b1'}"]
    options = ["--images", str(place / "photos"), "--crop", "16", "--limit", "12", "--quiet"]
    options += ["--noise", "poisson:3.5", "--untrained", "1"]
    run_arguments(ANALYSIS, [*runs, *options, "--output-dir", str(tmp_path / "run")])
    assert "All trainings reach" in capsys.readouterr().out
    with pytest.raises(BadInput, match="leave the model out"):
        run_arguments(ANALYSIS, ["masked.pth", *runs])
    with pytest.raises(BadInput, match="score_snapshots"):
        score_models("masked.pth", matched_psnr=["x"])


def test_a_training_counts_once(place: Path, tmp_path: Path) -> None:
    copytree(place / "b1", tmp_path / "copy")
    runs = {"b": [place / "b1", tmp_path / "copy"]}
    with pytest.raises(BadInput, match="hold equal weights; give each training once"):
        score_snapshots(runs, images=place / "photos", **SETTINGS)
