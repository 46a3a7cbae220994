"""The figure of SRGA, drawn from its table."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.plotting import model_styles
from analysis.plotting.model_styles import CROWDED, DPI, features, named, style
from analysis.text.intervals import bands
from analysis.text.names import wrapped
from analysis.text.noise_labels import preset


def others(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of other noises than the reference."""
    return frame[frame.noise != frame.reference]


def draw_scores(axes: Axes, frame: pd.DataFrame) -> None:
    """The score of each model under each other noise, with 95% intervals, on given axes."""
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
    names = [wrapped(str(noise), 18) for noise in noises]
    axes.set_xticks(range(len(noises)), names, fontsize=8, rotation=20)
    axes.set_ylabel("SRGA, lower is closer", fontsize=9)
    axes.grid(alpha=0.3, axis="y")


def heading(frame: pd.DataFrame) -> str:
    """What the scores are, from how many patches and components."""
    first, part = frame.iloc[0], others(frame)
    shown = part.low.notna().any() and part.model.nunique() <= CROWDED
    bars = f"; bars: {bands(int(first.photographs))}" if shown else ""
    lines = (
        f"Distance of {features(map(str, frame.layer))} from those under {first.reference}\n"
        f"{first.patches} patches, {first.components} components{bars}"
    )
    return "\n".join(filter(None, (lines, preset(part))))


def figure(frame: pd.DataFrame) -> Figure:
    """SRGA of each model under each other noise, with 95% intervals (the paper's Figure 14)."""
    part = others(frame)
    size = (max(5.0, 1.6 + 0.9 * part.noise.nunique()), 4.4)
    drawn = Figure(figsize=size, dpi=DPI, layout="constrained")
    axes = drawn.subplots()
    draw_scores(axes, frame)
    axes.set_title(heading(frame), fontsize=9)
    model_styles.add(drawn, list(dict.fromkeys(part.model)), lines=False)
    return drawn
