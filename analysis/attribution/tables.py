"""What `python -m analysis.attribution` writes: maps, a table of them, the figure, and text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from torch import Tensor

from analysis.attribution import integrated_gradients
from analysis.attribution.integrated_gradients import Attribution, Window
from analysis.attribution.maps import ENDS, NOISY, VALUES
from analysis.commands.inputs import RunInputs
from analysis.commands.run_folder import RunFolder, read_manifest, read_tables
from analysis.engine.observer import View
from analysis.plotting import model_styles
from analysis.text import terminal
from analysis.text.names import wrapped
from analysis.text.noise_labels import CLEAN, describe, preset
from mtd.utils import atomic_write
from mtd.utils.errors import BadInput

MAPS = "attribution.safetensors"

WARN = 0.05
"""Relative error of completeness above which a map is warned of."""

MOST = 6
"""Crops in the figure."""

FLOOR = 1e-3
"""Lowest value of the colour scale, as a share of a map's largest."""

Array = NDArray[np.float32]


def named(noise: str) -> str:
    """What a noise is called in figures and text."""
    return "clean" if noise == CLEAN else noise


def table(
    found: Mapping[tuple[View, int], Mapping[str, Tensor]],
    asked: RunInputs,
    windows: Sequence[Window],
) -> pd.DataFrame:
    """One row for each model, noise and crop; see `analysis.attribution.integrated_gradients` for
    the numbers."""
    kinds = describe(asked.noises).set_index("noise")
    rows = []
    for (view, i), held in found.items():
        crop, window = asked.crops[i], windows[i]
        start, end = held[ENDS].tolist()
        one = Attribution(held[VALUES], start, end)
        rows.append(
            {
                "model": view.model,
                "noise": view.noise,
                "kind": kinds.kind[view.noise],
                "level": kinds.level[view.noise],
                "crop": i,
                "image": crop.image,
                "top": crop.top,
                "left": crop.left,
                "sha256": crop.digest,
                "window_top": window.top,
                "window_left": window.left,
                "side": window.side,
                "di": integrated_gradients.diffusion_index(one.map),
                "outside": outside(one.map, window),
                "reach50": integrated_gradients.reach(one.map, window, 0.5),
                "reach90": integrated_gradients.reach(one.map, window, 0.9),
                "start": one.start,
                "end": one.end,
                "sum": float(one.values.sum()),
                "completeness": one.error,
                "note": kinds.note[view.noise],
            }
        )
    return pd.DataFrame(rows)


def outside(values: Tensor, window: Window) -> float:
    """The share of the attribution, from 0 to 1, that lies outside the window itself."""
    top, left, side = window
    whole = float(values.sum())
    inside = float(values[top : top + side, left : left + side].sum())
    return 1 - inside / whole if whole else float("nan")


def save(
    folder: RunFolder,
    found: Mapping[tuple[View, int], Mapping[str, Tensor]],
    asked: RunInputs,
    windows: Sequence[Window],
) -> None:
    """Write the table, and beside it the signed maps and noisy crops, (3, H, W) in float32.

    The tensors are numbered; the file's metadata say which is which, as a list of [model, noise,
    crop], the model of a noisy crop being the empty text.
    """
    from safetensors.torch import save as to_bytes

    tensors: dict[str, Tensor] = {}
    names: list[tuple[str, str, int]] = []
    for (view, i), held in found.items():
        for model, value in ((view.model, held[VALUES]), ("", held[NOISY])):
            if (model, view.noise, i) not in names:
                tensors[str(len(names))] = value.float().contiguous()
                names.append((model, view.noise, i))
    atomic_write.write(folder.path / MAPS, to_bytes(tensors, {"names": json.dumps(names)}))
    folder.table("attribution.csv", table(found, asked, windows))


def read(folder: RunFolder) -> dict[tuple[str, str, int], Array]:
    """The maps and noisy crops that `save` wrote, by model (or ""), noise and crop.

    Raises:
        BadInput: the file is missing or damaged.
    """
    from safetensors import SafetensorError, safe_open

    path = folder.path / MAPS
    try:
        with safe_open(path, framework="np") as file:
            names = json.loads(file.metadata()["names"])
            return {
                (model, noise, i): file.get_tensor(str(place))
                for place, (model, noise, i) in enumerate(names)
            }
    except (OSError, SafetensorError, TypeError, KeyError, ValueError) as error:
        raise BadInput(f"{path}: not the maps of a run ({error})") from None


def figure(frame: pd.DataFrame, pictures: Mapping[tuple[str, str, int], Array]) -> Figure:
    """Maps over the grey input, beside that input; a row for each crop, the window framed.

    Columns are grouped by noise: the input, then each model. Colours are of |attribution| as a
    share of the map's largest value, on one logarithmic scale.
    """
    models, noises = (list(dict.fromkeys(frame[name])) for name in ("model", "noise"))
    crops = list(dict.fromkeys(frame.crop))[:MOST]
    columns = len(noises) * (1 + len(models))
    size = (1.45 * columns + 1.1, 1.7 * len(crops) + 1.0)
    drawn = Figure(figsize=size, dpi=model_styles.DPI, layout="constrained")
    grid = drawn.subplots(len(crops), columns, squeeze=False)
    rows = {(r["model"], r["noise"], r["crop"]): r for r in frame.to_dict("records")}
    for line, i in zip(grid, crops, strict=True):
        for place, noise in enumerate(noises):
            group = line[place * (1 + len(models)) :]
            first = rows[models[0], noise, i]
            window = Window(first["window_top"], first["window_left"], first["side"])
            noisy = pictures["", noise, i]
            head = named(noise) if i == crops[0] else ""
            show(group[0], noisy, None, window, f"{wrapped(head, 16)}\n")
            for axes, model in zip(group[1:], models, strict=False):
                row = rows[model, noise, i]
                what = f"DI {row['di']:.1f}, {row['outside']:.0%} outside"
                head = wrapped(model, 16) if i == crops[0] else ""
                show(axes, noisy, pictures[model, noise, i], window, f"{head}\n{what}")
        line[0].set_ylabel(wrapped(rows[models[0], noises[0], i]["image"], 16), fontsize=7)
    bar = drawn.colorbar(
        ScalarMappable(LogNorm(FLOOR, 1), colormaps["inferno"]), ax=grid, shrink=0.8, pad=0.01
    )
    bar.set_label("|attribution|, share of the map's largest", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    heading = (
        "Which pixels of the input (first of each group) a model uses for the framed window of its "
        "output\nDI: diffusion index, higher is more pixels; outside: share of the attribution "
        "that is outside the window"
    )
    drawn.suptitle("\n".join(filter(None, (heading, preset(frame)))), fontsize=9)
    return drawn


def show(axes: Axes, image: Array, values: Array | None, window: Window, title: str) -> None:
    """An input, or a map over it, with the window framed."""
    colour = np.clip(image, 0, 1).transpose(1, 2, 0)
    if values is not None:
        strength = np.abs(values.sum(0))
        share = strength / max(float(strength.max()), 1e-30)
        scaled = np.clip(1 - np.log(np.maximum(share, FLOOR)) / np.log(FLOOR), 0, 1)
        # the picture stays visible where little is used
        over = np.clip(2 * scaled, 0, 0.9)[..., None]
        grey = 0.5 * np.repeat(colour.mean(2, keepdims=True), 3, 2)
        colour = (1 - over) * grey + over * colormaps["inferno"](scaled)[..., :3]
    axes.imshow(colour, interpolation="nearest")
    corner = (window.left - 0.5, window.top - 0.5)
    edge = "red" if values is None else "cyan"
    axes.add_patch(Rectangle(corner, window.side, window.side, fill=False, ec=edge, lw=1))
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, fontsize=7)


def report(folder: RunFolder) -> str:
    """Write the figure and return the text."""
    frame = read_tables(folder.path, ["attribution"])["attribution"]
    manifest = read_manifest(folder.path)
    folder.figure("attribution.png", figure(frame, read(folder)))
    return text(frame, manifest)


def text(frame: pd.DataFrame, manifest: dict[str, Any]) -> str:
    """Means over crops for each model and noise, and what must be known of them."""
    crops, side = frame.crop.nunique(), int(frame.side.iloc[0])
    lines = [
        f"Local attribution of {side} x {side} windows: {terminal.plural(crops, 'crop')} of "
        f"{manifest['crop']} x {manifest['crop']}, {manifest['steps']} steps from a blur of "
        f"sigma {manifest['sigma']:g}; means over crops"
    ]
    rows = [["model", "noise", "DI", "outside", "90% in px", "detail, from", "to", "worst error"]]
    for (model, noise), part in frame.groupby(["model", "noise"], sort=False):
        means = part[["di", "outside", "reach90", "start", "end"]].mean()
        row = [f"{means.di:.2f}", f"{means.outside:.1%}", f"{means.reach90:.1f}"]
        row += [f"{means.start:.2f}", f"{means.end:.2f}", f"{part.completeness.max():.2%}"]
        rows.append([str(model), named(str(noise)), *row])
    return "\n".join([*lines, terminal.grid(rows), *notes(frame, manifest)])


def notes(frame: pd.DataFrame, manifest: dict[str, Any]) -> list[str]:
    """What a reader must know of these numbers."""
    found = sorted(set(frame.note) - {""})
    if manifest["mask_pairing"] == "independent":
        found.append("attention masks were drawn anew under each noise: maps differ by theirs too")
    if undefined := int(frame.completeness.isna().sum()):
        found.append(f"{undefined} of {len(frame)} windows hold no detail: nothing to explain")
    bad = frame[frame.completeness > WARN]
    if len(bad):
        found.append(
            f"{len(bad)} of {len(frame)} maps miss more than {WARN:.0%} of what they explain "
            "(column completeness): raise --steps"
        )
    edge = frame[["window_top", "window_left"]].min(axis=1)
    far = manifest["crop"] - frame.side - frame[["window_top", "window_left"]].max(axis=1)
    cut = (frame.reach90 > np.minimum(edge, far)).sum()
    if cut:
        found.append(
            f"{cut} of {len(frame)} maps reach the border of their crop: raise --crop to see all"
        )
    crops = frame.crop.nunique()
    if crops > MOST:
        found.append(f"the figure has the first {MOST} of {crops} crops")
    return [f"note: {note}" for note in found]
