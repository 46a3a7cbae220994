"""What the tables of a comparison say, in a few lines of text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.cka.figures import MEASURES, measure
from analysis.engine.layers import blocks, deepest
from analysis.plotting.model_styles import short

OUTLIER = 10.0
"""An image is named if its share of a pair's spread is this many times the mean share."""


def summary(frames: Mapping[str, pd.DataFrame], manifest: Mapping[str, Any]) -> str:
    """What the figures show; from the tables of a run, by name, and its manifest.

    Tables: that of the measure, `deep`, and where there are any `parting`, `influence`.
    """
    frame = next(frames[name] for name in MEASURES if name in frames)
    column, first = measure(frame), frame.iloc[0]
    what = "blocks" if all(blocks(names) for names in manifest["layers"].values()) else "layers"
    how = f", {first.estimator}" if column == "cka" else ""
    if first.kernel == "rbf":
        how += ", RBF kernel"
    how += {"image": ", each image's mean removed", "highpass": ", local mean removed"}.get(
        first.centring, ""
    )
    lines = [f"{MEASURES[column]}{how}, {first.samples:,} {first.unit}s of {first.crops} crops"]
    deep = frames["deep"]
    if len(deep):
        lines[0] += f"; mean over the deepest quarter of the {what}"
    if deep.low.notna().any():
        lines[0] += ", with 95% intervals (jackknife over crops)"
    if frame["null"].notna().any():
        low, high = frame["null"].min(), frame["null"].max()
        lines.append(
            f"  biased: layers with nothing in common would score {low:.3f} to {high:.3f} here, "
            "not 0 (√(pq/((p+n)(q+n))), p and q features, n samples)"
        )
    width = max(map(len, {*deep.model_a, *deep.model_b}), default=0)
    values = zip(deep[column], deep.low, deep.high, strict=True)
    names = deep[["model_a", "noise_a", "model_b", "noise_b"]].astype(str).to_numpy().tolist()
    found = [(*views, shown(*value)) for views, value in zip(names, values, strict=True)]
    for model_a, noise_a, model_b, noise_b, value in found:
        if model_a == model_b:
            lines.append(f"  {model_a:<{width}}  {noise_a} against {noise_b}: {value}")
    for model_a, noise_a, model_b, noise_b, value in found:
        if model_a != model_b:
            noise = noise_a if noise_a == noise_b else f"{noise_a} and {noise_b}"
            lines.append(f"  {model_a} against {model_b} under {noise}: {value}")
            if noise_a == noise_b:
                part = frame[(frame.model_a == model_a) & (frame.model_b == model_b)]
                lines += match(part[(part.noise_a == noise_a) & (part.noise_b == noise_b)])
    if "parting" in frames:
        lines += parts(frames["parting"])
    if "influence" in frames:
        lines += outliers(frames["influence"])
    return "\n".join(lines)


def shown(value: float, low: float, high: float) -> str:
    """A value with its interval, if it has one."""
    return f"{value:.3f}" + ("" if math.isnan(low) else f" [{low:.3f}, {high:.3f}]")


def match(part: pd.DataFrame) -> list[str]:
    """One line on whether a model's deepest blocks match any block of another model."""
    column = measure(part)
    a, b = part.iloc[0][["model_a", "model_b"]]
    layers_a, layers_b = (list(dict.fromkeys(part[side])) for side in ("layer_a", "layer_b"))
    deep_a = deepest(layers_a)
    facing = part[part.layer_b.isin(blocks(layers_b) or layers_b)].dropna(subset=column)
    # for each layer of a, the block of b that is most like it
    best = facing.sort_values(column).drop_duplicates("layer_a", keep="last").set_index("layer_a")
    near = best[best.index.isin(deep_a)].sort_values(column)
    others = best[best.index.isin(set(blocks(layers_a) or layers_a) - set(deep_a))][column]
    if near.empty:
        return []
    top = near.iloc[-1]
    text = (
        f"  best match of {a}'s deepest blocks ({', '.join(map(short, deep_a))}) among the "
        f"blocks of {b}: {top[column]:.3f}, with {short(top.layer_b)}"
    )
    if len(others):
        low, high = others.min(), others.max()
        place = "less than" if top[column] < low else "more than" if top[column] > high else "among"
        text += f"; {place} those of its other blocks, {low:.3f} to {high:.3f}"
    return [text]


def parts(frame: pd.DataFrame) -> list[str]:
    """For two models, from which layer on their curves stay apart to the last block."""
    lines = []
    names = ["model_a", "model_b", "noise_a", "noise_b"]
    for (a, b, noise_a, noise_b), curve in frame.groupby(names, sort=False):
        if curve.low.isna().all():
            continue
        within = blocks(list(curve.layer)) or list(curve.layer)
        curve = curve[curve.layer.isin(within)]
        start = part_at(curve)
        if start is None:
            text = "do not stay apart towards the last block"
        else:
            rest = curve.iloc[start:]
            higher = b if rest.difference.iloc[0] > 0 else a
            low, high = rest.difference.abs().min(), rest.difference.abs().max()
            text = (
                f"part at {short(rest.layer.iloc[0])}: from there to the last block {higher} is "
                f"higher, by {low:.3f} to {high:.3f}"
            )
        lines.append(f"  {noise_a} against {noise_b}: {a} and {b} {text}")
    return lines


def part_at(curve: pd.DataFrame) -> int | None:
    """Where a difference's interval begins to keep away from 0, on one side, to the end."""
    sign = (curve.low > 0).astype(int) - (curve.high < 0).astype(int)
    last = sign.iloc[-1]
    if last == 0:
        return None
    start = len(sign)
    while start and sign.iloc[start - 1] == last:
        start -= 1
    return start


def outliers(frame: pd.DataFrame) -> list[str]:
    """One line, if for some pair of views a single crop makes most of the spread."""
    names = ["model_a", "noise_a", "model_b", "noise_b"]
    sizes = frame.groupby(names, sort=False).share.transform("size")
    found = frame[frame.share > OUTLIER / sizes].sort_values("share", kind="stable")
    if found.empty:
        return []
    top = found.iloc[-1]
    others = len(found.drop_duplicates(names)) - 1
    return [
        f"  one crop, {top.image} at ({top.top}, {top.left}), makes {top.share:.0%} of the spread "
        f"of {top.model_a} under {top.noise_a} against {top.model_b} under {top.noise_b}"
        + (f"; {others} more such pairs" if others else "")
        + ": see influence.csv"
    ]
