"""CKA tables with values that a test gives."""

from __future__ import annotations

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
