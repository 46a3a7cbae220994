"""The tables of degradation clusters: separability, ratios between models, embedded points."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.commands import trainings
from analysis.commands.inputs import RunInputs
from analysis.degradation import controls, separability
from analysis.degradation.observer import Pooled, PooledLayers
from analysis.degradation.samples import labels, scores
from analysis.degradation.settings import DegradationSettings
from analysis.engine.layers import INPUT, last_call, last_convolution
from analysis.stats import controls as stats
from analysis.stats import jackknife, model_differences
from analysis.stats.controls import NOTHING, Series
from analysis.stats.undefined import Undefined
from analysis.text.noise_labels import describe
from mtd.data.crops import Crop
from mtd.utils.errors import BadInput

Array = NDArray[np.float64]
Entry = tuple[str, str]

PHOTOGRAPHS = 5
"""From so many photographs on, the probe is tested on photographs that it has not seen."""

ALL_NOISES = "all noises"
"""Stands for a noise in degradation_ratio.csv."""

NO_POINT = pd.DataFrame(
    columns=["model", "layer", "kind", "noise", "image", "top", "left", "x", "y"]
)
"""embedding.csv where no layer has a value."""

NUMBERS = (
    *("variance", "ch_noise", "low", "high"),
    *("ch_content", "ch_within", "silhouette", "probe"),
)
"""Columns that are NaN where features are not finite or do not vary."""


def folds_by(crops: Sequence[Crop]) -> str:
    """What is never in two folds of the probe: a `photograph`, or a `crop` where these are few."""
    return "photograph" if len({c.scene or c.image for c in crops}) >= PHOTOGRAPHS else "crop"


def tables(
    pooled: PooledLayers, inputs: RunInputs, settings: DegradationSettings
) -> dict[str, pd.DataFrame]:
    """`degradation`, a row for each model and layer, and `embedding`, one for each point.

    Embedded are each model's last features and the layer whose CH by noise is highest. Where a
    layer's features are not finite or do not vary, numbers are NaN, `reason` says why, and there
    are no points. Called in every process; layers are distributed among them.

    Beside CH by noise stand its controls, see `analysis.degradation.controls`; how many times they
    it is, only for the last features. Without controls these columns are left out.

    Of several trainings of a model numbers and controls are the means, with intervals over
    photographs and trainings; embedded is the first, and `degradation_by_training` has each.

    `degradation_ratio` compares CH by noise of the last features between models, b over a, with
    intervals of logarithms; see `model_differences.table`.
    """
    features = {entry: of for entry, of in pooled.noises.items() if entry[0] in inputs.models}
    entries = list(features)

    def measured(place: int) -> tuple[dict[str, Any], Series]:
        model, layer = entries[place]
        numbers, index = row(features[model, layer], inputs, settings)
        return {"model": model, "layer": layer} | numbers, index

    rows = inputs.ranks.map(measured, range(len(entries)), "layers")
    frame = pd.DataFrame([numbers for numbers, _ in rows])
    frame.insert(2, "index", frame.groupby("model", sort=False).cumcount())
    indices = dict(zip(entries, (index for _, index in rows), strict=True))
    written = {}
    if trainings.several(inputs.trainings):
        written["degradation_by_training.csv"] = trainings.by_training(frame, inputs.trainings)
        frame, indices = over_trainings(frame, indices, inputs)
    by_model = frame.groupby("model", sort=False)
    last = {name: last_features(inputs, str(name), list(rows.layer)) for name, rows in by_model}
    peak = by_model.ch_noise.transform("max")
    first_of_peaks = ~frame[frame.ch_noise == peak].model.duplicated()
    for table in (frame, *written.values()):
        table["last_features"] = table.layer == table.model.map(last)
    frame["highest"] = first_of_peaks.reindex(frame.index, fill_value=False)
    if inputs.controls is not None:
        controls.add(frame, indices, pooled, inputs, settings)
    embedded_rows = (frame.last_features | frame.highest) & (frame.reason == "")
    places = [int(place) for place in np.flatnonzero(embedded_rows)]

    def embedded(place: int) -> tuple[Array, Array]:
        values = scores(features[shown[place]], settings)
        return values[:, :2], separability.embedding(values, settings.seed)

    first = {model: names[0] for model, names in inputs.trainings.items()}
    shown = [(first[str(row.model)], str(row.layer)) for row in frame.itertuples()]
    planes = inputs.ranks.map(embedded, places, "t-SNE")
    points: list[pd.DataFrame] = []
    noise = labels(inputs)[0]
    for place, (components, plane) in zip(places, planes, strict=True):
        frame.loc[place, "ch_tsne"] = separability.calinski_harabasz(plane, noise)
        entry = str(frame.model[place]), str(frame.layer[place])
        points.append(plane_points(entry, "pca", components, inputs))
        points.append(plane_points(entry, "tsne", plane, inputs))
    embedding = pd.concat(points, ignore_index=True) if points else NO_POINT
    return {
        "degradation.csv": frame,
        "degradation_ratio.csv": ratios(frame[frame.last_features], indices),
        "embedding.csv": embedding,
        **written,
    }


def over_trainings(
    frame: pd.DataFrame, indices: Mapping[Entry, Series], inputs: RunInputs
) -> tuple[pd.DataFrame, dict[Entry, Series]]:
    """The means over the trainings of each model, and its CH by noise with intervals over both.

    Args:
        frame: a row for each network and layer.
        indices: CH by noise by network and layer, and without each photograph.
        inputs: models and their trainings.
    """
    means = trainings.averaged(frame, inputs.trainings)
    found: dict[Entry, Series] = {}
    for place, (model, layer) in enumerate(zip(means.model, means.layer, strict=True)):
        own = [indices[name, layer] for name in inputs.trainings[model]]
        of = found[model, layer] = stats.over_trainings(own)
        low, high = np.exp(stats.interval(of.log()))
        values = {"ch_noise": of.value, "low": low, "high": high, **stats.ratio_columns(of)}
        for name, value in values.items():
            means.loc[place, name] = value
    whole = stats.COLUMNS[0]
    return means.astype({whole: "int64"}), found


def ratios(last: pd.DataFrame, indices: Mapping[Entry, Series]) -> pd.DataFrame:
    """CH by noise of every two models' last features, b over a.

    Args:
        last: the row of each model's last features.
        indices: CH by noise by model and layer, and without each photograph.
    """
    values = {
        str(row.model): {ALL_NOISES: indices[str(row.model), str(row.layer)]}
        for row in last.itertuples()
    }
    return model_differences.table(values, int(last.photographs.iloc[0]), ratio=True)


def last_features(inputs: RunInputs, model: str, layers: Sequence[str]) -> str:
    """What goes into the last convolution, if it was recorded; else the last layer that was."""
    try:
        wanted = INPUT + last_convolution(inputs.models[inputs.trainings[model][0]])
    except BadInput:
        wanted = ""
    return last_call(layers, wanted) or layers[-1]


def row(
    pooled: Pooled, inputs: RunInputs, settings: DegradationSettings
) -> tuple[dict[str, Any], Series]:
    """The numbers of a layer, and why there are none; see `analysis.degradation.separability`.

    Also CH by noise without each photograph, if the settings have intervals.
    """
    noise, crop = labels(inputs)
    draws = jackknife.draws([c.scene or c.image for c in inputs.crops])
    groups = draws[crop] if folds_by(inputs.crops) == "photograph" else crop
    reason, measured, index = "", dict.fromkeys(NUMBERS, math.nan), NOTHING
    try:
        values = scores(pooled, settings)
    except Undefined as error:
        reason = f"its {error}"
    else:
        index = Series(separability.calinski_harabasz(values, noise), np.zeros(0))
        bounds = separability.Interval(math.nan, math.nan)
        if settings.intervals and len(set(draws.tolist())) >= jackknife.LEAST:
            logs = separability.log_index(pooled.gram, noise, draws[crop], settings.components)
            index = Series(index.value, np.exp(logs.without))
            bounds = separability.interval(logs)
        measured = {
            "variance": min(1.0, float(np.square(values).sum() / pooled.gram.trace())),
            "ch_noise": index.value,
            "low": bounds.low,
            "high": bounds.high,
            "ch_content": separability.calinski_harabasz(values, crop),
            "ch_within": separability.within_groups(values, noise, crop),
            "silhouette": separability.silhouette(values, noise),
            "probe": separability.probe(pooled.gram, noise, groups, settings.components),
        }
    about = {
        "samples": len(noise),
        "crops": len(inputs.crops),
        "photographs": int(draws.max()) + 1,
        "noises": len(inputs.noises),
        "features": pooled.features,
        "components": settings.components,
        **measured,
        "chance": 1 / len(inputs.noises),
        "folds": len(separability.folds(groups)),
        "ch_tsne": math.nan,
        "note": "; ".join(sorted(set(describe(inputs.noises).note) - {""})),
        "reason": reason,
    }
    return about, index


def plane_points(entry: Entry, kind: str, plane: Array, inputs: RunInputs) -> pd.DataFrame:
    """Rows of the embedding: every crop under every noise in one plane."""
    samples = [(noise, crop) for noise in inputs.noises for crop in inputs.crops]
    return pd.DataFrame(
        {
            "model": entry[0],
            "layer": entry[1],
            "kind": kind,
            "noise": [noise.spec for noise, _ in samples],
            "image": [crop.image for _, crop in samples],
            "top": [crop.top for _, crop in samples],
            "left": [crop.left for _, crop in samples],
            "x": plane[:, 0],
            "y": plane[:, 1],
        }
    )
