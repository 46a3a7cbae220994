"""Brightness of a model with several trainings, against runs of each training alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.brightness import measure_brightness, reading
from analysis.brightness.command import ANALYSIS
from analysis.brightness.result import BrightnessResult
from analysis.commands.command import run_arguments
from analysis.commands.run_tables import read_tables
from analysis.text.noise_labels import NOISY
from tests.helpers.networks import save_tiny, save_trainings

NOISES = ("gaussian:15", "poisson:3")
FILES = ("b1", "b2", "b3")
MEANS = ("difference", "psnr", "psnr_matched", "matching", "shift", "distance")


def measured(models: object) -> BrightnessResult:
    return measure_brightness(models, noises=NOISES, crop=16, limit=7, progress=False)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trainings")
    save_trainings(folder, 3)
    save_tiny(folder / "other.pth", seed=7)
    return folder


@pytest.fixture(scope="module")
def together(place: Path) -> BrightnessResult:
    return measured({"a": str(place / "b*" / "model.pth"), "other": place / "other.pth"})


@pytest.fixture(scope="module")
def alone(place: Path) -> list[BrightnessResult]:
    return [measured({"a": place / name / "model.pth"}) for name in FILES]


def rows(frame: pd.DataFrame, noise: str, model: str = "a") -> pd.DataFrame:
    return frame[(frame.model == model) & (frame.noise == noise)].reset_index(drop=True)


@pytest.mark.parametrize("noise", NOISES)
def test_values_are_means_over_the_trainings(together, alone, noise):
    row = rows(together.brightness, noise).iloc[0]
    single = pd.concat([rows(result.brightness, noise) for result in alone])
    for name in MEANS:
        assert row[name] == pytest.approx(single[name].mean(), rel=1e-12)
    for name in ("shift", "distance"):
        low, high = stats.t.interval(0.95, 2, single[name].mean(), stats.sem(single[name]))
        assert row[f"{name}_low_trainings"] == pytest.approx(low, rel=1e-9)
        assert row[f"{name}_high_trainings"] == pytest.approx(high, rel=1e-9)
        halves = [row[name] - row[f"{name}_low_{of}"] for of in ("photographs", "trainings")]
        assert row[name] - row[f"{name}_low"] == pytest.approx(np.hypot(*halves), rel=1e-9)
        assert row[f"{name}_high"] - row[name] == pytest.approx(np.hypot(*halves), rel=1e-9)
    assert row.trainings == 3 and (single["shift"].std() > 0.1)


def test_the_interval_over_photographs_leaves_one_out_of_every_training(together, alone):
    """Shift is linear in the histograms, so that crops of one size give it as a mean."""
    row = rows(together.brightness, NOISES[0]).iloc[0]
    single = [rows(result.images, NOISES[0]) for result in alone]
    mean = np.mean([part["shift"] for part in single], axis=0)
    images = single[0].image.to_numpy()
    without = [mean[images != image].mean() for image in dict.fromkeys(images)]
    n = len(without)
    error = np.sqrt((n - 1) / n * np.square(np.array(without) - np.mean(without)).sum())
    half = error * stats.t.ppf(0.975, n - 1)
    assert row.shift_low_photographs == pytest.approx(mean.mean() - half, rel=1e-9)
    assert row.shift_high_photographs == pytest.approx(mean.mean() + half, rel=1e-9)


def test_a_single_network_beside_it_is_as_it_is_alone(place, together):
    alone = measured({"other": place / "other.pth"})
    for name in ("other", NOISY):
        for noise in NOISES:
            row = rows(together.brightness, noise, name).iloc[0]
            assert row.trainings == 1 and np.isnan(row.shift_low_trainings)
            for column, value in rows(alone.brightness, noise, name).iloc[0].items():
                assert row[column] == value
            assert row.shift_low == pytest.approx(row.shift_low_photographs)


def test_crops_and_histograms_are_means_and_single_ones_have_tables(together, alone):
    for name, columns in (
        ("images", ["shift", "distance", "psnr", "psnr_matched", "slope", "offset"]),
        ("histograms", ["share"]),
    ):
        mean = rows(together.frames[name], NOISES[1])[columns]
        own = [rows(result.frames[name], NOISES[1])[columns] for result in alone]
        assert mean.to_numpy() == pytest.approx(np.mean(own, axis=0), rel=1e-9)
    for name in ("brightness", "images", "histograms"):
        single = together.frames[f"{name}_by_training"]
        assert list(single.columns[:2]) == ["model", "training"]
        assert list(single.training.unique()) == ["a (b1)", "a (b2)", "a (b3)"]
        for file, result in zip(FILES, alone, strict=True):
            own = single[single.training == f"a ({file})"].reset_index(drop=True)
            frame = result.frames[name]
            expected = frame[frame.model == "a"].reset_index(drop=True)
            pd.testing.assert_frame_equal(own.drop(columns="training"), expected)


def test_the_size_of_shifts_does_not_cancel_between_trainings(together, alone):
    sizes = reading.shift_sizes(together.frames)
    single = [rows(result.images, NOISES[0])["shift"].abs().mean() for result in alone]
    assert sizes["a", NOISES[0]] == pytest.approx(np.mean(single))
    assert len(sizes) == 3 * len(NOISES)


def test_each_training_is_a_thin_line(together):
    axes = together.plot_histograms(noise=NOISES[0])
    thin = [line for line in axes.get_lines() if line.get_linewidth() < 1]
    assert len(thin) == 3 and len({line.get_color() for line in thin}) == 1
    shown = together.figures()["brightness"]
    assert "thin lines: single trainings" in shown.get_suptitle()


@pytest.mark.drawn
def test_the_command_writes_and_says_all(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = [f"a={place}/b*/model.pth", "--crop", "16", "--limit", "7", "--quiet"]
    path = run_arguments(ANALYSIS, arguments, "test")
    assert path.name.startswith("brightness-a-")
    assert set(read_tables(path, ANALYSIS.table_names)) == set(ANALYSIS.table_names)
    text = " ".join((path / "summary.txt").read_text().split())
    assert "a is the mean over three trainings" in text
    assert "The 95% intervals over photographs leave out one photograph at a time." in text
    assert "not other trainings" not in text and "(b1)" not in text
    restored = BrightnessResult.read(ANALYSIS, path)
    assert restored.text() + "\n" == (path / "summary.txt").read_text()


def test_modules_of_a_list_are_evaluated_as_such():
    import torch

    class Dropped(torch.nn.Module):
        def __init__(self, scale: float) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.tensor(scale))
            self.drop = torch.nn.Dropout(0.9)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.drop(x) * self.scale

    modules = [Dropped(1.0).train(), Dropped(0.5).train()]
    frame = measured({"m": modules}).frames["brightness_by_training"]
    one, half = (frame[frame.training == f"m ({n})"] for n in (1, 2))
    assert (one["shift"].abs() < 1).all() and (half["shift"] < -20).all()
    assert all(module.training for module in modules)
