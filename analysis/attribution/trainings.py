"""Several trainings of a model in the tables of attribution: means of the maps' numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.commands.trainings import TRAINING, Trainings, several

KEYS = ["model", "noise", "crop"]
"""Columns that name a map."""

MEASURED = ["di", "outside", "reach50", "reach90", "start", "end", "sum", "completeness"]
"""Columns of numbers of a map."""


def of_models(
    frame: pd.DataFrame, trainings: Trainings, measured: Sequence[str] = MEASURED
) -> pd.DataFrame:
    """The rows of models: of several trainings the mean of their maps' numbers, crop by crop.

    With the number of `trainings` in a last column, in runs where some model has several. NaN where
    the map of one training has no number.

    Args:
        frame: a row for each map of a network, see `analysis.attribution.tables.table`.
        trainings: by model.
        measured: the columns of numbers.
    """
    if not several(trainings):
        return frame
    model_of = {name: model for model, names in trainings.items() for name in names}
    named = frame.assign(model=frame.model.map(model_of))
    groups = named.groupby(KEYS, sort=False)
    rows = named.drop_duplicates(KEYS).reset_index(drop=True)
    for name in measured:
        rows[name] = [float(np.mean(values.to_numpy())) for _, values in groups[name]]
    return rows.assign(trainings=[len(trainings[model]) for model in rows.model])


def networks(
    frame: pd.DataFrame, single: pd.DataFrame | None
) -> tuple[pd.DataFrame, dict[str, tuple[str, ...]]]:
    """The maps of all networks, and the networks that are each model's trainings.

    Args:
        frame: attribution.csv.
        single: attribution_by_training.csv; None for a run without.
    """
    models = [str(model) for model in frame.model.unique()]
    if single is None:
        return frame, {model: (model,) for model in models}
    own = {str(m): tuple(rows[TRAINING].unique()) for m, rows in single.groupby("model")}
    maps = single.assign(model=single[TRAINING]).drop(columns=TRAINING)
    rows = pd.concat([frame[~frame.model.isin(own)], maps], ignore_index=True)
    return rows, {model: own.get(model, (model,)) for model in models}
