"""Differences between models, against SciPy's intervals of paired samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from analysis.stats.controls import NOTHING, Series
from analysis.stats.model_differences import MEAN, of_pairs, table

COUNT = 12
NOISES = ("x", "y", "z")


def mean_of(each: np.ndarray) -> Series:
    """The mean over photographs, and without each of them."""
    without = [np.delete(each, i).mean() for i in range(len(each))]
    return Series(float(each.mean()), np.array(without))


def samples() -> dict[str, dict[str, np.ndarray]]:
    """Values of two models under three noises, photograph by photograph."""
    rng = np.random.default_rng(0)
    content = rng.normal(5, 1, COUNT)
    return {
        model: {noise: content + place + rng.normal(0, 0.2, COUNT) for noise in NOISES}
        for place, model in enumerate("abc")
    }


def of_samples(each: dict[str, dict[str, np.ndarray]], **how: bool):
    series = {m: {n: mean_of(v) for n, v in of.items()} for m, of in each.items()}
    return table(series, COUNT, **how).set_index(["model_a", "model_b", "noise"])


def test_intervals_are_those_of_paired_samples():
    each = samples()
    frame = of_samples(each)
    assert len(frame) == 3 * 4 and (frame.photographs == COUNT).all()
    for a, b in (("a", "b"), ("a", "c"), ("b", "c")):
        for noise in NOISES:
            row, found = frame.loc[a, b, noise], stats.ttest_rel(each[b][noise], each[a][noise])
            for name, level in (("", 0.95), ("band_", 1 - 0.05 / 3)):
                bounds = found.confidence_interval(level)
                assert (row[f"{name}low"], row[f"{name}high"]) == pytest.approx(tuple(bounds))
        over = {model: np.mean([each[model][noise] for noise in NOISES], 0) for model in (a, b)}
        bounds = tuple(stats.ttest_rel(over[b], over[a]).confidence_interval(0.95))
        row = frame.loc[a, b, MEAN]
        assert row.value == pytest.approx((over[b] - over[a]).mean())
        assert (row.low, row.high) == (row.band_low, row.band_high) == pytest.approx(bounds)


def test_ratios_have_intervals_of_logarithms():
    each = samples()
    frame = of_samples(each, ratio=True)
    series = [
        np.log([mean_of(each[m]["x"]).without, mean_of(each[m]["x"]).without]) for m in ("a", "b")
    ]
    change = series[1][0] - series[0][0]
    error = math.sqrt((COUNT - 1) / COUNT * np.square(change - change.mean()).sum())
    row = frame.loc["a", "b", "x"]
    assert row.value == pytest.approx(each["b"]["x"].mean() / each["a"]["x"].mean())
    for name, level in (("", 0.975), ("band_", 1 - 0.025 / 3)):
        half = stats.t.ppf(level, COUNT - 1) * error
        assert row[f"{name}low"] == pytest.approx(row.value * math.exp(-half))
        assert row[f"{name}high"] == pytest.approx(row.value * math.exp(half))
    over = [np.mean([each[m][n].mean() for n in NOISES]) for m in ("a", "b")]
    assert frame.loc["a", "b", MEAN].value == pytest.approx(over[1] / over[0])


def test_what_has_no_value_has_no_difference():
    each = samples()
    series = {m: {n: mean_of(v) for n, v in of.items()} for m, of in each.items()}
    series["c"]["z"] = NOTHING
    frame = table(series, COUNT).set_index(["model_a", "model_b", "noise"])
    assert frame.loc["a", "c", "z"][["value", "low", "band_low"]].isna().all()
    # means are over the noises that every model has, bands over those that the pair has
    expected = np.mean([(each["b"][n] - each["a"][n]).mean() for n in ("x", "y")])
    assert frame.loc["a", "b", MEAN].value == pytest.approx(expected)
    bounds = stats.ttest_rel(each["c"]["x"], each["a"]["x"]).confidence_interval(1 - 0.05 / 2)
    assert frame.loc["a", "c", "x"].band_low == pytest.approx(bounds.low)
    whole = table({"a": series["a"], "none": dict.fromkeys(NOISES, NOTHING)}, COUNT)
    assert whole.value.isna().all()
    infinite = Series(math.inf, np.full(COUNT, math.inf))
    assert table({"a": {"x": infinite}, "b": {"x": infinite}}, COUNT).value.isna().all()
    zero = Series(0.0, np.zeros(COUNT))
    assert table({"a": {"x": zero}, "b": series["b"]}, COUNT, ratio=True).value.isna().all()
    assert table({"a": series["a"]}, COUNT).empty


def test_one_noise_has_no_mean_and_few_photographs_no_interval():
    alone = {m: {"x": mean_of(of["x"])} for m, of in samples().items() if m != "c"}
    (row,) = table(alone, COUNT).itertuples()
    assert row.noise == "x" and (row.low, row.high) == (row.band_low, row.band_high)
    two = {m: {"x": mean_of(of["x"][:2])} for m, of in samples().items() if m != "c"}
    (row,) = table(two, 2).itertuples()
    assert not math.isnan(row.value) and math.isnan(row.low) and math.isnan(row.band_high)


def test_bounds_of_an_analysis_get_the_level():
    asked = []

    def bounds(value, without, level):
        asked.append(level)
        return value - level, value + level

    frame = table(
        {m: {n: mean_of(v) for n, v in of.items()} for m, of in samples().items() if m != "c"},
        COUNT,
        bounds,
    )
    assert frame.low.to_numpy() == pytest.approx(frame.value.to_numpy() - 0.95)
    assert set(np.round(asked, 9)) == {0.95, round(1 - 0.05 / 3, 9)}


def test_trainings_of_two_models_are_independent_samples():
    """Welch's interval, and that over photographs, added as variances; both of the band's level."""
    rng = np.random.default_rng(1)
    trained = {"a": rng.normal(5, 0.1, 4), "b": rng.normal(6, 0.2, 3)}
    each = {m: {"x": rng.normal(t.mean(), 0.3, COUNT)} for m, t in trained.items()}
    series = {
        m: {n: mean_of(each[m]["x"])._replace(trainings=(trained[m],)) for n in ("x", "y")}
        for m in trained
    }
    row = table(series, COUNT).set_index("noise").loc["x"]
    for name, level in (("", 0.95), ("band_", 1 - 0.05 / 2)):
        halves = [
            np.diff(found.confidence_interval(level)).item() / 2
            for found in (
                stats.ttest_rel(each["b"]["x"], each["a"]["x"]),
                stats.ttest_ind(trained["b"], trained["a"], equal_var=False),
            )
        ]
        expected = row.value + np.hypot(*halves) * np.array([-1, 1])
        assert (row[f"{name}low"], row[f"{name}high"]) == pytest.approx(tuple(expected))


def test_differences_of_pairs_have_students_intervals_and_a_mean_over_noises():
    rng = np.random.default_rng(1)
    for noises in (("x",), ("x", "y"), NOISES):
        each = {noise: rng.normal(place, 1, COUNT) for place, noise in enumerate(noises)}
        series = {noise: mean_of(values) for noise, values in each.items()}
        frame = of_pairs({("a", "b"): series, ("a", "c"): series}, COUNT)
        assert list(dict.fromkeys(zip(frame.model_a, frame.model_b, strict=True))) == [
            ("a", "b"),
            ("a", "c"),
        ]
        rows = frame[frame.model_b == "c"].set_index("noise")
        assert list(rows.index) == [*noises, *([MEAN] if len(noises) > 1 else [])]
        each[MEAN] = np.mean(list(each.values()), 0)
        for noise, row in rows.iterrows():
            test = stats.ttest_1samp(each[noise], 0)
            band = 0.95 if noise == MEAN else 1 - 0.05 / len(noises)
            assert row.value == pytest.approx(each[noise].mean())
            bounds = test.confidence_interval(0.95)
            assert (row.low, row.high) == pytest.approx(tuple(bounds))
            bounds = test.confidence_interval(band)
            assert (row.band_low, row.band_high) == pytest.approx(tuple(bounds))
