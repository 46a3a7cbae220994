"""Means over pictures with their intervals, and the order of rows."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.generalization.noisy import tables
from analysis.generalization.noisy.outputs import Files
from analysis.text.noise_labels import NOISY


def rows(scenes: list[str], values: list[float], model: str = "m") -> pd.DataFrame:
    count = len(scenes)
    columns = {
        "model": model,
        "image": scenes,
        "scene": scenes,
        "top": range(count),
        "left": 0,
        "height": 9,
        "width": 9,
        "sha256": [f"{i}" for i in range(count)],
        **dict.fromkeys(tables.QUANTITIES, math.nan),
        "autocorrelation_floor": 0.1,
        "noise_level": values,
    }
    return pd.DataFrame(columns)


NONE = pd.DataFrame(columns=list(tables.AGREEMENT))


def test_the_interval_of_a_mean_is_students():
    values = [1.0, 2.0, 4.0, 7.0]
    means = tables.means(rows(list("abcd"), values), NONE)
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    row = means.iloc[0]
    assert (row["mean"], row.low, row.high) == pytest.approx((3.5, low, high))
    assert (row.pictures, row.photographs, row.model_b) == (4, 4, "")
    assert list(means.quantity) == ["noise_level"]  # what is not defined has no mean


def test_photographs_are_left_out_with_all_their_crops():
    scenes = [f"{i // 2}" for i in range(20)]
    values = list(np.random.default_rng(0).normal(5, 1, 20))
    row = tables.means(rows(scenes, values), NONE).iloc[0]
    by_scene = np.reshape(values, (10, 2)).mean(1)
    low, high = stats.t.interval(0.95, 9, by_scene.mean(), stats.sem(by_scene))
    assert (row.low, row.high, row.photographs) == (pytest.approx(low), pytest.approx(high), 10)
    few = tables.means(rows(["a", "a", "b", "b"], values[:4]), NONE).iloc[0]
    assert few.photographs == 2 and math.isnan(few.low)  # four crops, but of two photographs


def test_two_pictures_have_no_interval():
    row = tables.means(rows(["a", "b"], [1.0, 2.0]), NONE).iloc[0]
    assert row["mean"] == 1.5 and math.isnan(row.low) and math.isnan(row.high)


def test_differences_are_averaged_by_pair():
    frame = rows(list("abc"), [1.0, 2.0, 3.0])
    pairs = frame[list(tables.CROP)].assign(model_a="m", model_b="n", difference=[2.0, 4.0, 9.0])
    row = tables.means(frame, pairs).iloc[-1]
    assert (row.quantity, row.model, row.model_b, row["mean"]) == ("difference", "m", "n", 5.0)


def test_rows_are_by_model_then_by_picture():
    made = [
        {"model": model, "sha256": digest, "value": i}
        for i, (digest, model) in enumerate((d, m) for d in "ba" for m in ("z", NOISY))
    ]
    files = Files({"z": "z"}, ["first", "second"])
    frame = tables.no_reference(made, files, {"a": 0, "b": 1})
    assert list(frame.model) == ["z", "z", NOISY, NOISY] and list(frame.sha256) == list("abab")
    assert list(frame.output) == ["outputs/z/first.png", "outputs/z/second.png", "", ""]
