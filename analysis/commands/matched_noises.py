"""σ of noises of matched strength, such as `gaussian:=poisson:3`, for every crop of a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from mtd.data.crops import place, to_tensor
from mtd.noise.base import stream_of
from mtd.noise.matched import MatchedGaussian
from mtd.utils.distributed import SINGLE_PROCESS

if TYPE_CHECKING:
    from analysis.commands.inputs import RunInputs

NAME = "matched_noises"
"""Of the table, in run folders and among the frames of results."""

SIGMA = "sigma"
"""The column of σ, in 8-bit levels."""


def files(inputs: RunInputs) -> dict[str, pd.DataFrame]:
    """The table by its file name, if a run has such noises; called in every process.

    Columns: `noise`; the clean crop, see `mtd.data.crops.place`; and `sigma`, the σ of its noise in
    8-bit levels. Noise is drawn anew, as in the pass, which does not draw that of finished views.
    """
    if not any(isinstance(noise, MatchedGaussian) for noise in inputs.noises):
        return {}
    every = range(len(inputs.crops))
    own = {i: list(_rows(inputs, i)) for i in inputs.ranks.indices_for_rank(len(every))}
    rows = inputs.ranks.merge(own)
    frame = pd.DataFrame([row for i in every for row in rows[i]])
    noises = {spec: number for number, spec in enumerate(inputs.specs)}
    frame = frame.sort_values("noise", key=lambda specs: specs.map(noises), kind="stable")
    return {f"{NAME}.csv": frame.reset_index(drop=True)}


def levels(inputs: RunInputs) -> dict[str, tuple[float, float]]:
    """By such a noise, the lowest and the highest σ of a run's crops, in 8-bit levels."""
    tables = files(replace(inputs, ranks=SINGLE_PROCESS)).values()
    return {
        str(noise): (float(rows[SIGMA].min()), float(rows[SIGMA].max()))
        for frame in tables
        for noise, rows in frame.groupby("noise")
    }


def _rows(inputs: RunInputs, index: int) -> Iterator[dict[str, Any]]:
    """The rows of a crop, one for each noise."""
    crop, how = inputs.crops[index], inputs.forward
    image, stream = to_tensor([crop.pixels]), stream_of(crop.digest, how.seed)
    for noise in inputs.noises:
        if isinstance(noise, MatchedGaussian):
            sigma = 255 * float(noise.noisy_image(image, stream, how.quantize).sigma)
            yield {"noise": noise.spec, **place(crop), SIGMA: sigma}
