"""What is said of distances beside their controls."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from analysis.srga import reading
from analysis.text import controls
from analysis.text.marginals import by_noise, tidy
from analysis.text.model_differences import ModelDifferences

NAN = math.nan


def row(model: str, noise: str, above: tuple, beyond: tuple, **more: Any) -> dict[str, Any]:
    """A value of 2 with controls, and intervals of its distances to two of them."""
    values = {"model": model, "noise": noise, "photographs": 24, "srga": 2.0}
    values |= {"low": 1.9, "high": 2.1, "ceiling": 0.25, "floor": 4.0, "untrained": 1.5}
    values |= {"untrained_sd": 0.2}
    for name, bounds in (("above_ceiling", above), ("above_untrained", beyond)):
        values |= dict(zip((name, f"{name}_low", f"{name}_high"), (1.0, *bounds), strict=True))
    return values | more


def said(*rows: dict[str, Any]) -> str:
    return " ".join(controls.sentences(pd.DataFrame(rows), "SRGA"))


def test_a_difference_a_null_and_too_few_images():
    text = said(row("a", "x", (0.5, 1.5), (0.1, 0.9)), row("a", "y", (-0.5, 1.5), (-0.5, 0.5)))
    assert text == (
        "For comparison, SRGA of the reference noise drawn again is 0.25 in `a`; "
        "that between different photographs under the reference is 4 in `a`; that of "
        "untrained networks, mean over 2 noises, is 1.5 in `a`. Excess of SRGA over that of the "
        "reference noise drawn again, due to the kind of noise: shown in `a` under `x`; not "
        "shown in `a` under `y`. Difference of SRGA from that of untrained networks: shown to be "
        "larger in `a` under `x`; not shown in `a` under `y`."
    )
    few = said(row("a", "x", (0.5, 1.5), (0.1, 0.9), photographs=9))
    assert few.count("too few images to tell (at least 10 photographs)") == 2 and "shown" not in few


def test_a_value_below_its_ceiling_is_never_a_difference():
    text = said(row("a", "x", (-1.5, -0.5), (-0.9, -0.1)))
    assert "kind of noise: not shown." in text
    assert "untrained networks: shown to be smaller." in text
    rows = [row("a", noise, (0.5, 1.5), (-0.1, 0.9)) for noise in ("x", "y")]
    assert "untrained networks: not shown for any noise." in said(*rows)
    assert "kind of noise: shown for every noise." in said(*rows)
    assert "kind of noise: shown for every model and noise." in said(
        *rows, *(each | {"model": "b"} for each in rows)
    )


def test_models_of_many_and_missing_controls():
    rows = [row(f"m{i}", "x", (0.5 if i else -0.5, 1.5), (NAN, NAN)) for i in range(6)]
    text = said(*rows)
    assert "is 0.25 to 0.25 in 6 models" in text
    assert "not shown in 1 of 6 models and noises; shown in 5 of 6 models and noises" in text
    blank = dict.fromkeys(("ceiling", "floor", "untrained", "untrained_sd"), NAN)
    assert said(row("a", "x", (NAN, NAN), (NAN, NAN), **blank)) == ""
    frame = pd.DataFrame([row("a", "x", (1, 2), (1, 2))])
    assert controls.sentences(frame.drop(columns="ceiling"), "SRGA") == []
    assert controls.cells(rows[0], 2) == ["0.25", "4.00", "1.50 ± 0.20"]


def test_models_are_not_compared_where_neither_is_above_its_ceiling():
    rows = [row(m, n, (-1, 1), (0, 1), srga=v, low=v - 0.1, high=v + 0.1)
            for m, v in (("a", 1.0), ("b", 2.0)) for n in ("x", "y")]  # fmt: skip
    rows[0] |= {"above_ceiling_low": 0.1}  # a under x
    frame = pd.DataFrame(rows)
    assert controls.within(frame) == {"y"}
    apart = {"value": 1.0, "low": 0.8, "high": 1.2, "band_low": 0.7, "band_high": 1.3}
    pairs = pd.DataFrame(
        {"model_a": "a", "model_b": "b", "noise": n, "photographs": 24} | apart for n in "xy"
    )
    how = {"differences": ModelDifferences(pairs, "t.csv"), "within": controls.within(frame)}
    text = " ".join(by_noise(tidy(frame, "srga"), "SRGA", **how))
    assert "Between models, `b` - `a` is +1.00 [+0.80, +1.20]: shown." in text
    assert "models are not compared under `y`, where none is shown to differ" in text
    alone = frame[frame.noise == "y"]
    how["differences"] = ModelDifferences(pairs[pairs.noise == "y"], "t.csv")
    text = " ".join(by_noise(tidy(alone, "srga"), "SRGA", **how))
    assert "1.00 [0.90, 1.10] in `a`" in text and "shown" not in text
    few = frame.assign(photographs=9)  # of which nothing is known
    assert controls.within(few) == set()


@pytest.mark.parametrize(
    "a, b, text",
    [
        ((1, 1), (2, 3), "the order of the two models is the same for all 2 choices"),
        ((1, 4), (2, 3), "Order not robust: of 2 choices of components and patches"),
        ((1, NAN), (2, 3), ""),
    ],
)
def test_whether_the_order_of_models_is_robust(a, b, text):
    rows = [
        {"model": model, "patches": 24, "components": 5 * (i + 1), "srga": value}
        for model, values in (("a", a), ("b", b))
        for i, value in enumerate(values)
    ]
    found = " ".join(reading.order({"robustness": pd.DataFrame(rows)}))
    assert text in found and bool(found) == bool(text)
    if "not robust" in text:
        assert "is lower for `a` in 1 and `b` in 1" in found
    assert reading.order({}) == []
