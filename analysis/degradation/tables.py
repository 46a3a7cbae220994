"""What `python -m analysis.degradation` writes: its two tables, and text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.commands.inputs import RunInputs
from analysis.commands.run_folder import RunFolder, read_manifest, read_tables
from analysis.degradation import figures, separability
from analysis.degradation.observer import Pooled
from analysis.engine.layers import INPUT, last_convolution
from analysis.plotting import model_styles
from analysis.stats import gram_pca, jackknife
from analysis.text import terminal
from analysis.text.noise_labels import describe
from mtd.utils.errors import BadInput

Array = NDArray[np.float64]
Item = TypeVar("Item")


def tables(
    found: Mapping[tuple[str, str], Pooled], asked: RunInputs, manifest: Mapping[str, Any]
) -> dict[str, pd.DataFrame]:
    """`degradation`, a row for each model and layer, and `embedding`, one for each point.

    Embedded are each model's deepest layer and the one whose CH by noise is highest. In every
    process; layers are shared out among them.
    """
    entries = list(found)

    def measured(place: int) -> dict[str, Any]:
        model, layer = entries[place]
        try:
            return _row(model, layer, found[model, layer], asked, manifest)
        except BadInput as error:
            raise BadInput(f"{model}, {layer}: {error}") from None

    frame = pd.DataFrame(asked.ranks.map(measured, range(len(entries))))
    by_model = frame.groupby("model", sort=False)
    frame.insert(2, "index", by_model.cumcount())
    ends = {name: deepest(asked, str(name), list(part.layer)) for name, part in by_model}
    peak = by_model.ch_noise.transform("max")
    first = ~frame[frame.ch_noise == peak].model.duplicated()
    frame["deepest"] = frame.layer == frame.model.map(ends)
    frame["highest"] = first.reindex(frame.index, fill_value=False)
    places = [int(place) for place in np.flatnonzero(frame.deepest | frame.highest)]

    def embedded(place: int) -> tuple[Array, Array]:
        values = _scores(found[entries[place]], manifest)
        return values[:, :2], separability.embedding(values, int(manifest["seed"]))

    planes = asked.ranks.map(embedded, places)
    points: list[dict[str, Any]] = []
    noise = _labels(asked)[0]
    for place, (components_, plane) in zip(places, planes, strict=True):
        frame.loc[place, "ch_tsne"] = separability.calinski_harabasz(plane, noise)
        points += _points(entries[place], "pca", components_, asked)
        points += _points(entries[place], "tsne", plane, asked)
    return {"degradation.csv": frame, "embedding.csv": pd.DataFrame(points)}


def deepest(asked: RunInputs, model: str, layers: Sequence[str]) -> str:
    """What goes into the last convolution, if it was recorded; else the last layer that was."""
    try:
        wanted = INPUT + last_convolution(asked.models[model])
    except BadInput:
        wanted = ""
    return wanted if wanted in layers else layers[-1]


def _labels(asked: RunInputs) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Each sample's noise and crop, by their places; see `analysis.degradation.observer.Pooled`."""
    crops, noises = np.arange(len(asked.crops)), np.arange(len(asked.noises))
    return np.repeat(noises, len(crops)), np.tile(crops, len(noises))


def _row(
    model: str, layer: str, pooled: Pooled, asked: RunInputs, manifest: Mapping[str, Any]
) -> dict[str, Any]:
    """A layer's row of the table."""
    noise, crop = _labels(asked)
    count = int(manifest["components"])
    values = _scores(pooled, manifest)
    groups = crop
    if manifest["folds_by"] == "photograph":
        groups = np.unique([asked.crops[place].image for place in crop], return_inverse=True)[1]
    draw, unit = jackknife.draws([c.scene or c.image for c in asked.crops])
    bounds = separability.Interval(math.nan, math.nan)
    if manifest["intervals"]:
        bounds = separability.interval(pooled.gram, noise, draw[crop], count)
    return {
        "model": model,
        "layer": layer,
        "samples": len(values),
        "crops": len(asked.crops),
        "photographs": len({c.image for c in asked.crops}),
        "noises": len(asked.noises),
        "features": pooled.features,
        "components": count,
        "variance": min(1.0, float(np.square(values).sum() / pooled.gram.trace())),
        "ch_noise": separability.calinski_harabasz(values, noise),
        "low": bounds.low,
        "high": bounds.high,
        "unit": unit,
        "ch_content": separability.calinski_harabasz(values, crop),
        "ch_within": separability.within_groups(values, noise, crop),
        "silhouette": separability.silhouette(values, noise),
        "probe": separability.probe(pooled.gram, noise, groups, count),
        "chance": 1 / len(asked.noises),
        "folds": len(separability.folds(groups)),
        "ch_tsne": math.nan,
        "note": "; ".join(sorted(set(describe(asked.noises).note) - {""})),
    }


def _scores(pooled: Pooled, manifest: Mapping[str, Any]) -> Array:
    """(samples, components)."""
    values = separability.upright(gram_pca.scores(pooled.gram, int(manifest["components"])))
    if not np.square(values).sum() > 0:
        raise BadInput("features do not vary, nothing can be told by them: leave the layer out")
    return values


def _points(
    entry: tuple[str, str], kind: str, plane: Array, asked: RunInputs
) -> list[dict[str, Any]]:
    """Rows of the embedding."""
    samples = [(noise, crop) for noise in asked.noises for crop in asked.crops]
    return [
        {
            "model": entry[0],
            "layer": entry[1],
            "kind": kind,
            "noise": noise.spec,
            "image": crop.image,
            "top": crop.top,
            "left": crop.left,
            "x": float(x),
            "y": float(y),
        }
        for (noise, crop), (x, y) in zip(samples, plane, strict=True)
    ]


def report(folder: RunFolder) -> str:
    """Write the figures and return the text."""
    frames, manifest = (
        read_tables(folder.path, ["degradation", "embedding"]),
        read_manifest(folder.path),
    )
    frame = frames["degradation"]
    folder.figure("degradation.png", figures.depth(frame))
    folder.figure("embedding.png", figures.planes(frames["embedding"], frame, manifest))
    return text(frame, manifest)


def text(frame: pd.DataFrame, manifest: Mapping[str, Any]) -> str:
    """The deepest layer of each model and the one that sorts by noise most, and from where on."""
    first = frame.iloc[0]
    side = manifest["crop"]
    lines = [
        f"Do features sort crops by noise? {terminal.plural(int(first.crops), 'crop')} of {side} "
        f"x {side} under {first.noises} noises ({', '.join(manifest['noises'])})",
        f"{pooled(manifest)}, {first.components} principal components of {first.samples} samples",
        "",
        terminal.grid(_cells(frame)),
        EXPLAINED.format(first.chance),
        "",
        *(onset(str(name), part) for name, part in frame.groupby("model", sort=False)),
        "",
        *notes(frame, manifest),
    ]
    return "\n".join(lines)


def _cells(frame: pd.DataFrame) -> list[list[str]]:
    """The table for a reader, deepest layers first."""
    rows = [["", "CH by noise", "within crops", "by content", "silhouette", "probe", "CH on t-SNE"]]
    names = ("ch_within", "ch_content", "silhouette", "probe", "ch_tsne")
    for kind in ("deepest", "highest"):
        heading = {"deepest": "deepest layer", "highest": "highest CH by noise"}[kind]
        rows.append([heading, *[""] * 6])
        for row in frame[frame[kind]].to_dict("records"):
            value = f"{row['ch_noise']:.3g}"
            if not math.isnan(row["low"]):
                value += f" [{row['low']:.3g}, {row['high']:.3g}]"
            name = f"  {row['model']}, {model_styles.short(row['layer'])}"
            rows.append([name, value, *(f"{row[n]:.3g}" for n in names)])
    return rows


EXPLAINED = """\
CH: Calinski-Harabasz index, variance between over within classes, more is more grouping; by noise,
content counts as variance within: random labels give 1, less says that content outweighs noise.
within crops: the same once each crop's mean is removed, near 1 if noise left no common trace.
probe: how often a linear classifier tells the noise of unseen crops; chance is {:.2f}.
Features that sort by noise are read as generalizing worse (after Liu et al. 2021, 2023)."""


def pooled(manifest: Mapping[str, Any]) -> str:
    """What was done to the features."""
    pool = manifest["pool"]
    return (
        f"features averaged to at most {pool} x {pool} places" if pool else "features as they are"
    )


def halfway(part: pd.DataFrame) -> str | None:
    """The first layer whose probe is right more often than halfway between chance and always."""
    above = part[part.probe > (1 + part.chance) / 2]
    return None if above.empty else str(above.layer.iloc[0])


def onset(model: str, part: pd.DataFrame) -> str:
    """Where along depth the noise can be told."""
    threshold = (1 + part.chance.iloc[0]) / 2
    layer, best = halfway(part), part[part.probe == part.probe.max()].iloc[0]
    if layer is None:
        told = f"the probe never exceeds {threshold:.2f}, halfway between chance and always;"
    else:
        place = list(part.layer).index(layer) + 1
        told = f"the probe exceeds {threshold:.2f} first at {model_styles.short(layer)} "
        told += f"(layer {place} of {len(part)});"
    return f"{model}: {told} best {best.probe:.2f} at {model_styles.short(best.layer)}"


def notes(frame: pd.DataFrame, manifest: Mapping[str, Any]) -> list[str]:
    """What a reader must know of these numbers."""
    first = frame.iloc[0]
    found = [
        f"probe: {first.folds} folds, all noises of a {manifest['folds_by']} in one of them",
        "CH grows with the number of samples: compare it within this table only",
        f"t-SNE depends on perplexity ({manifest['perplexity']:.3g}) and seed "
        f"({manifest['seed']}); go by the numbers on principal components",
    ]
    if frame.low.notna().any():
        found.append(f"[ ]: 95% intervals, {jackknife.left_out(first.unit, first.photographs)}")
    found += sorted(set(frame.note) - {""})
    return [f"note: {note}" for note in found]
