"""Distributions of features of models with several trainings, against a run of their networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.distributions.command import measure_distances
from analysis.distributions.result import DistributionsResult
from tests.helpers.control_runs import CONFIG, draw_photographs
from tests.helpers.networks import save_tiny, save_trainings

SETTINGS = {"crop": 16, "limit": 6, "seed": 3, "untrained": 2, "progress": False}
SETTINGS |= {"noises": ["poisson:3.5", "speckle:0.04"]}
COUNT = 3


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("distributions")
    save_trainings(folder, COUNT, CONFIG)
    for seed in (7, 8, 9):
        save_tiny(folder / f"c{seed}" / "model.pth", seed, CONFIG)
    save_tiny(folder / "other.pth", 5, CONFIG)
    draw_photographs(folder / "photos", 6)
    return folder


@pytest.fixture(scope="module")
def of_models(place: Path) -> DistributionsResult:
    models = {"mine": str(place / "b*" / "model.pth"), "theirs": str(place / "c*" / "model.pth")}
    models["other"] = str(place / "other.pth")
    return measure_distances(models, images=place / "photos", **SETTINGS)


@pytest.fixture(scope="module")
def of_networks(place: Path) -> DistributionsResult:
    files = [*place.glob("b*/model.pth"), *place.glob("c*/model.pth")]
    models = {path.parent.name: path for path in sorted(files)} | {"other": place / "other.pth"}
    return measure_distances(models, images=place / "photos", **SETTINGS)


def of(result: DistributionsResult, start: str, noise: str) -> pd.DataFrame:
    frame = result.distances
    return frame[frame.model.str.startswith(start) & (frame.noise == noise)]


def unseen(result: DistributionsResult) -> list[str]:
    frame = result.distances
    return list(dict.fromkeys(frame.noise[frame.noise != frame.reference]))


def test_distances_and_controls_are_means_over_trainings(
    of_models: DistributionsResult, of_networks: DistributionsResult
) -> None:
    for noise in unseen(of_models):
        (row,) = of(of_models, "mine", noise).to_dict("records")
        rows = of(of_networks, "b", noise)
        for name in ("w1", "js", "sigma", "kurtosis", "w1_relative_ceiling", "js_floor"):
            assert row[name] == pytest.approx(rows[name].mean()), name
        assert row["w1_relative_untrained"] == pytest.approx(rows.w1_relative_untrained.iloc[0])
        values = rows.w1_relative
        expected = stats.t.interval(0.95, COUNT - 1, values.mean(), stats.sem(values))
        found = row["w1_relative_low_trainings"], row["w1_relative_high_trainings"]
        assert found == pytest.approx(expected)
        halves = [row["w1_relative"] - row[f"w1_relative_low_{of}"] for of in SOURCES]
        assert row["w1_relative"] - row["w1_relative_low"] == pytest.approx(np.hypot(*halves))


SOURCES = ("photographs", "trainings")


def test_models_differ_by_both_intervals(
    of_models: DistributionsResult, of_networks: DistributionsResult
) -> None:
    rows = of_models.difference
    rows = rows[(rows.model_a == "mine") & (rows.model_b == "theirs") & (rows.measure == "js")]
    (row, *_) = rows.to_dict("records")
    sides = [of(of_networks, start, row["noise"]).js for start in "cb"]
    oracle = stats.ttest_ind(*sides, equal_var=False).confidence_interval(0.95)
    assert row["value"] == pytest.approx(sides[0].mean() - sides[1].mean())
    assert row["high"] - row["low"] >= oracle.high - oracle.low


def test_curves_are_of_all_trainings_together(of_models: DistributionsResult) -> None:
    together, single = of_models.histograms, of_models.frames["histograms_by_training"]
    keys = ["model", "noise", "layer", "left"]
    means = single.groupby(keys, sort=False).density.mean()
    whole = together[together.model != "other"].set_index(keys).density
    np.testing.assert_allclose(means, whole.loc[means.index], rtol=1e-9)


def test_a_single_network_is_as_in_a_run_of_networks(
    of_models: DistributionsResult, of_networks: DistributionsResult
) -> None:
    mine, single = (
        result.distances[result.distances.model == "other"].reset_index(drop=True)
        for result in (of_models, of_networks)
    )
    pd.testing.assert_frame_equal(mine[list(single)], single, check_dtype=False)
    assert list(of_models.frames["distributions_by_training"].training.unique()) == [
        *(f"mine (b{i})" for i in (1, 2, 3)),
        *(f"theirs (c{i})" for i in (7, 8, 9)),
    ]


def test_figure_and_sentences(of_models: DistributionsResult) -> None:
    assert "are means over three trainings each" in " ".join(of_models.sentences())
    assert "thin lines" in of_models.figures()["distributions"].get_suptitle()
