"""Similarity over the snapshots of training runs, against comparisons of the same networks."""

from __future__ import annotations

from pathlib import Path
from shutil import copy, copytree

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis.cka.command import ANALYSIS, compare
from analysis.cka.over_training.command import compare_snapshots
from analysis.cka.over_training.result import OverTrainingResult
from analysis.cka.over_training.tables import END, NOISES
from analysis.cka.settings import CKASettings
from analysis.commands import snapshots
from analysis.commands.command import run_arguments
from mtd.utils.errors import BadInput
from tests.helpers.control_runs import CONFIG, draw_photographs
from tests.helpers.figures import leave_unrendered
from tests.helpers.networks import save_tiny

SETTINGS = {"crop": 16, "limit": 12, "positions": 8, "seed": 3, "untrained": 1, "progress": False}
STEPS = (500, 1000, 1500)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("over")
    for run in (1, 2, 3):
        for step in STEPS:
            save_tiny(folder / f"b{run}" / f"snapshot-{step:06d}.pth", run * step, CONFIG)
    draw_photographs(folder / "photos", 12)
    return folder


@pytest.fixture(scope="module")
def one(place: Path) -> OverTrainingResult:
    return compare_snapshots(place / "b1", images=place / "photos", **SETTINGS)


@pytest.fixture(scope="module")
def several(place: Path) -> OverTrainingResult:
    return compare_snapshots(f"mine={place}/b*", images=place / "photos", **SETTINGS)


def files(place: Path, run: int) -> dict[str, Path]:
    return {str(step): place / f"b{run}" / f"snapshot-{step:06d}.pth" for step in STEPS}


def test_rows_are_those_of_a_comparison_of_the_snapshots(
    place: Path, one: OverTrainingResult
) -> None:
    whole = compare(files(place, 1), images=place / "photos", **SETTINGS)
    means = whole.last_quarter.set_index(["model_a", "noise_a", "model_b", "noise_b"])
    frame = one.over_training
    assert list(frame.step) == [*STEPS, *STEPS[:-1]]
    for row in frame.to_dict("records"):
        last = row["against"] == END
        key = str(row["step"]), row["noise_a"], str(STEPS[-1] if last else row["step"])
        expected = means.loc[(*key, row["noise_b"])]
        for name in ("cka", "low", "high", "floor", *(() if last else ("ceiling", "untrained"))):
            assert row[name] == pytest.approx(expected[name], rel=1e-9), (key, name)
    differences = whole.quarter_difference.set_index(["model_a", "model_b"])
    row = frame[(frame.against == NOISES) & (frame.step == STEPS[-1])].iloc[0]
    expected = differences.loc[("500", "1500")]
    found = (row.from_first, row.from_first_low, row.from_first_high)
    assert found == pytest.approx((expected.difference, expected.low, expected.high), rel=1e-9)


def test_several_trainings_are_one_curve(
    place: Path, one: OverTrainingResult, several: OverTrainingResult
) -> None:
    single = [
        compare_snapshots(place / f"b{run}", images=place / "photos", **SETTINGS) for run in (2, 3)
    ]
    values = [of.over_training.cka.to_numpy() for of in (one, *single)]
    np.testing.assert_allclose(several.over_training.cka, np.mean(values, axis=0), rtol=1e-12)
    kept = several.frames["over_training_by_training"]
    assert list(dict.fromkeys(kept.training)) == ["mine (b1)", "mine (b2)", "mine (b3)"]
    chosen = kept[(kept.training == "mine (b2)") & (kept.against == NOISES)]
    np.testing.assert_allclose(chosen.cka, values[1][: len(STEPS)], rtol=1e-12)


def test_no_panel_is_cut_off(one: OverTrainingResult) -> None:
    figure = one.figures()["over_training"]
    panels = [axes for axes in figure.axes if axes.lines]
    assert len(panels) == 2
    for axes in panels:
        values = np.concatenate([np.asarray(line.get_ydata(), float) for line in axes.lines])
        low, high = axes.get_ylim()
        assert low < np.nanmin(values) and np.nanmax(values) < high


def test_the_end_is_the_last_step_that_all_trainings_have(place: Path, tmp_path: Path) -> None:
    for run in ("b1", "b2"):
        copytree(place / run, tmp_path / run)
    save_tiny(tmp_path / "b2" / "snapshot-002000.pth", 9, CONFIG)
    settings = CKASettings(crop=16, limit=4, over_training=(f"mine={tmp_path}/b*",))
    inputs = snapshots.load(settings.over_training, settings, None, "--over-training")
    assert {of.step for of in snapshots.of_models(inputs).values()} == set(STEPS)
    line = "left out mine (b2), step 2,000: not all trainings of mine have this step"
    assert line in inputs.messages


def test_the_end_of_training_is_told_with_its_step(one: OverTrainingResult) -> None:
    assert f"with the end of training (step {STEPS[-1]:,})" in " ".join(one.sentences())


def test_a_saved_run_is_read_again(one: OverTrainingResult, tmp_path: Path) -> None:
    again = analysis.open_run(one.save(tmp_path / "run"), "cka_over_training")
    assert isinstance(again, OverTrainingResult)
    pd.testing.assert_frame_equal(again.over_training, one.over_training, check_dtype=False)
    assert again.plot(noise="gaussian:15").get_xlabel() == "step of training"


def test_the_command_takes_runs_instead_of_models(
    place: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leave_unrendered(monkeypatch)
    options = ["--images", str(place / "photos"), "--crop", "16", "--limit", "12", "--quiet"]
    arguments = ["--over-training", f"mine={place}/b*", *options, "--positions", "8"]
    path = run_arguments(ANALYSIS, [*arguments, "--output-dir", str(tmp_path / "run")])
    text = " ".join(capsys.readouterr().out.split())
    assert "mine is the mean over three trainings" in text
    assert "at step 500 of mine and" in text
    assert (path / "over_training.csv").is_file()
    assert run_arguments(ANALYSIS, [*arguments, "--resume", "--output-dir", str(path)]) == path


def refused(*arguments: str) -> str:
    with pytest.raises(BadInput) as error:
        run_arguments(ANALYSIS, [*arguments])
    return str(error.value)


def test_models_beside_runs_are_refused(place: Path) -> None:
    assert "leave the model out" in refused("masked.pth", "--over-training", str(place / "b1"))


def test_a_run_needs_two_snapshots(place: Path, tmp_path: Path) -> None:
    copy(place / "b1" / "snapshot-000500.pth", tmp_path)
    text = refused("--over-training", str(tmp_path), "--crop", "16", "--limit", "4")
    assert "1 step with a snapshot" in text
    assert "no such folder" in refused("--over-training", str(tmp_path / "absent"))


def test_pairs_cannot_be_chosen(place: Path) -> None:
    assert "has no effect" in refused("--over-training", str(place / "b1"), "--compare", "all")
