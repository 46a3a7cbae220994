"""CKA of models with several trainings, against runs of their networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.cka.command import ANALYSIS, compare
from analysis.cka.result import CKAResult
from analysis.commands.command import run_arguments
from analysis.stats.controls import COLUMNS
from mtd.utils.errors import BadInput
from tests.helpers.control_runs import CONFIG, draw_photographs
from tests.helpers.figures import leave_unrendered
from tests.helpers.networks import save_tiny, save_trainings

SETTINGS = {"crop": 16, "limit": 24, "positions": 8, "seed": 3, "untrained": 2, "progress": False}
COUNT = 3


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trainings")
    save_trainings(folder, COUNT, CONFIG)
    save_tiny(folder / "other.pth", 7, CONFIG)
    draw_photographs(folder / "photos", 12)
    return folder


@pytest.fixture(scope="module")
def of_models(place: Path) -> CKAResult:
    models = {"mine": str(place / "b*" / "model.pth"), "other": place / "other.pth"}
    return compare(models, images=place / "photos", **SETTINGS)


@pytest.fixture(scope="module")
def of_networks(place: Path) -> CKAResult:
    models = {f"b{i}": place / f"b{i}" / "model.pth" for i in range(1, COUNT + 1)}
    return compare({**models, "other": place / "other.pth"}, images=place / "photos", **SETTINGS)


def own(result: CKAResult, name: str = "last_quarter") -> pd.DataFrame:
    frame = result.frames[name]
    return frame[frame.model_a == frame.model_b] if "model_a" in frame else frame


def test_values_are_means_over_trainings(of_models: CKAResult, of_networks: CKAResult) -> None:
    (mine, _), single = own(of_models).to_dict("records"), own(of_networks)
    values = single.cka[single.model_a != "other"]
    assert len(values) == COUNT
    assert mine["cka"] == pytest.approx(values.mean(), rel=1e-12)
    low, high = stats.t.interval(0.95, COUNT - 1, values.mean(), stats.sem(values))
    assert mine["trainings"] == COUNT
    assert (mine["low_trainings"], mine["high_trainings"]) == pytest.approx((low, high), rel=1e-9)
    halves = (mine["cka"] - mine["low_trainings"], mine["cka"] - mine["low_photographs"])
    assert mine["cka"] - mine["low"] == pytest.approx(np.hypot(*halves), rel=1e-9)


def test_controls_are_means_over_trainings(of_models: CKAResult, of_networks: CKAResult) -> None:
    (mine, _), single = own(of_models).to_dict("records"), own(of_networks)
    rows = single[single.model_a != "other"]
    for name in ("ceiling", "floor", "untrained", "untrained_sd"):
        assert mine[name] == pytest.approx(rows[name].mean(), rel=1e-9), name


def test_the_interval_over_photographs_is_narrower_than_the_mean_of_those_of_networks(
    of_models: CKAResult, of_networks: CKAResult
) -> None:
    (mine, _), single = own(of_models).to_dict("records"), own(of_networks)
    rows = single[single.model_a != "other"]
    widths = rows.high - rows.low
    width = mine["high_photographs"] - mine["low_photographs"]
    assert 0 < width <= widths.mean() * (1 + 1e-9)


def test_a_single_network_is_as_in_a_run_of_networks(
    of_models: CKAResult, of_networks: CKAResult
) -> None:
    (_, other), single = own(of_models).to_dict("records"), own(of_networks)
    (row,) = single[single.model_a == "other"].to_dict("records")
    for name, value in row.items():
        assert other[name] == value or other[name] == pytest.approx(value, nan_ok=True), name
    assert (other["trainings"], np.isnan(other["low_trainings"])) == (1, True)


def test_single_trainings_are_kept(of_models: CKAResult, of_networks: CKAResult) -> None:
    kept, single = of_models.frames["depth_by_training"], of_networks.depth
    assert set(kept.model) == {"mine"}
    assert list(dict.fromkeys(kept.training)) == [f"mine (b{i})" for i in (1, 2, 3)]
    values = single[single.model != "other"].cka.to_numpy()
    np.testing.assert_allclose(kept.cka, values, rtol=1e-12)


def test_cells_and_layers_are_means(of_models: CKAResult, of_networks: CKAResult) -> None:
    mine = of_models.cells.query("model_a == 'mine' and model_b == 'mine'")
    single = of_networks.cells.query("model_a != 'other' and model_a == model_b")
    each = single.groupby(["layer_a", "layer_b"], sort=False).cka.mean()
    np.testing.assert_allclose(mine.cka, each, rtol=1e-12)
    ranks = of_networks.layers.query("model != 'other'").groupby(["noise", "layer"], sort=False)
    np.testing.assert_allclose(
        of_models.layers.query("model == 'mine'").effective_rank,
        ranks.effective_rank.mean(),
        rtol=1e-9,
    )


def test_between_models_each_training_with_the_single_network(
    of_models: CKAResult, of_networks: CKAResult
) -> None:
    def between(result: CKAResult) -> pd.DataFrame:
        frame = result.last_quarter
        return frame[(frame.model_a != frame.model_b) & (frame.model_b == "other")]

    (row,) = between(of_models).to_dict("records")
    values = between(of_networks).cka
    assert len(values) == COUNT
    assert row["cka"] == pytest.approx(values.mean(), rel=1e-12)


def test_a_difference_from_a_single_network_has_the_spread_of_the_other_model(
    of_models: CKAResult,
) -> None:
    (row,) = of_models.quarter_difference.to_dict("records")
    single = of_models.frames["last_quarter_by_training"]
    own = single[(single.model_a == "mine") & (single.model_b == "mine")].cka
    half = stats.t.ppf(0.975, COUNT - 1) * stats.sem(own)
    expected = (row["difference"] - half, row["difference"] + half)
    assert (row["low_trainings"], row["high_trainings"]) == pytest.approx(expected)
    assert row["low"] < row["low_photographs"] and row["high"] > row["high_photographs"]


def test_two_models_of_several_trainings_differ_by_welchs_interval(place: Path) -> None:
    files = [place / f"b{i}" / "model.pth" for i in range(1, COUNT + 1)]
    for seed in range(10, 13):
        save_tiny(place / f"c{seed}" / "model.pth", seed, CONFIG)
    models = {"mine": files, "theirs": str(place / "c*" / "model.pth")}
    settings = SETTINGS | {"controls": False}
    result = compare(models, images=place / "photos", **settings)
    (row,) = result.quarter_difference.to_dict("records")
    single = result.frames["last_quarter_by_training"]
    single = single[single.model_a == single.model_b]
    sides = [single.cka[single.model_a == name] for name in ("theirs", "mine")]
    oracle = stats.ttest_ind(*sides, equal_var=False).confidence_interval(0.95)
    assert (row["low_trainings"], row["high_trainings"]) == pytest.approx(oracle, rel=1e-9)
    assert row["low"] < row["low_photographs"]
    between = result.frames["last_quarter_by_training"].query("model_a != model_b")
    pairs = list(zip(between.training_a, between.training_b, strict=True))
    assert pairs == [(f"mine (b{i})", f"theirs (c{9 + i})") for i in (1, 2, 3)]


def test_permutations_are_of_single_networks(place: Path) -> None:
    models = {"mine": str(place / "b*" / "model.pth")}
    settings = SETTINGS | {"unit": "image", "limit": 6}
    with pytest.raises(BadInput, match="several trainings"):
        compare(models, images=place / "photos", permutations=10, **settings)
    assert compare(models, images=place / "photos", **settings).cells.p.isna().all()


@pytest.fixture
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_unrendered(monkeypatch)


@pytest.mark.usefixtures("unrendered")
def test_the_command_says_what_intervals_are_over(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [f"mine={place}/b*/model.pth", str(place / "other.pth"), "--crop", "16"]
    options = ["--images", str(place / "photos"), "--limit", "24", "--positions", "8", "--quiet"]
    run_arguments(ANALYSIS, [*arguments, *options, "--output-dir", str(tmp_path / "run")])
    text = " ".join(capsys.readouterr().out.split())
    assert "mine is the mean over three trainings" in text
    assert "other is a single training" in text
    assert set(COLUMNS) <= set(pd.read_csv(tmp_path / "run" / "last_quarter.csv"))
