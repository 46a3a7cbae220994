"""What `python -m analysis.sensitivity` writes: the table with intervals, its figure, and text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.commands.inputs import RunInputs
from analysis.commands.run_folder import RunFolder, read_manifest, read_tables
from analysis.engine.observer import View
from analysis.plotting import model_styles
from analysis.plotting import model_styles as plotting_model_styles
from analysis.plotting.model_styles import CROWDED, style
from analysis.sensitivity.change import change, gain
from analysis.sensitivity.observer import DENOISED, IMAGE, Sums
from analysis.stats import jackknife
from analysis.text import terminal
from analysis.text.noise_labels import describe, preset

FEW = 10
"""With fewer crops intervals are rough."""

LARGE = 5
"""Gains above it come from small spreads more than from large changes."""

TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)


def table(found: Mapping[View, Mapping[str, Sums]], asked: RunInputs) -> pd.DataFrame:
    """One row for each model, noise and layer: the image itself, layers as they fire, the output.

    Intervals are the 95% jackknife of logarithms over photographs, or over crops where these are
    few, for `gain` with the same ones left out of the layer and of the image.
    """
    kinds = describe(asked.noises).set_index("noise")
    draws, unit = jackknife.draws([crop.scene or crop.image for crop in asked.crops])
    each = [int(draw) for draw in draws]
    rows = []
    for view, layers in found.items():
        image = change(layers[IMAGE], each)
        for index, (layer, sums) in enumerate(layers.items()):
            moved = change(sums, each)
            relative = gain(moved, image)
            bounds, gained = jackknife.log_interval(*moved), jackknife.log_interval(*relative)
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
                    "unit": unit,
                    "photographs": len({crop.scene or crop.image for crop in asked.crops}),
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
    drawn = Figure(figsize=size, dpi=plotting_model_styles.DPI, layout="constrained")
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
        f"{terminal.plural(int(frame.crops.iloc[0]), 'crop')}"
        + (f"; bands: 95% intervals, {left_out(frame)}" if banded else "")
    )
    drawn.suptitle("\n".join(filter(None, (heading, preset(frame)))), fontsize=10)
    model_styles.add(drawn, list(dict.fromkeys(frame.model)))
    return drawn


def panel(axes: Axes, noise: str, part: pd.DataFrame, models: list[str]) -> None:
    """The curves of one noise."""
    alike = part.groupby("index").layer.nunique().max() == 1
    for model, curve in part.groupby("model", sort=False):
        look = style(str(model), models)
        along = curve["index"] if alike else curve["index"] / curve["index"].max()
        axes.plot(along, curve.gain, label=str(model), lw=1.2, **look)  # type: ignore[arg-type]
        if curve.gain_low.notna().any() and len(models) <= CROWDED:
            band = {"color": str(look["color"]), "alpha": 0.2, "lw": 0}
            axes.fill_between(along, curve.gain_low, curve.gain_high, **band)  # type: ignore[arg-type]
    axes.axhline(1, color="0.4", lw=1, ls="--", zorder=0)
    axes.set_yscale("log")
    if alike:
        first = part[part.model == part.model.iloc[0]].sort_values("index")
        names = [plotting_model_styles.short(str(name)) for name in first.layer]
        size = 8 if len(names) <= 16 else 6
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
    else:
        axes.set_xlabel("relative depth: 0 the noisy image, 1 the denoised one", fontsize=9)
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
    crops = terminal.plural(int(frame.crops.iloc[0]), "crop")
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
            row += [plotting_model_styles.short(top), shown(layers.loc[top])]
        else:
            row += ["", "nan"]
        rows.append([*row, f"{ends.change[DENOISED]:.4f}", shown(ends.loc[DENOISED])])
    return "\n".join([*lines, terminal.grid(rows), *notes(frame, manifest)])


def left_out(frame: pd.DataFrame) -> str:
    """What the intervals leave out."""
    return jackknife.left_out(str(frame.unit.iloc[0]), int(frame.photographs.iloc[0]))


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
    told = [n for n, m in manifest["models"].items() if m.get("usage", {}).get("sigma") == "oracle"]
    if told:
        found.append(
            f"{', '.join(told)}: told another noise level with the clean image than with the noisy "
            "one; changes hold that too"
        )
    constant = frame[frame.change.isna()]
    if len(constant):
        names = ", ".join(dict.fromkeys(constant.layer))
        found.append(f"without variation over clean images, so without a change: {names}")
    crops = int(frame.crops.iloc[0])
    if frame.low.notna().any():
        rough = f"; {terminal.plural(crops, 'crop')}, so they are rough" if crops < FEW else ""
        found.append(f"[ ]: 95% intervals, {left_out(frame)}{rough}")
    layers = frame[~frame.layer.isin([IMAGE, DENOISED])]
    if (layers.gain > LARGE).any():
        names = ", ".join(dict.fromkeys(layers[layers.gain > LARGE].model))
        found.append(
            f"gains above {LARGE} ({names}): of layers that hardly vary over clean images, such as "
            "a predicted residual"
        )
    return [f"note: {note}" for note in found]
