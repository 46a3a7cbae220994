"""σ of noises of matched strength, such as `gaussian:=poisson:3`, for every crop of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.text.matched_noises import NAME, SIGMA
from mtd.data.crops import place, to_tensor
from mtd.noise.matched import MatchedGaussian
from mtd.utils.distributed import SINGLE_PROCESS

if TYPE_CHECKING:
    from torch import Tensor

    from analysis.commands.inputs import RunInputs
    from analysis.engine.forward import ForwardSettings
    from mtd.data.crops import Crop


def files(inputs: RunInputs) -> dict[str, pd.DataFrame]:
    """The table of a run that has such noises, by file name; called in every process.

    Columns: `noise`; the clean crop, see `mtd.data.crops.place`; and `sigma`, the σ of its noise in
    8-bit levels. Noise is drawn anew, as in the pass, which does not draw that of finished views.
    """
    noises = [noise for noise in inputs.noises if isinstance(noise, MatchedGaussian)]
    if not noises:
        return {}
    count, how = len(inputs.crops), inputs.forward
    own = {
        index: [_row(noise, inputs.crops[index], how) for noise in noises]
        for index in inputs.ranks.indices_for_rank(count)
    }
    rows = inputs.ranks.merge(own)
    return table([rows[index][place] for place in range(len(noises)) for index in range(count)])


def table(rows: Sequence[Mapping[str, Any]]) -> dict[str, pd.DataFrame]:
    """The table of some rows by its file name; nothing without any."""
    return {f"{NAME}.csv": pd.DataFrame(rows)} if rows else {}


def row(noise: str, about: Mapping[str, Any], sigma: Tensor) -> dict[str, Any]:
    """A row of the table.

    Args:
        noise: its name.
        about: the clean crop, see `mtd.data.crops.place`.
        sigma: a single value, as a share of white.
    """
    return {"noise": noise, **about, SIGMA: 255 * float(sigma)}


def _row(noise: MatchedGaussian, crop: Crop, how: ForwardSettings) -> dict[str, Any]:
    made = how.drawing.noisy_images(noise, to_tensor([crop.pixels]), [crop.digest], how.seed)
    return row(noise.spec, place(crop), made.sigma)


def levels(inputs: RunInputs) -> dict[str, tuple[float, float]]:
    """By such a noise, the lowest and the highest σ of a run's crops, in 8-bit levels."""
    tables = files(replace(inputs, ranks=SINGLE_PROCESS)).values()
    return {
        str(noise): (float(rows[SIGMA].min()), float(rows[SIGMA].max()))
        for frame in tables
        for noise, rows in frame.groupby("noise")
    }
