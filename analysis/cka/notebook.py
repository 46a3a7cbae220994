"""Heat maps and tables of a comparison for a page: of many those that a reader chooses."""

from __future__ import annotations

import html
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.figure import Figure

from analysis.cka import figures
from analysis.cka.alternative_text import ONE_MODEL, alt_maps
from analysis.cka.figures import MEASURES
from analysis.cka.reading import VIEWS
from analysis.plotting import notebook_output
from analysis.plotting.notebook_output import Displayed
from analysis.text.markdown import bounded, interval
from analysis.text.terminal import plural

if TYPE_CHECKING:
    from analysis.cka.result import CKAResult

PAIRED = 8
"""Up to this many models, each pair has a figure with named layers; beyond it, a small map."""

MAPS = 12
"""Maximum number of heat maps over several noises; beyond it, one for each model."""

MOST = 24
"""Maximum number of heat maps in a figure."""

CONTROLS = ["ceiling", "floor", "untrained", "untrained_sd", "normalised"]

GAPS = {"below_ceiling": "ceiling - value", "above_untrained": "value - untrained"}
"""Headings of the gaps between a mean and its controls."""

SQUARE = 14
"""Side in pixels of a layer's square in a small heat map."""


def maps(result: CKAResult, which: str) -> Displayed:
    """Heat maps of one kind; between more than two models a figure for each pair of them.

    Args:
        result: of a comparison.
        which: `cross_noise` or `cross_model`, see `analysis.cka.figures.HEATMAPS`.
    """
    frame, names = result.cells, list(result.manifest["models"])
    if which == "cross_model" and len(names) > 2:
        return by_pair(frame, names)
    parts, more, drawn_of = figures.panels(frame, which), "", frame
    if len(parts) > MAPS and which == "cross_noise":
        drawn_of = firsts(frame)
        more = f"\n{plural(len(parts), 'map')} in all: the others are in the curves below"
        parts = figures.panels(drawn_of, which)
    label = MEASURES[figures.measure(frame)]
    title = f"{figures.HEATMAPS[which]}\n{figures.subtitle(frame)}"
    if more:
        drawn: Figure | None = figures.heatmaps(title + more, parts, figures.scale(frame), label, 4)
    else:
        drawn = figures.heatmap(frame, which) if parts else None
    return notebook_output.figure(
        drawn, alt_maps({figures.measure(frame): drawn_of}, which), csv(frame)
    )


def quarter(result: CKAResult) -> Displayed:
    """Means over the last quarter of the blocks, with their controls and the gaps to these."""
    means = result.last_quarter
    if means.empty:
        return notebook_output.say(["This run compares no two views."])
    shown = means[[*VIEWS, figures.measure(means), "low", "high", *CONTROLS]]
    for gap, heading in GAPS.items():
        if gap in means and means[gap].notna().any():
            shown = shown.assign(**{heading: with_interval(means, gap, f"{gap}_")})
    caption = "Means over the last quarter of the blocks, with their controls"
    return notebook_output.table(shown, 3, caption, "cka/last_quarter.csv")


def quarter_differences(result: CKAResult) -> Displayed:
    """How these means differ between every two models."""
    frame = result.frames.get("quarter_difference", pd.DataFrame())
    if frame.empty:
        return notebook_output.say(["No two models are compared under two noises."])
    panels: dict[tuple[str, str], Displayed] = {}
    for (a, b), rows in frame.groupby(["model_a", "model_b"], sort=False):
        table = rows[["noise_a", "noise_b", "difference"]].assign(
            **{"95% interval": [interval(*ends, 3, signed=True) for ends in bounds(rows)]}
        )
        caption = f"{b} - {a}, in the mean over the last quarter"
        csv_ = "cka/quarter_difference.csv"
        panels[str(a), str(b)] = notebook_output.table(table, 3, caption, csv_)
    return notebook_output.pairwise(panels, "models")


def bounds(rows: pd.DataFrame, prefix: str = "") -> list[tuple[float, float]]:
    """The ends of the intervals of rows."""
    return list(zip(rows[f"{prefix}low"], rows[f"{prefix}high"], strict=True))


def with_interval(rows: pd.DataFrame, name: str, prefix: str) -> list[str]:
    """A column with its intervals, as text."""
    ends = zip(rows[name], bounds(rows, prefix), strict=True)
    return [bounded(value, *end, 3, signed=True) for value, end in ends]


def firsts(frame: pd.DataFrame) -> pd.DataFrame:
    """One map of each model, of `MOST` at most: that of the first pair of noises."""
    own = frame[(frame.model_a == frame.model_b) & (frame.noise_a != frame.noise_b)]
    first = own.iloc[0]
    own = own[(own.noise_a == first.noise_a) & (own.noise_b == first.noise_b)]
    models = list(dict.fromkeys(own.model_a))[:MOST]
    rows: pd.DataFrame = own[own.model_a.isin(models)]
    return rows


def csv(frame: pd.DataFrame) -> str:
    """The file of the run's measure."""
    return f"cka/{figures.measure(frame)}.csv"


def by_pair(frame: pd.DataFrame, names: list[str]) -> Displayed:
    """A figure for each pair of models under one noise, for the reader to choose from."""
    same = frame.noise_a == frame.noise_b
    pairs, small = list(combinations(names, 2)), len(names) > PAIRED
    different = frame[same & (frame.model_a != frame.model_b)]
    panels: dict[tuple[str, str], Displayed] = {}
    for pair in pairs:
        rows = different[different.model_a.isin(pair) & different.model_b.isin(pair)]
        if len(rows):
            panels[pair] = (small_map if small else one_pair)(rows, figures.scale(frame))
    return (
        notebook_output.pairwise(panels, "models") if panels else notebook_output.say([ONE_MODEL])
    )


def one_pair(rows: pd.DataFrame, limits: tuple[float, float]) -> Displayed:
    """The heat maps of two models."""
    name, title = figures.measure(rows), figures.subtitle(rows)
    drawn = figures.heatmaps(title, figures.panels(rows, "cross_model"), limits, MEASURES[name])
    return notebook_output.figure(drawn, alt_maps({name: rows}, "cross_model"), csv(rows))


def small_map(rows: pd.DataFrame, limits: tuple[float, float]) -> Displayed:
    """A heat map of two models, a square for each two layers, small enough for very many."""
    part, name = figures.panels(rows, "cross_model")[0], figures.measure(rows)
    share = (part.values[::-1] - limits[0]) / (limits[1] - limits[0])
    colors = colormaps["magma"].with_extremes(bad="0.6")(np.ma.masked_invalid(share))[..., :3]
    pixels = np.kron((255 * colors).round().astype(np.uint8), np.ones((SQUARE, SQUARE, 1)))
    element = notebook_output.picture(
        pixels.astype(np.uint8), alt_maps({name: rows}, "cross_model")
    )
    text = (
        f"Rows: the layers {part.side_a}, {part.layers_a[0]} at the bottom to "
        f"{part.layers_a[-1]}; columns: those {part.side_b}, {part.layers_b[0]} at the left to "
        f"{part.layers_b[-1]}. Black is {limits[0]:g}, light yellow 1."
    )
    figure = f"<figure>{element}<figcaption>{html.escape(text)}</figcaption></figure>"
    return Displayed({"text/html": figure, "text/plain": text})
