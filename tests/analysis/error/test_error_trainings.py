"""The error of a model with several trainings, against runs of each training alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from analysis.error import decompose
from analysis.error.measured import split_of_models
from analysis.error.result import ErrorResult
from analysis.stats.controls import Series
from analysis.stats.model_differences import MEAN
from tests.helpers.networks import save_tiny, save_trainings

NOISES = ("gaussian:15", "poisson:3")
FILES = ("b1", "b2", "b3")


def measured(models: object) -> ErrorResult:
    given = {"noises": NOISES, "crop": 16, "limit": 8, "draws": 2, "progress": False}
    return decompose(models, **given)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trainings")
    save_trainings(folder, 3)
    save_tiny(folder / "other.pth", seed=7)
    return folder


@pytest.fixture(scope="module")
def together(place: Path) -> ErrorResult:
    return measured({"a": str(place / "b*" / "model.pth"), "other": place / "other.pth"})


@pytest.fixture(scope="module")
def alone(place: Path) -> list[ErrorResult]:
    names = [*(place / name / "model.pth" for name in FILES), place / "other.pth"]
    return [measured({"a": name}) for name in names]


@pytest.mark.parametrize("name", ["mse", "bias2", "variance", "psnr"])
def test_values_and_intervals_over_trainings(together, alone, name):
    rows = together.error[together.error.model == "a"].set_index("noise")
    single = np.array([result.error.set_index("noise")[name] for result in alone[:3]])
    assert rows[name].to_numpy() == pytest.approx(single.mean(0), rel=1e-12)
    half = stats.t.ppf(0.975, 2) * stats.sem(single, axis=0)
    assert (rows[f"{name}_high_trainings"] - rows[name]).to_numpy() == pytest.approx(half, rel=1e-9)
    halves = [rows[f"{name}_high_{over}"] - rows[name] for over in ("photographs", "trainings")]
    both = (rows[f"{name}_high"] - rows[name]).to_numpy()
    assert both == pytest.approx(np.hypot(*halves), rel=1e-9)
    assert (rows.trainings == 3).all() and len(together.frames["error_by_training"]) == 6


def test_the_difference_is_that_of_the_means_and_its_parts_add_up(together, alone):
    rows = together.difference.pivot(index="noise", columns="measure", values="value")
    assert np.allclose(rows.damage + rows.leak, rows.psnr, rtol=1e-9)
    levels = [result.error.set_index("noise").psnr for result in alone]
    expected = levels[3] - sum(levels[:3]) / 3
    assert rows.psnr[list(NOISES)].to_numpy() == pytest.approx(expected[list(NOISES)].to_numpy())
    assert rows.psnr[MEAN] == pytest.approx(rows.psnr[list(NOISES)].mean())


def test_gains_are_means_over_trainings(together, alone):
    keys = ["noise", "frequency"]
    rows = together.transfer[together.transfer.model == "a"].set_index(keys)
    single = [result.transfer.set_index(keys).noise_gain for result in alone[:3]]
    assert rows.noise_gain.to_numpy() == pytest.approx(np.mean(single, axis=0), rel=1e-12)


def test_a_difference_from_a_single_network_has_the_spread_of_the_other_trainings(alone):
    errors = [dict.fromkeys(("bias2", "variance", "mask_variance"), 0.0) for _ in alone]
    numbers = [
        {
            name: Series(float(result.error.set_index("noise")[name][NOISES[0]]), np.zeros(0))
            for name in own
        }
        for result, own in zip(alone, errors, strict=True)
    ]
    found = split_of_models(numbers[:3], numbers[3:])["psnr"]
    values = [result.error.set_index("noise").psnr[NOISES[0]] for result in alone]
    (sample,) = found.trainings
    assert sample == pytest.approx([values[3] - value for value in values[:3]])
    assert found.value == pytest.approx(sample.mean())
    reverse = split_of_models(numbers[3:], numbers[:3])["psnr"]
    assert reverse.trainings[0] == pytest.approx(-sample)
    both = split_of_models(numbers[:2], numbers[2:])["psnr"].trainings
    assert [len(of) for of in both] == [2, 2] and sum(of.mean() for of in both) == pytest.approx(
        np.mean(values[2:]) - np.mean(values[:2])
    )
