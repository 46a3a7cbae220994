"""Figures of noisy pictures: quantities by model, how far outputs are apart, CKA and SRGA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from analysis.generalization.noisy.inputs import BLUR, CONTROLS, RECORDED
from analysis.generalization.noisy.tables import DIFFERENCE, QUANTITIES, quantities_of
from analysis.plotting.figure_style import new_figure
from analysis.plotting.model_styles import named, style
from analysis.text.names import wrapped
from analysis.text.noise_names import noise_label, noise_words
from analysis.text.terminal import plural

Frames = Mapping[str, pd.DataFrame]

HEADING = "No clean image, so no PSNR: none of these is a measure of quality"
BLIND = "No clean image, so no PSNR: none of these can tell whether the scene is right"
"""The heading where metrics without reference are among them."""


def figures(frames: Frames) -> dict[str, Figure]:
    """Every figure that is drawn from the tables, by the name of its file."""
    drawn = {"no_reference": quantities(frames)}
    drawn["agreement"] = agreement(frames["means"])
    if (frames["features"].note == "").any():
        drawn["features"] = features(frames["features"])
    return drawn


def order_of(frame: pd.DataFrame) -> list[str]:
    """The models in the order of the table, then the controls."""
    names = list(dict.fromkeys(frame.model))
    return [name for name in names if name not in CONTROLS] + [
        name for name in CONTROLS if name in names
    ]


def look(model: str, models: list[str]) -> dict[str, Any]:
    """Color and marker of a model; the controls are gray."""
    if model == BLUR:
        return {"color": "0.45", "marker": "s", "ms": 4}
    return {**style(model, models), "ls": "none"}


def quantities(frames: Frames) -> Figure:
    """A panel for each quantity: pictures as points, the mean with its 95% interval beside them."""
    models, single = order_of(frames["no_reference"]), frames.get("means_by_training")
    shown = quantities_of(frames["no_reference"])
    columns = min(3, len(shown))
    lines = -(-len(shown) // columns)
    width = max(4.0, 1.2 + 0.55 * len(models))
    size = (width * columns, 3.6 * lines + 0.6)
    figure = new_figure(*size)
    grid = figure.subplots(lines, columns, squeeze=False)
    for axes in grid.flat[len(shown) :]:
        axes.set_axis_off()
    for axes, name in zip(grid.flat, shown, strict=False):
        draw_quantity(axes, frames["no_reference"], frames["means"], name, models, single)
    count = plural(int(frames["means"].pictures.max()), "picture")
    about = f"{count}: points; their mean beside them"
    about += ", with its 95% interval" if frames["means"].low.notna().any() else ""
    about += "" if single is None else "; dashes: single trainings"
    heading = HEADING if len(shown) == len(QUANTITIES) else BLIND
    figure.suptitle(f"{heading}\n{about}", fontsize=10)
    return figure


def draw_quantity(
    axes: Axes,
    frame: pd.DataFrame,
    means: pd.DataFrame,
    quantity: str,
    models: list[str],
    single: pd.DataFrame | None = None,
) -> None:
    """One quantity of every model, on given axes.

    Args:
        axes: where to draw.
        frame: see `analysis.generalization.noisy.tables.no_reference`.
        means: see `analysis.generalization.noisy.tables.means`.
        quantity: one of `quantities_of` the frame.
        models: in their order, controls last.
        single: the means of single trainings, if models have several.
    """
    about = quantities_of(frame)[quantity]
    rows = means[means.quantity == quantity].set_index("model")
    names = [model for model in models if model in rows.index]
    for place, model in enumerate(names):
        own = frame[frame.model == model]
        each = own.groupby(["image", "top", "left"], sort=False)[quantity].mean()
        values = each.to_numpy(dtype=float)
        spread = place - 0.12 + np.linspace(-0.1, 0.1, len(values))
        shade = look(model, models)
        axes.plot(spread, values, ".", color=str(shade["color"]), alpha=0.35, ms=4)
        value, low, high = (float(rows[column][model]) for column in ("mean", "low", "high"))
        bars = None if np.isnan(low) else [[value - low], [high - value]]
        axes.errorbar([place + 0.12], [value], bars, capsize=3, lw=1.2, **shade)
        if single is not None:
            dots = single[(single.model == model) & (single.quantity == quantity)]["mean"]
            beside = np.full(len(dots), place + 0.24)
            axes.plot(beside, dots, "_", color=str(shade["color"]), ms=7, mew=1.2)
    if about.floor:
        floor = float(rows.floor.mean())
        axes.axhline(floor, color="0.3", lw=1, ls=":")
        axes.annotate(
            "white noise",
            (0.99, floor),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize=7,
        )
    low_end, _ = axes.get_ylim()
    if low_end > 0:
        axes.set_ylim(bottom=0)
    elif quantity == "detail_correlation":
        axes.axhline(0, color="0.3", lw=1, ls=":")
    axes.set_xlim(-0.6, len(names) - 0.4)
    labels = [named(wrapped(name, 16)) for name in names]
    axes.set_xticks(range(len(names)), labels, fontsize=8, rotation=30 if len(names) > 4 else 0)
    axes.tick_params(axis="y", labelsize=8)
    axes.grid(alpha=0.3, axis="y")
    axes.set_title(about.label, fontsize=9)
    axes.set_ylabel(about.unit, fontsize=8)


def agreement(means: pd.DataFrame) -> Figure:
    """How far every two outputs are apart, as a matrix."""
    part = means[means.quantity == DIFFERENCE]
    side = 2.6 + 0.75 * len({*part.model, *part.model_b})
    figure = new_figure(side + 1.2, side)
    axes = figure.subplots()
    bar = figure.colorbar(draw_agreement(axes, means), ax=axes, shrink=0.9)
    bar.set_label("root mean square difference in 8-bit levels", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    return figure


def draw_agreement(axes: Axes, means: pd.DataFrame) -> AxesImage:
    """The mean root mean square difference of every two outputs, on given axes."""
    part = means[means.quantity == DIFFERENCE]
    names = list(dict.fromkeys([*part.model, *part.model_b]))
    values = np.zeros((len(names), len(names)))
    for a, b, value in zip(part.model, part.model_b, part["mean"], strict=True):
        i, j = names.index(a), names.index(b)
        values[i, j] = values[j, i] = value
    image = axes.imshow(values, cmap=colormaps["viridis"], vmin=0)
    for (i, j), value in np.ndenumerate(values):
        if i != j or value:
            color = "black" if value > 0.6 * values.max() else "white"
            axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=8, color=color)
    labels = [named(wrapped(name, 18)) for name in names]
    axes.set_xticks(range(len(names)), labels, rotation=30, ha="right", fontsize=8)
    axes.set_yticks(range(len(names)), labels, fontsize=8)
    axes.set_title("How far outputs are apart (agreement is no quality)", fontsize=9)
    return image


def features(frame: pd.DataFrame) -> Figure:
    """CKA and SRGA between the synthetic noise and every other, a panel each."""
    frame = frame[frame.note == ""]
    measures = list(dict.fromkeys(frame.quantity))
    noises = list(dict.fromkeys(frame.noise_b))
    width = max(4.4, 1.6 + 0.7 * len(noises) * frame.model.nunique() / 2)
    figure = new_figure(width * len(measures), 4.2)
    for axes, measure in zip(
        figure.subplots(1, len(measures), squeeze=False)[0], measures, strict=True
    ):
        draw_features(axes, frame, measure)
    first = wrapped(noise_words(frame.noise_a.iloc[0]), 60, 1)
    figure.suptitle(
        f"Features under {first} against those under other noises,\n"
        "on the mean of the models' outputs, which stands for the clean image",
        fontsize=10,
    )
    return figure


def draw_features(axes: Axes, frame: pd.DataFrame, measure: str) -> None:
    """One measure of every model under every other noise, on given axes."""
    part = frame[frame.quantity == measure]
    models, noises = list(dict.fromkeys(part.model)), list(dict.fromkeys(part.noise_b))
    offsets = np.linspace(-0.2, 0.2, len(models)) if len(models) > 1 else [0.0]
    for offset, model in zip(offsets, models, strict=True):
        rows = part[part.model == model].set_index("noise_b").loc[noises]
        bars = [rows.value - rows.low, rows.high - rows.value] if rows.low.notna().any() else None
        places = np.arange(len(noises)) + offset
        axes.errorbar(
            places, rows.value, bars, capsize=3, lw=1.2, label=named(model), **look(model, models)
        )
    labels = [wrapped(other_label(str(noise)), 18) for noise in noises]
    axes.set_xticks(range(len(noises)), labels, fontsize=8)
    axes.set_xlim(-0.6, len(noises) - 0.4)
    axes.tick_params(axis="y", labelsize=8)
    axes.grid(alpha=0.3, axis="y")
    closer = "1 is equal" if measure == "CKA" else "0 is no distance"
    where = "last quarter of the layers" if measure == "CKA" else "features near the output"
    axes.set_title(f"{measure}, {where}; {closer}", fontsize=9)
    axes.legend(fontsize=8)


def other_label(noise: str) -> str:
    """A noise as an axis names it."""
    if noise.endswith("another draw"):
        return "the same noise, another draw"
    return f"{noise} noise" if noise == RECORDED else noise_label(noise)
