"""SRGA of models with several trainings, against a run of their networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.srga.command import score_models
from analysis.srga.result import SRGAResult
from tests.helpers.control_runs import CONFIG, draw_photographs
from tests.helpers.networks import save_tiny, save_trainings

SETTINGS = {"crop": 16, "limit": 12, "seed": 3, "untrained": 2, "progress": False}
SETTINGS |= {"noises": ["poisson:3.5", "speckle:0.04"]}
COUNT = 3


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("srga")
    save_trainings(folder, COUNT, CONFIG)
    for seed in (7, 8, 9):
        save_tiny(folder / f"c{seed}" / "model.pth", seed, CONFIG)
    draw_photographs(folder / "photos", 6)
    return folder


@pytest.fixture(scope="module")
def of_models(place: Path) -> SRGAResult:
    models = {"mine": str(place / "b*" / "model.pth"), "theirs": str(place / "c*" / "model.pth")}
    return score_models(models, images=place / "photos", **SETTINGS)


@pytest.fixture(scope="module")
def of_networks(place: Path) -> SRGAResult:
    files = [*place.glob("b*/model.pth"), *place.glob("c*/model.pth")]
    models = {path.parent.name: path for path in files}
    return score_models(models, images=place / "photos", **SETTINGS)


def of(result: SRGAResult, start: str) -> pd.DataFrame:
    frame = result.scores[result.scores.noise != result.scores.reference]
    return frame[frame.model.str.startswith(start)]


def test_scores_and_controls_are_means_over_trainings(
    of_models: SRGAResult, of_networks: SRGAResult
) -> None:
    for noise, rows in of(of_networks, "b").groupby("noise"):
        mine = of(of_models, "mine")
        (row,) = mine[mine.noise == noise].to_dict("records")
        low, high = stats.t.interval(0.95, COUNT - 1, rows.srga.mean(), stats.sem(rows.srga))
        assert row["srga"] == pytest.approx(rows.srga.mean(), rel=1e-12)
        assert (row["low_trainings"], row["high_trainings"]) == pytest.approx((low, high))
        halves = row["srga"] - row["low_trainings"], row["srga"] - row["low_photographs"]
        assert row["srga"] - row["low"] == pytest.approx(np.hypot(*halves))
        for name in ("ceiling", "floor", "untrained", "untrained_sd", "kl", "psnr"):
            assert row[name] == pytest.approx(rows[name].mean()), name


def test_models_differ_by_welchs_interval(of_models: SRGAResult, of_networks: SRGAResult) -> None:
    (row, *_) = of_models.difference.to_dict("records")
    rows = [of(of_networks, start) for start in "cb"]
    sides = [frame.srga[frame.noise == row["noise"]] for frame in rows]
    oracle = stats.ttest_ind(*sides, equal_var=False).confidence_interval(0.95)
    half = (oracle.high - oracle.low) / 2
    assert row["value"] == pytest.approx(sides[0].mean() - sides[1].mean())
    assert (row["high"] - row["low"]) / 2 >= half


def test_single_trainings_are_kept(of_models: SRGAResult, of_networks: SRGAResult) -> None:
    kept = of_models.frames["srga_by_training"]
    assert list(dict.fromkeys(kept.training)) == [
        *(f"mine (b{i})" for i in (1, 2, 3)),
        *(f"theirs (c{i})" for i in (7, 8, 9)),
    ]
    names = kept.training.str.extract(r"\((.*)\)")[0]
    both = of_networks.scores.set_index(["model", "noise"]).srga
    expected = [both[name, noise] for name, noise in zip(names, kept.noise, strict=True)]
    np.testing.assert_allclose(kept.srga, expected)


def test_a_run_of_networks_has_no_columns_of_trainings(of_networks: SRGAResult) -> None:
    assert "trainings" not in of_networks.scores
    assert "srga_by_training" not in of_networks.frames


def test_figure_and_sentences(of_models: SRGAResult) -> None:
    assert "are means over three trainings each" in " ".join(of_models.sentences())
    assert "dots: single trainings" in of_models.figures()["srga"].axes[0].get_title()
