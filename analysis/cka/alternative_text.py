"""What the figures of a CKA comparison show, as alternative texts for those who do not see them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import pandas as pd

from analysis.cka.figures import MEASURES, cells, measure
from analysis.plotting.model_styles import short
from analysis.text.marginals import FEW
from analysis.text.markdown import number
from analysis.text.noise_names import noise_words
from analysis.text.rows import ends
from analysis.text.terminal import plural

Frames = Mapping[str, pd.DataFrame]


def alt_maps(frames: Frames, which: str) -> str:
    """Alternative text of heat maps: for each model or pair, the range of values over noises."""
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
    """Rows by model or pair of models; of many, only the two extremes, and a note that says so.

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
    ends_ = dict.fromkeys((str(means.idxmin()), str(means.idxmax())))
    about = f", of {len(groups)} {what}; those with the lowest and the highest mean"
    return {name: groups[name] for name in ends_}, about


def several(rows: pd.DataFrame, column: str) -> str:
    """Of the maps of one model, or of two: the range of values, and the noise with the lowest."""
    maps = dict(list(rows.groupby(["noise_a", "noise_b"], sort=False)))
    means = {names: float(part[column].mean()) for names, part in maps.items()}
    known = {names: mean for names, mean in means.items() if not math.isnan(mean)}
    if not known:
        return "no values"
    (a, b), mean = min(known.items(), key=lambda pair: pair[1])
    part = maps[a, b]
    noises = (
        f"for {noise_words(a)} against {noise_words(b)}" if a != b else f"under {noise_words(a)}"
    )
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
    """Alternative text of the depth curves: first, last and lowest value of each model."""
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
            text += f"{noise_words(low['noise_a'])} against {noise_words(low['noise_b'])}"
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
