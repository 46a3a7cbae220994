"""What the table of attribution says, as sentences for the terminal and the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.attribution.tables import mean_of, over_noises
from analysis.attribution.tables import means as table_of_means
from analysis.attribution.trainings import networks
from analysis.stats import controls
from analysis.text import model_differences
from analysis.text.intervals import about_intervals
from analysis.text.marginals import FEW, by_model, tidy
from analysis.text.markdown import bounded, code, listed, number, remarks
from analysis.text.model_differences import ModelDifferences
from analysis.text.noise_names import noise_label, noise_phrase, noise_words
from analysis.text.rows import records
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
        *by_noise(frame),
        *incomplete(maps_of(frames)[0], manifest),
        *scope(frame, manifest),
    ]


def maps_of(
    frames: Frames, table: str = "attribution"
) -> tuple[pd.DataFrame, dict[str, tuple[str, ...]]]:
    """The maps of all networks, and the trainings of each model; see `networks`."""
    return networks(frames[table], frames.get(f"{table}_by_training"))


def means(
    frames: Frames, column: str, scale: float = 1.0, table: str = "attribution"
) -> pd.DataFrame:
    """Means over all crops and noises, of each model, with 95% intervals.

    Args:
        frames: of a run.
        column: of the values.
        scale: that they are multiplied by.
        table: of the maps.
    """
    maps, trainings = maps_of(frames, table)
    wide = over_noises(maps.assign(**{column: scale * maps[column]}), column)
    of = {model: mean_of(wide, names) for model, names in trainings.items()}
    rows = [(model, one.value, *controls.interval(one)) for model, one in of.items()]
    return tidy(pd.DataFrame(rows, columns=["model", "value", "low", "high"]), "value")


def main(frames: Frames) -> list[str]:
    """The diffusion index and the share from outside, means over crops and noises."""
    frame = frames["attribution"]
    noises = listed(noise_phrase(noise) for noise in dict.fromkeys(frame.noise))
    over = f"mean over {plural(frame.crop.nunique(), 'crop')}, {noises}"
    shares = means(frames, "outside", 100)
    return [
        *by_model(means(frames, "di"), f"Diffusion index, {over}"),
        *compared(frames, "di"),
        *by_model(shares, "Share of the attribution outside the window (%)", 1),
        *compared(frames, "outside", 100, 1),
    ]


def compared(
    frames: Frames,
    measure: str,
    scale: float = 1.0,
    digits: int = 2,
    table: str = "attribution",
) -> list[str]:
    """By how much models differ in the same windows, and whether that is shown.

    Args:
        frames: of a run.
        measure: of the table of differences.
        scale: factor by which the table's values are multiplied.
        digits: after the point.
        table: of the maps.
    """
    of = ModelDifferences.read(frames, f"{table}_difference", measure)
    if of is None:
        return []
    rows = of.rows.copy()
    numbers = ["value", "low", "high", "band_low", "band_high"]
    rows[numbers] *= scale
    return model_differences.sentences(of._replace(rows=rows), digits)


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
            f"{number(index[noises[0]])} to {number(index[far])} under {noise_phrase(far)} in "
            f"{code(model)}"
        )
    if not each:
        return []
    first = noise_phrase(noises[0])
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
    if crops > 1:
        text.append(f"The figure shows one of {crops} crops, as an example.")
    if "trainings" in frame:
        text.append("Of a model with several trainings it shows the map of the first one.")
    photographs = frame.scene.nunique()
    what = f"one window of each of {plural(crops, 'crop')} of {plural(photographs, 'photograph')}"
    return [
        *text,
        f"These numbers are means over {what}. A wider map is not better in itself.",
        *about_intervals(photographs, manifest),
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
    rows = [
        ["model", "noise", "DI", "outside (%)", "90% in px", "detail, from", "to", "worst error"]
    ]
    parts = frame.groupby(["model", "noise"], sort=False)
    (maps, trainings), single = maps_of(frames), frames.get("attribution_by_training")
    for row, (_, part) in zip(records(table_of_means(frame, single)), parts, strict=True):
        own = maps[maps.model.isin(trainings[row["model"]]) & (maps.noise == row["noise"])]
        outside, low, high = (100 * row[f"outside{end}"] for end in ("", "_low", "_high"))
        share = bounded(outside, low, high, 1)
        line = [bounded(row["di"], row["di_low"], row["di_high"]), share]
        line += [f"{row['reach90']:.1f}", f"{part.start.mean():.2f}", f"{part.end.mean():.2f}"]
        line.append(f"{own.completeness.max():.2%}")
        rows.append([str(row["model"]), noise_label(row["noise"]), *line])
    return f"{heading}\n{grid(rows)}\n{LEGEND}"


def alt(frames: Frames) -> str:
    """Of the maps: each model's mean diffusion index by noise."""
    frame, each = frames["attribution"], []
    for model, rows in frame.groupby("model", sort=False):
        index = rows.groupby("noise", sort=False).di.mean()
        text = listed(f"{number(v)} ({noise_words(noise)})" for noise, v in index.items())
        each.append(f"{model} {text}")
    return (
        "Maps of the pixels that each model uses for one window of an example crop. Mean diffusion "
        f"index over {plural(frame.crop.nunique(), 'crop')}: {'; '.join(each[:FEW])}."
    )
