"""What makes the PSNR of two models differ: parts that add up, and what each costs whom."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis.error import causes, notebook, reading
from analysis.stats.model_differences import MEAN
from tests.helpers.paths import ROOT

COLUMNS = (
    *("measure", "model_a", "model_b", "noise", "value", "low", "high"),
    *("band_low", "band_high", "photographs"),
)
NOISES = ("gaussian:15", "poisson:2", "mixture:4")


def split(damage, leak, photographs=12, half=0.1, models=("a", "b")):
    """error_difference.csv of two models under up to three noises."""
    rows = []
    psnr = [d + e for d, e in zip(damage, leak, strict=True)]
    for measure, values in (("psnr", psnr), ("damage", damage), ("leak", leak)):
        named = [*zip(NOISES, values, strict=False), (MEAN, float(np.mean(values)))]
        for noise, value in named:
            wide = half if noise == MEAN else 2 * half
            ends = (value - half, value + half, value - wide, value + wide)
            rows.append((measure, *models, noise, value, *ends, photographs))
    return pd.DataFrame(rows, columns=list(COLUMNS))


@pytest.fixture
def example():
    return analysis.open_run(ROOT / "reports/example/error", "error")


def test_parts_of_a_difference_add_up_to_it_in_the_table_of_the_example(example):
    frame = example.frames["error_difference"]
    shown = causes.table(frame, ["baseline", "masked"])
    value = {name: shown[name].str.split(" ").str[0].astype(float) for name in shown.columns[1:]}
    parts = value["due to lost detail"] + value["due to leaked noise"]
    assert parts.tolist() == pytest.approx(value["PSNR"].tolist(), abs=0.011)
    assert shown.noise.tolist() == [*example.error.noise.unique(), "mean over 6 noises"]
    exact = frame[(frame.measure == "psnr") & (frame.noise == "gaussian:15")].value.iloc[0]
    error = example.error.set_index(["model", "noise"]).psnr
    assert exact == pytest.approx(error["masked", "gaussian:15"] - error["baseline", "gaussian:15"])


def test_whom_a_part_costs_and_under_which_noises():
    found = causes.costs(split([-2, -1, -0.5], [-0.9, 2.5, 1.5]), ["a", "b"])
    assert [(c.cause, c.model, c.noises) for c in found] == [
        ("damage", "b", NOISES),
        ("leak", "a", ("poisson:2", "mixture:4")),
        ("leak", "b", ("gaussian:15",)),
    ]
    assert [(c.least, c.most) for c in found] == [(0.5, 2), (1.5, 2.5), (0.9, 0.9)]


def test_only_what_intervals_exclude_is_named():
    near = split([-0.16, -2, 0.0], [0.05, -0.05, 0.0])
    assert causes.sentence(near, ["a", "b"]) == (
        "Lost detail costs `b` more PSNR under Poisson α = 2 (2.0 dB): shown."
    )  # the first is outside of its own interval, and inside of that for all noises at once
    few = causes.sentence(near.assign(photographs=4), ["a", "b"])
    assert few == (
        "Lost detail costs `b` more PSNR under 2 of 3 noises (0.2 to 2.0 dB): too few images to "
        "tell."
    )
    assert causes.sentence(split([0.0], [0.0]), ["a", "b"]) == ""
    assert causes.sentence(split([math.nan], [math.nan]), ["a", "b"]) == ""
    assert causes.sentence(split([], []).iloc[:0], ["a", "b"]) == ""


def test_the_order_of_two_models_does_not_matter():
    frame = split([-2, -1, -0.5], [-0.9, 2.5, 1.5])
    assert causes.sentence(frame, ["a", "b"]) == causes.sentence(frame, ["b", "a"])
    other = frame.assign(model_a="b", model_b="a")
    other[["value", "low", "high", "band_low", "band_high"]] = -frame[
        ["value", "high", "low", "band_high", "band_low"]
    ].to_numpy()
    assert causes.sentence(other, ["a", "b"]) == causes.sentence(frame, ["a", "b"])


def test_the_terminal_and_the_page_show_differences_of_few_models(example):
    printed = reading.terminal_table(example.frames, example.manifest)
    assert "PSNR of masked - baseline in dB, and the two parts it is the sum of" in printed
    assert "Gaussian, σ = 15" in printed and "gaussian:15" not in printed
    html = notebook.differences(example).data["text/html"]
    assert html.count("<section") == 1 and "due to leaked noise" in html
    one = {
        **example.frames,
        "error_difference": example.frames["error_difference"].iloc[:0],
        "error": example.error[example.error.model == "masked"],
    }
    assert reading.why(one) == [] and "masked - " not in reading.terminal_table(
        one, example.manifest
    )
