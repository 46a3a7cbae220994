"""What a comparison's tables say: how alike layers see two noises, and where models part."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import combinations

import pandas as pd

from analysis.cka.figures import MEASURES, measure
from analysis.cka.summary import part_at
from analysis.cka.tables import NAMES
from analysis.engine.layers import blocks
from analysis.plotting.model_styles import short
from analysis.text import markdown
from analysis.text.marginals import FEW, by_model, tidy
from analysis.text.markdown import bounded, code, escaped, listed, number, side
from analysis.text.rows import ends
from analysis.text.terminal import plural

TABLES = NAMES

MOST = 4
"""Pairs of noises that are spoken of."""

NAMED = 3
"""Up to so many models, all pairs of them are spoken of."""

Frames = Mapping[str, pd.DataFrame]


def cells(frames: Frames) -> pd.DataFrame:
    """The table of the run's measure."""
    return next(frames[name] for name in MEASURES if name in frames)


def sentences(frames: Frames) -> list[str]:
    """All that follows from the tables."""
    return [
        *main(frames),
        *parting(frames),
        *between(frames),
        *biased(frames),
        *influence(frames),
        *scope(frames),
    ]


def place(frames: Frames) -> str:
    """What the deepest quarter is of."""
    lists = cells(frames).groupby("model_a").layer_a.unique()
    return "blocks" if all(blocks(list(names)) for names in lists) else "layers"


def main(frames: Frames) -> list[str]:
    """The deepest layers under two noises, model by model."""
    deep, column = frames["deep"], measure(frames["deep"])
    part = deep[(deep.model_a == deep.model_b) & (deep.noise_a != deep.noise_b)]
    found, pairs = [], list(part.groupby(["noise_a", "noise_b"], sort=False))
    for (a, b), rows in pairs[:MOST]:
        what = f"{MEASURES[column]} of the deepest {place(frames)} between {code(a)} and {code(b)}"
        found += by_model(tidy(rows.rename(columns={"model_a": "model"}), column), what, 3)
    if len(pairs) > MOST:
        found.append(f"{len(pairs) - MOST} more pairs of noises are in deep.csv.")
    return found


def chosen(frames: Frames, rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Which models are set against each other: all of few, of many the ends in the deepest."""
    models = list(dict.fromkeys([*rows.model_a, *rows.model_b]))
    if len(models) <= NAMED:
        return list(combinations(models, 2))
    deep = frames["deep"]
    own = deep[(deep.model_a == deep.model_b) & (deep.noise_a != deep.noise_b)]
    means = own.groupby("model_a", sort=False)[measure(deep)].mean().dropna()
    return [(str(means.idxmin()), str(means.idxmax()))] if len(means) > 1 else []


def parting(frames: Frames) -> list[str]:
    """From which layer on two models' curves stay apart to the last block."""
    rows, found = frames.get("parting"), []
    if rows is None or rows.empty:
        return []
    groups = list(rows.groupby(["noise_a", "noise_b"], sort=False))
    for (a, b), part in groups[:MOST]:
        for pair in chosen(frames, part):
            for names, sign in ((pair, 1), (pair[::-1], -1)):
                curve = part[(part.model_a == names[0]) & (part.model_b == names[1])]
                if len(curve):
                    found.append(apart(curve.sort_values("index"), pair, sign, (str(a), str(b))))
    if found and len({*rows.model_a, *rows.model_b}) > NAMED:
        found.append(
            "Those two have the lowest and the highest value in the deepest layers: they are "
            "chosen by these same crops, so that intervals without 0 are no test of them."
        )
    return found


def apart(curve: pd.DataFrame, pair: tuple[str, str], sign: int, noises: tuple[str, str]) -> str:
    """One sentence about the difference of two curves, `difference` being b - a of its rows."""
    inside = blocks(list(curve.layer))
    curve = curve[curve.layer.isin(inside)] if inside else curve
    a, b = pair if sign > 0 else pair[::-1]
    what = "block" if inside else "layer"
    last = curve.iloc[-1]
    start = f"Over depth, {code(noises[0])} against {code(noises[1])}: "
    value = bounded(last.difference, last.low, last.high, 3, signed=True)
    end = f"at the last {what} {code(b)} - {code(a)} is {value}"
    at = part_at(curve)
    if curve.low.isna().all():
        return f"{start}{end}; without intervals nothing is told apart."
    if at is None:
        return f"{start}{end}, its 95% interval includes 0; towards the end nothing is decided."
    higher = code(b if last.difference > 0 else a)
    if at == 0:
        where = f"at all {len(curve)} {what}s"
    else:
        where = f"from {short(str(curve.layer.iloc[at]))} to the last {what}"
        where += f" ({len(curve) - at} of {len(curve)})"
    sign_ = 1 if last.difference > 0 else -1
    before = zip(curve.layer[:at], curve.low[:at], curve.high[:at], strict=True)
    back = [short(str(layer)) for layer, low, high in before if side(low, high) == -sign_]
    other = f"; before that it is lower at {listed(back)}" if back else ""
    how = "each 95% interval, by itself, without 0"
    return f"{start}{higher} is higher {where}, {how}{other}; {end}."


def between(frames: Frames) -> list[str]:
    """How alike the deepest layers of two models are under one noise."""
    deep, column = frames["deep"], measure(frames["deep"])
    part = deep[(deep.model_a != deep.model_b) & (deep.noise_a == deep.noise_b)]
    part = part[part[column].notna()].sort_values(column, kind="stable")
    if part.empty:
        return []
    shown = part if len(part) <= NAMED else part.iloc[[0, -1]]
    which = "" if len(shown) == len(part) else f", least and most alike of {len(part)} pairs"
    each = [
        f"{bounded(r[column], r['low'], r['high'], 3)} for {code(r['model_a'])} and "
        f"{code(r['model_b'])} under {code(r['noise_a'])}"
        for r in shown.to_dict("records")
    ]
    return [f"Deepest layers of two models against each other{which}: {'; '.join(each)}."]


def biased(frames: Frames) -> list[str]:
    """What biased values are where there is nothing in common."""
    null = cells(frames)["null"]
    if null.isna().all():
        return []
    low, high = number(float(null.min()), 3), number(float(null.max()), 3)
    return [f"Values are biased: layers with nothing in common would score {low} to {high}, not 0."]


def influence(frames: Frames) -> list[str]:
    """How much hangs on single crops."""
    frame = frames.get("influence")
    if frame is None or frame.empty or frame.share.isna().all():
        return []
    top = frame.sort_values("share", ascending=False, kind="stable").iloc[0]
    same = (
        frame[["model_a", "noise_a", "model_b", "noise_b"]]
        == top[["model_a", "noise_a", "model_b", "noise_b"]]
    ).all(axis=1)
    return [
        f"The most that one crop makes of the spread behind an interval is {top.share:.0%} "
        f"({escaped(str(top.image))} at row {top.top}, column {top.left}, for {code(top.model_a)} "
        f"under {code(top.noise_a)} against {code(top.model_b)} under {code(top.noise_b)}); with "
        f"{same.sum()} crops alike it would be {1 / same.sum():.0%}."
    ]


def scope(frames: Frames) -> list[str]:
    """What intervals are about."""
    if frames["deep"].low.isna().all():
        return ["This run has no intervals: nothing is told apart."]
    frame = frames.get("influence")
    crops = int(cells(frames).crops.iloc[0])
    alone = frame is not None and frame.image.nunique() == crops
    return [markdown.scope("scene" if alone else "crop")]


def alt_maps(frames: Frames, which: str) -> str:
    """Of the heat maps of one kind: for each model, or two, what its values reach over noises."""
    frame = cells(frames)
    column, kind = measure(frame), (frame.model_a == frame.model_b, frame.noise_a == frame.noise_b)
    part = frame[(kind[0] & ~kind[1]) if which == "cross_noise" else (~kind[0] & kind[1])]
    if part.empty:
        return "This run compares no two noises." if which == "cross_noise" else ONE_MODEL
    groups, which_ = spoken(part, column, ["model_a", "model_b"])
    each = [f"{name}: {several(rows, column)}" for name, rows in groups.items()]
    start = f"Heat maps of {MEASURES[column]}, layer against layer{which_}"
    return f"{start}. {'; '.join(each)}."


def spoken(frame: pd.DataFrame, column: str, by: list[str]) -> tuple[dict[str, pd.DataFrame], str]:
    """Rows of each model, or two models, by name; of many, of the ends alone, and what to say then.

    Args:
        frame: a table of similarities.
        column: that holds them.
        by: columns that name models.
    """
    groups = {
        " and ".join(dict.fromkeys(str(name) for name in names)): rows
        for names, rows in frame.groupby(by, sort=False)
    }
    means = pd.Series({name: rows[column].mean() for name, rows in groups.items()}).dropna()
    if len(groups) <= FEW or means.empty:
        return groups, ""
    what = "models" if frame[by].nunique(axis=1).eq(1).all() else "pairs of models"
    kept = dict.fromkeys((str(means.idxmin()), str(means.idxmax())))
    about = f", of {len(groups)} {what}; those with the lowest and the highest mean"
    return {name: groups[name] for name in kept}, about


def several(rows: pd.DataFrame, column: str) -> str:
    """Of the maps of one model, or of two: the range of values, and the noise with the lowest."""
    maps = dict(list(rows.groupby(["noise_a", "noise_b"], sort=False)))
    means = {names: float(part[column].mean()) for names, part in maps.items()}
    known = {names: mean for names, mean in means.items() if not math.isnan(mean)}
    if not known:
        return "no values"
    (a, b), mean = min(known.items(), key=lambda pair: pair[1])
    part = maps[a, b]
    noises = f"for {a} against {b}" if a != b else f"under {a}"
    span = f"{number(rows[column].min(), 2)} to {number(rows[column].max(), 2)}"
    if len(maps) > 1:
        count = f"{len(maps)} {'pairs of noises' if a != b else 'noises'}"
        text = f"{span} over {count}, lowest mean {number(mean, 2)} {noises}"
    else:
        text = f"{span} {noises}"
    last = part[part.index_a == part.index_b].sort_values("index_a")[column]
    if a != b and len(last):
        text += f", its diagonal from {number(last.iloc[0], 2)} at the first layer to "
        text += f"{number(last.iloc[-1], 2)} at the last"
    return text


ONE_MODEL = "This run compares no two models with each other under one noise."


def alt_depth(frames: Frames) -> str:
    """Of the curves over depth: over all noises, where each model starts, ends and is lowest."""
    frame = frames["depth"]
    if frame.empty:
        return "This run compares no two noises."
    column, each = measure(frame), []
    groups, which = spoken(frame, column, ["model"])
    for model, rows in groups.items():
        curves = rows.sort_values("index").groupby(["noise_a", "noise_b"], sort=False)[column]
        first, last = (reach(curve.iloc[end] for _, curve in curves) for end in (0, -1))
        text = f"{model}: {first} at the first layer, {last} at the last"
        if rows[column].notna().any():
            low = ends(rows, column)[0]
            text += f", lowest {number(low[column], 2)} at {short(str(low['layer']))} for "
            text += f"{low['noise_a']} against {low['noise_b']}"
        each.append(text)
    pairs = plural(len(frame[["noise_a", "noise_b"]].drop_duplicates()), "pair")
    start = f"{MEASURES[column]} of each layer under two noises, {pairs} of them{which}"
    return f"{start}. {'; '.join(each)}."


def reach(values: Iterable[float]) -> str:
    """From the lowest to the highest of some values."""
    known = [float(value) for value in values if not math.isnan(value)]
    if not known:
        return "no value"
    low, high = number(min(known), 2), number(max(known), 2)
    return low if low == high else f"{low} to {high}"
