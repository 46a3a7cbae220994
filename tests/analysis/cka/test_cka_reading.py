"""What is said of a CKA comparison: means, best matches, differences, influence, null values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.cka import reading as cka_reading
from analysis.cka.reading import differs_from, sentences, terminal_table
from analysis.text.equal_weights import same_weights
from analysis.text.markdown import plain
from tests.helpers.cka_tables import cka_table

NONE = (np.nan, np.nan)
MODELS = {"models": {"a": {"sha256": "1"}, "b": {"sha256": "2"}}}


def means_of(frame: pd.DataFrame, *bounds: float) -> pd.DataFrame:
    """One row for each pair of views, with a mean of 0.5 and the bounds given."""
    views = frame[["model_a", "noise_a", "model_b", "noise_b"]].drop_duplicates()
    low, high = bounds or NONE
    return views.assign(cka=0.5, low=low, high=high)


def text_of(frame: pd.DataFrame, *bounds: float, **tables: pd.DataFrame) -> str:
    frames = {"cka": frame, "last_quarter": means_of(frame, *bounds)} | tables
    table = terminal_table(frames, MODELS)
    return " ".join(f"{table} {plain(' '.join(sentences(frames, MODELS)))}".split())


def test_the_last_quarter_and_best_matches():
    matrix = np.full((9, 9), 0.2)
    matrix[8, 8], matrix[7, 7], matrix[7, 2] = 0.9, 0.7, 0.6
    crossed = cka_table(matrix, ("a", "gaussian:15"), ("a", "poisson:3"))
    models = cka_table(matrix, ("a", "gaussian:15"), ("b", "gaussian:15"))
    text = text_of(pd.concat([crossed, models]))
    assert "mean over the last quarter of the blocks" in text and "95%" not in text
    assert "a gaussian:15 against poisson:3 0.500" in text
    assert "a and b gaussian:15 0.500" in text
    assert "(block 0.6, block 0.7) among the blocks of b is block 0.7, at 0.900" in text
    assert "best matches of the other blocks of a: 0.200." in text
    assert "is biased" not in text and "This run has no intervals" in text
    assert "0.500 [0.400, 0.600] for a and b under gaussian:15" in text_of(models, 0.4, 0.6)
    text = text_of(models.assign(kernel="rbf", centering="highpass"))
    assert "RBF kernel, local mean removed" in text


def test_the_null_values_of_biased_numbers():
    frame = cka_table(np.eye(3), ("a", "gaussian:15"), ("a", "poisson:3"))
    assert "is biased" not in text_of(frame)
    frame["null"] = np.linspace(0.25, 0.5, len(frame))
    assert "independent layers would score 0.250 to 0.500 here, not 0" in text_of(frame)


def difference_table(low: list[float], high: list[float]) -> pd.DataFrame:
    layers = ["conv_first", *(f"layers.0.residual_group.blocks.{i}" for i in range(len(low) - 1))]
    middle = (np.array(low) + high) / 2
    names = {"model_a": "a", "model_b": "b", "noise_a": "x", "noise_b": "y"}
    return pd.DataFrame(
        {"layer": layers, "index": range(len(low)), "difference": middle, "low": low, "high": high}
    ).assign(**names)


def test_models_differ_from_where_the_interval_stays_on_one_side_to_the_last_block():
    frame = cka_table(np.eye(3), ("a", "x"), ("a", "y"))
    apart = difference_table([0.1, 0.1, -0.1, 0.2, 0.3], [0.2, 0.2, 0.1, 0.3, 0.4])
    assert differs_from(apart) == 3
    text = text_of(frame, difference=apart)
    assert "b is higher from block 0.2 to the last block (2 of 4)" in text
    assert "at the last block b - a is +0.350 [+0.300, +0.400]" in text
    below = difference_table([-0.1, -0.3, -0.4], [0.1, -0.1, -0.2])
    assert "a is higher at all 2 blocks" in text_of(frame, difference=below)
    together = difference_table([0.2, 0.3, -0.1], [0.3, 0.4, 0.1])
    assert differs_from(together) is None
    assert "includes 0, so the order there is undecided" in text_of(frame, difference=together)


def test_a_crop_with_most_of_the_spread_is_named():
    frame = cka_table(np.eye(3), ("a", "x"), ("a", "y"))
    views = {"model_a": "a", "noise_a": "x", "model_b": "a", "noise_b": "y"}
    share = np.full(40, 0.5 / 39)
    share[7] = 0.5
    table = pd.DataFrame(
        {"image": [f"i{k}" for k in range(40)], "top": 3, "left": 5, "share": share}
    ).assign(**views)
    text = text_of(frame, influence=table)
    assert "is 50% (i7 at row 3, column 5, for a under x against a under y)" in text
    assert "see influence.csv" in text
    assert "see influence.csv" not in text_of(frame, influence=table.assign(share=1 / 40))


def test_layers_without_a_value_are_named_with_the_reason():
    frame = cka_table(np.eye(3), ("a", "x"), ("a", "y"))
    layers = pd.DataFrame(
        {"model": "a", "noise": "x", "layer": ["conv_first"], "reason": ["it does not vary"]}
    )
    text = text_of(frame, layers=layers)
    assert "No value for conv_first of a under x: it does not vary." in text


def test_files_with_the_same_weights_are_named():
    frame = cka_table(np.eye(3), ("a", "x"), ("b", "x"))
    frames = {"cka": frame, "last_quarter": means_of(frame)}
    same: dict[str, dict[str, dict[str, object]]] = {
        "models": {"a": {"sha256": "1"}, "b": {"sha256": "1"}}
    }
    assert same_weights(same) == ["`a` and `b` hold the same weights."]
    said = sentences(frames, same)
    assert not any("best match" in text or "Between models" in text for text in said)
    same["models"]["b"]["usage"] = {"sigma": 25.0}  # called in another way: compared
    assert any("best match" in text for text in sentences(frames, same))
    assert same_weights(MODELS) == []


@pytest.mark.parametrize(
    "count, batches, said_",
    [
        (19, [12], "With 19 permutations the tests of `cka.csv` cannot decide: p is 0.05 or more"),
        (20, [12], ""),
        (1000, [3], "With 3 crops the tests of `cka.csv` cannot decide: p is 0.17 or more; more"),
        (1000, [4], ""),
        (0, [3], ""),
    ],
)
def test_tests_by_few_permutations_cannot_decide(count, batches, said_):
    """The least p-value is 1 / (1 + permutations), and that of all orders of the crops."""
    text = " ".join(cka_reading.few_permutations({"permutations": count, "batches": batches}))
    assert text.startswith(said_) and bool(text) == bool(said_)
