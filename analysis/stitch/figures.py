"""Figures of stitching, drawn from the table that a run folder holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.plotting import model_styles
from analysis.plotting.model_styles import CROWDED, DPI, short, style
from analysis.text.intervals import bands
from mtd.utils.errors import BadInput
from mtd.utils.messages import plural

LABELS = {"cost": "cost (dB)", "cka": "linear CKA"}

LINEAR = 0.1
"""Costs up to this many dB are on a linear scale, beyond on a logarithmic one."""

TICKS = (-10, -3, -1, -0.3, -0.1, 0, 0.1, 0.3, 1, 3, 10, 30, 100)

MOST = 4
"""Panels in a row of the figure."""

DASHES = ("-", "--", (0, (6, 1, 1, 1)), (0, (2, 1)))
"""Of the senders of one receiver."""

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
        raise BadInput(f"panel {place} of {kind}: the run has {plural(len(of), 'panel')} of it")
    return of[place]


def titled(part: pd.DataFrame) -> str:
    """The heading of a panel."""
    row = part.iloc[0]
    if row.kind == "noises":
        return f"same model: features under\n{row.noise_sender} into {row.noise_receiver}"
    return f"features of another model,\n{row.noise_receiver}"


def cost_over_depth(frame: pd.DataFrame) -> Figure:
    """Cost over depth, and below it CKA of the same layers, a column for each two noises.

    Colors are of the receiver. Bands are 95% intervals; thin lines are the floor, dotted, stitches
    fitted to other photographs, and the ceiling, another draw of the receiver's noise.

    Args:
        frame: stitch.csv, see `analysis.stitch.tables.table`.
    """
    parts = panels(frame)
    models = list(dict.fromkeys([*frame.sender, *frame.receiver]))
    columns = min(MOST, len(parts))
    rows = -(-len(parts) // columns)
    longest = int(frame["index"].max()) + 1
    width = max(3.4, 1.0 + 0.2 * longest)
    size = (width * columns + 0.4, 5.6 * rows + 1.0)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    grid = figure.subplots(2 * rows, columns, squeeze=False, sharex="col", sharey="none")
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
    figure.suptitle(heading(frame, models), fontsize=10)
    model_styles.add(figure, models)
    return figure


def heading(frame: pd.DataFrame, models: Sequence[str]) -> str:
    """What the figure shows, in lines."""
    first = frame.iloc[0]
    lines = [
        "What it costs to feed other features into the rest of a network, layer by layer; "
        "color: the receiver"
    ]
    if frame[["floor_cost", "ceiling_cost"]].notna().any().any():
        lines.append(
            "thin: the receiver's own features, dotted with the map fitted to other photographs "
            "(floor), dash-dotted under another draw of its noise (ceiling)"
        )
    about = plural(int(first.crops), "crop")
    if frame.low.notna().any() and len(models) <= CROWDED:
        about += f"; bands: {bands(int(first.photographs))}"
    return "\n".join([*lines, about])


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
    for place, (receiver, of) in enumerate(part.groupby("receiver", sort=False)):
        look = style(str(receiver), models)
        start = place if column == "cka" else 0  # the same both ways: dashes leave both visible
        for k, (sender, curve) in enumerate(of.groupby("sender", sort=False)):
            x = curve["index"] if alike else curve.depth * whole
            label = str(receiver) if sender == receiver else f"{sender} into {receiver}"
            line = {} if sender == receiver else {"ls": DASHES[(start + k) % len(DASHES)]}
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
    axes.set_ylim(min(1.4 * low, -0.03), max(1.4 * high, LINEAR))
    axes.axhline(0, color="0.4", lw=0.8, zorder=0)
