"""Figures of `python -m analysis.degradation`: separability over depth, and the deepest layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.plotting import model_styles
from analysis.plotting import model_styles as plotting_model_styles
from analysis.plotting.model_styles import COLORS, CROWDED, MARKERS, style
from analysis.text.names import wrapped

PLANES = {
    "pca": "first two components; CH by noise {:.3g} on all",
    "tsne": "t-SNE; CH by noise {:.3g} in this plane",
}
WHICH = {"deepest": " (deepest)", "highest": " (highest CH)"}
TITLES = (
    "Calinski-Harabasz index: variance between over within classes",
    "The same by noise, once each crop's mean over noises is removed",
    "Linear probe: how often the noise of unseen crops is told",
)


def depth(frame: pd.DataFrame) -> Figure:
    """CH by noise and content, CH within crops and the probe, over the layers; a line per model.

    Models with the same layers share an axis of layers, others one of relative depth.
    """
    models = list(dict.fromkeys(frame.model))
    lists = [list(part.layer) for _, part in frame.groupby("model", sort=False)]
    same = all(names == lists[0] for names in lists)
    width = max(7.5, 2.5 + 0.3 * len(lists[0])) if same else 8.0
    drawn = Figure(figsize=(width, 9.4), dpi=plotting_model_styles.DPI, layout="constrained")
    panels = drawn.subplots(3, 1, sharex=True)
    for model in models:
        part = frame[frame.model == model]
        places = part["index"].to_numpy(dtype=float)
        if not same:
            places = places / max(1, len(part) - 1)
        look: Any = style(model, models)
        panels[0].plot(places, part.ch_noise, lw=1.8, label=model, **look)
        if len(models) <= CROWDED and part.low.notna().any():
            band = {"color": look["color"], "alpha": 0.15, "lw": 0}
            panels[0].fill_between(places, part.low, part.high, **band)
        panels[0].plot(places, part.ch_content, lw=1, ls="--", color=look["color"], alpha=0.8)
        panels[1].plot(places, part.ch_within, lw=1.8, **look)
        panels[2].plot(places, part.probe, lw=1.8, **look)
    _finish(panels, float(frame.chance.iloc[0]))
    if same:
        panels[2].set_xticks(
            range(len(lists[0])), [plotting_model_styles.short(n) for n in lists[0]], rotation=90
        )
    else:
        panels[2].set_xlabel("relative depth: 0 the first layer recorded, 1 the last", fontsize=9)
    panels[2].tick_params(axis="x", labelsize=8)
    kinds = [
        Line2D([], [], color="0.3", lw=1.8, label="classes are noises"),
        Line2D([], [], color="0.3", lw=1, ls="--", label="classes are crops (content)"),
    ]
    panels[0].legend(handles=kinds, fontsize=8, loc="best")
    model_styles.add(drawn, models)
    first = frame.iloc[0]
    heading = (
        f"Do features sort images by noise or by content? {first.crops} crops under "
        f"{first.noises} noises, {first.components} components"
    )
    drawn.suptitle("\n".join(filter(None, (heading, _marks(frame), first.note))), fontsize=10)
    return drawn


def _finish(panels: Sequence[Axes], chance: float) -> None:
    """Titles, scales and reference lines."""
    for axes, title in zip(panels, TITLES, strict=True):
        axes.set_title(title, fontsize=9, loc="left")
        axes.grid(alpha=0.3)
        axes.tick_params(axis="y", labelsize=8)
    panels[0].set_yscale("log")
    panels[0].set_ylabel("CH", fontsize=9)
    panels[1].set_yscale("log")
    panels[1].set_ylabel("CH within crops", fontsize=9)
    panels[2].set_ylabel("accuracy", fontsize=9)
    panels[2].set_ylim(0, 1.03)
    _level(panels[0], 1, "random labels")
    _level(panels[1], 1, "no common trace of noise")
    _level(panels[2], chance, "chance")
    _level(panels[2], (1 + chance) / 2, "halfway")


def _level(axes: Axes, height: float, name: str) -> None:
    """A dotted line with its name in the margin, where no curve is."""
    axes.axhline(height, color="0.4", lw=1, ls=":")
    axes.annotate(
        wrapped(name, 14),
        (1, height),
        xycoords=("axes fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        fontsize=8,
        color="0.3",
        va="center",
        annotation_clip=False,
    )


def planes(points: pd.DataFrame, frame: pd.DataFrame, manifest: Mapping[str, Any]) -> Figure:
    """Crops in the plane, coloured by noise: a row for each model, the deepest layer to the left.

    To the right is the layer whose CH by noise is highest, where that is another one.
    """
    models, noises = (list(dict.fromkeys(points[name])) for name in ("model", "noise"))
    kinds = ["deepest"]
    if not frame.deepest.equals(frame.highest):
        kinds.append("highest")
    columns = 2 * len(kinds)
    size = (3.7 * columns, 3.6 * len(models) + 1.2)
    drawn = Figure(figsize=size, dpi=plotting_model_styles.DPI, layout="constrained")
    grid = drawn.subplots(len(models), columns, squeeze=False)
    for line, model in zip(grid, models, strict=True):
        for place, axes in enumerate(line):
            row = frame[(frame.model == model) & frame[kinds[place // 2]]].iloc[0]
            plane = tuple(PLANES)[place % 2]
            part = points[(points.model == model) & (points.layer == row.layer)]
            _scatter(axes, part[part.kind == plane], noises)
            name = (
                model_styles.named(f"{model}, {plotting_model_styles.short(row.layer)}")
                + WHICH[kinds[place // 2]]
            )
            value = row.ch_tsne if plane == "tsne" else row.ch_noise
            axes.set_title(f"{name}\n{PLANES[plane].format(value)}", fontsize=8)
    handles, names = grid[0, 0].get_legend_handles_labels()
    drawn.legend(handles, names, loc="outside lower center", ncols=min(5, len(names)), fontsize=9)
    first = frame.iloc[0]
    heading = (
        f"{first.crops} crops under {first.noises} noises: groups of one colour are noises, "
        "groups of all colours are images\n"
        f"t-SNE with perplexity {manifest['perplexity']:.3g} and seed {manifest['seed']}, "
        "on which its picture depends"
    )
    drawn.suptitle("\n".join(filter(None, (heading, first.note))), fontsize=10)
    return drawn


def _scatter(axes: Axes, part: pd.DataFrame, noises: Sequence[str]) -> None:
    """Points of one plane."""
    for place, noise in enumerate(noises):
        those = part[part.noise == noise]
        colour = COLORS[place % len(COLORS)]
        shape = MARKERS[place % len(MARKERS)]
        axes.scatter(
            those.x, those.y, s=16, color=colour, marker=shape, alpha=0.7, lw=0, label=noise
        )
    axes.set_xticks([])
    axes.set_yticks([])


def _marks(frame: pd.DataFrame) -> str:
    bands = "bands: 95% intervals over crops" if frame.low.notna().any() else ""
    return bands if frame.model.nunique() <= CROWDED else ""
