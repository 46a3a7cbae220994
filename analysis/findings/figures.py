"""Figures of the findings: PSNR by ratio of the input mask, and PSNR by noise level."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.figure import Figure

from analysis.generalization import summary
from analysis.generalization.conditions import references_in
from analysis.plotting import model_styles
from analysis.plotting.figure_style import new_figure, noise_look
from analysis.plotting.model_styles import style
from analysis.text.noise_labels import NOISY, kind_label, level_unit
from mtd.utils.messages import plural

RATIOS = {
    "baseline": -15,
    "attention-only": 0,
    "input-15-25": 20,
    "input-35-45": 40,
    "input-55-65": 60,
    "input-65-75": 70,
    "input-75-85": 80,
    "input-85-95": 90,
}
"""Ratio of the input mask in percent, middle of its range, by cell of Figure 7; below 0: none."""


def tradeoff(cells: pd.DataFrame) -> Figure | None:
    """PSNR under the noise trained on and under the mixture, over the ratio of the input mask.

    The paper's Figure 7. Bars are 95% intervals over images; crosses are trainings of other seeds;
    dotted lines are the noisy input. The network without masks is not connected to the others,
    which have an attention mask as well.

    Args:
        cells: see `analysis.findings.contrasts.cells`; cells that are not in `RATIOS` are left out.

    Returns:
        None for fewer than two cells.
    """
    rows = cells[(cells.metric == "psnr") & cells.model.isin(list(RATIOS))]
    if len(rows) < 2:
        return None
    rows = rows.assign(ratio=rows.model.map(RATIOS)).sort_values("ratio")
    again = cells[(cells.metric == "psnr") & cells.model.str.contains("-seed")]
    again = again.assign(ratio=again.model.str.partition("-seed")[0].map(RATIOS))
    figure = new_figure(6.6, 4.6)
    axes = figure.subplots()
    for column, label, look in (
        ("in_distribution", "Gaussian noise, σ = 15, trained on", noise_look(0)),
        ("mixture", "mixture, unseen", noise_look(1)),
    ):
        for masked, part in rows.groupby(rows.ratio >= 0):
            sides = (part[column] - part[f"{column}_low"], part[f"{column}_high"] - part[column])
            bars = axes.errorbar(part.ratio, part[column], sides, ls="-", ms=4, capsize=3, **look)
            if masked or (rows.ratio < 0).all():
                bars.set_label(label)
        axes.plot(again.ratio, again[column], "x", color=look["color"], ms=5, mew=1)
        for value in cells[(cells.metric == "psnr") & (cells.model == NOISY)][column]:
            axes.axhline(value, color=look["color"], ls=":", lw=1.2, label=f"noisy input, {label}")
    if len(again):
        axes.plot([], [], "x", color="0.4", ms=5, mew=1, label="trainings of other seeds")
    axes.set_xticks(rows.ratio, [f"{r}%" if r >= 0 else "no\nmasks" for r in rows.ratio])
    axes.set_xlabel("ratio of the input mask, middle of its range")
    axes.set_ylabel(summary.label("psnr"))
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", frameon=False, ncols=2, fontsize=8)
    return figure


def about_tradeoff(cells: pd.DataFrame) -> str:
    """What `tradeoff` shows, for its caption."""
    return (
        "PSNR under the noise trained on and under the mixture, over the ratio of the input mask "
        f"(after Figure 7 of the paper), of {_images(cells)}. Bars: 95% intervals over these; "
        "crosses: trainings of other seeds; dotted: the noisy input."
    )


def about_levels(measured: pd.DataFrame) -> str:
    """What `levels` shows, for its caption."""
    return f"PSNR over noise level (after Figure 11 of the paper), mean over {_images(measured)}."


def _images(frame: pd.DataFrame) -> str:
    """How many images a table's numbers are of."""
    column = next((name for name in ("photographs", "images", "crops") if name in frame), None)
    return (
        "the images of the study"
        if column is None
        else plural(int(frame[column].max()), column[:-1])
    )


def levels(measured: pd.DataFrame, paper: pd.DataFrame) -> Figure | None:
    """PSNR over noise level, one panel for each kind of noise; the paper's curves are dashed.

    The paper's Figure 11.

    Args:
        measured: see `analysis.generalization.scoring.noises`.
        paper: `published.table("figure11")`.

    Returns:
        None if no kind of the paper was measured.
    """
    rows = measured[measured.metric == "psnr"]
    rows = rows[~rows.model.isin(references_in(rows))]
    kinds = [str(kind) for kind in paper.kind.unique() if kind in set(rows.kind)]
    if not kinds:
        return None
    models, mixed = list(dict.fromkeys(rows.model)), "mixture" in kinds
    lines, across = math.ceil(len(kinds) / 2), min(2, len(kinds))
    figure = new_figure(4.3 * across, 3.4 * lines + 0.8)
    panels = figure.subplots(lines, across, squeeze=False)
    for axes in panels.flat[len(kinds) :]:
        axes.remove()
    for axes in panels[:, 0]:
        axes.set_ylabel(summary.label("psnr"))
    for axes, kind in zip(panels.flat, kinds, strict=False):
        for model, part in rows[rows.kind == kind].groupby("model", sort=False):
            part = part.sort_values("level")
            axes.plot(part.level, part["mean"], **style(str(model), models))
        for model, part in paper[paper.kind == kind].groupby("model", sort=False):
            if model in models:
                line = style(str(model), models) | {"ls": (0, (4, 2)), "mfc": "white"}
                axes.plot(part.level, part.psnr, **line)
        axes.set_title(kind_label(kind))
        axes.set_xlabel(level_unit(kind))
        axes.grid(alpha=0.3)
    figure.suptitle(
        "filled marks: measured; open marks: the paper's networks, read off its Figure 11"
        + ("\nmixture: this project's own preset, since the paper's is not public" * mixed)
    )
    model_styles.add(figure, models)
    return figure
