"""The answer of causal tracing to its heading."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analysis.causal.reading import named, patched
from analysis.text.answers import Answer
from analysis.text.markdown import code, listed, number
from analysis.text.rows import ends
from analysis.text.verdicts import verdict

MOST = 3
"""Up to so many models are named."""


def answer(frames: Mapping[str, pd.DataFrame]) -> Answer:
    """Which branch of each model recovers most of the additional error."""
    rows = patched(frames["causal"])
    rows = rows[rows.recovery.notna()]
    if rows.empty:
        return Answer("No recovery is known here")
    each, values, found = [], {}, set()
    for model, part in rows.groupby("model", sort=False):
        top = ends(part, "recovery")[1]
        values[str(model)] = number(top["recovery"])
        each.append(f"{number(top['recovery'])} in {code(model)} ({named(top)})")
        found.add(verdict(top["band_low"], top["band_high"], int(top["photographs"])))
    evidence = found.pop() if len(found) == 1 else "not shown"
    end = {"too few images": ": too few images to tell"}.get(evidence, f": {evidence}")
    what = "The largest share of the additional error that patching one branch removes"
    text = f"{what} is {listed(each[:MOST])}"
    return Answer(text, evidence, "largest recovery", values, end)
