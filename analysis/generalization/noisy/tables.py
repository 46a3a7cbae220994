"""The tables of noisy pictures: quantities by picture, their means with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.commands.trainings import TRAINING, by_training, several
from analysis.generalization.noisy.inputs import CONTROLS
from analysis.generalization.noisy.outputs import Files
from analysis.generalization.trainings import networks_in
from analysis.stats import jackknife
from analysis.stats.controls import COLUMNS
from analysis.stats.trainings import Samples, both, half_width
from mtd.metrics import METRICS

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


def quantities_of(frame: pd.DataFrame) -> dict[str, Quantity]:
    """The columns of a table that are averaged: `QUANTITIES`, and metrics without reference.

    Args:
        frame: see `no_reference`.
    """
    further = {
        name: Quantity(f"{about.label}, {about.direction}", about.unit, about.digits)
        for name, about in METRICS.items()
        if name in frame
    }
    return {**QUANTITIES, **further}


DIFFERENCE = "difference"
"""The column of `agreement.csv` that is averaged."""

PAIR = ["model_a", "model_b"]
"""The columns of two models."""

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

    Of models with several trainings it is the mean over them, with the interval over photographs
    and trainings and the columns `analysis.stats.controls.COLUMNS`; a difference is the mean over
    pairs of trainings, also of those of one model, whose interval is over photographs alone.

    Args:
        quantities: see `no_reference`.
        differences: see `agreement`.
    """
    rows: list[tuple[Any, ...]] = []
    networks = networks_in(quantities)
    for name, about in quantities_of(quantities).items():
        for model, own in networks.items():
            part = quantities[quantities.model == model]
            wide, floor = by_network(part, name, own), math.nan
            if about.floor and len(wide):
                floors = by_network(part, about.floor, own).loc[wide.index]
                floor = float(pd.Series(floors.to_numpy().ravel()).mean())
            if len(wide):
                samples = (wide.mean().to_numpy(),) if len(own) > 1 else ()
                rows.append((name, model, "", *of_mean(wide, samples, floor)))
    sides = [name for name in ("training_a", "training_b") if name in differences]
    for (a, b), part in differences.groupby(["model_a", "model_b"], sort=False):
        wide = part.pivot(index=list(CROP), columns=sides or PAIR, values=DIFFERENCE)
        wide = wide.reindex(pd.MultiIndex.from_frame(part[list(CROP)].drop_duplicates()))
        pairs = of_pairs(wide.mean()) if a != b else ()
        rows.append((DIFFERENCE, str(a), str(b), *of_mean(wide, pairs, math.nan)))
    frame = pd.DataFrame(rows, columns=[*MEANS, *COLUMNS])
    return frame if several(networks) else frame[list(MEANS)]


def of_mean(wide: pd.DataFrame, samples: Samples, floor: float) -> tuple[float, ...]:
    """The columns of a mean, its intervals, and how many pictures and photographs it is of.

    Args:
        wide: pictures by trainings, or by pairs of them.
        samples: see `analysis.stats.trainings`.
        floor: the mean of its values for white noise.
    """
    scenes = list(wide.index.get_level_values("scene"))
    mean = jackknife.mean(wide.to_numpy(dtype=float).mean(1), scenes)
    half = float(half_width(samples))
    low, high = both((mean.low, mean.high), mean.value, half)
    size = (len(wide), len(set(scenes)))
    apart = (mean.low, mean.high, mean.value - half, mean.value + half)
    return (
        mean.value,
        float(low),
        float(high),
        floor,
        *size,
        min(map(len, samples), default=1),
        *apart,
    )


def of_pairs(pairs: pd.Series) -> Samples:
    """The values of trainings behind the mean difference between the outputs of two models.

    That of a training is its mean over those of the other model. A single network beside several
    trainings has none, but a control is a constant.

    Args:
        pairs: by training of the first and of the second model.
    """
    a, b = (pairs.groupby(level=level, sort=False).mean() for level in (0, 1))
    if len(a) > 1 and b.index[0] in CONTROLS:
        return (a.to_numpy(),)
    return (a.to_numpy(), b.to_numpy()) if len(a) > 1 and len(b) > 1 else ()


def by_network(part: pd.DataFrame, name: str, networks: Sequence[str]) -> pd.DataFrame:
    """A quantity of one model, pictures by trainings; without pictures of which one has none."""
    column = TRAINING if TRAINING in part else "model"
    wide = part.pivot(index=list(CROP), columns=column, values=name)[list(networks)]
    first = part[part[column] == networks[0]]
    return wide.reindex(pd.MultiIndex.from_frame(first[list(CROP)])).dropna()


def means_by_training(quantities: pd.DataFrame) -> pd.DataFrame:
    """The means of single trainings, of models that have several; see `means`.

    Args:
        quantities: see `no_reference`.
    """
    networks = networks_in(quantities)
    own = quantities.assign(model=quantities.get(TRAINING, quantities.model))
    single = own.drop(columns=TRAINING, errors="ignore")
    nothing = pd.DataFrame(columns=list(AGREEMENT))
    return by_training(means(single, nothing), networks)
