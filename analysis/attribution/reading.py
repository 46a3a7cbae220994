"""What the table of attribution says, as sentences for the terminal and the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.attribution.figures import MOST, named
from analysis.text.marginals import FEW, by_model, tidy
from analysis.text.markdown import code, listed, number, remarks
from analysis.text.terminal import grid
from mtd.utils.messages import plural, verb

WARN = 0.05
"""Relative error of completeness above which a map is warned of."""

LEGEND = """\
DI: diffusion index, 0 to 100, larger if more pixels take part. outside: share of the attribution
that lies outside the window. 90% in px: pixels by which the window must be widened on every side to
hold 90% of it. detail, from and to: sum of the gradient magnitudes in the output window, for the
blurred and for the noisy input; attribution explains the difference of the two. worst error: the
largest share of that difference, over crops, that a map misses or has too much."""

Frames = Mapping[str, pd.DataFrame]
Manifest = Mapping[str, Any]


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """All that follows from the table, the most important first."""
    frame = frames["attribution"]
    return [
        *main(frames),
        *crop_by_crop(frame),
        *by_noise(frame),
        *incomplete(frame, manifest),
        *scope(frame, manifest),
    ]


def means(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Means over all crops and noises, of each model."""
    rows = frame.groupby("model", sort=False)[column].mean().reset_index()
    return tidy(rows, column)


def main(frames: Frames) -> list[str]:
    """The diffusion index and the share from outside, means over crops and noises."""
    frame = frames["attribution"]
    noises = listed(code(named(str(noise))) for noise in dict.fromkeys(frame.noise))
    over = f"mean over {plural(frame.crop.nunique(), 'crop')}, {noises}"
    text = by_model(means(frame, "di"), f"Diffusion index, {over}")
    shares = means(frame.assign(outside=100 * frame.outside), "outside")
    return [*text, *by_model(shares, "Share of the attribution outside the window (%)", 1)]


def crop_by_crop(frame: pd.DataFrame) -> list[str]:
    """Of two models, in how many maps which one draws on more pixels."""
    models = list(dict.fromkeys(frame.model))
    if len(models) != 2:
        return []
    wide = frame.pivot(index=["noise", "crop"], columns="model", values="di").dropna()
    if wide.empty:
        return []
    pairs = (models, models[::-1])
    more = {name: int((wide[name] > wide[other]).sum()) for name, other in pairs}
    each = [f"{code(name)} in {count}" for name, count in more.items()]
    crops = wide.index.get_level_values("crop").nunique()
    return [
        f"Of {plural(len(wide), 'pair')} of maps of the same window, the larger index is that of "
        f"{listed(each)}. The pairs are of {plural(crops, 'crop')}, so they are not independent."
    ]


def by_noise(frame: pd.DataFrame) -> list[str]:
    """How the index changes from the first noise to that under which it changes most."""
    noises = list(dict.fromkeys(frame.noise))
    if len(noises) < 2 or frame.model.nunique() > FEW:
        return []
    each = []
    for model, rows in frame.groupby("model", sort=False):
        index = rows.groupby("noise", sort=False).di.mean().dropna()
        if noises[0] not in index or len(index) < 2:
            continue
        change = index.drop(noises[0]) - index[noises[0]]
        far = change.abs().idxmax()
        each.append(
            f"{number(index[noises[0]])} to {number(index[far])} under {code(named(str(far)))} in "
            f"{code(model)}"
        )
    if not each:
        return []
    first = code(named(str(noises[0])))
    return [f"Largest change of the mean diffusion index from {first}: {listed(each)}."]


def incomplete(frame: pd.DataFrame, manifest: Manifest) -> list[str]:
    """Maps that do not explain all, or are cut off by the border of their crop."""
    text = []
    windows, maps = (plural(len(frame), noun) for noun in ("window", "map"))
    broken = frame[["start", "end", "sum"]].isna().any(axis=1)
    for model, rows in frame[broken].groupby("model", sort=False):
        of = plural(int((frame.model == model).sum()), "map")
        text.append(
            f"{len(rows)} of {of} of {code(model)} {verb(len(rows), 'has', 'have')} no numbers, as "
            "outputs or their gradients are not finite."
        )
    if undefined := int((frame.completeness.isna() & ~broken).sum()):
        text.append(
            f"{undefined} of {windows} {verb(undefined, 'holds', 'hold')} no detail, so that "
            "there is nothing to explain."
        )
    if missing := int((frame.completeness > WARN).sum()):
        text.append(
            f"{missing} of {maps} {verb(missing, 'misses', 'miss')} more than {WARN:.0%} of what "
            f"{verb(missing, 'it explains', 'they explain')} (column completeness): raise --steps."
        )
    start = frame[["window_top", "window_left"]]
    far = manifest["crop"] - frame.side - start.max(axis=1)
    if cut := int((frame.reach90 > np.minimum(start.min(axis=1), far)).sum()):
        text.append(
            f"{cut} of {maps} {verb(cut, 'reaches', 'reach')} the border of "
            f"{verb(cut, 'its', 'their')} crop: raise --crop to see all."
        )
    return text


def scope(frame: pd.DataFrame, manifest: Manifest) -> list[str]:
    """What the numbers are about."""
    text = remarks(frame.note)
    if manifest.get("mask_draws") == "independent":
        text.append(
            "Attention masks were drawn independently under each noise: maps also differ by their "
            "masks."
        )
    crops = frame.crop.nunique()
    if crops > MOST:
        text.append(f"The figure shows the first {MOST} of {crops} crops.")
    what = "this window" if crops == 1 else "these windows"
    return [
        *text,
        f"These numbers describe {what} of {plural(crops, 'crop')}. They have no intervals, so "
        "they do not separate models in general. A wide map is no merit by itself.",
    ]


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """Means over crops for each model and noise, for the terminal."""
    frame = frames["attribution"]
    crops, side, size = frame.crop.nunique(), int(frame.side.iloc[0]), manifest["crop"]
    heading = (
        f"Local attribution of {side} x {side} windows: {plural(crops, 'crop')} of {size} x "
        f"{size}, {manifest['steps']} steps from a blur of sigma {manifest['sigma']:g}; means over "
        "crops"
    )
    rows = [["model", "noise", "DI", "outside", "90% in px", "detail, from", "to", "worst error"]]
    for (model, noise), part in frame.groupby(["model", "noise"], sort=False):
        mean = part[["di", "outside", "reach90", "start", "end"]].mean()
        row = [f"{mean.di:.2f}", f"{mean.outside:.1%}", f"{mean.reach90:.1f}"]
        row += [f"{mean.start:.2f}", f"{mean.end:.2f}", f"{part.completeness.max():.2%}"]
        rows.append([str(model), named(str(noise)), *row])
    return f"{heading}\n{grid(rows)}\n{LEGEND}"


def alt(frames: Frames) -> str:
    """Of the maps: each model's mean diffusion index by noise."""
    frame, each = frames["attribution"], []
    for model, rows in frame.groupby("model", sort=False):
        index = rows.groupby("noise", sort=False).di.mean()
        text = listed(f"{number(v)} ({named(str(noise))})" for noise, v in index.items())
        each.append(f"{model} {text}")
    shown = plural(min(MOST, frame.crop.nunique()), "crop")
    return (
        f"Maps of the pixels that each model uses for one window of {shown}. Mean diffusion "
        f"index: {'; '.join(each[:FEW])}."
    )
