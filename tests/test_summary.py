"""The text beside the figures: means over deep blocks, matches, null values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from conftest import cka_table

from analysis.summary import summary


def manifest_of(frame: pd.DataFrame, features: int = 32) -> dict[str, object]:
    layers = frame.layer_a.unique().tolist()
    widths = dict.fromkeys(layers, features)
    return {"layers": {"a": layers, "b": layers}, "features": {"a": widths}, "batches": 2}


def test_summary_says_what_the_matrix_holds():
    matrix = np.full((9, 9), 0.2)
    matrix[8, 8], matrix[7, 7], matrix[7, 2] = 0.9, 0.7, 0.6
    crossed = cka_table(matrix, ("a", "gaussian:15"), ("a", "poisson:3"))
    models = cka_table(matrix, ("a", "gaussian:15"), ("b", "gaussian:15"))
    text = summary(pd.concat([crossed, models]), manifest_of(models))
    assert "deepest quarter of the blocks" in text
    assert "a  gaussian:15 against poisson:3: 0.800" in text  # mean of the two deepest of eight
    assert "a against b under gaussian:15: 0.500" in text  # mean of the deep 2 x 2 corner
    assert "(block 0.6, block 0.7) among the blocks of b: 0.900, with block 0.7" in text
    assert "; more than those of its other blocks, 0.200 to 0.200" in text
    assert "biased:" not in text
    low = np.full((9, 9), 0.6)
    low[7:] = 0.3
    models = cka_table(low, ("a", "gaussian:15"), ("b", "gaussian:15"))
    text = summary(models, manifest_of(models))
    assert "0.300, with block 0" in text
    assert "; less than those of its other blocks, 0.600 to 0.600" in text
    matrix[8, 8] = np.nan
    broken = cka_table(matrix, ("a", "gaussian:15"), ("a", "poisson:3"))
    assert "poisson:3: nan" in summary(broken, manifest_of(broken))


@pytest.mark.parametrize("unit, n", [("position", 128), ("image", 64)])
def test_summary_states_the_null_value_of_biased_numbers(unit, n):
    frame = cka_table(np.eye(3), ("a", "gaussian:15"), ("a", "poisson:3"))
    frame["estimator"], frame["unit"] = "biased", unit
    null = 64 / (64 + n)  # sqrt(p p / ((p + n)(p + n))), n samples at once
    assert f"would score {null:.3f} to {null:.3f} here, not 0" in summary(
        frame, manifest_of(frame, 64)
    )
