"""SRGA against PSNR over the snapshots of training runs."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from analysis.plotting import model_styles
from analysis.plotting.figure_style import new_figure
from analysis.plotting.model_styles import style
from analysis.text.noise_names import noise_label


def figure(frame: pd.DataFrame) -> Figure:
    """A panel for each noise: each training's snapshots, those that are compared in full color.

    Args:
        frame: see `analysis.srga.matched_psnr.tables.snapshots`.
    """
    noises, models = (list(dict.fromkeys(frame[name])) for name in ("noise", "model"))
    columns = min(3, len(noises))
    rows = -(-len(noises) // columns)
    size = (4.2 * columns, 3.4 * rows + 0.4)
    drawn = new_figure(*size)
    grid = drawn.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes in grid.flat[len(noises) :]:
        axes.set_axis_off()
    for axes, noise in zip(grid.flat, noises, strict=False):
        part = frame[frame.noise == noise]
        for (model, _), line in part.groupby(["model", "training"], sort=False):
            look: dict[str, Any] = style(str(model), models)
            line = line.sort_values("step")
            axes.plot(line.psnr, line.srga, **(look | {"lw": 1, "ms": 3, "alpha": 0.5}))
            here = line[line.chosen]
            axes.plot(here.psnr, here.srga, **(look | {"ls": "none", "ms": 8}))
        axes.axvline(float(frame.target.iloc[0]), color="0.4", ls=":", lw=1)
        axes.set_title(noise_label(noise), fontsize=10)
        axes.grid(alpha=0.3)
    for axes in grid.flat[max(0, len(noises) - columns) : len(noises)]:  # the lowest of each column
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("PSNR under the reference (dB)", fontsize=9)
    for axes in grid[:, 0]:
        axes.set_ylabel("SRGA, lower is closer", fontsize=9)
    drawn.suptitle(
        "SRGA and PSNR of the snapshots of each training, in the order of their steps\n"
        "large: the snapshots compared; dotted: the PSNR that all trainings reach",
        fontsize=10,
    )
    model_styles.add(drawn, models)
    return drawn
