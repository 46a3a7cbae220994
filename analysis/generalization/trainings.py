"""Several trainings of a model in long tables, which have a row for each of them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.commands.trainings import TRAINING, Trainings, several


def with_trainings(
    frame: pd.DataFrame, trainings: Trainings, columns: Sequence[str] = ("model",)
) -> pd.DataFrame:
    """A long table of networks, named by model, with their own names beside if a model has several.

    Args:
        frame: with the names of networks.
        trainings: by model; other names, such as those of controls, stay.
        columns: that hold the names; beside `model_a` the network's own is in `training_a`.

    >>> rows = pd.DataFrame({"model": ["a (1)", "a (2)", "b"]})
    >>> with_trainings(rows, {"a": ("a (1)", "a (2)"), "b": ("b",)}).to_dict("list")
    {'model': ['a', 'a', 'b'], 'training': ['a (1)', 'a (2)', 'b']}
    """
    if not several(trainings):
        return frame
    model_of = {own: model for model, names in trainings.items() for own in names}
    named = frame.copy()
    for column in columns:
        place = list(named.columns).index(column) + 1
        named.insert(place, column.replace("model", TRAINING), frame[column])
        named[column] = [model_of.get(name, name) for name in frame[column]]
    return named


def networks_in(frame: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """The trainings of every model of a long table; of a single network its own name."""
    column = TRAINING if TRAINING in frame else "model"
    pairs = frame[["model", column]].set_axis(["model", "network"], axis=1).drop_duplicates()
    groups = pairs.groupby("model", sort=False).network
    return {str(model): tuple(map(str, names)) for model, names in groups}
