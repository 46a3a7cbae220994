"""Degradation clusters of models with several trainings, against a run of their networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.degradation.command import measure_clusters
from analysis.degradation.figures import FIRST_SHOWN
from analysis.degradation.result import DegradationResult
from tests.helpers.control_runs import CONFIG, draw_photographs
from tests.helpers.networks import save_tiny, save_trainings

SETTINGS = {"crop": 16, "limit": 6, "seed": 3, "untrained": 2, "progress": False}
SETTINGS |= {"layers": ["conv_first", "input:conv_last"]}
SETTINGS |= {"noises": ["gaussian:15", "poisson:3.5", "speckle:0.04"]}
COUNT = 3


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("degradation")
    save_trainings(folder, COUNT, CONFIG)
    save_tiny(folder / "other.pth", 7, CONFIG)
    draw_photographs(folder / "photos", 6)
    return folder


@pytest.fixture(scope="module")
def of_models(place: Path) -> DegradationResult:
    models = {"mine": str(place / "b*" / "model.pth"), "other": place / "other.pth"}
    return measure_clusters(models, images=place / "photos", **SETTINGS)


@pytest.fixture(scope="module")
def of_networks(place: Path) -> DegradationResult:
    models = {f"b{i}": place / f"b{i}" / "model.pth" for i in range(1, COUNT + 1)}
    models["other"] = place / "other.pth"
    return measure_clusters(models, images=place / "photos", **SETTINGS)


def test_indices_and_controls_are_means_over_trainings(
    of_models: DegradationResult, of_networks: DegradationResult
) -> None:
    single = of_networks.degradation
    single = single[single.model != "other"]
    for layer, rows in single.groupby("layer"):
        mine = of_models.degradation
        (row,) = mine[(mine.model == "mine") & (mine.layer == layer)].to_dict("records")
        for name in ("ch_noise", "ch_content", "probe", "ceiling", "untrained", "untrained_sd"):
            assert row[name] == pytest.approx(rows[name].mean()), name
        half = stats.t.ppf(0.975, COUNT - 1) * stats.sem(rows.ch_noise) / rows.ch_noise.mean()
        center = np.log(rows.ch_noise.mean())
        expected = np.exp([center - half, center + half])
        assert (row["low_trainings"], row["high_trainings"]) == pytest.approx(tuple(expected))
        assert row["low"] < row["low_photographs"] < row["ch_noise"]


def test_a_single_network_is_as_in_a_run_of_networks(
    of_models: DegradationResult, of_networks: DegradationResult
) -> None:
    mine, single = (
        result.degradation[result.degradation.model == "other"].reset_index(drop=True)
        for result in (of_models, of_networks)
    )
    pd.testing.assert_frame_equal(mine[list(single)], single, check_dtype=False)


def test_single_trainings_are_kept_and_the_first_is_embedded(
    of_models: DegradationResult, of_networks: DegradationResult
) -> None:
    kept, single = of_models.frames["degradation_by_training"], of_networks.degradation
    expected = single.ch_noise[single.model != "other"].to_numpy()
    np.testing.assert_allclose(kept.ch_noise, expected)
    points, first = of_models.embedding, of_networks.embedding
    layer = "input:conv_last"
    x = points.x[(points.model == "mine") & (points.layer == layer)]
    np.testing.assert_allclose(x, first.x[(first.model == "b1") & (first.layer == layer)])


def test_figures_and_sentences(of_models: DegradationResult) -> None:
    assert "`mine` is the mean over three trainings" in " ".join(of_models.sentences())
    figures = of_models.figures()
    assert "thin lines" in figures["degradation"].get_suptitle()
    assert FIRST_SHOWN in figures["embedding"].get_suptitle()
