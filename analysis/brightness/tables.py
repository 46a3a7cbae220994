"""The tables of brightness: numbers with intervals, single images, histograms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.brightness.observer import LEVELS, Brightness, numbers
from analysis.commands.inputs import RunInputs
from analysis.commands.trainings import Trainings, of_models, several, with_single_trainings
from analysis.engine.observer import View
from analysis.stats import controls, jackknife, trainings
from analysis.stats.controls import Series
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


BOUNDED = ("shift", "distance")
"""The columns that have intervals."""


def row(networks: Sequence[Brightness], draws: NDArray[np.int64]) -> dict[str, float]:
    """The numbers of a model under a noise, over all images: means over its trainings.

    shift, distance and difference are of the histograms of all pixels together; see
    `analysis.brightness.observer.numbers`. Intervals are the 95% jackknife over photographs
    (see `jackknife.draws`), output and clean image left out together, and are not clamped; from
    three trainings on they are over trainings too. psnr and psnr_matched are plain means over
    images, in dB, of outputs that are clipped and not rounded; matching is their difference, see
    `matching`.

    Args:
        networks: the model's trainings.
        draws: (images,), the photograph of each.
    """
    values, without, samples = bounded(networks, draws)
    photographs = jackknife.interval(values, without)
    low, high = trainings.both(photographs, values, trainings.half_width(samples))
    columns = {}
    for place, name in enumerate(BOUNDED):
        columns[name] = float(values[place])
        columns[f"{name}_low"], columns[f"{name}_high"] = float(low[place]), float(high[place])
    errors = [view.fit.T[:2] for view in networks]
    return columns | {
        "difference": float(np.mean([of_histograms(view)[2] for view in networks])),
        "psnr": float(np.mean([psnr(error).mean() for error, _ in errors])),
        "psnr_matched": float(np.mean([psnr(matched).mean() for _, matched in errors])),
        "matching": float(np.mean([matching(error, matched) for error, matched in errors])),
    }


def intervals(networks: Sequence[Brightness], draws: NDArray[np.int64]) -> dict[str, float]:
    """The intervals of `row` over photographs and over trainings; see `controls.columns`."""
    values, without, samples = bounded(networks, draws)
    columns: dict[str, float] = {}
    for place, name in enumerate(BOUNDED):
        own = Series(values[place], without[:, place], tuple(part[:, place] for part in samples))
        columns |= controls.columns(own, prefix=f"{name}_")
    return columns


def bounded(
    networks: Sequence[Brightness], draws: NDArray[np.int64]
) -> tuple[Array, Array, trainings.Samples]:
    """`BOUNDED` of a model: (2,), (photographs, 2) without each photograph, and of each training.

    There is nothing without photographs where they are too few for an interval.
    """
    single = np.stack([of_histograms(view)[:2] for view in networks])
    without = np.full((0, 2), np.nan)
    if draws.max() + 1 >= jackknife.LEAST:
        without = np.mean([left_out(view, draws) for view in networks], axis=0)
    return single.mean(0), without, (single,) if len(networks) > 1 else ()


def of_histograms(view: Brightness) -> Array:
    """(3,) shift, distance and difference of all images."""
    return np.stack(numbers(view.output.sum(0), view.clean.sum(0)))


def left_out(view: Brightness, draws: NDArray[np.int64]) -> Array:
    """(photographs, 2) shift and distance without each photograph."""
    rests = [draws != draw for draw in range(draws.max() + 1)]
    output, clean = (np.stack([side[rest].sum(0) for rest in rests]) for side in view[:2])
    return np.stack(numbers(output, clean)[:2], 1)


TABLES = ("brightness", "images", "histograms")


def tables(views: Mapping[View, Brightness], inputs: RunInputs) -> dict[str, pd.DataFrame]:
    """brightness.csv: a row for each model and noise; images.csv: for each of their images, too.

    histograms.csv has the share of pixels at each level; `clean` stands among the models. Of a
    model with several trainings each is a mean over these, which have tables of their own.
    """

    def of(models: Trainings) -> dict[str, pd.DataFrame]:
        return of_these(models, views, inputs)

    return with_single_trainings(of, inputs.trainings, TABLES)


def of_these(
    models: Trainings, views: Mapping[View, Brightness], inputs: RunInputs
) -> dict[str, pd.DataFrame]:
    """The tables of models, each with the networks that are its trainings."""
    noises = describe(inputs.noises).set_index("noise")
    scenes = [crop.scene or crop.image for crop in inputs.crops]
    draws = jackknife.draws(scenes)
    networks = of_models(views, models)
    rows, single_images = [], []
    for view, own in networks.items():
        about = {"images": len(scenes), "photographs": len(set(scenes))}
        about |= {"kind": noises.kind[view.noise], "note": noises.note[view.noise]}
        more = intervals(own, draws) if several(models) else {}
        rows.append(view._asdict() | row(own, draws) | about | more)
        single_images.append(images(view, own, inputs))
    return {
        "brightness.csv": pd.DataFrame(rows),
        "images.csv": pd.concat(single_images, ignore_index=True),
        "histograms.csv": pd.concat(shares(networks), ignore_index=True),
    }


def images(view: View, networks: Sequence[Brightness], inputs: RunInputs) -> pd.DataFrame:
    """The numbers of each image: as in `row`, and slope and offset of the match.

    slope is a and offset b, in 8-bit levels, of `analysis.brightness.observer.fit`. Each is a mean
    over the trainings of a model.
    """
    crops = inputs.crops
    own = np.mean([of_images(brightness) for brightness in networks], axis=0)
    return pd.DataFrame(
        {
            "model": view.model,
            "noise": view.noise,
            "image": [crop.image for crop in crops],
            "top": [crop.top for crop in crops],
            "left": [crop.left for crop in crops],
            "sha256": [crop.digest for crop in crops],
            **dict(zip(OF_IMAGES, own, strict=True)),
        }
    )


OF_IMAGES = ("shift", "distance", "psnr", "psnr_matched", "slope", "offset")


def of_images(brightness: Brightness) -> Array:
    """(numbers, images) `OF_IMAGES` of a network."""
    shift, distance, _ = numbers(brightness.output, brightness.clean)
    error, matched, slope, offset = brightness.fit.T
    return np.stack([shift, distance, psnr(error), psnr(matched), slope, offset])


def shares(views: Mapping[View, Sequence[Brightness]]) -> Iterator[pd.DataFrame]:
    """Share of pixels at each level, the clean images' first under each noise.

    They add up to 1. NaN for a model some of whose pixels have no brightness.

    Args:
        views: by model and noise, the model's trainings, over which shares are means.
    """
    noises = set()
    for view, networks in views.items():
        clean = networks[0].clean.sum(0)
        sides = [(view.model, [brightness.output.sum(0) for brightness in networks])]
        if view.noise not in noises:  # some noises change the clean target too
            noises.add(view.noise)
            sides = [(CLEAN_IMAGES, [clean]), *sides]
        for model, counts in sides:
            whole = [n / (clean.sum() if n.sum() == clean.sum() else np.nan) for n in counts]
            share = np.mean(whole, axis=0)
            about = {"model": model, "noise": view.noise, "level": np.arange(LEVELS)}
            yield pd.DataFrame(about | {"share": share})
