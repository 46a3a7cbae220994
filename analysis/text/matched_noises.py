"""The table of noises of matched strength (`gaussian:=poisson:3`), and sentences about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from analysis.text.noise_names import noise_phrase

if TYPE_CHECKING:
    import pandas as pd

NAME = "matched_noises"
"""Of the table, in run folders and among the frames of results."""

SIGMA = "sigma"
"""The column of σ, in 8-bit levels."""

KEYS = ("noise", "image", "top", "left", "sha256")
"""The columns that identify a row."""


def sentences(frames: Mapping[str, pd.DataFrame]) -> list[str]:
    """What each of these noises is, and its σ.

    Args:
        frames: the tables of a result; none of these noises without the table.
    """
    text = []
    if NAME in frames:
        for noise, rows in frames[NAME].groupby("noise", sort=False):
            other, sigma = str(noise).partition(":=")[2], rows[SIGMA]
            values = f"{sigma.min():.1f}"
            if sigma.min() < sigma.max():
                values += f" to {sigma.max():.1f}, {sigma.mean():.1f} on average"
            text.append(
                f"The Gaussian noise as strong as {noise_phrase(other)} is so on each image or "
                f"crop: its σ is {values} (8-bit levels)."
            )
    return text
