"""Figures and tables of a comparison for a page."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import pandas as pd

from analysis import display, plots
from analysis.display import Displayed
from analysis.plots import MEASURES
from analysis.readings.cka import ALONE, Frames, alt_maps, cells
from analysis.readings.words import code, codes, escaped
from analysis.standings import plural

PAIRED = 8
"""Up to so many models, all pairs of them are shown; of more, those of the first one."""

MAPS = 12
"""Heat maps of one model each in a figure."""


def about(frames: Frames, manifest: Mapping[str, Any]) -> Displayed:
    """What was compared, over which samples."""
    first, images = cells(frames).iloc[0], manifest["images"]
    source = images if isinstance(images, str) else ", ".join(images)
    photographs = plural(len({crop["image"] for crop in manifest["crops"]}), "image")
    noises = manifest["noises"]
    return display.say(
        [
            *(f"{code(n)}: {escaped(m['policy'])}" for n, m in manifest["models"].items()),
            f"noises: {codes(noises, 20)}; {code(noises[0])} is the reference",
            f"{first.crops} crops of {manifest['crop']} × {manifest['crop']} from {photographs} "
            f"({escaped(source)})",
            f"{first.samples:,} {first.unit}s as samples; {plots.subtitle(cells(frames))}; "
            f"{first.centring} centring",
        ]
    )


def maps(frames: Frames, manifest: Mapping[str, Any], which: str) -> Displayed:
    """Heat maps of one kind; between more than two models a figure for each pair of them."""
    frame, names = cells(frames), list(manifest["models"])
    if which == "cross_model" and len(names) > 2:
        return by_pair(frames, names)
    parts = plots.panels(frame, which)
    label = MEASURES[plots.measure(frame)]
    title = f"{plots.HEATMAPS[which]}\n{plots.subtitle(frame)}"
    if len(parts) > MAPS:
        title += f"\nthe first {MAPS} of {len(parts)} maps"
    drawn = plots.heatmaps(title, parts[:MAPS], plots.scale(frame), label) if parts else None
    return display.figure(drawn, alt_maps(frames, which), csv(frame))


def csv(frame: pd.DataFrame) -> str:
    """The file of the run's measure."""
    return f"cka/{plots.measure(frame)}.csv"


def by_pair(frames: Frames, names: list[str]) -> Displayed:
    """A figure for each pair of models under one noise, for the reader to choose from."""
    frame = cells(frames)
    same = frame.noise_a == frame.noise_b
    wanted = list(combinations(names, 2))
    if len(names) > PAIRED:
        wanted = [(names[0], other) for other in names[1:]]
    different = frame[same & (frame.model_a != frame.model_b)]
    panels: dict[tuple[str, str], Displayed] = {}
    for pair in wanted:
        rows = different[different.model_a.isin(pair) & different.model_b.isin(pair)]
        if len(rows):
            panels[pair] = one_pair(rows, plots.scale(frame))
    return display.pairwise(panels, "models") if panels else display.say([ALONE])


def one_pair(rows: pd.DataFrame, limits: tuple[float, float]) -> Displayed:
    """The heat maps of two models."""
    name, title = plots.measure(rows), plots.subtitle(rows)
    drawn = plots.heatmaps(title, plots.panels(rows, "cross_model"), limits, MEASURES[name])
    return display.figure(drawn, alt_maps({name: rows}, "cross_model"), csv(rows))


def diagonal(frames: Frames) -> Displayed:
    """The diagonal as a table: a row for each layer, a column for each model and pair of noises."""
    frame = frames["depth"]
    if frame.empty:
        return display.say(["This run compares no two noises."])
    column = plots.measure(frame)
    alike = frame.groupby("index").layer.nunique().max() == 1
    named = frame.layer.map(plots.short) if alike else frame["index"].astype(str)
    head = frame.model + ", " + frame.noise_a + " against " + frame.noise_b
    rows = pd.DataFrame({"index": frame["index"], "layer": named, "head": head})
    rows["value"] = frame[column]
    wide = rows.pivot(index=["index", "layer"], columns="head", values="value")[
        list(dict.fromkeys(head))
    ]
    shown = wide.rename_axis(columns=None).reset_index().drop(columns="index")
    return display.table(shown, 3, f"{MEASURES[column]} of each layer with itself", "cka/depth.csv")


def influence(frames: Frames, most: int) -> Displayed:
    """The crops that make most of the spread behind the intervals."""
    frame = frames.get("influence")
    if frame is None:
        return display.say(["This run left no crop out (`--no-intervals`)."])
    top = frame.sort_values("share", ascending=False, kind="stable").head(most)
    names = ["model_a", "noise_a", "model_b", "noise_b", "image", "top", "left"]
    shown = top[names].assign(**{"share (%)": 100 * top.share, "mean change": top.mean_change})
    digits = {"share (%)": 0, "mean change": 3}
    return display.table(shown, digits, "The most influential crops", "cka/influence.csv")
