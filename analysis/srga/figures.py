"""The figure of SRGA, drawn from its table."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.plotting import model_styles
from analysis.plotting.figure_style import new_figure
from analysis.plotting.model_styles import CROWDED, features, named, style
from analysis.plotting.trainings import DOTTED, dots
from analysis.text.controls import has_controls
from analysis.text.intervals import bands
from analysis.text.names import wrapped
from analysis.text.noise_labels import preset
from analysis.text.noise_names import noise_label, noise_words

CONTROLS_DRAWN = (
    "dashed: the reference noise drawn again; dotted: different photographs (half the patches)\n"
    "gray: untrained networks, mean ± SD"
)
"""What the lines of `draw_controls` are."""


def others(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of other noises than the reference."""
    return frame[frame.noise != frame.reference]


def draw_scores(axes: Axes, frame: pd.DataFrame, single: pd.DataFrame | None = None) -> None:
    """The score of each model under each other noise, with 95% intervals, on given axes.

    Args:
        axes: where to draw.
        frame: `srga.csv`.
        single: `srga_by_training.csv`, if models have several trainings.
    """
    part = others(frame)
    models, noises = (list(dict.fromkeys(part[name])) for name in ("model", "noise"))
    half = min(0.3, 0.06 * (len(models) - 1))
    offsets = np.linspace(-half, half, len(models))
    for offset, model in zip(offsets, models, strict=True):
        rows = part[part.model == model].set_index("noise").loc[noises]
        error = None if len(models) > CROWDED else (rows.srga - rows.low, rows.high - rows.srga)
        look = style(model, models) | {"ls": "none"}
        places = np.arange(len(noises)) + offset
        axes.errorbar(places, rows.srga, error, capsize=2, lw=1, label=named(model), **look)  # type: ignore[arg-type]
        by_noise = dict(zip(noises, map(float, places), strict=True))
        dots(axes, single, str(model), by_noise, "noise", "srga", look["color"])
        if drawn_controls(part):
            draw_controls(axes, places, rows, str(look["color"]), step=max(0.12, 2 * half))
    names = [wrapped(noise_label(noise), 18, 4) for noise in noises]
    axes.set_xticks(range(len(noises)), names, fontsize=8, rotation=20)
    axes.set_ylabel("SRGA, lower is closer", fontsize=9)
    axes.grid(alpha=0.3, axis="y")


def drawn_controls(frame: pd.DataFrame) -> bool:
    """Whether scores have controls, and models are few enough for them to be told apart."""
    return has_controls(frame) and frame.model.nunique() <= CROWDED


def draw_controls(
    axes: Axes, places: NDArray[np.float64], rows: pd.DataFrame, color: str, step: float
) -> None:
    """Ceiling, floor and untrained networks of one model's scores, as short lines.

    Args:
        axes: where to draw.
        places: of the scores on the axis of noises.
        rows: of one model, in the order of places.
        color: of the model.
        step: length of the lines; those of untrained networks are half as long.
    """
    left, right = places - step / 2, places + step / 2
    axes.hlines(rows.ceiling, left, right, color, "--", lw=0.9)
    axes.hlines(rows.floor, left, right, color, ":", lw=0.9)
    sd = rows.untrained_sd.fillna(0.0)
    axes.vlines(places, rows.untrained - sd, rows.untrained + sd, "0.5", lw=4, alpha=0.45)
    axes.hlines(rows.untrained, places - step / 4, places + step / 4, "0.4", lw=0.9)


def heading(frame: pd.DataFrame) -> str:
    """What the scores are, from how many patches and components."""
    first, part = frame.iloc[0], others(frame)
    shown = part.low.notna().any() and part.model.nunique() <= CROWDED
    several = int(part.trainings.max()) if "trainings" in part else 1
    bars = f"; bars: {bands(int(first.photographs), several)}" if shown else ""
    lines = (
        f"Distance of {features(map(str, frame.layer))} from those under "
        f"{noise_words(first.reference)}\n{first.patches} patches, {first.components} "
        f"components{bars}"
    )
    controls = CONTROLS_DRAWN if drawn_controls(part) else ""
    dotted = DOTTED if several > 1 else ""
    drawn = "; ".join(filter(None, (controls, dotted)))
    return "\n".join(filter(None, (lines, drawn, preset(part))))


def figure(frame: pd.DataFrame, single: pd.DataFrame | None = None) -> Figure:
    """SRGA of each model under each other noise, with 95% intervals (the paper's Figure 14).

    Args:
        frame: `srga.csv`.
        single: `srga_by_training.csv`, if models have several trainings.
    """
    part = others(frame)
    size = (max(5.0, 1.6 + 0.9 * part.noise.nunique()), 4.4)
    drawn = new_figure(*size)
    axes = drawn.subplots()
    draw_scores(axes, frame, single)
    axes.set_title(heading(frame), fontsize=9)
    model_styles.add(drawn, list(dict.fromkeys(part.model)), lines=False)
    return drawn
