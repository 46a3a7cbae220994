"""Figures of causal tracing, each drawn from a table that a run folder holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.causal.branches import ALL
from analysis.causal.tables import EXACT, WHOLE
from analysis.plotting import model_styles
from analysis.plotting.figure_style import new_figure
from analysis.plotting.model_styles import short, style
from analysis.text.intervals import bands
from analysis.text.markdown import listed
from analysis.text.noise_names import noise_label, noise_words
from mtd.networks import block_names

RECOVERY = "recovery: share of the additional error removed"
LOSS = "PSNR lost without the branch (dB)"

LINES = {"attention": "-", "mlp": (0, (4, 2)), "heads": (0, (1, 1)), "channels": (0, (1, 1))}
"""Lines of kinds of branches; a solid one for others."""

WORDS = {
    "attention": "attention updates",
    "mlp": "MLP updates",
    "channels": "groups of channels",
    ALL: "branches",
}

NO_VALUE = "no value"
"""What is written where no branch has a value, as where no error is to be removed."""

TICKS = 30
"""Most branches whose names are on the axis."""


def words(kind: str) -> str:
    """Branches of a kind in figures and text, such as `MLP updates`."""
    return WORDS.get(kind, kind)


def recovery(frame: pd.DataFrame, reference: str) -> Figure:
    """Recovery per branch over depth, a panel for each unseen noise.

    Args:
        frame: causal.csv, see `analysis.causal.tables.causal`.
        reference: the noise whose features are patched in.
    """
    patched = frame[frame.patched != "screened"]
    heading = (
        "Share of the additional error under each noise that is removed by patching one branch at "
        f"a time\nwith its features from {noise_words(reference)} (1: as good as under "
        f"{noise_words(reference)}, 0: no effect)"
    )
    if (patched.status == WHOLE).any():
        heading += "; not drawn: branches that are the whole stream"
    return panels(patched, "recovery", RECOVERY, heading)


def ablation(frame: pd.DataFrame) -> Figure:
    """PSNR lost per branch that is replaced by its mean, a panel for each noise.

    Args:
        frame: ablation.csv, see `analysis.causal.tables.ablation`.
    """
    heading = (
        "PSNR lost with one branch at a time replaced by its channels' means over images and "
        "positions"
    )
    return panels(frame, "loss", LOSS, heading)


def panels(frame: pd.DataFrame, column: str, label: str, heading: str) -> Figure:
    """A panel for each noise with a line for each model and kind of branch."""
    parts = list(frame.groupby("noise", sort=False))
    models = list(dict.fromkeys(frame.model))
    columns = 2 if len(parts) in (2, 4) else min(3, len(parts))
    rows = -(-len(parts) // columns)
    width = {1: 8.0, 2: 5.6}.get(columns, 5.0)
    figure = new_figure(width * columns, 3.2 * rows + 1.3)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes in grid.flat[len(parts) :]:
        axes.set_axis_off()
    for axes, (noise, part) in zip(grid.flat, parts, strict=False):
        draw(axes, part, models, column)
        axes.set_title(noise_label(noise), fontsize=9)
    for axes in grid[:, 0]:
        axes.set_ylabel(label, fontsize=8)
    first = frame.iloc[0]
    banded = frame.low.notna().any() and len(models) <= model_styles.CROWDED
    about = f"; bars: {bands(int(first.photographs))}" if banded else ""
    kinds = [kind for kind in dict.fromkeys(frame.kind) if len(set(frame.kind)) > 1]
    lines: dict[str, list[str]] = {}
    for kind in kinds:
        lines.setdefault(names_of_lines(kind), []).append(words(kind))
    drawn = "; ".join(f"{line}: {listed(of)}" for line, of in lines.items())
    figure.suptitle(heading + "\n" + drawn + (about if drawn else about.lstrip("; ")), fontsize=9)
    model_styles.add(figure, models)
    return figure


def names_of_lines(kind: str) -> str:
    """How the line of a kind of branches looks."""
    line = LINES.get(kind, "-")
    return "solid" if line == "-" else "dashed" if line == (0, (4, 2)) else "dotted"


def draw(axes: Axes, part: pd.DataFrame, models: Sequence[str], column: str) -> None:
    """The values of one noise on given axes.

    Models with the same branches share an axis of blocks, others one of relative depth.

    Args:
        axes: where to draw.
        part: the noise's rows.
        models: in the order of all figures.
        column: of the values.
    """
    part = part.assign(branch=part.branch.astype(str))  # `0` of a sequence is read as a number
    names = {str(model): list(rows.branch) for model, rows in part.groupby("model", sort=False)}
    alike = len({tuple(own) for own in names.values()}) == 1
    places = axis_of(next(iter(names.values()))) if alike else {}
    if part[column].isna().all():
        middle = {"transform": axes.transAxes, "ha": "center", "va": "bottom"}
        axes.text(0.5, 0.5, NO_VALUE, fontsize=8, **middle)  # type: ignore[arg-type]
        axes.set_xlim(-0.5, max(places.values(), default=0.5) + 0.5)
    for (model, kind), rows in part.groupby(["model", "kind"], sort=False):
        if "status" in rows:
            rows = rows[rows.status != WHOLE]
        rows = rows[rows[column].notna()]
        look = style(str(model), models) | {"ls": LINES.get(str(kind), "-"), "ms": 3}
        if "patched" in rows and (rows.patched != EXACT).any():
            look["ls"] = "none"  # branches between these were not patched
        depth = part[part.model == model].depth.max()
        x = rows.depth / max(1, depth) if not alike else rows.branch.map(places)
        label = str(model) if part.kind.nunique() == 1 else f"{model}, {words(str(kind))}"
        axes.plot(x, rows[column], lw=1.1, label=label, **look)  # type: ignore[arg-type]
        if rows.low.notna().any() and len(models) <= model_styles.CROWDED:
            ends = np.array([rows[column] - rows.low, rows.high - rows[column]])
            axes.errorbar(
                x, rows[column], ends.clip(0), fmt="none", ecolor=str(look["color"]), elinewidth=0.7
            )
    axes.axhline(0, color="0.4", lw=0.8, zorder=0)
    axes.grid(alpha=0.3)
    axes.tick_params(labelsize=7)
    if not alike:
        axes.set_xlabel("relative depth", fontsize=8)
        return
    ticks: dict[float, str] = {}
    for name, place in places.items():
        ticks.setdefault(place, short(block_of(name)))
    step = -(-len(ticks) // TICKS)
    shown = list(ticks.items())[::step]
    axes.set_xticks([x for x, _ in shown], [text for _, text in shown], rotation=90, fontsize=6)


def block_of(branch: str) -> str:
    """The block that a branch is a part of; other branches by their own name.

    >>> block_of("layers.0.residual_group.blocks.1.attn"), block_of("model.2")
    ('layers.0.residual_group.blocks.1', 'model.2')
    """
    parts = branch.split(".")
    around = [".".join(parts[:i]) for i in range(1, len(parts))]
    return next(iter(block_names.select(around)), branch)


def axis_of(branches: Sequence[str]) -> dict[str, float]:
    """Where branches are on the axis: those of a block at one place."""
    blocks = list(dict.fromkeys(block_of(name) for name in branches))
    return {name: float(blocks.index(block_of(name))) for name in branches}
