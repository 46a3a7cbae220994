"""Figures of stitching, drawn from the table that a run folder holds."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.plotting import model_styles
from analysis.plotting.figure_style import new_figure
from analysis.plotting.model_styles import CROWDED, short, style
from analysis.text.intervals import bands
from analysis.text.noise_names import noise_words
from mtd.utils.errors import BadInput
from mtd.utils.messages import plural

LABELS = {"cost": "cost (dB)", "cka": "linear CKA"}

LINEAR = 1.0
"""Costs up to this many dB are on a linear scale, beyond on a logarithmic one."""

TICKS = (-100, -30, -10, -3, -1, -0.5, 0, 0.5, 1, 3, 10, 30, 100)

FEW = 4
"""Up to so many panels are in rows of two, more in rows of three."""

LETTERS = 14
"""Characters of the heading's font per inch."""

DASHES = ("-", "--", (0, (6, 1, 1, 1)), (0, (2, 1)))
"""Of the senders, by their place among all models."""

CONTROLS = {"floor_cost": ":", "ceiling_cost": "-."}
"""Dashes of the controls' thin lines."""

PANEL = ["kind", "noise_sender", "noise_receiver"]


def panels(frame: pd.DataFrame) -> list[pd.DataFrame]:
    """The rows of each panel, with the same noises."""
    return [part for _, part in frame.groupby(PANEL, sort=False)]


def panel(frame: pd.DataFrame, kind: str, place: int) -> pd.DataFrame:
    """The rows of one panel.

    Raises:
        BadInput: there is none.
    """
    of = panels(frame[frame.kind == kind])
    if not 0 <= place < len(of):
        raise BadInput(f"panel {place} of {kind}: the run has {plural(len(of), 'such panel')}")
    return of[place]


def titled(part: pd.DataFrame) -> str:
    """The heading of a panel."""
    row = part.iloc[0]
    if row.kind == "noises":
        noises = f"{noise_words(row.noise_sender)} into {noise_words(row.noise_receiver)}"
        return f"same model: features under\n{noises}"
    return f"features of another model,\nboth under {noise_words(row.noise_receiver)}"


def cost_over_depth(frame: pd.DataFrame) -> Figure:
    """Cost over depth, and below it CKA of the same layers, a panel for each two noises.

    Colors are of the receiver; where it has several senders, dashes are of these. Bands are 95%
    intervals; thin lines are the floor, dotted, stitches fitted to other photographs, and the
    ceiling, dash-dotted, another draw of the receiver's noise.

    Args:
        frame: stitch.csv, see `analysis.stitch.tables.table`.
    """
    parts = panels(frame)
    models = list(dict.fromkeys([*frame.sender, *frame.receiver]))
    columns = min(2 if len(parts) <= FEW else 3, len(parts))
    rows = -(-len(parts) // columns)
    longest = int(frame["index"].max()) + 1
    width = max(3.7, 1.0 + 0.2 * longest) * columns + 0.4
    figure = new_figure(width, 4.9 * rows + 1.0)
    heights = [1.7, 1] * rows
    grid = figure.subplots(2 * rows, columns, squeeze=False, gridspec_kw={"height_ratios": heights})
    for place in range(rows * columns):
        top, bottom = (grid[2 * (place // columns) + k, place % columns] for k in (0, 1))
        if place >= len(parts):
            top.set_axis_off()
            bottom.set_axis_off()
            continue
        for axes, column in ((top, "cost"), (bottom, "cka")):
            draw(axes, parts[place], column, models)
            set_scale(axes, frame, column)
            if place % columns == 0:
                axes.set_ylabel(LABELS[column], fontsize=9)
        top.set_title(titled(parts[place]), fontsize=9)
        top.tick_params(labelbottom=False)
        top.set_xlabel("")
    figure.suptitle(heading(frame, models, int(LETTERS * width)), fontsize=9)
    model_styles.add(figure, models)
    return figure


def heading(frame: pd.DataFrame, models: Sequence[str], letters: int = 120) -> str:
    """What the figure shows, in lines of so many letters at most."""
    first = frame.iloc[0]
    lines = [
        "What it costs to feed other features into the rest of a network, layer by layer; "
        "color: the receiver"
    ]
    if frame[["floor_cost", "ceiling_cost"]].notna().any().any():
        lines += [
            "thin: the receiver's own features, dotted with the map fitted to other photographs "
            "(floor),",
            "dash-dotted under another draw of its noise (ceiling)",
        ]
    if frame.sender.nunique() > 2:
        lines.append(
            "line between models: the sender, in the order of the legend solid, dashed, "
            "dash-dotted, dotted"
        )
    about = plural(int(first.crops), "crop")
    if frame.low.notna().any() and len(models) <= CROWDED:
        about += f"; bands: {bands(int(first.photographs))}"
    return "\n".join(part for line in [*lines, about] for part in wrap(line, letters))


def draw(axes: Axes, part: pd.DataFrame, column: str, models: Sequence[str]) -> None:
    """The curves of one panel, a line for each sender and receiver.

    Args:
        axes: where to draw.
        part: rows of the panel.
        column: `cost` or `cka`.
        models: in the order of all figures.
    """
    alike = part.groupby("index").layer_receiver.nunique().max() == 1
    whole = int(part["index"].max()) or 1
    for receiver, of in part.groupby("receiver", sort=False):
        look = style(str(receiver), models)
        for sender, curve in of.groupby("sender", sort=False):
            x = curve["index"] if alike else curve.depth * whole
            label = str(receiver) if sender == receiver else f"{sender} into {receiver}"
            # CKA is the same both ways: dashes leave both visible
            dashed = sender != receiver and (column == "cka" or of.sender.nunique() > 1)
            line = {"ls": DASHES[list(models).index(str(sender)) % len(DASHES)]} if dashed else {}
            axes.plot(x, curve[column], label=label, lw=1.2, **{**look, **line})  # type: ignore[arg-type]
            if column == "cost" and curve.low.notna().any() and len(models) <= CROWDED:
                band = {"color": str(look["color"]), "alpha": 0.2, "lw": 0}
                axes.fill_between(x, curve.low, curve.high, **band)  # type: ignore[arg-type]
        first = of[of.sender == of.sender.iloc[0]]
        x = first["index"] if alike else first.depth * whole
        for control, dash in CONTROLS.items() if column == "cost" else ():
            axes.plot(x, first[control], color=str(look["color"]), lw=0.9, ls=dash, zorder=1)
    if alike:
        names = part.drop_duplicates("index").sort_values("index").layer_receiver
        labels = [short(str(name)) for name in names]
        axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=7)
    else:
        axes.set_xticks([0, whole / 2, whole], ["0", "0.5", "1"], fontsize=8)
        axes.set_xlabel("relative depth of the layer", fontsize=8)
    axes.grid(alpha=0.3)


def set_scale(axes: Axes, frame: pd.DataFrame, column: str) -> None:
    """The vertical axis, the same for all panels of a figure."""
    if column == "cka":
        axes.set_ylim(min(0, float(np.nanmin([*frame.cka, 0]))), 1.03)
        axes.tick_params(axis="y", labelsize=8)
        return
    shown = frame[["cost", "low", "high", "floor_cost", "ceiling_cost"]].to_numpy(dtype=float)
    known = shown[np.isfinite(shown)]
    low, high = (known.min(), known.max()) if len(known) else (0.0, 1.0)
    axes.set_yscale("symlog", linthresh=LINEAR)
    axes.set_yticks(TICKS, [f"{tick:g}" for tick in TICKS], fontsize=8)
    axes.set_yticks([], minor=True)
    axes.set_ylim(min(1.4 * low, -0.2), max(1.4 * high, LINEAR))
    axes.axhline(0, color="0.4", lw=0.8, zorder=0)
