"""What the tables of brightness say, as sentences for the terminal and the page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.brightness.figures import crops_of
from analysis.text import markdown, verdicts
from analysis.text.intervals import about_intervals
from analysis.text.markdown import bounded, code, number
from analysis.text.noise_names import NOISY, noise_label, noise_phrase, noise_words
from analysis.text.rows import records
from analysis.text.terminal import grid, plural

Frames = Mapping[str, pd.DataFrame]
Manifest = Mapping[str, Any]

LEGEND = """\
shift: mean brightness of outputs minus that of clean images, over all crops; |shift|: the same of
each crop without its sign, mean over crops, where too dark and too bright do not cancel. distance:
Wasserstein-1 of the histograms of all crops. All three in 8-bit levels. difference: share of the
pixels by which these histograms differ, 0 to 1. matched: PSNR in dB after the best change of
brightness and contrast of each crop, gain: what that adds. Where noise is left, a lower contrast
reduces it, so that the noisy input gains, too."""


def sentences(frames: Frames, manifest: Manifest) -> list[str]:
    """All that follows from the tables, the most important first."""
    return [*main(frames), *exceptions(frames), *scope(frames, manifest)]


def main(frames: Frames) -> list[str]:
    """Which models' outputs are too dark or too bright, noise by noise."""
    sizes = shift_sizes(frames)
    rows = records(frames["brightness"])
    return [
        shift_of(row, sizes[row["model"], row["noise"]]) for row in rows if row["model"] != NOISY
    ]


def shift_sizes(frames: Frames) -> dict[tuple[str, str], float]:
    """Mean over crops of |shift|, by model and noise; NaN if one of the crops has none.

    Of several trainings it is their mean: they do not cancel each other.
    """
    images, single = frames["images"], frames.get("images_by_training")
    if single is not None:
        images = pd.concat([images[~images.model.isin(single.model)], single])
    rows = images.groupby(["model", "noise"], sort=False)["shift"]
    return {(str(m), str(n)): float(s.abs().mean(skipna=False)) for (m, n), s in rows}


def shift_of(row: Mapping[str, Any], size: float) -> str:
    """What a model's row says of its brightness: too dark, too bright, and whether that is shown.

    Args:
        row: of brightness.csv.
        size: mean of the crops' |shift|, in levels.
    """
    where = f"{code(row['model'])} under {noise_phrase(row['noise'])}"
    shift, low, high = (row[name] for name in ("shift", "shift_low", "shift_high"))
    if math.isnan(shift):
        return f"{where}: no numbers, as outputs hold values that are not finite."
    found = verdicts.verdict(low, high, int(row["photographs"]))
    if found != "shown":
        return (
            f"{where}: shift in brightness of {bounded(shift, low, high, signed=True)} levels: "
            f"{verdicts.in_words(found)}; single crops are {number(size)} levels off on average."
        )
    side = "bright" if shift > 0 else "dark"
    bounds = (low, high) if shift > 0 else (-high, -low)
    return (
        f"{where}: outputs are shown to be too {side}, by {bounded(abs(shift), *bounds)} levels. "
        "Matching brightness and contrast of each crop, which never lowers PSNR, adds "
        f"{number(row['matching'])} dB (mean without an interval)."
    )


def exceptions(frames: Frames) -> list[str]:
    """Crops without numbers, and those that matching makes the clean image."""
    text = []
    for (model, noise), part in frames["images"].groupby(["model", "noise"], sort=False):
        where = f"of {plural(len(part), 'crop')} of {code(model)} under {noise_phrase(noise)}"
        broken = int(part["shift"].isna().sum())
        if broken:
            text.append(f"{broken} {where} hold values that are not finite.")
        exact = int((np.isposinf(part.psnr_matched) & ~np.isposinf(part.psnr)).sum())
        if exact:
            text.append(
                f"{exact} {where} become the clean image once matched, and are left out of the "
                "gain."
            )
    return text


def scope(frames: Frames, manifest: Manifest) -> list[str]:
    """What the numbers and their intervals are about."""
    frame = frames["brightness"]
    text = markdown.remarks(frame.note)
    if hidden := manifest.get("input_mask"):
        text.append(
            f"{hidden:.0%} of the pixels were hidden from the networks; the noisy input has them "
            "in black."
        )
    present = bool(frame.shift_low.notna().any())
    return [*text, *about_intervals(int(frame.photographs.iloc[0]), manifest, present)]


def terminal_table(frames: Frames, manifest: Manifest) -> str:
    """The numbers of each model under each noise, for the terminal."""
    frame, side = frames["brightness"], manifest["crop"]
    heading = f"Brightness of outputs against clean images: {crops_of(frame)}, {side} x {side}"
    columns = ("shift", "|shift|", "distance", "difference", "PSNR", "matched", "gain")
    lines, sizes = [["model", "noise", *columns]], shift_sizes(frames)
    for row in records(frame):
        shift = bounded(row["shift"], row["shift_low"], row["shift_high"], signed=True)
        distance = bounded(row["distance"], row["distance_low"], row["distance_high"])
        size = number(sizes[row["model"], row["noise"]])
        decibels = [f"{row[name]:.2f}" for name in ("psnr", "psnr_matched", "matching")]
        values = [shift, size, distance, f"{row['difference']:.3f}", *decibels]
        lines.append([row["model"], noise_label(row["noise"]), *values])
    return f"{heading}\n{grid(lines)}\n{LEGEND}"


def alt(frames: Frames) -> str:
    """Of the histograms: each model's shift, noise by noise."""
    frame, each = frames["brightness"], []
    for model, rows in frame.groupby("model", sort=False):
        shifts = [
            f"{number(r['shift'], signed=True)} under {noise_words(r['noise'])}"
            for r in records(rows)
        ]
        each.append(f"{model} {', '.join(shifts)}")
    return (
        "Histograms of the brightness of outputs and of the clean images. Shift in 8-bit levels: "
        f"{'; '.join(each)}."
    )
