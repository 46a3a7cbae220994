"""Figures of local linear maps, each drawn from the tables that a run folder holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.plotting import model_styles
from analysis.plotting.figure_style import new_figure
from analysis.plotting.model_styles import CROWDED, style
from analysis.text.intervals import bands
from analysis.text.names import wrapped
from analysis.text.noise_labels import preset
from analysis.text.noise_names import noise_label


def all_of(frames: Mapping[str, pd.DataFrame]) -> dict[str, Figure]:
    """All figures of a run that have something to show, by file name without ending."""
    linear, singular = frames["linear"], frames["singular_values"]
    found = {"levels": levels(frames["levels"])}
    found["equivariance"] = equivariance(frames["equivariance"])
    if linear.mse.notna().any():
        found["linear"] = risk(linear)
    if len(singular):
        found["singular_values"] = singular_values(singular)
    return found


def panels(count: int, width: float = 4.2, height: float = 3.3) -> tuple[Figure, list[Axes]]:
    """A figure with a row of panels, at most three beside each other."""
    columns = 2 if count in (2, 4) else min(3, count)
    rows = -(-count // columns)
    size = (max(6.0, width * columns), height * rows + 1.2)
    figure = new_figure(*size)
    grid = list(figure.subplots(rows, columns, squeeze=False, sharey=True).flat)
    for axes in grid[count:]:
        axes.set_axis_off()
    return figure, grid[:count]


def singular_values(frame: pd.DataFrame) -> Figure:
    """Singular values in order, a panel for each noise and a line for each model."""
    models, noises = (list(dict.fromkeys(frame[name])) for name in ("model", "noise"))
    figure, grid = panels(len(noises))
    for axes, noise in zip(grid, noises, strict=True):
        draw_singular_values(axes, frame[frame.noise == noise], models)
        axes.set_title(noise_label(noise), fontsize=9)
    grid[0].set_ylabel("singular value, mean over crops", fontsize=9)
    text = "Singular values of the Jacobian of each network"
    if "error" in frame and frame.error.any():
        text = f"Leading {text[0].lower()}{text[1:]}; bands: bounds of their errors"
    figure.suptitle(
        f"{text}\n1: a direction of the input keeps its strength; 0: it is removed", fontsize=10
    )
    model_styles.add(figure, models, marked=False)
    return figure


def draw_singular_values(axes: Axes, part: pd.DataFrame, models: Sequence[str]) -> None:
    """The singular values of one noise on given axes, a line for each model."""
    for model, rows in part.groupby("model", sort=False):
        look = style(str(model), models) | {"marker": None}
        axes.plot(rows["index"] + 1, rows.value, lw=1.4, label=str(model), **look)  # type: ignore[arg-type]
        if "error" in rows and rows.error.any():
            high = rows.value + rows.error
            band = {"color": str(look["color"]), "alpha": 0.2, "lw": 0}
            axes.fill_between(rows["index"] + 1, rows.value, high, **band)  # type: ignore[arg-type]
    axes.axhline(1, color="0.4", lw=1, ls="--", zorder=0)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("index of the singular value", fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)


def levels(frame: pd.DataFrame) -> Figure:
    """PSNR over the level of Gaussian noise, a line for each model and one for the noisy input."""
    models = list(dict.fromkeys(frame.model))
    figure, (axes,) = panels(1, 6.4, 3.8)
    draw_levels(axes, frame, models)
    many = frame.psnr_low.notna().any() and len(models) <= CROWDED
    about = f"\nbands: {bands(int(frame.photographs.iloc[0]))}" if many else ""
    figure.suptitle(f"PSNR by level of Gaussian noise; dotted: the noisy input{about}", fontsize=10)
    model_styles.add(figure, models)
    return figure


def draw_levels(axes: Axes, frame: pd.DataFrame, models: Sequence[str]) -> None:
    """PSNR over the level of Gaussian noise on given axes."""
    for model, rows in frame.groupby("model", sort=False):
        look, ordered = style(str(model), models), rows.sort_values("sigma")
        axes.plot(ordered.sigma, ordered.psnr, lw=1.4, label=str(model), **look)  # type: ignore[arg-type]
        if ordered.psnr_low.notna().any() and len(models) <= CROWDED:
            band = {"color": str(look["color"]), "alpha": 0.2, "lw": 0}
            axes.fill_between(ordered.sigma, ordered.psnr_low, ordered.psnr_high, **band)  # type: ignore[arg-type]
    first = frame[frame.model == frame.model.iloc[0]].sort_values("sigma")
    axes.plot(first.sigma, first.input_psnr, color="0.4", lw=1, ls=":", zorder=0)
    axes.set_xlabel("standard deviation of the noise, 8-bit levels", fontsize=9)
    axes.set_ylabel("PSNR (dB)", fontsize=9)
    axes.grid(alpha=0.3)


def equivariance(frame: pd.DataFrame) -> Figure:
    """The relative error under each change of the input, a panel for each noise."""
    models, noises = (list(dict.fromkeys(frame[name])) for name in ("model", "noise"))
    figure, grid = panels(len(noises), 3.8, 3.9)
    changes = list(dict.fromkeys(frame.change))
    for axes, noise in zip(grid, noises, strict=True):
        for place, model in enumerate(models):
            rows = frame[(frame.noise == noise) & (frame.model == model)]
            at = np.arange(len(changes)) + (place - (len(models) - 1) / 2) * 0.6 / len(models)
            look = style(model, models) | {"ls": "none"}
            axes.plot(rows.error, at, **look)  # type: ignore[arg-type]
            if rows.error_low.notna().any() and len(models) <= CROWDED:
                axes.hlines(at, rows.error_low, rows.error_high, color=str(look["color"]), lw=1)
        axes.set_yticks(range(len(changes)), changes, fontsize=8)
        axes.set_xscale("symlog", linthresh=1e-4)
        known = frame[["error", "error_high"]].max().max()
        axes.set_xlim(0, 1.5 * known if known > 0 else 1)
        axes.set_xlabel("relative error", fontsize=9)
        axes.set_title(noise_label(noise), fontsize=9)
        axes.grid(alpha=0.3)
    grid[0].invert_yaxis()
    figure.suptitle(
        "Difference between the output for the changed input and the changed output,\n"
        "relative to the latter; 0: the output changes as the input does (scale linear below "
        "0.0001)",
        fontsize=10,
    )
    model_styles.add(figure, models, lines=False)
    return figure


def risk(frame: pd.DataFrame) -> Figure:
    """SURE beside the true mean squared error, a pair of points for each model and noise."""
    models, noises = (list(dict.fromkeys(frame[name])) for name in ("model", "noise"))
    size = (max(6.0, 1.7 * len(noises) + 2), 4.6)
    figure = new_figure(*size)
    axes = figure.subplots()
    for place, model in enumerate(models):
        rows = frame[frame.model == model].set_index("noise").reindex(noises)
        at = np.arange(len(noises)) + (place - (len(models) - 1) / 2) * 0.7 / len(models)
        color = str(style(model, models)["color"])
        axes.bar(at, rows.mse, 0.6 / len(models), color=color, alpha=0.45)
        axes.plot(at, rows.sure, ls="none", marker="D", ms=5, color=color, mec="black", mew=0.6)
        if rows.sure_low.notna().any():
            axes.vlines(at, rows.sure_low, rows.sure_high, color="black", lw=1)
    axes.axhline(0, color="0.4", lw=0.8)
    axes.set_xticks(
        range(len(noises)), [wrapped(noise_label(noise), 14) for noise in noises], fontsize=8
    )
    axes.set_ylabel("squared 8-bit levels", fontsize=9)
    axes.grid(alpha=0.3, axis="y")
    text = "Bars: true mean squared error; diamonds: Stein's estimate of it (SURE)"
    if frame.sure_low.notna().any():
        most = int(frame.trainings.max()) if "trainings" in frame else 1
        text += f"\nlines: {bands(int(frame.photographs.iloc[0]), most)} of SURE"
    figure.suptitle("\n".join(filter(None, (text, preset(frame)))), fontsize=10)
    model_styles.add(figure, models, marked=False)
    return figure
