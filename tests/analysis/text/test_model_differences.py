"""Sentences on differences between models: effect, interval and verdict."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from analysis.stats.model_differences import MEAN
from analysis.text.model_differences import ModelDifferences, sentences

NAN = math.nan
FEW = "too few images to tell (at least 10 photographs)"


def differences(
    of: dict[str, tuple[float, float, float]],
    models: tuple[str, str] = ("a", "b"),
    photographs: int = 24,
    ratio: bool = False,
    wider: float = 0.1,
) -> ModelDifferences:
    """Value and bounds by noise; bands are wider."""
    rows = [
        {"model_a": models[0], "model_b": models[1], "noise": noise, "value": value}
        | {"low": low, "high": high, "band_low": low - wider, "band_high": high + wider}
        | {"photographs": photographs}
        for noise, (value, low, high) in of.items()
    ]
    return ModelDifferences(pd.DataFrame(rows), "x_difference.csv", ratio)


@pytest.mark.parametrize(
    "bounds, photographs, text",
    [
        ((0.5, 0.3, 0.7), 24, "Between models, `b` - `a` is +0.50 dB [+0.30, +0.70]: shown."),
        ((0.5, -0.1, 1.1), 24, "Between models, `b` - `a` is +0.50 dB [-0.10, +1.10]: not shown."),
        ((0.5, 0.3, 0.7), 9, f"Between models, `b` - `a` is +0.50 dB [+0.30, +0.70]: {FEW}."),
        ((0.5, NAN, NAN), 2, f"Between models, `b` - `a` is +0.50 dB: {FEW}."),
        ((0.5, NAN, NAN), 24, "Between models, `b` - `a` is +0.50 dB: not shown."),
        ((0.0, 0.0, 0.0), 24, "Between models, `b` - `a` is +0.00 dB [+0.00, +0.00]: not shown."),
    ],
)
def test_under_one_noise_a_difference_has_its_verdict(bounds, photographs, text):
    assert sentences(differences({"x": bounds}, photographs=photographs), unit="dB") == [text]


def test_a_ratio_is_compared_with_1():
    text = sentences(differences({"x": (2.0, 1.2, 3.3)}, ratio=True), unit="σ")
    assert text == ["Between models, `b` / `a` is 2.00 [1.20, 3.30]: shown."]
    (text,) = sentences(differences({"x": (1.1, 0.8, 1.5)}, ratio=True))
    assert text.endswith(": not shown.")
    halves = {"x": (0.5, 0.4, 0.7), "y": (0.9, 0.7, 1.2), MEAN: (0.7, 0.6, 0.8)}
    first, second = sentences(differences(halves, ratio=True))
    assert first == "Averaged over 2 noises, `b` / `a` is 0.70 [0.60, 0.80]: shown."
    assert second.endswith(
        "at once: shown to be lower in `b` under `x`; not shown to differ under `y`."
    )


def test_noise_by_noise_the_bands_decide():
    of = {"x": (1.0, 0.05, 2.0), "y": (1.0, 0.2, 2.0), "z": (-1.0, -2.0, -0.2), MEAN: (0, -1, 1)}
    assert sentences(differences(of)) == [
        "Averaged over 3 noises, `b` - `a` is +0.00 [-1.00, +1.00]: not shown.",
        "Noise by noise, by intervals that hold for all noises at once: not shown to differ under "
        "`x`; shown to be lower in `a` under `y`; shown to be lower in `b` under `z`.",
    ]
    (text,) = sentences(differences(of, photographs=4))  # nothing to add noise by noise
    assert text.endswith(f": {FEW}.")
    _, second = sentences(differences(of), within={"y"})
    assert "`y`" not in second and "under `x`; shown to be lower in `b` under `z`" in second
    assert sentences(differences(of), within={"x", "y", "z"}) == []


def test_of_three_models_every_two_are_compared_and_of_more_none():
    of = {"x": (1.0, 0.5, 2.0), "y": (1.0, 0.5, 2.0), MEAN: (1.0, 0.5, 1.5)}
    parts = [differences(of, pair).rows for pair in (("a", "b"), ("a", "c"), ("b", "c"))]
    parts[1].loc[2, ["low", "high"]] = (-0.5, 2.5)
    three = ModelDifferences(pd.concat(parts, ignore_index=True), "x_difference.csv")
    mean, *each = sentences(three)
    assert mean == (
        "Averaged over 2 noises, `b` - `a` is +1.00 [+0.50, +1.50] (shown), `c` - `a` is +1.00 "
        "[-0.50, +2.50] (no effect shown) and `c` - `b` is +1.00 [+0.50, +1.50] (shown)."
    )
    assert [text.partition(",")[0] for text in each] == [
        f"Noise by noise of `{a}` and `{b}`" for a, b in ("ab", "ac", "bc")
    ]
    four = pd.concat([*parts, differences(of, ("a", "d")).rows], ignore_index=True)
    assert sentences(ModelDifferences(four, "x_difference.csv")) == [
        "The differences between every two models are in `x_difference.csv`."
    ]


def test_runs_without_the_table_say_nothing():
    assert sentences(None) == [] and ModelDifferences.read({}, "srga_difference") is None
    empty = ModelDifferences(differences({"x": (1, 0, 2)}).rows.iloc[:0], "t.csv")
    assert sentences(empty) == []
    rows = pd.concat(
        differences({"x": (value, 0, 2)}).rows.assign(measure=name)
        for name, value in (("w1_relative", 1.0), ("js", 0.5))
    )
    read = ModelDifferences.read(
        {"distributions_difference": rows}, "distributions_difference", "js"
    )
    assert read is not None and read.table == "distributions_difference.csv"
    assert list(read.rows.value) == [0.5]


def test_noises_without_a_value_are_not_counted_in_the_mean():
    of = differences(
        {
            "x": (1.0, 0.5, 1.5),
            "y": (NAN, NAN, NAN),
            "z": (3.0, 2.5, 3.5),
            MEAN: (2.0, 1.5, 2.5),
        }
    )
    text = sentences(of)[0]
    assert text.startswith("Averaged over 2 noises, ")
