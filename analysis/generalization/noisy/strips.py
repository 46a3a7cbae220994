"""Strips of noisy pictures: the busiest square, noisy and by each model, and what was removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from analysis.commands.trainings import Trainings
from analysis.generalization.comparison_strips import MOST, WHOLE, WIDE, overview_step, titles_of
from analysis.generalization.noisy.observer import WINDOW
from analysis.generalization.settings import PICTURES
from analysis.generalization.trainings import with_trainings
from analysis.plotting.figure_style import new_figure
from analysis.plotting.pictures import as_rgb
from analysis.text.names import wrapped
from analysis.text.noise_labels import NOISY
from mtd.data.crops import Crop, busiest, place
from mtd.data.image_io import Pixels
from mtd.utils import array_files

STRIPS = 16
"""Most pictures of which a strip is made; of more, evenly spaced ones."""

GRAY = 128
"""A residual of 0."""


def shown(crops: Sequence[Crop]) -> list[Crop]:
    """The pictures of which strips are made."""
    if len(crops) <= STRIPS:
        return list(crops)
    return [crops[(2 * i + 1) * len(crops) // (2 * STRIPS)] for i in range(STRIPS)]


def table(crops: Sequence[Crop], trainings: Trainings, names: Sequence[str]) -> pd.DataFrame:
    """A row for each strip and picture in it: which square of which photograph it shows.

    Args:
        crops: the noisy pictures.
        trainings: of each model; the first is shown, which the column `training` names where a
            model has several.
        names: of the pictures' files, without ending.
    """
    by_digest = {crop.digest: name for crop, name in zip(crops, names, strict=True)}
    rows: list[dict[str, Any]] = []
    for number, crop in enumerate(shown(crops)):
        where = busiest(crop.pixels, WINDOW)
        corner = {"square_top": where[0].start, "square_left": where[1].start}
        rows += [
            {"strip": number, "file": by_digest[crop.digest], "model": name}
            | {**place(crop), **corner}
            for name in (NOISY, *(of[0] for of in trainings.values()))
        ]
    return with_trainings(pd.DataFrame(rows), trainings)


def to_bytes(
    crops: Sequence[Crop], squares: Mapping[str, Mapping[str, Pixels]], trainings: Trainings
) -> bytes:
    """The squares and overviews as a safetensors file, named by strip and by what they show."""
    from safetensors.numpy import save

    shown_as = {NOISY: NOISY} | {of[0]: model for model, of in trainings.items()}
    pictures: dict[str, Pixels] = {}
    for number, crop in enumerate(shown(crops)):
        step = overview_step(*crop.pixels.shape[:2])
        pictures[f"{number}/{WHOLE}"] = np.ascontiguousarray(crop.pixels[::step, ::step])
        own = squares[crop.digest]
        pictures |= {f"{number}/{shown_as[name]}": own[name] for name in own if name in shown_as}
    return bytes(save(pictures))


def gain(residuals: Sequence[Any]) -> int:
    """How much stronger residuals are shown, 1 to 16 times: 99% of the weakest one's values fit.

    >>> gain([np.full((2, 2, 3), 10)])
    12
    """
    largest = min(float(np.quantile(np.abs(residual), 0.99)) for residual in residuals)
    return int(min(16, max(1, 127 // max(largest, 1))))


def amplified(residual: Any, factor: int) -> Pixels:
    """A residual as gray around `GRAY`, (H, W, C) in 8 bits."""
    return np.asarray((GRAY + factor * residual).round().clip(0, 255), dtype=np.uint8)


def figures(file: bytes, frame: pd.DataFrame) -> dict[str, Figure]:
    """A figure for each strip, by the name of its file.

    Args:
        file: see `to_bytes`.
        frame: see `table`.
    """
    pictures, _ = array_files.read(file, PICTURES, "uint8", 3)
    return {
        f"strip_{rows.file.iloc[0]}": draw(rows, pictures)
        for _, rows in frame.groupby("strip", sort=False)
    }


def label(row: Any) -> str:
    """The name of a strip: its picture, and the corner of a crop that is not the first."""
    return str(row.image) + (f" {row.top} {row.left}" if row.top or row.left else "")


def draw(rows: pd.DataFrame, pictures: Mapping[str, Pixels]) -> Figure:
    """One strip: above the noisy picture and the outputs, below what each model removed."""
    first = rows.iloc[0]
    every = [name for name in rows.model if name != NOISY]
    models, titles = every[:MOST], titles_of(rows)
    noisy = pictures[f"{first.strip}/{NOISY}"]
    outputs = {name: pictures[f"{first.strip}/{name}"] for name in models}
    residuals = {name: noisy.astype(np.int64) - output for name, output in outputs.items()}
    factor = gain(list(residuals.values()))
    columns = 2 + len(models)
    figure = new_figure(1.9 * columns, 5.0)
    grid = figure.subplots(2, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    overview(grid[0][0], first, pictures[f"{first.strip}/{WHOLE}"], noisy.shape)
    for axes, (name, picture) in zip(grid[0][1:], {NOISY: noisy, **outputs}.items(), strict=True):
        axes.imshow(as_rgb(picture), interpolation="nearest")
        axes.set_title(wrapped(titles.get(name, name), WIDE), fontsize=8)
    for axes, residual in zip(grid[1][2:], residuals.values(), strict=True):
        axes.imshow(as_rgb(amplified(residual, factor)), interpolation="nearest")
        level = np.sqrt(np.square(residual).mean())
        axes.set_title(f"{level:.1f} levels", fontsize=8)
    times = f",\nshown {factor} times as strong" if factor > 1 else ""
    text = f"removed:\nnoisy input − output{times};\ngray is 0"
    grid[1][1].text(0.5, 0.5, text, ha="center", va="center", fontsize=8)
    more = f"; {MOST} of {len(every)} models" if len(every) > MOST else ""
    figure.suptitle(f"The busiest square of a noisy picture, which has no clean one{more}", size=10)
    return figure


def overview(axes: Any, row: Any, picture: Pixels, square: tuple[int, ...]) -> None:
    """The whole picture with the square framed."""
    step = overview_step(int(row.height), int(row.width))
    axes.imshow(as_rgb(picture))
    corner = (row.square_left / step - 0.5, row.square_top / step - 0.5)
    size = (square[1] / step, square[0] / step)
    axes.add_patch(Rectangle(corner, *size, fill=False, ec="red", lw=1.2))
    axes.set_title(wrapped(label(row), WIDE), fontsize=8)
