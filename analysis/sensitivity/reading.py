"""What the table of sensitivity says, as sentences for the terminal and the page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.plotting.model_styles import located, short
from analysis.sensitivity.observer import DENOISED, IMAGE
from analysis.stats.jackknife import ENOUGH
from analysis.text import reasons
from analysis.text.intervals import about_intervals
from analysis.text.marginals import FEW, by_noise, tidy
from analysis.text.markdown import bounded, code, codes, listed, number, remarks
from analysis.text.model_differences import ModelDifferences
from analysis.text.noise_names import noise_label, noise_phrase, noise_phrases, noise_words
from analysis.text.rows import ends
from analysis.text.terminal import grid, plural

LARGE = 5
"""Gains above it may be due to small spreads rather than to large changes."""

Frames = Mapping[str, pd.DataFrame]
Manifest = Mapping[str, Any]


def outputs(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of the denoised image."""
    return frame[frame.layer == DENOISED]


def inside(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of layers, without input and output image."""
    return frame[~frame.layer.isin([IMAGE, DENOISED]) & frame.gain.notna()]


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """All that follows from the table, the most important first."""
    frame = frames["sensitivity"]
    return [
        *main(frames),
        *strongest(frame),
        *amplified(frame),
        *missing(frame),
        *conditions(frame, manifest),
        *scope(frame, manifest),
    ]


def main(frames: Frames) -> list[str]:
    """How much of the noise each model leaves in its output."""
    rows = tidy(outputs(frames["sensitivity"]), "gain", "gain_low", "gain_high")
    ratios = ModelDifferences.read(frames, "sensitivity_ratio", ratio=True)
    return by_noise(rows, "Gain of the denoised image", 3, differences=ratios)


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """The image's change, and each model's strongest layer and output, for the terminal."""
    frame, side = frames["sensitivity"], manifest["crop"]
    heading = (
        f"Change of each layer from clean to noisy, relative to its spread over clean images: "
        f"{plural(int(frame.crops.iloc[0]), 'crop')} of {side} x {side}\n"
        "gain: change over that of the noisy image; below 1 the noise is dampened"
    )
    rows = [["model", "noise", "image", "strongest layer", "gain", "denoised image", "gain"]]
    for (model, noise), part in frame.groupby(["model", "noise"], sort=False):
        by_layer = part.set_index("layer")
        gains = inside(part).set_index("layer").gain
        strongest = ["", "nan"]
        if len(gains):
            layer = str(gains.idxmax())
            strongest = [short(layer), gain(by_layer.loc[layer])]
        image, output = f"{by_layer.change[IMAGE]:.4f}", f"{by_layer.change[DENOISED]:.4f}"
        end = [output, gain(by_layer.loc[DENOISED])]
        rows.append([str(model), noise_label(noise), image, *strongest, *end])
    return f"{heading}\n{grid(rows)}"


def gain(row: Any) -> str:
    """A gain with its interval, as the terminal shows it."""
    if math.isnan(row.gain_low):
        return f"{row.gain:.3f}"
    return f"{row.gain:.3f} [{row.gain_low:.3f}, {row.gain_high:.3f}]"


def strongest(frame: pd.DataFrame) -> list[str]:
    """The layer of each model that noise moves most."""
    part = inside(frame)
    if part.empty:
        return []
    tops = part.loc[part.groupby("model", sort=False).gain.idxmax()]
    if len(tops) > FEW:
        tops = tops.sort_values("gain", kind="stable").iloc[[0, -1]]
    each = [
        f"{bounded(r['gain'], r['gain_low'], r['gain_high'])} in {code(r['model'])} "
        f"({located(r['layer'])}, under {noise_phrase(r['noise'])})"
        for r in tops.to_dict("records")
    ]
    which = ", least and most of all models" if len(tops) < part.model.nunique() else ""
    return [
        f"Largest gain of any layer under any noise{which}: {listed(each)}. As the largest of "
        "many layers and noises it was selected on these same crops.",
        *small_spreads(frame),
    ]


def small_spreads(frame: pd.DataFrame) -> list[str]:
    """A warning that gains may be due to small spreads rather than to large changes."""
    part = inside(frame)
    large = part[part.gain > LARGE].model
    if large.empty:
        return []
    return [
        f"Gains above {LARGE} ({codes(dict.fromkeys(large))}): a change is divided by the layer's "
        "spread over clean images, so that a small spread, such as that of a predicted residual, "
        "makes the gain large, too."
    ]


def amplified(frame: pd.DataFrame) -> list[str]:
    """Whether any output is shown to move more than its input."""
    part = outputs(frame)
    above = part[(part.gain_low > 1) & (part.photographs >= ENOUGH)]
    each = [
        f"{code(name)} under {noise_phrases(rows.noise, 3)}"
        for name, rows in above.groupby("model", sort=False)
    ]
    if not each:
        return []
    return [
        "The output is shown to move more than the noisy image itself, gain above 1: "
        f"{listed(each)}."
    ]


def missing(frame: pd.DataFrame) -> list[str]:
    """Which layers have no change, and why."""
    return reasons.missing(frame, "sensitivity.csv")


def conditions(frame: pd.DataFrame, manifest: Manifest) -> list[str]:
    """Other influences on the changes, besides the noise."""
    text = remarks(frame.note)
    if (frame.kind == "isp").any():
        text.append(
            "The camera pipeline also changes the image that is to be restored: changes under it "
            "are not due to noise alone."
        )
    if manifest.get("mask_draws") == "independent":
        text.append(
            "Attention masks were drawn independently under each noise: changes include the effect "
            "of different masks."
        )
    about = manifest.get("models", {})
    oracle = [name for name in about if about[name].get("usage", {}).get("sigma") == "oracle"]
    if oracle:
        text.append(
            f"{codes(oracle)}: noise-conditional, and given another noise level with the clean "
            "image than with the noisy one; changes include the effect of the level."
        )
    return text


def scope(frame: pd.DataFrame, manifest: Manifest) -> list[str]:
    """The scope of the numbers."""
    text = [
        "A small gain says that the output hardly depends on the noise, not that it is right: an "
        "output that never changes has gain 0."
    ]
    present = bool(frame.gain_low.notna().any())
    return [*text, *about_intervals(int(frame.photographs.iloc[0]), manifest, present)]


def alt(frames: Frames) -> str:
    """Of the curves: the largest gain of each model, and that of its output."""
    frame, each = frames["sensitivity"], []
    for model, rows in inside(frame).groupby("model", sort=False):
        top, gains = ends(rows, "gain")[1], outputs(frame[frame.model == model]).gain
        where = f"{short(top['layer'])} under {noise_words(top['noise'])}"
        each.append(
            f"{model}: up to {number(top['gain'])} at {where}, output "
            f"{number(gains.min())} to {number(gains.max())}"
        )
    return f"Gain over depth, a panel for each of {frame.noise.nunique()} noises. " + (
        f"{'; '.join(each[:FEW])}." if each else "No layer varies."
    )
