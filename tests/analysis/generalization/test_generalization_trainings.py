"""Several trainings as one model in the benchmark, against runs of single networks and SciPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import analysis
from analysis.generalization import beyond, conditions, pairwise_tests
from analysis.generalization.result import GeneralizationResult
from analysis.generalization.tables import of_scores
from analysis.text.noise_labels import NOISY
from tests.helpers.benchmark_tables import NAMES, drawn, rows
from tests.helpers.networks import save_tiny, save_trainings

SETTINGS: dict[str, Any] = {
    "noises": ["gaussian:15", "gaussian:50", "poisson:3"],
    "in_distribution": ["gaussian:15"],
    "crop": 16,
    "limit": 8,
    "lpips": False,
    "progress": False,
}
SCORES = ["in_distribution", "out_of_distribution", "worst", "ood_drop", "mean_over_levels"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trainings")
    save_trainings(folder, 3)
    save_tiny(folder / "other.pth", seed=7)
    return folder


@pytest.fixture(scope="module")
def together(folder: Path) -> GeneralizationResult:
    models = {"base": f"{folder}/b*/model.pth", "other": folder / "other.pth"}
    return analysis.generalization.benchmark(models, **SETTINGS)


@pytest.fixture(scope="module")
def single(folder: Path) -> dict[str, GeneralizationResult]:
    return {
        f"base (b{k})": analysis.generalization.benchmark(
            {"base": folder / f"b{k}" / "model.pth", "other": folder / "other.pth"}, **SETTINGS
        )
        for k in (1, 2, 3)
    }


def students(values: Any) -> tuple[float, float]:
    return stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))


def test_every_training_has_its_rows(together, single):
    found = together.results[together.results.model == "base"]
    assert list(dict.fromkeys(found.training)) == list(single)
    for name, of in single.items():
        own, expected = found[found.training == name], of.results[of.results.model == "base"]
        for column in set(expected) - {"model"}:
            pd.testing.assert_series_equal(
                own[column].reset_index(drop=True), expected[column].reset_index(drop=True)
            )


def test_means_are_those_of_single_runs(together, single):
    index = ["noise", "metric"]
    found = together.noises[together.noises.model == "base"].set_index(index)
    each = [r.noises[r.noises.model == "base"].set_index(index) for r in single.values()]
    for key, row in found.iterrows():
        values = [of.loc[key, "mean"] for of in each]
        assert row["mean"] == pytest.approx(np.mean(values), abs=1e-12)
        ends = (row.low_trainings, row.high_trainings)
        assert ends == pytest.approx(students(values), abs=1e-9)
        halves = (row["mean"] - row.low_photographs, row.high_trainings - row["mean"])
        assert row["mean"] - row.low == pytest.approx(np.hypot(*halves), abs=1e-9)
        assert row.gain == pytest.approx(np.mean([of.loc[key, "gain"] for of in each]), abs=1e-12)


def test_intervals_over_photographs_are_those_of_the_mean(together, single):
    psnr = [
        r.results.query("model == 'base' and metric == 'psnr' and noise == 'poisson:3'")
        for r in single.values()
    ]
    mean = psnr[0].assign(value=np.mean([of.value.to_numpy() for of in psnr], axis=0))
    value = mean.value.to_numpy()
    without = np.array([value[mean.scene != scene].mean() for scene in mean.scene.unique()])
    n = len(without)
    error = np.sqrt((n - 1) / n * np.square(without - without.mean()).sum())
    half = stats.t.ppf(0.975, n - 1) * error
    row = together.noises.query("model == 'base' and metric == 'psnr' and noise == 'poisson:3'")
    expected = (value.mean() - half, value.mean() + half)
    found = (row.low_photographs.item(), row.high_photographs.item())
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", SCORES)
def test_scores_are_means_of_single_runs(together, single, name):
    row = together.scores.query("model == 'base' and metric == 'psnr'").iloc[0]
    if name == "worst":
        where = f"noise == '{row.worst_noise}' and model == 'base' and metric == 'psnr'"
        values = [r.noises.query(where)["mean"].item() for r in single.values()]
    else:
        values = [
            r.scores.query("model == 'base' and metric == 'psnr'")[name].item()
            for r in single.values()
        ]
    assert row[name] == pytest.approx(np.mean(values), abs=1e-12)
    ends = (row[f"{name}_low_trainings"], row[f"{name}_high_trainings"])
    assert ends == pytest.approx(students(values), abs=1e-9)
    assert row[f"{name}_low"] < row[f"{name}_low_photographs"]


def test_a_single_network_keeps_its_intervals(together, single):
    expected = next(iter(single.values()))
    for name in ("noises", "scores"):
        found, other = (getattr(r, name).query("model == 'other'") for r in (together, expected))
        columns = [c for c in other if not str(c).startswith("mean_rank")]
        pd.testing.assert_frame_equal(
            found[columns].reset_index(drop=True), other[columns].reset_index(drop=True)
        )
    assert (together.noises.query("model == 'other'").trainings == 1).all()


def test_tables_of_single_trainings_are_those_of_single_runs(together, single):
    for table in ("noises", "generalization", "references"):
        found = together.frames[f"{table}_by_training"]
        for name, of in single.items():
            own = found[(found.training == name) & (found.model == "base")]
            expected = of.frames[table].query("model == 'base'")
            names = [
                c
                for c in expected
                if not str(c).startswith("mean_rank") and c not in ("model", "reference")
            ]
            pd.testing.assert_frame_equal(
                own[names].reset_index(drop=True), expected[names].reset_index(drop=True)
            )


def test_each_training_is_compared_with_its_own_filter(together, single):
    index = ["noise", "compared_with"]
    own = together.references.query("model == 'base' and metric == 'psnr'").set_index(index)
    each = [
        r.references.query("model == 'base' and metric == 'psnr'").set_index(index)
        for r in single.values()
    ]
    assert set(own.index.get_level_values("compared_with")) == {
        beyond.FIXED_FILTER,
        beyond.BEST,
        beyond.BLUR,
    }
    for key, row in own.iterrows():
        values = [of.loc[key, "gain"] for of in each]
        assert row.gain == pytest.approx(np.mean(values), abs=1e-12)
        assert (row.low_trainings, row.high_trainings) == pytest.approx(students(values), abs=1e-9)
    assert own.loc[("poisson:3", beyond.FIXED_FILTER), "reference"] == "filter:base"


def test_a_run_of_single_networks_has_no_column_more(single):
    for result in single.values():
        assert not [name for name in result.frames if "training" in name]
        for frame in result.frames.values():
            assert not [column for column in frame if "training" in str(column)]


def test_figures_draw_every_training(together):
    axes = together.plot_levels(kind="gaussian")
    color = next(line for line in axes.lines if line.get_label() == "base").get_color()
    same = [line for line in axes.lines if line.get_color() == color]
    assert len(same) == 1 + 3
    title = together.figures()["levels_psnr"].get_suptitle()
    assert "and trainings" in title and "single trainings" in title


def test_pictures_say_which_training_they_are_of(together):
    strips = together.strips
    assert set(strips.training) == {"base (b1)", "other", NOISY}
    assert set(strips.model) == {"base", "other", NOISY}
    row = strips[strips.model == "base"].iloc[0]
    same = together.results.query("training == 'base (b1)' and metric == 'psnr'")
    same = same[(same.noise == row.noise) & (same.sha256 == row.sha256)]
    assert row.psnr == same.value.item()


def test_sentences_say_what_intervals_speak_of(together):
    text = " ".join(together.sentences())
    assert "P-values are over photographs alone" in text
    assert "`base` is the mean over three trainings" in text
    assert "not other trainings" not in text
    assert "photographs and trainings together" in text


def several(seed: int, **trainings: list[float]) -> pd.DataFrame:
    """The long table of models with several trainings under one noise."""
    frames = []
    for model, means in trainings.items():
        named = {f"{model}{k}": value for k, value in enumerate(means)}
        frame = rows(drawn(seed, 12, **named), "poisson:3", NAMES)
        frames.append(frame.assign(training=frame.model, model=model))
    return pd.concat(frames)


def test_trainings_of_two_models_are_independent():
    frame = several(1, a=[30.0, 31.0, 33.0], b=[28.0, 28.5, 28.2, 27.0])
    (row,) = pairwise_tests.paired(conditions.table(frame, "psnr", [])).to_dict("records")
    a, b = (frame[frame.model == m].groupby("training").value.mean().to_numpy() for m in "ab")
    welch = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert row["difference"] == pytest.approx(a.mean() - b.mean(), abs=1e-12)
    assert (row["low_trainings"], row["high_trainings"]) == pytest.approx(tuple(welch), abs=1e-9)
    each = frame.groupby(["model", "image"]).value.mean().unstack("model")
    assert row["p"] == stats.wilcoxon(each.a, each.b).pvalue
    assert row["low_photographs"] == pytest.approx(students(each.a - each.b)[0], abs=1e-9)
    assert row["low"] < row["low_trainings"] and row["trainings"] == 3


def test_a_difference_from_a_single_network_has_the_spread_of_the_other_model():
    frame = several(1, a=[30.0, 31.0, 33.0], b=[28.0])
    (row,) = pairwise_tests.paired(conditions.table(frame, "psnr", [])).to_dict("records")
    means = frame[frame.model == "a"].groupby("training").value.mean()
    half = stats.t.ppf(0.975, 2) * stats.sem(means)
    width = row["high_trainings"] - row["low_trainings"]
    assert width / 2 == pytest.approx(half) and row["low"] < row["low_photographs"]


@pytest.mark.parametrize("other", [[28.0, 28.5]])
def test_with_fewer_than_three_trainings_intervals_are_over_photographs_alone(other):
    frame = several(1, a=[30.0, 31.0, 33.0], b=other)
    (row,) = pairwise_tests.paired(conditions.table(frame, "psnr", [])).to_dict("records")
    assert (row["low"], row["high"]) == (row["low_photographs"], row["high_photographs"])
    assert np.isnan(row["low_trainings"]) and row["trainings"] == len(other)


def test_tables_made_again_from_the_long_one_are_the_same(together):
    trained = together.manifest["in_distribution"]
    for name, frame in of_scores(together.results, trained).items():
        pd.testing.assert_frame_equal(
            frame.reset_index(drop=True), together.frames[name].reset_index(drop=True)
        )
