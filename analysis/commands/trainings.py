"""Several trainings of one network as one model: which networks of a run are of which model.

`NAME=runs/b*/model.pth`, or several files of one name, are the trainings of one model, differing in
their seed alone. Each is run as a network of its own; tables have their mean, see
`analysis.stats.trainings`. Their names are that of the model, and in parentheses that of the file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from analysis.text.names import shortest, unique_names
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

    from analysis.engine.observer import View
    from mtd.networks.base import Denoiser

Value = TypeVar("Value")

Trainings = Mapping[str, tuple[str, ...]]
"""By model, the networks that are its trainings; a single network is that of its own name."""

TRAINING_OF = "training_of"
"""The entry of a network's source that names the model that it is a training of."""

TRAINING = "training"
"""The column that names a single training."""

DIGESTS = ("sha256", "weights_sha256", "identity")
"""Entries of a manifest that are different for each training; of the model it is a digest of
all."""


def names_for(name: str, paths: Sequence[str]) -> list[str]:
    """Names of the trainings of one model, from their files.

    >>> names_for("baseline", ["runs/b1/model.pth", "runs/b2/model.pth"])
    ['baseline (b1)', 'baseline (b2)']
    """
    short = [own.split("/") for own in unique_names(paths)]
    while min(map(len, short)) > 1 and len({own[-1] for own in short}) == 1:
        short = [own[:-1] for own in short]
    texts = shortest(dict(enumerate(short))).values()
    return [f"{name} ({text})" for text in texts]


def mark(models: Mapping[str, Denoiser], of: Mapping[str, str]) -> None:
    """Note in the source of each network which model it is a training of.

    Args:
        models: networks by name.
        of: the model's name by that of the network.
    """
    for name, model in of.items():
        models[name].source = {**models[name].source, TRAINING_OF: model}


def trainings_of(models: Mapping[str, Denoiser]) -> dict[str, tuple[str, ...]]:
    """The models in order, each with its trainings; a single network is a model by itself."""
    found: dict[str, list[str]] = {}
    for name, network in models.items():
        found.setdefault((network.source or {}).get(TRAINING_OF, name), []).append(name)
    return {model: tuple(names) for model, names in found.items()}


def check(models: Mapping[str, Denoiser], key: Callable[[Denoiser], str]) -> None:
    """Check that the trainings of a model are different trainings of one network.

    Args:
        models: networks by name.
        key: what trainings of one network share, see `analysis.commands.controls.network_key`.

    Raises:
        BadInput: another network among them, equal weights, or a name that is taken.
    """
    for model, names in trainings_of(models).items():
        if names == (model,):
            continue
        if model in models:
            raise BadInput(f"two models are named {model!r}: give one of them another name")
        if len({key(models[name]) for name in names}) > 1:
            raise BadInput(
                f"{model}: {names[0]} and the others differ in more than their weights; expected "
                "trainings of one network, with the same settings"
            )
        weights: dict[Any, str] = {}
        for name in names:
            digest = models[name].source["weights_sha256"]
            if digest in weights:
                raise BadInput(
                    f"{weights[digest]} and {name} hold equal weights; give each training once"
                )
            weights[digest] = name


def entries(trainings: Trainings, of: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The models of a manifest: of several trainings what they have in common, and each of them.

    Args:
        trainings: by model.
        of: the entry of each network.
    """
    found: dict[str, dict[str, Any]] = {}
    for model, names in trainings.items():
        own = {name: dict(of[name]) for name in names if name in of}
        if names == (model,):
            found |= own
        elif own:
            found[model] = together(own)
    return found


def together(of: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The entry of a model with several trainings.

    Its digests are of all trainings' digests, `path` names all files, `trainings` has the entry of
    each, and the rest is what they have in common.
    """
    first = next(iter(of.values()))
    same = {k: v for k, v in first.items() if all(own.get(k) == v for own in of.values())}
    same.pop(TRAINING_OF, None)
    for name in DIGESTS:
        if name in first:
            values = sorted(str(own[name]) for own in of.values())
            same[name] = hashlib.sha256(json.dumps(values).encode()).hexdigest()
    paths = ", ".join(str(own["path"]) for own in of.values())
    return same | {"path": paths, "trainings": {name: dict(own) for name, own in of.items()}}


def several(trainings: Trainings) -> dict[str, tuple[str, ...]]:
    """Those models that have more than one training."""
    return {model: names for model, names in trainings.items() if len(names) > 1}


def of_models(values: Mapping[View, Value], trainings: Trainings) -> dict[View, list[Value]]:
    """Of each model under each noise, the values of its trainings, in the order of the views."""
    from analysis.engine.observer import View

    model_of = {name: model for model, names in trainings.items() for name in names}
    found: dict[View, list[Value]] = {}
    for view, value in values.items():
        found.setdefault(View(model_of[view.model], view.noise), []).append(value)
    return found


def with_single_trainings(
    tables: Callable[[Trainings], Mapping[str, pd.DataFrame]],
    trainings: Trainings,
    names: Collection[str],
) -> dict[str, pd.DataFrame]:
    """The tables of models, and where some have several trainings, those of single trainings too.

    Args:
        tables: makes the tables of models by name, with the column `model`, given the networks that
            are the trainings of each.
        trainings: by model.
        names: of the tables of which there are those of single trainings, `{name}_by_training`.
    """
    found = dict(tables(trainings))
    if several(trainings):
        single = tables({name: (name,) for names in trainings.values() for name in names})
        for name in names:
            rows = by_training(single[f"{name}.csv"], trainings)
            found[f"{name}_by_training.csv"] = rows
    return found


def by_training(
    frame: pd.DataFrame, trainings: Trainings, columns: Collection[str] = ("model",)
) -> pd.DataFrame:
    """The rows of single trainings, under the name of their model, with the column `training`.

    Args:
        frame: a table with the networks' names.
        trainings: by model.
        columns: that hold names of networks, `model` or `run`; beside `model_a` the training's is
            in `training_a`.

    Returns:
        The rows of models with several trainings alone.
    """
    model_of = {name: model for model, names in several(trainings).items() for name in names}
    rows = frame[frame[list(columns)].isin(list(model_of)).any(axis=1)].copy()
    for column in columns:
        place = list(rows.columns).index(column) + 1
        name = column.replace("model", TRAINING).replace("run", TRAINING)
        rows.insert(place, name, rows[column])
        rows[column] = rows[column].map(lambda name: model_of.get(name, name))
    return rows.reset_index(drop=True)


def averaged(frame: pd.DataFrame, trainings: Trainings) -> pd.DataFrame:
    """A table of networks with the means over the trainings of each model, row by row.

    Args:
        frame: with the column `model`, of each training as many rows, in the same order. Texts and
            truth values are those of the first training, but in the column `reason` of the first
            that has one: without a value of each training there is no mean.
        trainings: by model.
    """
    import pandas as pd

    parts = []
    for model, names in trainings.items():
        first, *others = (frame[frame.model == name].reset_index(drop=True) for name in names)
        numbers = list(first.select_dtypes("number")) if others else []
        for column in numbers:
            if all(first[column].equals(other[column]) for other in others):
                continue  # counts stay whole numbers
            first[column] = sum((other[column] for other in others), first[column]) / len(names)
        for other in others if "reason" in first else ():
            first["reason"] = first.reason.where(first.reason != "", other.reason)
        parts.append(first.assign(model=model))
    return pd.concat(parts, ignore_index=True)
