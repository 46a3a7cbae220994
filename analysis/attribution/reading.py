"""What the table of attribution says: how many pixels a window's detail is drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pandas as pd

from analysis.attribution.tables import MOST, named
from analysis.plotting import notebook_output
from analysis.plotting.notebook_output import Displayed
from analysis.text.marginals import FEW, by_model, tidy
from analysis.text.markdown import code, listed, number
from analysis.text.terminal import plural

if TYPE_CHECKING:
    from analysis.commands.run_folder import RunFolder

TABLES = ("attribution",)

Frames = Mapping[str, pd.DataFrame]


def sentences(frames: Frames) -> list[str]:
    """All that follows from the table."""
    frame = frames["attribution"]
    return [*main(frames), *crop_by_crop(frame), *by_noise(frame), *scope(frame)]


def means(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Means over all crops and noises, of each model."""
    found = frame.groupby("model", sort=False)[column].mean().reset_index()
    return tidy(found, column)


def main(frames: Frames) -> list[str]:
    """The diffusion index and the share from outside, means over crops and noises."""
    frame = frames["attribution"]
    over = f"mean over {plural(frame.crop.nunique(), 'crop')}, {code_noises(frame)}"
    found = by_model(means(frame, "di"), f"Diffusion index, {over}")
    shares = means(frame.assign(outside=100 * frame.outside), "outside")
    return [*found, *by_model(shares, "Share from outside the window (%)", 1)]


def code_noises(frame: pd.DataFrame) -> str:
    """The noises, in words."""
    return listed(code(named(str(noise))) for noise in dict.fromkeys(frame.noise))


def crop_by_crop(frame: pd.DataFrame) -> list[str]:
    """Of two models, in how many maps which one draws on more pixels."""
    models = list(dict.fromkeys(frame.model))
    if len(models) != 2:
        return []
    wide = frame.pivot(index=["noise", "crop"], columns="model", values="di").dropna()
    pairs = (models, models[::-1])
    more = {name: int((wide[name] > wide[other]).sum()) for name, other in pairs}
    each = [f"{code(name)} in {count}" for name, count in more.items()]
    crops = wide.index.get_level_values("crop").nunique()
    return [
        f"The larger index of two maps of the same window: {listed(each)} of {len(wide)}; they "
        f"are of {plural(crops, 'crop')} and not independent."
    ]


def by_noise(frame: pd.DataFrame) -> list[str]:
    """How the index changes from the first noise to that under which it changes most."""
    noises = list(dict.fromkeys(frame.noise))
    if len(noises) < 2 or frame.model.nunique() > FEW:
        return []
    each = []
    for model, rows in frame.groupby("model", sort=False):
        held = rows.groupby("noise", sort=False).di.mean().dropna()
        if noises[0] not in held or len(held) < 2:
            continue
        change = held.drop(noises[0]) - held[noises[0]]
        far = change.abs().idxmax()
        each.append(
            f"{number(held[noises[0]])} to {number(held[far])} under {code(named(str(far)))} in "
            f"{code(model)}"
        )
    first = code(named(str(noises[0])))
    return [f"Largest change of its mean from {first}: {listed(each)}."] if each else []


def scope(frame: pd.DataFrame) -> list[str]:
    """What the numbers are about."""
    crops = frame.crop.nunique()
    what = "this window" if crops == 1 else "these windows"
    return [
        f"These numbers describe {what} of {plural(crops, 'crop')}. They have no intervals, so "
        "they tell no models apart in general. A wide map is no merit by itself."
    ]


def alt(frames: Frames) -> str:
    """Of the maps: each model's mean diffusion index by noise."""
    frame, each = frames["attribution"], []
    for model, rows in frame.groupby("model", sort=False):
        held = rows.groupby("noise", sort=False).di.mean()
        text = listed(f"{number(v)} ({named(str(noise))})" for noise, v in held.items())
        each.append(f"{model} {text}")
    shown = plural(min(MOST, frame.crop.nunique()), "crop")
    return (
        f"Maps of the pixels that each model uses for one window of {shown}. Mean diffusion "
        f"index: {'; '.join(each[:FEW])}."
    )


def figures(path: Path, frames: Frames) -> list[Displayed]:
    """The maps of a run folder, a figure for each noise."""
    from analysis.attribution import tables

    folder = SimpleNamespace(path=path)  # a RunFolder would write a log
    pictures = tables.read(cast("RunFolder", folder))
    found = []
    for _, rows in frames["attribution"].groupby("noise", sort=False):
        drawn = tables.figure(rows, pictures)
        about = alt({"attribution": rows})
        found.append(notebook_output.figure(drawn, about, "attribution/attribution.csv"))
    return found
