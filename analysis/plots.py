"""Figures, each drawn from the table that a run folder holds."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

DPI = 150


def short(layer: str) -> str:
    """A layer's label: a SwinIR block by its group and place in it, anything else in full.

    >>> short("layers.1.residual_group.blocks.3")
    'block 1.3'
    """
    return re.sub(r"^layers\.(\d+)\.residual_group\.blocks\.(\d+)", r"block \1.\2", layer)


@dataclass(frozen=True)
class Panel:
    """One layer x layer matrix; rows are side a, columns side b."""

    title: str
    side_a: str
    side_b: str
    layers_a: list[str]
    layers_b: list[str]
    values: np.ndarray


def panels(frame: pd.DataFrame, *, same_model: bool) -> list[Panel]:
    """The matrices in a CKA table between two noises of one model, or between two models."""
    chosen = frame[(frame.model_a == frame.model_b) == same_model]
    found = []
    views = ["model_a", "noise_a", "model_b", "noise_b"]
    for (model_a, noise_a, model_b, noise_b), part in chosen.groupby(views, sort=False):
        matrix = part.pivot(index="index_a", columns="index_b", values="cka").sort_index()
        label_a = part.drop_duplicates("index_a").sort_values("index_a").layer_a
        label_b = part.drop_duplicates("index_b").sort_values("index_b").layer_b
        title = f"{model_a}" if same_model else f"under {noise_a}"
        if same_model:
            side_a, side_b = f"{model_a} under {noise_a}", f"{model_b} under {noise_b}"
        else:
            side_a, side_b = str(model_a), str(model_b)
        found.append(
            Panel(
                title,
                side_a,
                side_b,
                [short(str(name)) for name in label_a],
                [short(str(name)) for name in label_b],
                matrix.sort_index(axis=1).to_numpy(dtype=float),
            )
        )
    return found


def scale(frame: pd.DataFrame) -> tuple[float, float]:
    """Colour limits for every matrix of a table: 0 to 1, or from a round number below 0."""
    lowest = float(np.nanmin(frame.cka)) if frame.cka.notna().any() else 0.0
    return min(0.0, math.floor(lowest * 10) / 10), 1.0


def draw(axes: Axes, panel: Panel, limits: tuple[float, float]) -> AxesImage:
    """One matrix on given axes, first layers at the bottom left."""
    colours = colormaps["magma"].with_extremes(bad="0.6")
    image = axes.imshow(
        panel.values, origin="lower", vmin=limits[0], vmax=limits[1], cmap=colours, aspect="equal"
    )
    size = 8 if max(panel.values.shape) <= 16 else 6
    axes.set_xticks(range(len(panel.layers_b)), panel.layers_b, rotation=90, fontsize=size)
    axes.set_yticks(range(len(panel.layers_a)), panel.layers_a, fontsize=size)
    axes.set_xlabel(f"layer of {panel.side_b}", fontsize=9)
    axes.set_ylabel(f"layer of {panel.side_a}", fontsize=9)
    axes.set_title(panel.title, fontsize=10)
    return image


def heatmaps(title: str, parts: Sequence[Panel], limits: tuple[float, float]) -> Figure:
    """Matrices side by side, at most three in a row, with one colour scale."""
    columns = min(3, len(parts))
    rows = -(-len(parts) // columns)
    side = 3.0 + 0.14 * max(max(p.values.shape) for p in parts)
    figure = Figure(figsize=(side * columns + 1, side * rows + 0.5), dpi=DPI, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(parts) :]:
        axes.set_axis_off()
    images = [draw(axes, part, limits) for axes, part in zip(grid.flat, parts, strict=False)]
    figure.colorbar(images[0], ax=grid, label="CKA", shrink=0.7)
    figure.suptitle(title, fontsize=10)
    return figure


def _subtitle(frame: pd.DataFrame) -> str:
    first = frame.iloc[0]
    unit = "positions" if first.unit == "position" else "images"
    return f"{first.estimator} linear CKA over {first.samples:,} {unit} of {first.crops} crops"


def cross_model(frame: pd.DataFrame) -> Figure | None:
    """Layers of one model against layers of another under the same noise (Figure 12a)."""
    parts = panels(frame, same_model=False)
    title = f"Two models, one noise\n{_subtitle(frame)}" if parts else ""
    return heatmaps(title, parts, scale(frame)) if parts else None


def cross_noise(frame: pd.DataFrame) -> Figure | None:
    """Each model's layers under two noises (Figure 12b)."""
    parts = panels(frame, same_model=True)
    title = f"One model, two noises\n{_subtitle(frame)}" if parts else ""
    return heatmaps(title, parts, scale(frame)) if parts else None
