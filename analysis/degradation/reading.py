"""What the table of degradation clusters says: do features sort crops by noise?"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analysis.degradation.tables import halfway
from analysis.plotting.model_styles import short
from analysis.text import markdown
from analysis.text.marginals import FEW, by_model, tidy
from analysis.text.markdown import bounded, code, codes, listed, number
from analysis.text.rows import records

TABLES = ("degradation", "embedding")

Frames = Mapping[str, pd.DataFrame]


def flagged(frame: pd.DataFrame, which: str) -> pd.DataFrame:
    """One row of each model: its `deepest` layer, or that of the `highest` CH by noise."""
    return frame[frame[which].astype(bool)]


def sentences(frames: Frames) -> list[str]:
    """All that follows from the table."""
    frame = frames["degradation"]
    return [*main(frames), *highest(frame), *onset(frame), *scope(frame)]


def main(frames: Frames) -> list[str]:
    """How much the deepest layers sort by noise, next to random labels."""
    part = flagged(frames["degradation"], "deepest")
    layers = listed(f"`{name}`" for name in dict.fromkeys(short(str(n)) for n in part.layer))
    found = by_model(tidy(part, "ch_noise"), f"CH by noise of the deepest layer ({layers})", 3)
    return [*found, *level(part)]


def level(part: pd.DataFrame) -> list[str]:
    """Which models lie below and above the value of random labels."""
    below, above = part[part.high < 1].model, part[part.low > 1].model
    known = part[part.low.notna()].model
    sides = {
        "below 1, so that content outweighs noise": below,
        "above 1, so that noises form groups": above,
        "not told from 1, the value of random labels": known[~known.isin([*below, *above])],
    }
    found = []
    for what, names in sides.items():
        if len(names):
            every = len(names) == len(part) > FEW
            found.append(f"{what}: {f'all {len(part)} models' if every else codes(names)}")
    return [f"By their intervals, {'; '.join(found)}."] if found else []


def highest(frame: pd.DataFrame) -> list[str]:
    """Where along depth each model sorts by noise most."""
    part = flagged(frame, "highest")
    if len(part) > FEW:
        part = part.sort_values("ch_noise", kind="stable").iloc[[0, -1]]
    each = [
        f"{code(r['model'])} {bounded(r['ch_noise'], r['low'], r['high'], 3)} at "
        f"{short(r['layer'])} (layer {r['index'] + 1} of {(frame.model == r['model']).sum()})"
        for r in part.to_dict("records")
    ]
    which = ", least and most of all models" if len(part) < frame.model.nunique() else ""
    end = "The layer is the one with the highest value of many: it is chosen by these same crops."
    return [f"CH by noise is highest{which}: {listed(each)}. {end}"] if each else []


def onset(frame: pd.DataFrame) -> list[str]:
    """From where on a linear probe tells the noise of crops that it has not seen."""
    threshold, never, found = (1 + frame.chance.iloc[0]) / 2, [], []
    for model, rows in frame.groupby("model", sort=False):
        layer, best = halfway(rows), float(rows.probe.max())
        if layer is None:
            never.append(f"{code(model)} (best {number(best)})")
        else:
            found.append(f"{code(model)} from {short(layer)} on (best {number(best)})")
    chance = f"chance is {number(float(frame.chance.iloc[0]))}"
    start = f"A linear probe tells the noise more often than {number(threshold)} ({chance})"
    lines = [f"{start}, halfway to always, first in: {listed(found, FEW)}."] if found else []
    if never:
        lines.append(f"{'It never does' if found else start + ' never'} in {listed(never, FEW)}.")
    return lines


def scope(frame: pd.DataFrame) -> list[str]:
    """What intervals are about."""
    if frame.low.isna().all():
        return ["This run has no intervals: nothing is told apart."]
    return [markdown.scope(str(frame.unit.iloc[0])), "The probe has no intervals."]


def alt_depth(frames: Frames) -> str:
    """Of the curves over depth: the deepest value and the highest of each model."""
    frame = frames["degradation"]
    each = []
    for model, rows in frame.groupby("model", sort=False):
        top, deep = flagged(rows, "highest").iloc[0], flagged(rows, "deepest").iloc[0]
        each.append(
            f"{model}: highest {number(top.ch_noise, 3)} at {short(top.layer)}, "
            f"{number(deep.ch_noise, 3)} at the deepest layer, best probe "
            f"{number(rows.probe.max())}"
        )
    return f"Calinski-Harabasz index by noise and linear probe over depth. {listed(each, FEW)}."


def alt_planes(frames: Frames) -> str:
    """Of the scatter plots: how many points, and how much they group by noise."""
    frame = flagged(frames["degradation"], "deepest")
    each = [f"{r['model']} {number(r['ch_noise'], 3)}" for r in records(frame)]
    first = frame.iloc[0]
    return (
        f"{first.samples} points, {first.crops} crops under {first.noises} noises, in two "
        f"principal components and in t-SNE. Calinski-Harabasz index by noise of the deepest "
        f"layer: {listed(each, FEW)}; 1 is that of random labels."
    )
