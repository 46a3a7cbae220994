"""Sentences on the curves of two models over depth, and on their best matches."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.cka.figures import cells, measure
from analysis.cka.measures import direction
from analysis.cka.reading_pairs import ALL_MODELS, Equal, compared_models, different
from analysis.cka.reading_quarter import MOST_PAIRS, smallest
from analysis.engine.layers import blocks, last_quarter
from analysis.plotting.model_styles import short
from analysis.stats.jackknife import ENOUGH
from analysis.text import verdicts
from analysis.text.markdown import bounded, code
from analysis.text.noise_names import noise_phrase
from analysis.text.terminal import plural

Frames = Mapping[str, pd.DataFrame]
Manifest = Mapping[str, Any]


def differences(frames: Frames, manifest: Manifest, equal: Equal = frozenset()) -> list[str]:
    """From which layer on two models' curves over depth differ up to the last block."""
    rows, text = frames.get("difference"), []
    if rows is None or rows.empty:
        return []
    photographs = int(frames["last_quarter"].photographs.max())
    least = smallest(manifest)
    groups = list(rows.groupby(["noise_a", "noise_b"], sort=False))
    for (a, b), part in groups[:MOST_PAIRS]:
        for pair in compared_models(frames, part):
            if frozenset(pair) in equal:
                continue
            for names, sign in ((pair, 1), (pair[::-1], -1)):
                curve = part[(part.model_a == names[0]) & (part.model_b == names[1])]
                if len(curve):
                    curve = curve.sort_values("index")
                    of = (str(a), str(b))
                    text.append(difference(curve, pair, sign, of, photographs, least))
    if text and len({*rows.model_a, *rows.model_b}) > ALL_MODELS:
        text.append(
            "These two models were chosen by these same images, as those with the lowest and the "
            "highest mean in the last quarter: intervals without 0 are no test of them."
        )
    return text


def difference(
    curve: pd.DataFrame,
    pair: tuple[str, str],
    sign: int,
    noises: tuple[str, str],
    photographs: int,
    least: float,
) -> str:
    """One sentence about the difference of two curves, `difference` being b - a of its rows."""
    inside = blocks(list(curve.layer))
    curve = curve[curve.layer.isin(inside)] if inside else curve
    a, b = pair if sign > 0 else pair[::-1]
    what = "block" if inside else "layer"
    last = curve.iloc[-1]
    start = f"Over depth, {noise_phrase(noises[0])} against {noise_phrase(noises[1])}: "
    value = bounded(last.difference, last.low, last.high, 3, signed=True)
    end = f"at the last {what} {code(b)} - {code(a)} is {value}"
    if math.isnan(last.difference):
        return f"{start}at the last {what} {code(b)} - {code(a)} has no value."
    if curve.low.isna().all():
        return f"{start}{end}; without intervals no difference can be shown."
    if photographs < ENOUGH:
        return f"{start}{end}; in which layers the curves differ: {verdicts.too_few(ENOUGH)}."
    outside = {
        1: [short(str(name)) for name in curve.layer[curve.band_low > least]],
        -1: [short(str(name)) for name in curve.layer[curve.band_high < -least]],
    }
    than = f"by more than {least:g}" if least else ""
    parts = [
        f"{code(b if side > 0 else a)} is shown to be higher{' ' + than if than else ''} at "
        f"{places(names, len(curve), what)}"
        for side, names in outside.items()
        if names
    ]
    how = "by intervals that hold for all layers at once"
    if not parts:
        size = f" of more than {least:g}" if least else ""
        return (
            f"{start}{end} by its own interval; {how}, no difference{size} is shown at any {what}."
        )
    return f"{start}{', and '.join(parts)}, {how}; {end}."


def places(names: list[str], total: int, what: str) -> str:
    """At how many of all layers, and from which one on; the only one by its name.

    >>> places(["block 0.1", "block 0.3"], 8, "block"), places(["block 0.3"], 8, "block")
    ('2 of 8 blocks, the first of them block 0.1', '1 of 8 blocks, block 0.3')
    """
    first = names[0] if len(names) == 1 else f"the first of them {names[0]}"
    return f"{len(names)} of {plural(total, what)}, {first}"


def best_matches(frames: Frames, equal: Equal = frozenset()) -> list[str]:
    """Whether a model's last blocks resemble any block of another model."""
    frame = cells(frames)
    part = frame[(frame.model_a != frame.model_b) & (frame.noise_a == frame.noise_b)]
    part = part[different(part, equal)]
    groups = list(part.groupby(["model_a", "model_b", "noise_a"], sort=False))
    return [text for _, rows in groups[:ALL_MODELS] if (text := best_match(frames, rows))]


def last_layers(frames: Frames, model: str, names: list[str]) -> list[str]:
    """A model's last quarter: as its table says, or by the names where it does not."""
    frame = frames.get("layers")
    if frame is None or "last_quarter" not in frame:
        return last_quarter(names)
    marked = set(frame.layer[(frame.model == model) & frame.last_quarter])
    return [name for name in names if name in marked]


def best_match(frames: Frames, part: pd.DataFrame) -> str:
    """One sentence on the block of b that is most similar to a's last blocks; "" without values."""
    column = measure(part)
    a, b, noise = part.iloc[0][["model_a", "model_b", "noise_a"]]
    layers_a, layers_b = (list(dict.fromkeys(part[name])) for name in ("layer_a", "layer_b"))
    last = last_layers(frames, str(a), layers_a)
    facing = part[part.layer_b.isin(blocks(layers_b) or layers_b)].dropna(subset=column)
    # for each layer of a, the block of b that is most similar to it
    up = direction(column) > 0
    ordered = facing.sort_values(column, ascending=up)
    best = ordered.drop_duplicates("layer_a", keep="last").set_index("layer_a")
    near = best[best.index.isin(last)].sort_values(column, ascending=up)
    if near.empty:
        return ""
    top = near.iloc[-1]
    bounds = (top.get("low", math.nan), top.get("high", math.nan))
    whole_a, whole_b = ("blocks" if blocks(names) else "layers" for names in (layers_a, layers_b))
    text = (
        f"Under {noise_phrase(noise)}, the best match of the last quarter of {code(a)} "
        f"({', '.join(map(short, last))}) among the {whole_b} of {code(b)} is "
        f"{short(str(top.layer_b))}, at {bounded(top[column], *bounds, 3)}"
    )
    others = best[best.index.isin(set(blocks(layers_a) or layers_a) - set(last))][column]
    if len(others):
        low, high = (f"{end:.3f}" for end in (others.min(), others.max()))
        span = low if low == high else f"{low} to {high}"
        text += f"; best matches of the other {whole_a} of {code(a)}: {span}"
    return f"{text}. As the best of several {whole_b} they were selected on these same crops."
