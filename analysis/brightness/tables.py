"""The tables of brightness: numbers with intervals, single images, histograms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.brightness.observer import LEVELS, Brightness, numbers
from analysis.commands.inputs import RunInputs
from analysis.engine.observer import View
from analysis.stats import jackknife
from analysis.text.noise_labels import describe

CLEAN_IMAGES = "clean"
"""The name of the clean images' histograms, beside those of the models."""

Array = NDArray[np.float64]


def psnr(error: Array) -> Array:
    """10 log₁₀(255² / error) in dB of mean squared errors in squared 8-bit levels; ∞ for none."""
    with np.errstate(divide="ignore"):
        decibels: Array = 10 * np.log10(255**2 / error)
    return decibels


def matching(error: Array, matched: Array) -> float:
    """What the wrong brightness and contrast cost: mean over images of the difference of PSNR.

    10 log₁₀(error / matched) of each image, in dB; 0 where both errors are 0. An image that
    becomes the clean one, such as one of a single gray, would gain without limit: the mean is
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


def row(view: Brightness, draws: NDArray[np.int64]) -> dict[str, float]:
    """The numbers of a view, over all its images.

    shift, distance and difference are of the histograms of all pixels together; see
    `analysis.brightness.observer.numbers`. Intervals are the 95% jackknife over photographs
    (see `jackknife.draws`), output and clean image left out together, and are not clamped. psnr and
    psnr_matched are plain means over images, in dB, of outputs that are clipped and not rounded;
    matching is their difference, see `matching`.
    """
    shift, distance, difference = numbers(view.output.sum(0), view.clean.sum(0))
    value, without = np.stack([shift, distance]), np.full((0, 2), np.nan)
    if draws.max() + 1 >= jackknife.LEAST:
        rests = [draws != draw for draw in range(draws.max() + 1)]
        output, clean = (np.stack([side[rest].sum(0) for rest in rests]) for side in view[:2])
        without = np.stack(numbers(output, clean)[:2], 1)
    low, high = jackknife.interval(value, without)
    columns = {}
    for place, name in enumerate(("shift", "distance")):
        columns[name] = float(value[place])
        columns[f"{name}_low"], columns[f"{name}_high"] = float(low[place]), float(high[place])
    error, matched = view.fit.T[:2]
    return columns | {
        "difference": float(difference),
        "psnr": float(psnr(error).mean()),
        "psnr_matched": float(psnr(matched).mean()),
        "matching": matching(error, matched),
    }


def tables(views: Mapping[View, Brightness], inputs: RunInputs) -> dict[str, pd.DataFrame]:
    """brightness.csv: a row for each model and noise; images.csv: for each of their images, too.

    histograms.csv has the share of pixels at each level; `clean` stands among the models.
    """
    noises = describe(inputs.noises).set_index("noise")
    scenes = [crop.scene or crop.image for crop in inputs.crops]
    draws = jackknife.draws(scenes)
    rows, single_images = [], []
    for view, brightness in views.items():
        about = {"images": len(brightness.fit), "photographs": len(set(scenes))}
        about |= {"kind": noises.kind[view.noise], "note": noises.note[view.noise]}
        rows.append(view._asdict() | row(brightness, draws) | about)
        single_images.append(images(view, brightness, inputs))
    return {
        "brightness.csv": pd.DataFrame(rows),
        "images.csv": pd.concat(single_images, ignore_index=True),
        "histograms.csv": pd.concat(shares(views), ignore_index=True),
    }


def images(view: View, brightness: Brightness, inputs: RunInputs) -> pd.DataFrame:
    """The numbers of each image of a view: as in `row`, and slope and offset of the match.

    slope is a and offset b, in 8-bit levels, of `analysis.brightness.observer.fit`.
    """
    shift, distance, _ = numbers(brightness.output, brightness.clean)
    error, matched, slope, offset = brightness.fit.T
    crops = inputs.crops
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


def shares(views: Mapping[View, Brightness]) -> Iterator[pd.DataFrame]:
    """Share of pixels at each level, the clean images' first under each noise.

    They add up to 1. NaN for a model some of whose pixels have no brightness.
    """
    noises = set()
    for view, brightness in views.items():
        clean, output = brightness.clean.sum(0), brightness.output.sum(0)
        sides = [(view.model, output)]
        if view.noise not in noises:  # some noises change the clean target too
            noises.add(view.noise)
            sides = [(CLEAN_IMAGES, clean), *sides]
        for model, counts in sides:
            share = counts / (clean.sum() if counts.sum() == clean.sum() else np.nan)
            about = {"model": model, "noise": view.noise, "level": np.arange(LEVELS)}
            yield pd.DataFrame(about | {"share": share})
