"""Differences of PSNR and their parts for a page, for the reader to choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from analysis.error import causes
from analysis.plotting import notebook_output
from analysis.plotting.notebook_output import Displayed

if TYPE_CHECKING:
    from analysis.error.result import ErrorResult

SOURCE = "error/error_difference.csv"
"""The table that differences are taken from."""

HEADS = {
    "mse": "MSE",
    "bias2": "damage (bias²)",
    "variance": "leak (variance)",
    "mask_variance": "masks (variance)",
    "psnr": "PSNR",
    "psnr_without_leak": "PSNR without leak",
    "psnr_without_damage": "PSNR without damage",
}
"""Headings of columns of error.csv."""


def differences(result: ErrorResult) -> Displayed:
    """How PSNR differs between every two models under each noise, and what it is due to."""
    frame = result.frames["error_difference"]
    panels = {
        (a, b): notebook_output.table(causes.table(frame, a, b), 2, causes.caption(a, b), SOURCE)
        for a, b in causes.pairs(frame)
    }
    if not panels:
        return notebook_output.say(["One model: no differences."])
    return notebook_output.pairwise(panels, "models")


def headed(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns of error.csv with their headings on a page."""
    return frame.rename(columns=lambda name: HEADS.get(name, name.replace("_", " ")))
