"""Sensitivity of a model with several trainings, against runs of each training alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.commands.command import run_arguments
from analysis.commands.run_tables import read_tables
from analysis.sensitivity import measure_sensitivity
from analysis.sensitivity.command import ANALYSIS
from analysis.sensitivity.observer import DENOISED
from analysis.sensitivity.result import SensitivityResult
from analysis.stats.model_differences import MEAN
from tests.helpers.networks import save_tiny, save_trainings

NOISES = ("gaussian:15", "poisson:3")
FILES = ("b1", "b2", "b3")
KEYS = ["noise", "layer"]


def measured(models: object) -> SensitivityResult:
    return measure_sensitivity(models, noises=NOISES, crop=16, limit=8, progress=False)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trainings")
    save_trainings(folder, 3)
    save_tiny(folder / "other.pth", seed=7)
    return folder


@pytest.fixture(scope="module")
def together(place: Path) -> SensitivityResult:
    return measured({"a": str(place / "b*" / "model.pth"), "other": place / "other.pth"})


@pytest.fixture(scope="module")
def alone(place: Path) -> list[SensitivityResult]:
    return [measured({"a": place / name / "model.pth"}) for name in FILES]


def of(frame: pd.DataFrame, model: str = "a") -> pd.DataFrame:
    return frame[frame.model == model].set_index(KEYS)


@pytest.mark.parametrize("name, prefix", [("change", ""), ("gain", "gain_")])
def test_values_and_intervals_over_trainings(together, alone, name, prefix):
    rows = of(together.sensitivity)
    single = np.array([of(result.sensitivity)[name].loc[rows.index] for result in alone])
    assert rows[name].to_numpy() == pytest.approx(single.mean(0), rel=1e-12)
    half = stats.t.ppf(0.975, 2) * stats.sem(single, axis=0) / single.mean(0)
    for end, sign in (("low", -1), ("high", 1)):
        bound = np.exp(np.log(single.mean(0)) + sign * half)
        assert rows[f"{prefix}{end}_trainings"].to_numpy() == pytest.approx(bound, rel=1e-9)
        halves = [
            np.log(rows[f"{prefix}{end}_{over}"] / rows[name])
            for over in ("photographs", "trainings")
        ]
        both = np.log(rows[f"{prefix}{end}"] / rows[name]).to_numpy()
        assert sign * both == pytest.approx(np.hypot(*halves), rel=1e-9, abs=1e-12)
    assert (rows.trainings == 3).all() and single.std(0).max() > 1e-3


def test_the_interval_over_photographs_is_that_of_the_mean(place):
    """Runs without each of four photographs, by hand."""
    images = [np.random.default_rng(i).random((16, 16, 3)) ** (i + 1) for i in range(4)]

    def run(model: object, kept: list[np.ndarray]) -> pd.DataFrame:
        given = {"crop": 16, "limit": 4, "noises": ["gaussian:15"], "progress": False}
        return measure_sensitivity(model, images=kept, **given).sensitivity.set_index("layer")

    whole = run({"a": [place / name / "model.pth" for name in FILES[:2]]}, images)

    def mean(kept: list[np.ndarray]) -> np.ndarray:
        single = [run(place / name / "model.pth", kept).gain for name in FILES[:2]]
        return np.log(np.mean([gain[whole.index] for gain in single], axis=0))

    without = np.array([mean(images[:i] + images[i + 1 :]) for i in range(4)])
    error = np.sqrt(3 / 4 * np.square(without - without.mean(0)).sum(0))
    value, half = mean(images), stats.t.ppf(0.975, 3) * error
    assert whole.gain.to_numpy() == pytest.approx(np.exp(value), rel=1e-9)
    assert whole.gain_low_photographs.to_numpy() == pytest.approx(np.exp(value - half), rel=1e-6)
    assert whole.gain_high.to_numpy() == pytest.approx(np.exp(value + half), rel=1e-6)
    assert (whole.trainings == 2).all() and whole.gain_low_trainings.isna().all()


def test_ratios_are_of_means_and_trainings_are_independent(together, alone):
    row = together.frames["sensitivity_ratio"].set_index("noise").loc[NOISES[0]]
    gains = [of(result.sensitivity).gain[NOISES[0], DENOISED] for result in alone]
    other = of(together.sensitivity, "other").gain[NOISES[0], DENOISED]
    assert row.value == pytest.approx(other / np.mean(gains), rel=1e-12)
    assert (row.model_a, row.model_b) == ("a", "other")
    assert MEAN in set(together.frames["sensitivity_ratio"].noise)


def test_two_models_of_trainings_differ_by_welchs_interval(place):
    save_trainings(place / "second", 4)
    models = {"a": str(place / "b*" / "model.pth"), "b": str(place / "second" / "b*" / "model.pth")}
    result = measured(models)
    row = result.frames["sensitivity_ratio"].set_index("noise").loc[NOISES[0]]
    single = result.frames["sensitivity_by_training"]
    single = single[(single.noise == NOISES[0]) & (single.layer == DENOISED)]
    # logarithms by the delta method: the spread of each training's share of the mean
    gains = [single[single.model == name].gain for name in ("b", "a")]
    logs = [np.log(of.mean()) + of / of.mean() - 1 for of in gains]
    welch = stats.ttest_ind(*logs, equal_var=False).confidence_interval(0.95)
    over_trainings = (welch.high - welch.low) / 2
    # photographs alone: the same models without their trainings' spread
    half = np.log(row.high / row.value)
    assert half > over_trainings
    assert np.log(row.value / row.low) == pytest.approx(half, rel=1e-9)
    photographs = np.sqrt(half**2 - over_trainings**2)
    bands = np.log(row.band_high / row.value)
    wider = stats.ttest_ind(*logs, equal_var=False).confidence_interval(0.975)
    scale = stats.t.ppf(1 - 0.0125, 3) / stats.t.ppf(0.975, 3)
    both = np.hypot(photographs * scale, (wider.high - wider.low) / 2)
    assert bands == pytest.approx(both, rel=1e-6)


def test_a_single_network_beside_it_is_as_it_is_alone(place, together):
    alone = measured({"other": place / "other.pth"}).sensitivity
    rows = together.sensitivity[together.sensitivity.model == "other"].reset_index(drop=True)
    pd.testing.assert_frame_equal(rows[list(alone)], alone)
    assert (rows.trainings == 1).all() and rows.gain_low_trainings.isna().all()


def test_single_trainings_have_a_table(together, alone):
    single = together.frames["sensitivity_by_training"]
    for file, result in zip(FILES, alone, strict=True):
        own = single[single.training == f"a ({file})"].drop(columns="training")
        pd.testing.assert_frame_equal(own.reset_index(drop=True), result.sensitivity)


def test_each_training_is_a_thin_line(together):
    axes = together.plot_gain(noise=NOISES[0])
    thin = [line for line in axes.get_lines() if line.get_linewidth() < 1]
    assert len(thin) == 3
    title = together.figures()["sensitivity"].get_suptitle()
    assert "thin lines: single trainings" in title and "photographs and over trainings" in title


@pytest.mark.drawn
def test_the_command_writes_and_says_all(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = [
        f"a={place}/b*/model.pth",
        str(place / "other.pth"),
        "--crop",
        "16",
        "--limit",
        "4",
    ]
    path = run_arguments(ANALYSIS, [*arguments, "--quiet"], "test")
    assert set(read_tables(path, ANALYSIS.table_names)) == set(ANALYSIS.table_names)
    text = " ".join((path / "summary.txt").read_text().split())
    assert "a is the mean over three trainings" in text and "(b1)" not in text
    restored = SensitivityResult.read(ANALYSIS, path)
    assert restored.text() + "\n" == (path / "summary.txt").read_text()
