"""CKA tables with values that a test gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

COLUMNS = (
    "model_a,noise_a,layer_a,index_a,model_b,noise_b,layer_b,index_b,"
    "cka,estimator,unit,samples,crops,low,high,p,p_corrected,kernel,centering,null"
)


def cka_table(matrix: np.ndarray, a: tuple[str, str], b: tuple[str, str]) -> pd.DataFrame:
    """A CKA table with given values; layers named by the default set's kinds."""
    layers = [
        "conv_first",
        *(f"layers.0.residual_group.blocks.{i}" for i in range(len(matrix) - 1)),
    ]
    rest = ("unbiased", "position", 128, 8, *4 * [np.nan], "linear", "global", np.nan)
    rows = [
        (*a, layers[i], i, *b, layers[j], j, matrix[i, j], *rest)
        for i in range(len(matrix))
        for j in range(len(matrix))
    ]
    return pd.DataFrame(rows, columns=COLUMNS.split(","))


def means_table(
    frame: pd.DataFrame, bounds: tuple[float, float] = (np.nan, np.nan), photographs: int = 24
) -> pd.DataFrame:
    """The table of means over the last quarter: 0.5 for each pair of views, with these bounds."""
    views = frame[["model_a", "noise_a", "model_b", "noise_b"]].drop_duplicates()
    low, high = bounds
    return views.assign(cka=0.5, low=low, high=high, photographs=photographs)


def quarter_differences(
    bounds: Mapping[tuple[str, str], tuple[float, float]], photographs: int = 24
) -> pd.DataFrame:
    """The table of differences between models' means for noises x and y, by the two models."""
    rows = [
        (a, b, "x", "y", (low + high) / 2, low, high, photographs)
        for (a, b), (low, high) in bounds.items()
    ]
    columns = ["model_a", "model_b", "noise_a", "noise_b", "difference", "low", "high"]
    return pd.DataFrame(rows, columns=[*columns, "photographs"])


def difference_table(
    low: Sequence[float], high: Sequence[float], band: tuple[float, float] = (0.0, 0.0)
) -> pd.DataFrame:
    """The curves of model b minus model a for noises x and y, by the bounds of their intervals.

    Args:
        low: lower bound at each layer.
        high: upper bound.
        band: how much lower and higher the bounds for all layers at once are.
    """
    layers = ["conv_first", *(f"layers.0.residual_group.blocks.{i}" for i in range(len(low) - 1))]
    lower, upper = np.array(low), np.array(high)
    return pd.DataFrame(
        {
            "model_a": "a",
            "model_b": "b",
            "noise_a": "x",
            "noise_b": "y",
            "layer": layers,
            "index": range(len(low)),
            "difference": (lower + upper) / 2,
            "low": lower,
            "high": upper,
            "band_low": lower - band[0],
            "band_high": upper + band[1],
        }
    )
