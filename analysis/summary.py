"""What a table of CKA values says, in a few lines of text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.activations import blocks
from analysis.plots import short


def summary(frame: pd.DataFrame, manifest: Mapping[str, Any]) -> str:
    """What the figures show, in a few lines; from the table and the manifest of a run."""
    first = frame.iloc[0]
    what = "blocks" if all(blocks(names) for names in manifest["layers"].values()) else "layers"
    lines = [
        f"CKA, {first.estimator}, {first.samples:,} {first.unit}s of {first.crops} crops; "
        f"mean over the deepest quarter of the {what}"
    ]
    if first.estimator == "biased":
        n = (
            math.ceil(first.samples / manifest["batches"])
            if first.unit == "image"
            else first.samples
        )
        widths = [p for layers in manifest["features"].values() for p in layers.values()]
        low, high = (null_value(p, p, n) for p in (min(widths), max(widths)))
        lines.append(
            f"  biased: layers with nothing in common would score {low:.3f} to {high:.3f} here, "
            "not 0 (√(pq/((p+n)(q+n))), p and q features, n samples)"
        )
    width = max(map(len, {*frame.model_a, *frame.model_b}))
    same = frame[frame.model_a == frame.model_b]
    for (model, a, b), part in same.groupby(["model_a", "noise_a", "noise_b"], sort=False):
        deep = deepest(list(dict.fromkeys(part.layer_a)))
        diagonal = part[(part.layer_a == part.layer_b) & part.layer_a.isin(deep)].cka
        lines.append(f"  {model:<{width}}  {a} against {b}: {diagonal.mean(skipna=False):.3f}")
    other = frame[frame.model_a != frame.model_b]
    for _, part in other.groupby(["model_a", "model_b", "noise_a"], sort=False):
        lines += across(part)
    return "\n".join(lines)


def across(part: pd.DataFrame) -> list[str]:
    """Two lines on two models under one noise, and whether a's deepest blocks match any of b's."""
    a, b, noise = part.iloc[0][["model_a", "model_b", "noise_a"]]
    layers_a, layers_b = (list(dict.fromkeys(part[side])) for side in ("layer_a", "layer_b"))
    deep_a = deepest(layers_a)
    deep = part[part.layer_a.isin(deep_a) & part.layer_b.isin(deepest(layers_b))].cka
    lines = [f"  {a} against {b} under {noise}: {deep.mean(skipna=False):.3f}"]
    facing = part[part.layer_b.isin(blocks(layers_b) or layers_b)].dropna(subset="cka")
    # for each layer of a, the block of b that is most like it
    best = facing.sort_values("cka").drop_duplicates("layer_a", keep="last").set_index("layer_a")
    shown = best[best.index.isin(deep_a)].sort_values("cka")
    others = best[best.index.isin(set(blocks(layers_a) or layers_a) - set(deep_a))].cka
    if len(shown):
        top = shown.iloc[-1]
        text = (
            f"  best match of {a}'s deepest blocks ({', '.join(map(short, deep_a))}) among the "
            f"blocks of {b}: {top.cka:.3f}, with {short(top.layer_b)}"
        )
        if len(others):
            low, high = others.min(), others.max()
            place = "less than" if top.cka < low else "more than" if top.cka > high else "among"
            text += f"; {place} those of its other blocks, {low:.3f} to {high:.3f}"
        lines.append(text)
    return lines


def deepest(layers: Sequence[str]) -> list[str]:
    """The deepest quarter of the blocks, at least one; of all layers where there are no blocks."""
    chosen = blocks(layers) or list(layers)
    return chosen[-max(1, len(chosen) // 4) :]


def null_value(p: int, q: int, n: int) -> float:
    """√(p·q / ((p+n)(q+n))): what biased CKA tends to for independent Gaussian data.

    p and q are numbers of features, n is the number of samples. Reference: Murphy et al. 2024,
    arXiv 2405.01012.
    """
    return math.sqrt(p * q / ((p + n) * (q + n)))
