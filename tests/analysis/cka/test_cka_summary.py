"""The text beside the figures: means over deep blocks, matches, parting, outliers, null values."""

from __future__ import annotations

import numpy as np
import pandas as pd
from analysis.cka.summary import part_at, summary

from tests.helpers.cka_tables import cka_table

NONE = (np.nan, np.nan)


def deep_of(frame: pd.DataFrame, *bounds: float) -> pd.DataFrame:
    """One row for each pair of views, with a mean of 0.5 and the bounds given."""
    views = frame[["model_a", "noise_a", "model_b", "noise_b"]].drop_duplicates()
    low, high = bounds or NONE
    return views.assign(cka=0.5, low=low, high=high)


def text_of(frame: pd.DataFrame, *bounds: float, **tables: pd.DataFrame) -> str:
    layers = frame.layer_a.unique().tolist()
    frames = {"cka": frame, "deep": deep_of(frame, *bounds)} | tables
    return summary(frames, {"layers": {"a": layers, "b": layers}})


def test_summary_says_what_the_tables_hold():
    matrix = np.full((9, 9), 0.2)
    matrix[8, 8], matrix[7, 7], matrix[7, 2] = 0.9, 0.7, 0.6
    crossed = cka_table(matrix, ("a", "gaussian:15"), ("a", "poisson:3"))
    models = cka_table(matrix, ("a", "gaussian:15"), ("b", "gaussian:15"))
    text = text_of(pd.concat([crossed, models]))
    assert "deepest quarter of the blocks" in text and "intervals" not in text
    assert "a  gaussian:15 against poisson:3: 0.500\n" in text
    assert "a against b under gaussian:15: 0.500\n" in text
    assert "(block 0.6, block 0.7) among the blocks of b: 0.900, with block 0.7" in text
    assert "; more than those of its other blocks, 0.200 to 0.200" in text
    assert "biased:" not in text
    assert "gaussian:15: 0.500 [0.400, 0.600]" in text_of(models, 0.4, 0.6)
    low = np.full((9, 9), 0.6)
    low[7:] = 0.3
    models = cka_table(low, ("a", "gaussian:15"), ("b", "gaussian:15"))
    text = text_of(models)
    assert "0.300, with block 0" in text
    assert "; less than those of its other blocks, 0.600 to 0.600" in text
    assert "RBF kernel, local mean removed" in text_of(
        models.assign(kernel="rbf", centring="highpass")
    )


def test_summary_states_the_null_values_of_biased_numbers():
    frame = cka_table(np.eye(3), ("a", "gaussian:15"), ("a", "poisson:3"))
    assert "biased:" not in text_of(frame)
    frame["null"] = np.linspace(0.25, 0.5, len(frame))
    assert "would score 0.250 to 0.500 here, not 0" in text_of(frame)


def parting_table(low: list[float], high: list[float]) -> pd.DataFrame:
    layers = ["conv_first", *(f"layers.0.residual_group.blocks.{i}" for i in range(len(low) - 1))]
    middle = (np.array(low) + high) / 2
    names = {"model_a": "a", "model_b": "b", "noise_a": "x", "noise_b": "y"}
    return pd.DataFrame(
        {"layer": layers, "index": range(len(low)), "difference": middle, "low": low, "high": high}
    ).assign(**names)


def test_models_part_where_the_difference_stays_on_one_side_to_the_last_block():
    frame = cka_table(np.eye(3), ("a", "x"), ("a", "y"))
    apart = parting_table([0.1, 0.1, -0.1, 0.2, 0.3], [0.2, 0.2, 0.1, 0.3, 0.4])
    assert part_at(apart) == 3
    assert (
        "x against y: a and b part at block 0.2: from there to the last block b is higher, by "
        "0.250 to 0.350" in text_of(frame, parting=apart)
    )
    below = parting_table([-0.1, -0.3, -0.4], [0.1, -0.1, -0.2])
    assert "a is higher, by 0.200 to 0.300" in text_of(frame, parting=below)
    together = parting_table([0.2, 0.3, -0.1], [0.3, 0.4, 0.1])
    assert part_at(together) is None
    assert "do not stay apart" in text_of(frame, parting=together)


def test_a_crop_that_makes_most_of_the_spread_is_named():
    frame = cka_table(np.eye(3), ("a", "x"), ("a", "y"))
    views = {"model_a": "a", "noise_a": "x", "model_b": "a", "noise_b": "y"}
    share = np.full(40, 0.5 / 39)
    share[7] = 0.5
    table = pd.DataFrame(
        {"image": [f"i{k}" for k in range(40)], "top": 3, "left": 5, "share": share}
    ).assign(**views)
    text = text_of(frame, influence=table)
    assert "one crop, i7 at (3, 5), makes 50% of the spread of a under x against a under y" in text
    assert "one crop" not in text_of(frame, influence=table.assign(share=1 / 40))
