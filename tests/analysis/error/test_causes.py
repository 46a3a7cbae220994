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


def frames(difference, masks=0.0):
    """Tables of a decomposition, as far as sentences on causes read them."""
    models = dict.fromkeys([*difference.model_a, *difference.model_b], masks)
    error = pd.DataFrame({"model": list(models), "mask_variance": list(models.values())})
    return {"error": error, "error_difference": difference}


def test_parts_of_a_difference_add_up_to_it_in_the_table_of_the_example(example):
    frame = example.frames["error_difference"]
    shown = causes.table(frame, "baseline", "masked")
    value = {name: shown[name].str.split(" ").str[0].astype(float) for name in shown.columns[1:]}
    parts = value["due to lost detail"] + value["due to leaked noise"]
    assert parts.tolist() == pytest.approx(value["PSNR"].tolist(), abs=0.011)
    assert shown.noise.tolist() == [*example.error.noise.unique(), "mean over 6 noises"]
    exact = frame[(frame.measure == "psnr") & (frame.noise == "gaussian:15")].value.iloc[0]
    error = example.error.set_index(["model", "noise"]).psnr
    assert exact == pytest.approx(error["masked", "gaussian:15"] - error["baseline", "gaussian:15"])


def test_signs_agree_with_the_parts_of_the_error_themselves(example):
    """A model with more damage, or more variance, has the lower PSNR for it."""
    error = example.error.set_index(["model", "noise"])
    error["all_variance"] = error.variance + error.mask_variance
    column = {"damage": "bias2", "leak": "all_variance"}
    found = causes.parts(example.frames["error_difference"], "baseline", "masked")
    assert {noise for part in found for noise in part.noises} == set(example.error.noise)
    for part in found:
        for noise in part.noises if part.sign else ():
            values = error[column[part.cause]]
            more = values["masked", noise] - values["baseline", noise]
            assert np.sign(more) == -part.sign


def test_the_sign_of_each_part_and_its_noises():
    frame = split([-2, -1, -0.5], [-0.9, 2.5, 0.1])
    assert [part[:3] for part in causes.parts(frame, "a", "b")] == [
        ("damage", -1, NOISES),
        ("leak", -1, ("gaussian:15",)),
        ("leak", 1, ("poisson:2",)),
        ("leak", 0, ("mixture:4",)),
    ]
    turned = causes.parts(frame, "b", "a")
    assert [part.sign for part in turned] == [1, 1, -1, 0]
    assert [part[2:] for part in turned] == [part[2:] for part in causes.parts(frame, "a", "b")]


def test_only_what_intervals_exclude_is_named():
    near = split([-0.16, -2, 0.0], [0.05, -0.05, 0.0])
    assert causes.sentence(frames(near), "a", "b") == (
        "More lost detail makes the PSNR of `b` lower than that of `a` under Poisson α = 2 (by 2.0 "
        "dB): shown by intervals that hold for all noises at once."
    )  # the first is outside of its own interval, and inside of that for all noises at once
    old = near.drop(columns=["band_low", "band_high"])
    assert "under 2 of 3 noises (by 0.2 to 2.0 dB)" in causes.sentence(frames(old), "a", "b")
    few = causes.sentence(frames(near.assign(photographs=4)), "a", "b")
    assert few == (
        "On these 4 photographs, more lost detail makes the PSNR of `b` lower than that of `a` "
        "under 2 of 3 noises (by 0.2 to 2.0 dB)."
    )
    nothing = "A difference in PSNR between `a` and `b` due to lost detail or leaked noise: "
    assert causes.sentence(frames(split([0.0], [0.0])), "a", "b") == f"{nothing}not shown."
    few = split([0.0], [0.0]).assign(photographs=1)
    assert causes.sentence(frames(few), "a", "b") == f"{nothing}too few images to tell."
    assert causes.sentence(frames(split([math.nan], [math.nan])), "a", "b") == ""
    assert causes.sentence(frames(split([-2.0], [math.nan])), "a", "b").endswith(": shown.")


def test_masks_belong_to_the_second_part_where_there_are_any():
    frame = split([-2, -1], [1, 2])
    assert "less leaked noise makes it higher" in causes.sentence(frames(frame), "a", "b")
    masked = causes.sentence(frames(frame, 0.5), "a", "b")
    assert "less leaked noise (with the variation by random masks) makes it higher" in masked


def test_small_sizes_are_not_rounded_to_nothing():
    text = causes.sentence(frames(split([-0.03], [0.0], half=0.005)), "a", "b")
    assert "(by 0.03 dB)" in text


def test_one_noise_has_its_difference_and_no_mean():
    frame = split([-2.0], [0.5])
    assert causes.table(frame, "a", "b").noise.tolist() == ["gaussian:15"]
    single = frame[frame.noise != MEAN]
    (text,) = reading.overall({"error_difference": single})
    assert text.startswith("Under Gaussian σ = 15, `b` - `a`: PSNR -1.50 dB")
    several = split([-2.0, 1.0], [0.5, 0.5])
    assert reading.overall({"error_difference": several[several.noise != MEAN]}) == []


def test_the_mean_is_over_the_noises_that_all_pairs_have():
    ab, ac = split([-2, -1, 1], [0, 0, 0]), split([1, 2], [0, 0], models=("a", "c"))
    frame = pd.concat([ab, ac], ignore_index=True)
    assert causes.table(frame, "a", "b").noise.iloc[-1] == "mean over 2 noises"
    assert causes.pairs(frame) == [("a", "b"), ("a", "c")]


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
    assert reading.why(one) == []
    assert "masked - " not in reading.terminal_table(one, example.manifest)
