"""The tables of noisy pictures: quantities by picture, their means with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.generalization.noisy.outputs import Files
from analysis.stats import jackknife

CROP = ("image", "scene", "top", "left", "height", "width", "sha256")


@dataclass(frozen=True)
class Quantity:
    """A column of a table.

    Attributes:
        label: in figures.
        unit: or "".
        digits: after the point.
        floor: the column of its values for white noise, or "".
    """

    label: str
    unit: str
    digits: int
    floor: str = ""

    @property
    def with_unit(self) -> str:
        """The label with its unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


QUANTITIES = {
    "noise_level": Quantity("noise level, finest scale", "8-bit levels", 2),
    "coarse_noise_level": Quantity("noise level, means of 2 x 2 pixels", "8-bit levels", 2),
    "residual": Quantity("residual, root mean square", "8-bit levels", 2),
    "autocorrelation": Quantity("autocorrelation of the residual", "", 3, "autocorrelation_floor"),
    "detail_correlation": Quantity("correlation of residual and output's detail", "", 3),
}
"""The columns of `no_reference.csv` that are averaged."""

DIFFERENCE = "difference"
"""The column of `agreement.csv` that is averaged."""

AGREEMENT = ("model_a", "model_b", *CROP, DIFFERENCE)
MEANS = ("quantity", "model", "model_b", "mean", "low", "high", "floor", "pictures", "photographs")


def no_reference(
    rows: Sequence[Mapping[str, Any]],
    files: Files,
    places: Mapping[str, int],
) -> pd.DataFrame:
    """A row for each model and picture, controls last, with the file of its output.

    Args:
        rows: see `analysis.generalization.noisy.observer.quantities`.
        files: of the outputs.
        places: of the pictures, by digest.
    """
    frame = pd.DataFrame(rows)
    keys = zip(frame.model, frame.sha256, strict=True)
    frame = frame.assign(output=[files.path(model, places[digest]) for model, digest in keys])
    return in_order(frame, ["model"], places)


def agreement(rows: Sequence[Mapping[str, Any]], places: Mapping[str, int]) -> pd.DataFrame:
    """A row for each two models and picture: how far their outputs are apart."""
    frame = pd.DataFrame(rows, columns=list(AGREEMENT))
    return in_order(frame, ["model_a", "model_b"], places)


def in_order(frame: pd.DataFrame, names: list[str], places: Mapping[str, int]) -> pd.DataFrame:
    """Rows by names in the order in which they first come, then by picture."""
    order = {tuple(key): i for i, key in enumerate(frame[names].drop_duplicates().to_numpy())}
    rank = [order[tuple(key)] for key in frame[names].to_numpy()]
    picture = [places[digest] for digest in frame.sha256]
    return frame.iloc[np.lexsort((picture, rank))].reset_index(drop=True)


def means(quantities: pd.DataFrame, differences: pd.DataFrame) -> pd.DataFrame:
    """The mean of each quantity over pictures, with its 95% interval.

    Photographs are left out in turn, each with all its crops; see `jackknife.draws`. Values that
    are not defined, such as the autocorrelation of a residual that is 0 everywhere, are left out.

    Args:
        quantities: see `no_reference`.
        differences: see `agreement`.
    """
    rows: list[tuple[Any, ...]] = []
    for name, about in QUANTITIES.items():
        for model, part in quantities.groupby("model", sort=False):
            known = part[part[name].notna()]
            if len(known):
                floor = float(known[about.floor].mean()) if about.floor else math.nan
                mean = jackknife.mean(known[name], list(known.scene))
                rows.append((name, model, "", *mean, floor, *size(known)))
    for (a, b), part in differences.groupby(["model_a", "model_b"], sort=False):
        mean = jackknife.mean(part[DIFFERENCE], list(part.scene))
        rows.append((DIFFERENCE, a, b, *mean, math.nan, *size(part)))
    return pd.DataFrame(rows, columns=list(MEANS))


def size(rows: pd.DataFrame) -> tuple[int, int]:
    """Number of pictures or crops, and of photographs that they are of."""
    return len(rows), rows.scene.nunique()
