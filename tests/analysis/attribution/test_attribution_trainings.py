"""Attribution of a model with several trainings, against runs of each training alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.attribution import attribute, tables
from analysis.attribution.command import ANALYSIS
from analysis.attribution.figures import FIRST
from analysis.attribution.result import AttributionResult
from analysis.attribution.trainings import MEASURED, of_models
from analysis.commands.command import run_arguments
from analysis.commands.run_tables import read_tables
from mtd.utils.errors import BadInput
from tests.helpers.networks import save_tiny, save_trainings

HOW = {"crop": 24, "side": 6, "blur": 1.5, "steps": 2, "limit": 4, "noises": ["gaussian:50"]}
FILES = ("b1", "b2", "b3")
NOISES = ("gaussian:0", "gaussian:50")
AVERAGED = ("di", "outside", "reach50", "reach90")


def run(models: object) -> AttributionResult:
    return attribute(models, progress=False, **HOW)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trainings")
    save_trainings(folder, 3)
    save_tiny(folder / "other.pth", seed=7)
    return folder


@pytest.fixture(scope="module")
def together(place: Path) -> AttributionResult:
    return run({"a": str(place / "b*" / "model.pth"), "other": place / "other.pth"})


@pytest.fixture(scope="module")
def alone(place: Path) -> list[AttributionResult]:
    return [run({"a": place / name / "model.pth"}) for name in FILES]


def of(frame: pd.DataFrame, model: str = "a") -> pd.DataFrame:
    return frame[frame.model == model].set_index(["noise", "crop"])


def test_numbers_of_a_crop_are_means_over_the_trainings(together, alone):
    rows = of(together.attribution)
    assert len(rows) == 8 and (rows.trainings == 3).all()
    for name in MEASURED:
        single = [of(result.attribution)[name].loc[rows.index] for result in alone]
        assert rows[name].to_numpy() == pytest.approx(np.mean(single, axis=0), rel=1e-12)
    columns = list(alone[0].attribution)
    assert list(together.attribution) == [*columns, "trainings"]
    whole = ["crop", "top", "left", "window_top", "window_left", "side"]  # as they were
    assert together.attribution.dtypes[whole].equals(alone[0].attribution.dtypes[whole])


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("name", AVERAGED)
def test_means_and_intervals(together, alone, name, noise):
    row = together.means.set_index(["model", "noise"]).loc[("a", noise)]
    single = np.array([of(result.attribution)[name].loc[noise] for result in alone])
    values = single.mean(1)
    half = stats.t.ppf(0.975, 2) * stats.sem(values)
    assert row[name] == pytest.approx(values.mean(), rel=1e-12)
    assert row[f"{name}_low_trainings"] == pytest.approx(values.mean() - half, rel=1e-9)
    each = single.mean(0)  # the crops are of four photographs
    other = stats.t.ppf(0.975, 3) * stats.sem(each)
    assert row[f"{name}_low_photographs"] == pytest.approx(values.mean() - other, rel=1e-9)
    assert row[f"{name}_high"] == pytest.approx(values.mean() + np.hypot(half, other), rel=1e-9)
    assert row.trainings == 3


def test_differences_are_of_means_with_photographs_paired(together, alone, place):
    frame = together.difference.set_index(["measure", "noise"])
    own = np.mean([of(result.attribution).di.loc["gaussian:50"] for result in alone], axis=0)
    other = of(together.attribution, "other").di.loc["gaussian:50"]
    row, apart = frame.loc[("di", "gaussian:50")], other - own
    assert row.value == pytest.approx(apart.mean())
    # the other model is a single network: photographs, and the spread of this one's trainings
    low, high = stats.t.interval(0.95, 3, apart.mean(), stats.sem(apart))
    means = [of(result.attribution).di.loc["gaussian:50"].mean() for result in alone]
    spread = stats.t.ppf(0.975, len(means) - 1) * stats.sem(means)
    half = np.hypot((high - low) / 2, spread)
    assert (row.low, row.high) == pytest.approx((apart.mean() - half, apart.mean() + half))


def test_a_single_network_beside_it_is_as_it_is_alone(place, together):
    alone = run({"other": place / "other.pth"})
    rows = together.attribution[together.attribution.model == "other"].reset_index(drop=True)
    rows = rows.drop(columns="trainings")
    pd.testing.assert_frame_equal(rows, alone.attribution, check_dtype=False)
    means = together.means[together.means.model == "other"].reset_index(drop=True)
    pd.testing.assert_frame_equal(means[list(alone.means)], alone.means)
    assert not any("trainings" in frame for frame in (alone.attribution, alone.means))


def test_maps_of_all_trainings_are_kept_and_the_first_is_shown(together, alone):
    for file, result in zip(FILES, alone, strict=True):
        for noise in NOISES:
            own = together.maps[f"a ({file})", noise, 2]
            assert np.array_equal(own, result.maps["a", noise, 2])
    assert np.array_equal(together.maps["a", NOISES[1], 0], alone[0].maps["a", NOISES[1], 0])
    assert not np.array_equal(together.maps["a", NOISES[1], 0], alone[1].maps["a", NOISES[1], 0])
    assert FIRST in together.figures()["attribution"].get_suptitle()
    assert FIRST not in alone[0].figures()["attribution"].get_suptitle()
    assert FIRST in together.plot_map(model="a").get_title()
    single = together.plot_map(model="a (b2)", noise=NOISES[1], crop=1)
    di = of(alone[1].attribution).di.loc[(NOISES[1], 1)]
    assert f"DI {di:.1f}" in single.get_title() and FIRST not in single.get_title()
    with pytest.raises(BadInput, match="did you mean"):
        together.plot_map(model="a (b4)")


def test_a_map_without_a_number_leaves_its_crop_out_of_the_mean(together):
    single = together.frames["attribution_by_training"].copy()
    first = (single.training == "a (b2)") & (single.noise == NOISES[0]) & (single.crop == 1)
    single.loc[first, "di"] = np.nan
    networks = pd.concat(
        [
            single.drop(columns="model").rename(columns={"training": "model"}),
            together.attribution[together.attribution.model == "other"],
        ]
    )
    trainings = {"a": tuple(f"a ({file})" for file in FILES), "other": ("other",)}
    frame = of_models(networks.drop(columns="trainings"), trainings)
    assert np.isnan(of(frame).di.loc[(NOISES[0], 1)])
    row = tables.means(frame, single).set_index(["model", "noise"]).loc[("a", NOISES[0])]
    kept = single[(single.noise == NOISES[0]) & (single.crop != 1)]
    assert row.di == pytest.approx(kept.di.mean())


@pytest.mark.drawn
def test_the_command_writes_and_says_all(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few = ["--crop", "24", "--side", "6", "--blur", "1.5", "--steps", "2", "--limit", "4"]
    path = run_arguments(ANALYSIS, [f"a={place}/b*/model.pth", *few, "--quiet"], "test")
    assert set(read_tables(path, ANALYSIS.table_names)) == set(ANALYSIS.table_names)
    text = " ".join((path / "summary.txt").read_text().split())
    assert "a is the mean over three trainings" in text
    assert "Of a model with several trainings it shows the map of the first one." in text
    worst = read_tables(path, ANALYSIS.table_names)["attribution_by_training"].completeness.max()
    assert f"{worst:.2%}" in text
    restored = AttributionResult.read(ANALYSIS, path)
    assert restored.text() + "\n" == (path / "summary.txt").read_text()
