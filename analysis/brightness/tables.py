"""What `python -m analysis.brightness` writes: numbers with intervals, histograms, and text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.brightness import figures
from analysis.brightness.observer import LEVELS, Brightness, numbers
from analysis.commands.inputs import RunInputs
from analysis.commands.run_folder import RunFolder, read_manifest, read_tables
from analysis.engine.observer import View
from analysis.stats import jackknife
from analysis.stats.jackknife import Interval
from analysis.text import terminal
from analysis.text.noise_labels import NOISY, describe

CLEAN = "clean"
"""The name under which the clean images' histograms stand beside the models'."""

TABLES = ("brightness", "images", "histograms")

FEW = 10
"""With fewer crops intervals are rough."""

Array = NDArray[np.float64]


def psnr(error: Array) -> Array:
    """10 log₁₀(255² / error) in dB of mean squared errors in squared 8-bit levels; ∞ for none."""
    with np.errstate(divide="ignore"):
        found: Array = 10 * np.log10(255**2 / error)
    return found


def matching(error: Array, matched: Array) -> float:
    """What the wrong brightness and contrast cost: mean over images of the difference of PSNR.

    10 log₁₀(error / matched) of each image, in dB; 0 where both errors are 0. An image that
    becomes the clean one, such as one of a single grey, would gain without limit: the mean is
    over the others, and infinite if there are none.

    Args:
        error: (images,) mean squared errors.
        matched: (images,), the same with brightness and contrast matched; see
            `analysis.brightness.observer.fit`.
    """
    equal = (error == 0) & (matched == 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        gains = np.where(equal, 0, 10 * np.log10(error / matched))
    limited = gains[~np.isposinf(gains)]
    return float((limited if len(limited) else gains).mean())


def row(held: Brightness, draws: NDArray[np.int64]) -> dict[str, float]:
    """The numbers of a view, over all its images.

    shift, distance and difference are of the histograms of all pixels together; see
    `analysis.brightness.observer.numbers`. Intervals are the 95% jackknife over draws (see
    `jackknife.draws`), output and clean image left out together, and are not clamped. psnr and
    psnr_matched are plain means over images, in dB, of outputs that are clipped and not rounded;
    matching is their difference, see `matching`.
    """
    shift, distance, difference = numbers(held.output.sum(0), held.clean.sum(0))
    value, without = np.stack([shift, distance]), np.full((0, 2), np.nan)
    if draws.max() > 1:
        kept = [draws != draw for draw in range(draws.max() + 1)]
        output, clean = (np.stack([side[part].sum(0) for part in kept]) for side in held[:2])
        without = np.stack(numbers(output, clean)[:2], 1)
    low, high = jackknife.interval(value, without)
    found = {}
    for place, name in enumerate(("shift", "distance")):
        found[name] = float(value[place])
        found[f"{name}_low"], found[f"{name}_high"] = float(low[place]), float(high[place])
    error, matched = held.fit.T[:2]
    return found | {
        "difference": float(difference),
        "psnr": float(psnr(error).mean()),
        "psnr_matched": float(psnr(matched).mean()),
        "matching": matching(error, matched),
    }


def tables(found: Mapping[View, Brightness], asked: RunInputs) -> dict[str, pd.DataFrame]:
    """brightness.csv: a row for each model and noise; images.csv: for each of their images, too.

    histograms.csv has the share of pixels at each level; `clean` stands among the models.
    """
    kinds = describe(asked.noises).set_index("noise")
    scenes = [crop.scene or crop.image for crop in asked.crops]
    draws, unit = jackknife.draws(scenes)
    rows, each = [], []
    for view, held in found.items():
        about = {"images": len(held.fit), "photographs": len(set(scenes)), "unit": unit}
        about |= {"kind": kinds.kind[view.noise], "note": kinds.note[view.noise]}
        rows.append(view._asdict() | row(held, draws) | about)
        each.append(images(view, held, asked))
    return {
        "brightness.csv": pd.DataFrame(rows),
        "images.csv": pd.concat(each, ignore_index=True),
        "histograms.csv": pd.concat(shares(found), ignore_index=True),
    }


def images(view: View, held: Brightness, asked: RunInputs) -> pd.DataFrame:
    """The numbers of each image of a view: as in `row`, and slope and offset of the match.

    slope is a and offset b, in 8-bit levels, of `analysis.brightness.observer.fit`.
    """
    shift, distance, _ = numbers(held.output, held.clean)
    error, matched, slope, offset = held.fit.T
    crops = asked.crops
    return pd.DataFrame(
        {
            "model": view.model,
            "noise": view.noise,
            "image": [crop.image for crop in crops],
            "top": [crop.top for crop in crops],
            "left": [crop.left for crop in crops],
            "sha256": [crop.digest for crop in crops],
            "shift": shift,
            "distance": distance,
            "psnr": psnr(error),
            "psnr_matched": psnr(matched),
            "slope": slope,
            "offset": offset,
        }
    )


def shares(found: Mapping[View, Brightness]) -> Iterator[pd.DataFrame]:
    """Share of pixels at each level, the clean images' first under each noise.

    They add up to 1. NaN for a model some of whose pixels have no brightness.
    """
    done = set()
    for view, held in found.items():
        clean, output = held.clean.sum(0), held.output.sum(0)
        sides = [(view.model, output)]
        if view.noise not in done:  # some noises change the right answer too
            done.add(view.noise)
            sides = [(CLEAN, clean), *sides]
        for model, counts in sides:
            share = counts / (clean.sum() if counts.sum() == clean.sum() else np.nan)
            about = {"model": model, "noise": view.noise, "level": np.arange(LEVELS)}
            yield pd.DataFrame(about | {"share": share})


def report(folder: RunFolder) -> str:
    """Write the figure and return the text."""
    frames, manifest = read_tables(folder.path, TABLES), read_manifest(folder.path)
    figure = figures.figure(frames["brightness"], frames["histograms"])
    folder.figure("brightness.png", figure)
    return text(frames, manifest)


def text(frames: Mapping[str, pd.DataFrame], manifest: Mapping[str, Any]) -> str:
    """The table for a reader, what follows from it for each model, and what must be known."""
    frame = frames["brightness"]
    lines = [
        f"Brightness of outputs against clean images: {figures.over(frame)}, "
        f"{manifest['crop']} x {manifest['crop']}"
    ]
    heads = ("shift", "|shift|", "distance", "difference", "PSNR", "matched", "gain")
    rows, said = [["model", "noise", *heads]], []
    each = frames["images"].groupby(["model", "noise"])["shift"].agg(size)
    for held in frame.to_dict("records"):
        alone = float(each[held["model"], held["noise"]])
        apart = [bounded(held, "shift", "+"), signed(alone), bounded(held, "distance")]
        decibels = [f"{held[name]:.2f}" for name in ("psnr", "psnr_matched", "matching")]
        rows.append([held["model"], held["noise"], *apart, f"{held['difference']:.3f}", *decibels])
        if held["model"] != NOISY:
            said.append(sentence(held, alone))
    return "\n".join([*lines, terminal.grid(rows), EXPLAINED, *said, *notes(frames, manifest)])


EXPLAINED = """\
shift: mean brightness of outputs minus that of clean images, over all crops; |shift|: the same of
each crop without its sign, mean over crops, where too dark and too bright do not cancel. distance:
Wasserstein-1 of the histograms of all crops. All three in 8-bit levels. difference: of these
histograms, 0 to 1. matched: PSNR in dB after the best change of brightness and contrast of each
crop, gain: what that adds. Where noise is left a lower contrast takes some of it away, so that the
noisy input gains by that too."""


def size(shifts: pd.Series) -> float:
    """Mean of shifts without their signs; NaN if there is none for one of the crops."""
    return float(shifts.abs().mean(skipna=False))


def bounded(held: Mapping[Any, Any], name: str, sign: str = "") -> str:
    """A value with its interval, if it has one."""
    value, *bounds = (held[f"{name}{end}"] for end in ("", "_low", "_high"))
    shown = signed(value, sign)
    return shown if math.isnan(bounds[0]) else f"{shown} {between(Interval(*bounds), sign)}"


def between(bounds: Interval, sign: str = "") -> str:
    """An interval in brackets."""
    return f"[{signed(float(bounds.low), sign)}, {signed(float(bounds.high), sign)}]"


def signed(value: float, sign: str = "") -> str:
    """A number of levels; nothing is -0.00."""
    return f"{round(value, 2) + 0.0:{sign}.2f}"


def sentence(held: Mapping[Any, Any], alone: float) -> str:
    """What a model's row says of its brightness: too dark, too bright, or undecided.

    Args:
        held: the row.
        alone: mean of the crops' |shift|, in levels.
    """
    where = f"{held['model']} under {held['noise']}"
    shift, low, high = (held[name] for name in ("shift", "shift_low", "shift_high"))
    if math.isnan(shift):
        return f"{where} puts out values that are not finite: no numbers"
    if math.isnan(low):
        return f"{where}: undecided, too few crops for an interval"
    if low <= 0 <= high:
        return (
            f"{where}: whether its images are too dark or too bright is undecided, "
            f"{bounded(held, 'shift', '+')} levels; one by one they are {signed(alone)} levels off"
        )
    bounds, side = (Interval(low, high), "bright") if shift > 0 else (Interval(-high, -low), "dark")
    return (
        f"{where} puts out images {signed(abs(shift))} levels too {side} {between(bounds)}; "
        f"set right in brightness and contrast, it would have {held['matching']:.2f} dB more"
    )


def notes(frames: Mapping[str, pd.DataFrame], manifest: Mapping[str, Any]) -> list[str]:
    """What a reader must know of these numbers."""
    frame, each = frames["brightness"], frames["images"]
    found = sorted(set(frame.note) - {""})
    crops = int(frame.images.iloc[0])
    if frame.shift_low.notna().any():
        rough = f"; {terminal.plural(crops, 'crop')}, so they are rough" if crops < FEW else ""
        left_out = jackknife.left_out(str(frame.unit.iloc[0]), int(frame.photographs.iloc[0]))
        found.append(f"[ ]: 95% intervals, {left_out}{rough}")
    else:
        found.append("no intervals: they need 3 crops, and values that are finite")
    if hidden := manifest.get("input_mask"):
        found.append(f"{hidden:.0%} of the pixels were hidden, which the noisy input has in black")
    for (model, noise), part in each.groupby(["model", "noise"], sort=False):
        where = f"of {terminal.plural(len(part), 'crop')} of {model} under {noise}"
        broken = int(part["shift"].isna().sum())
        if broken:
            found.append(f"{broken} {where} hold values that are not finite")
        exact = int((np.isposinf(part.psnr_matched) & ~np.isposinf(part.psnr)).sum())
        if exact:
            found.append(f"{exact} {where} become the clean image, and are left out of the gain")
    return [f"note: {note}" for note in found]
