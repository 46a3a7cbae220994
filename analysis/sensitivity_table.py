"""What `python -m analysis.sensitivity` writes: the table with intervals, its figure, and text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import jackknife, plots, standings
from analysis.engine import View
from analysis.layer_changes import DENOISED, IMAGE, Sums
from analysis.level_curves import CROWDED, preset, style
from analysis.runs import RunFolder, read_manifest, read_tables
from analysis.scores import describe
from analysis.sensitivity import change, gain
from mtd.noise import Noise
from mtd.recorded import Recorded

FEW = 10
"""With fewer crops intervals are rough."""

TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


def table(
    found: Mapping[View, Mapping[str, Sums]], noises: Sequence[Noise | Recorded]
) -> pd.DataFrame:
    """One row for each model, noise and layer: the image itself, layers as they fire, the output.

    Intervals are the 95% jackknife over crops, for `gain` with the same crop left out of the layer
    and of the image.
    """
    kinds = describe(noises).set_index("noise")
    rows = []
    for view, layers in found.items():
        image = change(layers[IMAGE])
        for index, (layer, sums) in enumerate(layers.items()):
            moved = change(sums)
            relative = gain(moved, image)
            bounds, gained = jackknife.interval(*moved), jackknife.interval(*relative)
            rows.append(
                {
                    "model": view.model,
                    "noise": view.noise,
                    "kind": kinds.kind[view.noise],
                    "level": kinds.level[view.noise],
                    "layer": layer,
                    "index": index,
                    "change": float(moved[0]),
                    "low": float(bounds.low),
                    "high": float(bounds.high),
                    "gain": float(relative[0]),
                    "gain_low": float(gained.low),
                    "gain_high": float(gained.high),
                    "crops": len(sums.moved),
                    "positions": sums.positions,
                    "channels": sums.first.shape[1],
                    "note": kinds.note[view.noise],
                }
            )
    return pd.DataFrame(rows)


def figure(frame: pd.DataFrame) -> Figure:
    """Gain over depth, a panel for each noise and a line for each model, 95% intervals as bands.

    The scale is logarithmic and common to all panels; below 1 a layer moves less than its input.
    """
    panels = list(frame.groupby("noise", sort=False))
    columns = 2 if len(panels) in (2, 4) else min(3, len(panels))
    rows = -(-len(panels) // columns)
    names = list(frame[frame.model == frame.model.iloc[0]].drop_duplicates("layer").layer)
    width = max(4.6, 1.2 + 0.22 * len(names))
    size = (width * columns, 3.4 * rows + 1.1)
    drawn = Figure(figsize=size, dpi=plots.DPI, layout="constrained")
    grid = drawn.subplots(rows, columns, squeeze=False, sharey=True)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    for axes, (noise, part) in zip(grid.flat, panels, strict=False):
        panel(axes, str(noise), part, list(dict.fromkeys(frame.model)))
    for axes in grid[:, 0]:
        axes.set_ylabel("gain: change over that of the noisy image", fontsize=8)
        scale(axes, frame.gain)
    banded = frame.low.notna().any() and frame.model.nunique() <= CROWDED
    heading = (
        "How far each layer moves from a clean image to the noisy one\n"
        "relative to its spread over clean images; dashed: as much as the image itself\n"
        f"{standings.plural(int(frame.crops.iloc[0]), 'crop')}"
        + ("; bands: 95% jackknife intervals over crops" if banded else "")
    )
    drawn.suptitle("\n".join(filter(None, (heading, preset(frame)))), fontsize=10)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)), fontsize=8)
    return drawn


def panel(axes: Axes, noise: str, part: pd.DataFrame, models: list[str]) -> None:
    """The curves of one noise."""
    for model, curve in part.groupby("model", sort=False):
        look = style(str(model), models)
        axes.plot(curve["index"], curve.gain, label=str(model), lw=1.2, **look)  # type: ignore[arg-type]
        if curve.gain_low.notna().any() and len(models) <= CROWDED:
            # an interval that reaches 0 has no place on a logarithmic scale
            low = np.maximum(curve.gain_low, curve.gain / 10)
            axes.fill_between(
                curve["index"], low, curve.gain_high, color=str(look["color"]), alpha=0.2, lw=0
            )
    axes.axhline(1, color="0.4", lw=1, ls="--", zorder=0)
    axes.set_yscale("log")
    alike = part.groupby("index").layer.nunique().max() == 1
    first = part[part.model == part.model.iloc[0]].sort_values("index")
    names = [plots.short(str(name)) if alike else str(i) for i, name in enumerate(first.layer)]
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=8 if len(names) <= 16 else 6)
    if not alike:
        axes.set_xlabel("layer, from the noisy image (0) to the denoised one", fontsize=9)
    moved = part[part.layer == IMAGE].change.iloc[0]
    axes.set_title(f"{noise} (the image itself changes by {moved:.3f})", fontsize=9)
    axes.grid(alpha=0.3)


def scale(axes: Axes, gains: pd.Series) -> None:
    """Round ticks on the logarithmic axis that all panels share."""
    low, high = gains.min() / 1.5, gains.max() * 1.5
    if low > 0 and math.isfinite(high):
        shown = [tick for tick in TICKS if low <= tick <= high]
        axes.set_yticks(shown, [f"{tick:g}" for tick in shown], fontsize=8)
        axes.set_yticks([], minor=True)


def report(folder: RunFolder) -> str:
    """Write the figure and return the text."""
    frame = read_tables(folder.path, ["sensitivity"])["sensitivity"]
    manifest = read_manifest(folder.path)
    folder.figure("sensitivity.png", figure(frame))
    return text(frame, manifest)


def text(frame: pd.DataFrame, manifest: dict[str, Any]) -> str:
    """The image's change, each model's strongest layer and output, and what must be known."""
    crops = standings.plural(int(frame.crops.iloc[0]), "crop")
    side = manifest["crop"]
    lines = [
        f"Change of each layer from clean to noisy, relative to its spread: {crops} of {side} x "
        f"{side}",
        "gain: change over that of the noisy image; below 1 the noise is dampened",
    ]
    rows = [["model", "noise", "image", "strongest layer", "gain", "denoised image", "gain"]]
    for (model, noise), part in frame.groupby(["model", "noise"], sort=False):
        ends = part.set_index("layer")
        layers = ends.drop([IMAGE, DENOISED])
        row = [str(model), str(noise), f"{ends.change[IMAGE]:.4f}"]
        if layers.gain.notna().any():
            top = str(layers.gain.idxmax())
            row += [plots.short(top), shown(layers.loc[top])]
        else:
            row += ["", "nan"]
        rows.append([*row, f"{ends.change[DENOISED]:.4f}", shown(ends.loc[DENOISED])])
    return "\n".join([*lines, standings.grid(rows), *notes(frame, manifest)])


def shown(row: Any) -> str:
    """A gain with its interval."""
    if math.isnan(row.gain_low):
        return f"{row.gain:.3f}"
    return f"{row.gain:.3f} [{row.gain_low:.3f}, {row.gain_high:.3f}]"


def notes(frame: pd.DataFrame, manifest: dict[str, Any]) -> list[str]:
    """What a reader must know of these numbers."""
    found = sorted(set(frame.note) - {""})
    if (frame.kind == "isp").any():
        found.append("isp changes the right answer too: its change is not of noise alone")
    if manifest["mask_pairing"] == "independent":
        found.append("attention masks were drawn anew under each noise: changes hold theirs too")
    constant = frame[frame.change.isna()]
    if len(constant):
        names = ", ".join(dict.fromkeys(constant.layer))
        found.append(f"without variation over clean images, so without a change: {names}")
    if int(frame.crops.iloc[0]) < FEW:
        found.append(f"{int(frame.crops.iloc[0])} crops are few; intervals are rough")
    return [f"note: {note}" for note in found]
