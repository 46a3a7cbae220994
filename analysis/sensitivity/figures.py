"""Figures of sensitivity, each drawn from the table that a run folder holds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.plotting import model_styles
from analysis.plotting.figure_style import new_figure
from analysis.plotting.model_styles import CROWDED, short, style
from analysis.plotting.trainings import DRAWN, thin_lines
from analysis.sensitivity.observer import IMAGE
from analysis.text.intervals import bands
from analysis.text.noise_labels import preset
from analysis.text.noise_names import noise_label
from analysis.text.terminal import plural

TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)

LABEL = "gain: change over that of the noisy image"


def gain_over_depth(frame: pd.DataFrame, single: pd.DataFrame | None = None) -> Figure:
    """Gain over depth, a panel for each noise and a line for each model, 95% intervals as bands.

    The scale is logarithmic and common to all panels; below 1 a layer moves less than its input.

    Args:
        frame: sensitivity.csv, see `analysis.sensitivity.tables.table`.
        single: sensitivity_by_training.csv, of a run that has several trainings of a model.
    """
    panels = list(frame.groupby("noise", sort=False))
    models = list(dict.fromkeys(frame.model))
    columns = 2 if len(panels) in (2, 4) else min(3, len(panels))
    rows = -(-len(panels) // columns)
    layers = frame[frame.model == models[0]].layer.nunique()
    width = max(4.6, 1.2 + 0.22 * layers)
    size = (width * columns, 3.4 * rows + 1.1)
    figure = new_figure(*size)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    for axes, (noise, part) in zip(grid.flat, panels, strict=False):
        draw_gain(axes, part, models, None if single is None else single[single.noise == noise])
    for axes in grid[:, 0]:
        axes.set_ylabel(LABEL, fontsize=8)
        set_ticks(axes, frame.gain)
    first = frame.iloc[0]
    banded = frame.gain_low.notna().any() and len(models) <= CROWDED
    most = 1 if single is None else int(frame.trainings.max())
    about = f"; bands: {bands(int(first.photographs), most)}"
    drawn = "" if single is None else f"; {DRAWN}"
    heading = (
        "How far each layer moves from a clean image to the noisy one\n"
        "relative to its spread over clean images; dashed: as much as the image itself\n"
        f"{plural(int(first.crops), 'crop')}{about if banded else ''}{drawn}"
    )
    figure.suptitle("\n".join(filter(None, (heading, preset(frame)))), fontsize=10)
    model_styles.add(figure, models)
    return figure


def draw_gain(
    axes: Axes, part: pd.DataFrame, models: Sequence[str], single: pd.DataFrame | None = None
) -> None:
    """The curves of one noise on given axes, a line for each model.

    Models with the same layers share an axis of layers, others one of relative depth.

    Args:
        axes: where to draw.
        part: the noise's rows of sensitivity.csv.
        models: in the order of all figures.
        single: the noise's rows of sensitivity_by_training.csv.
    """
    alike = part.groupby("index").layer.nunique().max() == 1
    for model, curve in part.groupby("model", sort=False):
        look = style(str(model), models)
        depth = curve["index"] if alike else curve["index"] / curve["index"].max()
        axes.plot(depth, curve.gain, label=str(model), lw=1.2, **look)  # type: ignore[arg-type]
        if single is not None:
            whole = 1 if alike else curve["index"].max()
            thin = single.assign(depth=single["index"] / whole)
            thin_lines(axes, thin, str(model), "depth", "gain", look["color"])
        if curve.gain_low.notna().any() and len(models) <= CROWDED:
            band = {"color": str(look["color"]), "alpha": 0.2, "lw": 0}
            axes.fill_between(depth, curve.gain_low, curve.gain_high, **band)  # type: ignore[arg-type]
    axes.axhline(1, color="0.4", lw=1, ls="--", zorder=0)
    axes.set_yscale("log")
    if alike:
        first = part[part.model == part.model.iloc[0]].sort_values("index")
        names = [short(str(name)) for name in first.layer]
        size = 8 if len(names) <= 16 else 6
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
    else:
        axes.set_xlabel("relative depth: 0 the noisy image, 1 the denoised one", fontsize=9)
    image_change = part[part.layer == IMAGE].change.iloc[0]
    title = f"{noise_label(part.noise.iloc[0])} (the image itself changes by {image_change:.3f})"
    axes.set_title(title, fontsize=9)
    axes.grid(alpha=0.3)


def set_ticks(axes: Axes, gains: pd.Series) -> None:
    """Round ticks on a logarithmic axis of gains."""
    low, high = gains.min() / 1.5, gains.max() * 1.5
    if low > 0 and math.isfinite(high):
        ticks = [tick for tick in TICKS if low <= tick <= high]
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks], fontsize=8)
        axes.set_yticks([], minor=True)
