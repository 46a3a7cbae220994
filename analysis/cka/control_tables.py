"""The table of the controls' own cells, as `controls.csv`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.cka.tables import Block
from analysis.engine.controls import Controls
from analysis.stats.controls import Series, interval

CEILING, FLOOR, UNTRAINED = "ceiling", "floor", "untrained"


def cells(blocks: Sequence[Block], controls: Controls, measure: str) -> pd.DataFrame:
    """Every value that a ceiling, floor or untrained mean is made of.

    Args:
        blocks: pairs of views with the controls of their cells.
        controls: of the views.
        measure: name of the column of values.
    """
    rows: dict[tuple[Any, ...], Series] = {}
    for block in blocks:
        a, b = block.pair
        drawn = controls.untrained_pairs(a, b)
        for (i, j), control in block.controls.items():
            names = block.rows[i].layer, block.columns[j].layer
            for view, name, value in zip(block.pair, names, control.draws, strict=True):
                if (other := controls.other_draw(view)) is not None:
                    rows[CEILING, *view, name, *other, name] = value
            rows[FLOOR, *a, names[0], *b, names[1]] = control.floor
            for (one, two), value in zip(drawn, control.untrained, strict=False):
                rows[UNTRAINED, *one, names[0], *two, names[1]] = value
    columns = ["control", "model_a", "noise_a", "layer_a", "model_b", "noise_b", "layer_b"]
    table = [(*key, of.value, *interval(of)) for key, of in rows.items()]
    return pd.DataFrame(table, columns=[*columns, measure, "low", "high"])
