"""The answer of the training curves to their heading."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from analysis.text.answers import Answer
from analysis.text.markdown import code, listed, number
from analysis.text.rows import Row, records

MOST = 3
"""Up to so many runs are named."""


def answer(frames: Mapping[str, pd.DataFrame]) -> Answer:
    """Whether PSNR under unseen noise still rises at the end of training."""
    rows = [r for r in records(frames["summary"]) if math.isfinite(r["best_out_psnr"])]
    if not rows:
        return Answer("No PSNR under unseen noise was logged")
    each = [f"{place(row)} in {code(row['run'])}" for row in rows[:MOST]]
    more = f" and {len(rows) - MOST} more" if len(rows) > MOST else ""
    what = "In the training log, PSNR under unseen noise is highest"
    values = {str(row["run"]): number(row["best_out_psnr"]) for row in rows}
    return Answer(f"{what} {listed(each)}{more}", "", "best PSNR, unseen (dB)", values)


def place(row: Row) -> str:
    """Where a run's PSNR under unseen noise is highest."""
    best, last = row["best_out_step"], row["last_out_step"]
    return (
        f"at step {best:,.0f} of {last:,.0f}" if best < last else f"at the last step ({last:,.0f})"
    )
