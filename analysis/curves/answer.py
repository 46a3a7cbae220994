"""The answer of the training curves to their heading."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from analysis.text.answers import Answer
from analysis.text.markdown import code, listed, number
from analysis.text.rows import records

MOST = 3
"""Up to so many runs are named."""


def answer(frames: Mapping[str, pd.DataFrame]) -> Answer:
    """Whether PSNR under unseen noise still rises at the end of training."""
    rows = [r for r in records(frames["summary"]) if math.isfinite(r["best_out_psnr"])]
    if not rows:
        return Answer("No PSNR under unseen noise was logged")
    early = [row for row in rows if row["best_out_step"] < row["last_out_step"]]
    each = [
        f"{code(row['run'])} at step {row['best_out_step']:,.0f} of {row['last_out_step']:,.0f}"
        for row in rows[:MOST]
    ]
    more = f" and {len(rows) - MOST} more" if len(rows) > MOST else ""
    what = "PSNR under unseen noise is best before the end of training"
    if not early:
        what = "PSNR under unseen noise is best at the end of training"
    elif len(early) < len(rows):
        what = "PSNR under unseen noise does not rise to the end of every training"
    values = {str(row["run"]): number(row["best_out_psnr"]) for row in rows}
    return Answer(f"{what}: {listed(each)}{more}", "", "best PSNR, unseen (dB)", values)
