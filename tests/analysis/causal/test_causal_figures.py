"""Figures of causal tracing."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.causal import figures


def test_a_panel_without_values_says_so():
    """As under a noise whose error is not shown to be larger than under the reference."""
    rows = [
        ("a", noise, f"layers.0.residual_group.blocks.{i}.attn", "attention", i, value)
        for noise, value in (("poisson:3.5", 0.5), ("speckle:0.04", np.nan))
        for i in range(4)
    ]
    frame = pd.DataFrame(rows, columns=["model", "noise", "branch", "kind", "depth", "recovery"])
    frame = frame.assign(low=np.nan, high=np.nan, patched="exact", status="", photographs=4)
    known, none = figures.recovery(frame, "gaussian:15").axes
    assert not known.texts and [text.get_text() for text in none.texts] == [figures.NO_VALUE]
    assert none.get_xlim() == (-0.5, 3.5)
    assert [text.get_text() for text in none.get_xticklabels()][-1] == "block 0.3"
