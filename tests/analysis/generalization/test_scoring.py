"""Scores of models against computations written out by hand, and their intervals' coverage."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.generalization import conditions, scoring
from analysis.text.noise_labels import NOISY
from tests.helpers.benchmark_tables import (
    GAUSSIAN,
    ISP,
    NAMES,
    POISSON,
    RESULTS,
    STRONG,
    drawn,
    rows,
)


def test_scores_are_those_written_out():
    table = conditions.table(RESULTS, "psnr", ["gaussian:15"])
    assert table.models == ["a", "b", NOISY] and table.contestants == ["a", "b"]
    frame = scoring.generalization(table).set_index("model")
    for name in ("a", "b", NOISY):
        inside = GAUSSIAN[name].mean()
        means = [STRONG[name].mean(), POISSON[name].mean(), ISP[name].mean()]
        row = frame.loc[name]
        assert row.in_distribution == pytest.approx(inside, abs=1e-12)
        assert row.out_of_distribution == pytest.approx(np.mean(means), abs=1e-12)
        assert row.worst == pytest.approx(min(means), abs=1e-12)
        assert row.worst_noise == "gaussian:50"
        assert row.ood_drop == pytest.approx(inside - np.mean(means), abs=1e-12)
        assert row.mean_over_levels == pytest.approx((inside + STRONG[name].mean()) / 2, abs=1e-12)
    ranks = [np.where(v["a"] > v["b"], 1, 2).mean() for v in (STRONG, POISSON, ISP)]
    assert frame.mean_rank["a"] == pytest.approx(np.mean(ranks), abs=1e-12)
    assert frame.mean_rank["b"] == pytest.approx(3 - np.mean(ranks), abs=1e-12)
    assert math.isnan(frame.mean_rank[NOISY])


def test_every_kind_counts_the_same_whatever_its_levels():
    more = pd.concat([RESULTS, rows(drawn(4, 12, a=1, b=2, noisy_input=0), "poisson:9", NAMES)])
    table = conditions.table(more, "psnr", ["gaussian:15"])
    weights = scoring.weights(table.conditions, trained=False)
    assert weights.tolist() == pytest.approx([0, 1 / 3, 1 / 6, 1 / 3, 1 / 6])
    assert scoring.weights(table.conditions, trained=True).tolist() == [1, 0, 0, 0, 0]


def test_no_noise_is_on_no_level_curve():
    clean = {"a": np.full(12, 40.0), "b": np.full(12, 39.0), NOISY: np.full(12, np.inf)}
    frame = pd.concat([rows(clean, "gaussian:0", NAMES), RESULTS])
    without = scoring.generalization(conditions.table(RESULTS, "psnr", ["gaussian:15"]))
    found = scoring.generalization(conditions.table(frame, "psnr", ["gaussian:15"]))
    for name in ("mean_over_levels", "mean_over_levels_low", "mean_over_levels_high"):
        one, other = (t.set_index("model")[name][["a", NOISY]] for t in (found, without))
        assert np.isfinite(one).all() and one.tolist() == pytest.approx(other.tolist(), abs=1e-12)
    one_level = pd.concat([rows(clean, n, NAMES) for n in ("gaussian:0", "gaussian:15")])
    alone = scoring.generalization(conditions.table(one_level, "psnr", ["gaussian:15"]))
    assert alone.mean_over_levels.isna().all()


def test_the_mean_over_levels_is_trapezoids_over_the_range_whatever_the_order_of_levels():
    heights = {"speckle:0.04": 20.0, "speckle:0.01": 30.0, "speckle:0.02": 28.0}
    frame = pd.concat([rows({"a": np.full(3, v)}, s, NAMES[:3]) for s, v in heights.items()])
    found = scoring.generalization(conditions.table(frame, "psnr", []))
    expected = ((30 + 28) / 2 * 0.01 + (28 + 20) / 2 * 0.02) / 0.03
    assert found.mean_over_levels[0] == pytest.approx(expected, abs=1e-12)
    assert math.isnan(found.in_distribution[0]) and math.isnan(found.ood_drop[0])


def test_less_is_better_for_lpips():
    frame = pd.concat(
        [
            rows(
                {"a": np.array([0.1, 0.2, 0.3]), "b": np.array([0.2, 0.1, 0.6])},
                n,
                NAMES[:3],
                "lpips",
            )
            for n in ("gaussian:15", "poisson:2", "poisson:3")
        ]
    )
    frame.loc[frame.noise == "poisson:3", "value"] *= 2
    found = scoring.generalization(conditions.table(frame, "lpips", ["gaussian:15"])).set_index(
        "model"
    )
    assert found.worst["a"] == pytest.approx(0.4) and found.worst_noise["a"] == "poisson:3"
    assert found.ood_drop["a"] == pytest.approx(0.3 - 0.2)  # positive: quality falls
    assert found.mean_rank["a"] == pytest.approx(4 / 3)


def test_the_interval_of_a_mean_is_students():
    table = conditions.table(RESULTS, "psnr", ["gaussian:15"])
    frame = scoring.noises(table)
    row = frame[(frame.noise == "poisson:3") & (frame.model == "b")].iloc[0]
    low, high = stats.t.interval(0.95, 11, POISSON["b"].mean(), stats.sem(POISSON["b"]))
    assert (row.low, row.high) == pytest.approx((low, high), abs=1e-10)
    gain = POISSON["b"] - POISSON[NOISY]
    low, high = stats.t.interval(0.95, 11, gain.mean(), stats.sem(gain))
    assert (row.gain, row.gain_low, row.gain_high) == pytest.approx(
        (gain.mean(), low, high), abs=1e-10
    )
    assert row.worst_value == POISSON["b"].min()
    assert row.worst_image == NAMES[int(POISSON["b"].argmin())]


def test_the_drop_is_paired_over_the_same_images():
    table = conditions.table(RESULTS, "psnr", ["gaussian:15"])
    row = scoring.generalization(table).set_index("model").loc["a"]
    each = GAUSSIAN["a"] - (STRONG["a"] + POISSON["a"] + ISP["a"]) / 3
    low, high = stats.t.interval(0.95, 11, each.mean(), stats.sem(each))
    assert (row.ood_drop_low, row.ood_drop_high) == pytest.approx((low, high), abs=1e-10)


def test_crops_of_a_photograph_count_as_one_draw():
    images = [f"{i // 3}.png" for i in range(36)]  # twelve photographs
    values = drawn(5, 36, a=30)
    table = conditions.table(rows(values, "poisson:3", images), "psnr", [])
    assert table.photographs == [12]
    row = scoring.noises(table).iloc[0]
    means = values["a"].reshape(12, 3).mean(1)
    low, high = stats.t.interval(0.95, 11, means.mean(), stats.sem(means))
    assert (row["mean"], row.low, row.high) == pytest.approx((means.mean(), low, high), abs=1e-10)


@pytest.mark.parametrize("count", [2, 4])
def test_few_photographs_are_the_draws_and_their_crops_are_not(count):
    images = [f"{i // 8}.png" for i in range(8 * count)]
    values = drawn(6, 8 * count, a=30)
    table = conditions.table(rows(values, "poisson:3", images), "psnr", [])
    assert table.photographs == [count]
    row = scoring.noises(table).iloc[0]
    assert row.photographs == count and scoring.generalization(table).photographs[0] == count
    means = values["a"].reshape(count, 8).mean(1)
    low, high = stats.t.interval(0.95, count - 1, means.mean(), stats.sem(means))
    expected = (low, high) if count > 2 else (math.nan, math.nan)
    assert (row.low, row.high) == pytest.approx(expected, abs=1e-10, nan_ok=True)


def test_variances_of_different_images_add_up():
    other = [f"real{i}.png" for i in range(9)]
    real = drawn(7, 9, a=31, b=32, noisy_input=30)
    frame = pd.concat([rows(POISSON, "poisson:3", NAMES), rows(real, "polyu", other)])
    table = conditions.table(frame, "psnr", [])
    assert table.photographs == [12, 9]
    row = scoring.generalization(table).set_index("model").loc["b"]
    errors = [stats.sem(values) for values in (POISSON["b"], real["b"])]
    freedom = (errors[0] ** 2 + errors[1] ** 2) ** 2 / (errors[0] ** 4 / 11 + errors[1] ** 4 / 8)
    half = stats.t.ppf(0.975, freedom) * math.hypot(*errors) / 2
    middle = (POISSON["b"].mean() + real["b"].mean()) / 2
    found = (row.out_of_distribution_low, row.out_of_distribution_high)
    assert found == pytest.approx((middle - half, middle + half), abs=1e-10)


def test_images_that_a_score_does_not_depend_on_leave_its_interval_alone():
    alone = conditions.table(RESULTS, "psnr", ["gaussian:15"])
    one = rows({name: values[:1] for name, values in ISP.items()}, "real", ["one.png"])
    both = conditions.table(pd.concat([RESULTS, one]), "psnr", ["gaussian:15"])
    before, after = (scoring.generalization(t).set_index("model").loc["a"] for t in (alone, both))
    for name in ("in_distribution", "mean_over_levels"):
        assert before[f"{name}_low"] == after[f"{name}_low"]
    assert math.isnan(after.out_of_distribution_low) and after.out_of_distribution > 0


def test_photographs_of_one_scene_count_as_one_draw():
    frame = rows(drawn(5, 36, a=30), "real", [f"{i}.png" for i in range(36)])
    frame["scene"] = [f"scene {i // 3}" for i in range(36)]
    assert conditions.table(frame, "psnr", []).photographs == [12]


def test_the_same_pixels_under_another_name_are_the_same_draws():
    renamed = rows(POISSON, "real", [f"{i}" for i in range(12)][::-1])
    renamed["sha256"] = rows(POISSON, "poisson:3", NAMES).sha256
    frame = pd.concat([rows(GAUSSIAN, "gaussian:15", NAMES), renamed])
    assert conditions.table(frame, "psnr", []).photographs == [12]


def test_a_level_that_is_there_twice_counts_with_its_mean():
    heights = {"poisson:2": 30.0, "poisson:2,values=unique": 28.0, "poisson:4": 20.0}
    frame = pd.concat(
        [rows({"a": np.full(3, v)}, s, NAMES[:3]) for s, v in heights.items() if "," not in s]
    )
    twice = rows({"a": np.full(3, 28.0)}, "poisson:2", NAMES[:3])
    twice["noise"] = "poisson:2,values=unique"
    found = scoring.generalization(conditions.table(pd.concat([frame, twice]), "psnr", []))
    assert found.mean_over_levels[0] == pytest.approx((29 + 20) / 2)


def test_infinite_values_have_no_interval_and_no_warning(recwarn):
    values = {"a": np.array([30.0, 31, 32]), NOISY: np.array([np.inf, 20, 21])}
    frame = scoring.noises(conditions.table(rows(values, "isp", NAMES[:3]), "psnr", []))
    noisy = frame.set_index("model").loc[NOISY]
    assert noisy["mean"] == math.inf and math.isnan(noisy.low)
    assert not recwarn.list


def test_fewer_than_three_images_have_no_interval():
    table = conditions.table(rows(drawn(8, 2, a=30), "poisson:3", NAMES[:2]), "psnr", [])
    row = scoring.noises(table).iloc[0]
    assert math.isnan(row.low) and math.isnan(row.high) and not math.isnan(row["mean"])


def test_a_model_that_gives_no_numbers_does_not_take_the_others_ranks():
    values = {"a": np.array([30.0, 31, 32]), "b": np.full(3, np.nan), "c": np.array([29.0, 33, 31])}
    frame = scoring.noises(conditions.table(rows(values, "isp", NAMES[:3]), "psnr", []))
    ranks = frame.set_index("model").mean_rank
    assert ranks["a"] == pytest.approx(4 / 3) and ranks["c"] == pytest.approx(5 / 3)
    assert math.isnan(ranks["b"])


@pytest.mark.slow
def test_intervals_cover_the_true_score():
    """95% intervals of the unseen-noise mean and of the mean rank, over 300 sets of 24 images."""
    hits = {"out_of_distribution": 0, "mean_rank": 0}
    for seed in range(300):
        frame = pd.concat(
            [
                rows(drawn(3 * seed + i, 24, a=30, b=30), n, [f"{k}.png" for k in range(24)])
                for i, n in enumerate(("poisson:2", "isp"))
            ]
        )
        row = (
            scoring.generalization(conditions.table(frame, "psnr", [])).set_index("model").loc["a"]
        )
        for name, truth in (("out_of_distribution", 30.0), ("mean_rank", 1.5)):
            hits[name] += row[f"{name}_low"] <= truth <= row[f"{name}_high"]
    print({name: count / 300 for name, count in hits.items()})
    assert all(275 <= count <= 294 for count in hits.values())
