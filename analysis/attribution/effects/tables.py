"""The tables of causal effect maps; their file is as that of local attribution."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from torch import Tensor

from analysis.attribution import integrated_gradients
from analysis.attribution.effects import effects
from analysis.attribution.integrated_gradients import Window
from analysis.attribution.tables import ENDS, VALUES, Maps, described
from analysis.commands.inputs import RunInputs
from analysis.text.noise_labels import describe

EFFECTS, MAPS = "effects", "effects.safetensors"
"""The table, and the file of the maps in a run folder."""

AVERAGED = ("outside", "negative", "reach50", "reach90")
"""The columns of which there are means with intervals."""

COMPARED = ("outside", "negative")
"""The columns of which there are differences between models."""

MEASURED = ["psnr", *AVERAGED, "border", "effect_inside", "effect_outside", "largest", "refined"]
"""Columns of numbers of a map."""


def table(maps: Maps, inputs: RunInputs, windows: Sequence[Window], side: int) -> pd.DataFrame:
    """One row for each model, noise and crop; see `numbers`.

    Args:
        maps: of networks.
        inputs: of the run.
        windows: in the order of its crops.
        side: of a block, in pixels.
    """
    noises = describe(inputs.noises).set_index("noise")
    rows = []
    for (view, i), tensors in maps.items():
        crop, window = inputs.crops[i], windows[i]
        grid = effects.blocks(crop.pixels.shape[:2], window, side)
        psnr, refined = tensors[ENDS].tolist()
        rows.append(
            {
                **described(view, i, crop, window, noises),
                "block": side,
                "blocks": len(grid),
                "psnr": psnr,
                **numbers(tensors[VALUES], window, grid),
                "refined": int(refined),
                "reason": reason(psnr, tensors[VALUES]),
                "note": noises.note[view.noise],
            }
        )
    return pd.DataFrame(rows)


def numbers(values: Tensor, window: Window, grid: Sequence[effects.Block]) -> dict[str, float]:
    """What a map holds.

    `outside`: the share of Σ |CE(i)| that is of blocks outside the window. Of Σ |CE(i)| over these
    alone, `negative` is the share of blocks with CE(i) < 0, and `reach50` and `reach90` are the
    pixels by which the window must be widened to hold 50% and 90%; `border` is the share of blocks
    at the border of the crop; NaN where it is 0.
    `effect_inside` and `effect_outside`: Σ CE(i) of the blocks inside the window and outside, in
    dB; `largest`: the effect of largest absolute value, in dB.

    Args:
        values: (1, H, W), in dB.
        window: of the output, made of whole blocks.
        grid: the blocks.
    """
    each = np.array(effects.of_blocks(values, grid))
    if not np.isfinite(each).all():
        names = ("outside", "negative", "reach50", "reach90", "border")
        return dict.fromkeys((*names, "effect_inside", "effect_outside", "largest"), math.nan)
    inside = np.array([within(block, window) for block in grid])
    height, width = values.shape[1:]
    beyond, rim = each[~inside], np.array([at_border(block, height, width) for block in grid])
    total, far = float(np.abs(each).sum()), float(np.abs(beyond).sum())
    top, left, side = window
    shares = effects.by_pixel(values, grid)
    shares[top : top + side, left : left + side] = 0
    return {
        "outside": far / total if total else math.nan,
        "negative": float(-beyond[beyond < 0].sum()) / far if far else math.nan,
        "reach50": integrated_gradients.reach(shares, window, 0.5),
        "reach90": integrated_gradients.reach(shares, window, 0.9),
        "border": float(np.abs(each[rim & ~inside]).sum()) / far if far else math.nan,
        "effect_inside": float(each[inside].sum()),
        "effect_outside": float(beyond.sum()),
        "largest": float(each[np.abs(each).argmax()]),
    }


def within(block: effects.Block, window: Window) -> bool:
    """Whether a block is inside a window."""
    rows = window.top <= block.top < window.top + window.side
    return rows and window.left <= block.left < window.left + window.side


def at_border(block: effects.Block, height: int, width: int) -> bool:
    """Whether a block is at the border of an image."""
    rows = block.top == 0 or block.top + block.height == height
    return rows or block.left == 0 or block.left + block.width == width


def reason(psnr: float, values: Tensor) -> str:
    """Why a map has no numbers; empty if it has."""
    if psnr == math.inf:
        return effects.EXACT
    return "" if bool(values.isfinite().all()) else effects.UNDEFINED
