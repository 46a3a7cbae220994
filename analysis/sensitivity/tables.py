"""The tables of sensitivity: how far layers move under every noise, and ratios between models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.commands.inputs import RunInputs
from analysis.commands.trainings import Trainings, of_models, several, with_single_trainings
from analysis.engine.observer import View
from analysis.sensitivity.change import change, gain, lacking
from analysis.sensitivity.observer import DENOISED, IMAGE, Sums
from analysis.stats import controls, jackknife, model_differences
from analysis.stats.controls import Series
from analysis.text.noise_labels import describe

Layers = Mapping[str, Sums]
"""The sums of a network under a noise, by layer."""


def tables(sums: Mapping[View, Layers], inputs: RunInputs) -> dict[str, pd.DataFrame]:
    """sensitivity.csv, see `table`, and sensitivity_ratio.csv, see `ratios`.

    Of a model with several trainings each is a mean over these, which have a table of their own.
    """

    def of(models: Trainings) -> dict[str, pd.DataFrame]:
        return {"sensitivity.csv": table(sums, inputs, models)}

    ratio = ratios(of_models(sums, inputs.trainings), draws(inputs))
    found = with_single_trainings(of, inputs.trainings, ["sensitivity"])
    return {**found, "sensitivity_ratio.csv": ratio}


def draws(inputs: RunInputs) -> list[int]:
    """The photograph of each crop; see `jackknife.draws`."""
    scenes = [crop.scene or crop.image for crop in inputs.crops]
    return [int(draw) for draw in jackknife.draws(scenes)]


class Measured(NamedTuple):
    """Change and gain of a layer: of a network, or means over the trainings of a model."""

    change: Series
    gain: Series


def measured(networks: Sequence[Layers], draw_of_crop: Sequence[int]) -> dict[str, Measured]:
    """Change and gain of every layer, means over the trainings of a model.

    Args:
        networks: the sums of each training.
        draw_of_crop: the photograph of each crop.
    """
    single: dict[str, list[Measured]] = {}
    for layers in networks:
        moved = {layer: change(sums, draw_of_crop) for layer, sums in layers.items()}
        for layer, own in moved.items():
            both = (own, gain(own, moved[IMAGE]))
            of = Measured(*(Series(float(value), without) for value, without in both))
            single.setdefault(layer, []).append(of)
    return {
        layer: Measured(*(controls.over_trainings(list(own)) for own in zip(*each, strict=True)))
        for layer, each in single.items()
    }


def bounds(of: Series) -> tuple[float, float]:
    """The 95% interval of a value above 0, that of its logarithm; see `controls.interval`."""
    low, high = controls.interval(of.log())
    return float(np.exp(low)), float(np.exp(high))


def intervals(of: Series, prefix: str = "") -> dict[str, float]:
    """The intervals of a value over photographs and over trainings; see `controls.columns`."""
    columns = controls.columns(of.log(), prefix=prefix)
    number = columns.pop(controls.COLUMNS[0])
    return {controls.COLUMNS[0]: number} | {
        name: float(np.exp(end)) for name, end in columns.items()
    }


def ratios(networks: Mapping[View, Sequence[Layers]], draw_of_crop: Sequence[int]) -> pd.DataFrame:
    """Gain of the denoised image of every two models, b over a, by noise.

    Intervals are of logarithms; see `model_differences.table`.

    Args:
        networks: of each model under each noise, the sums of its trainings.
        draw_of_crop: the photograph of each crop.
    """
    values: dict[str, dict[str, Series]] = {}
    for view, own in networks.items():
        ends = [{name: layers[name] for name in (IMAGE, DENOISED)} for layers in own]
        output = measured(ends, draw_of_crop)[DENOISED].gain
        values.setdefault(view.model, {})[view.noise] = output
    return model_differences.table(values, len(set(draw_of_crop)), ratio=True)


def table(sums: Mapping[View, Layers], inputs: RunInputs, models: Trainings) -> pd.DataFrame:
    """One row for each model, noise and layer: the image itself, layers as they fire, the output.

    Intervals are the 95% jackknife of logarithms over photographs, for `gain` with the same ones
    left out of the layer and of the image; from three trainings on they are over trainings too.
    `reason` says why a layer has no change.
    """
    noises = describe(inputs.noises).set_index("noise")
    draw_of_crop = draws(inputs)
    rows = []
    for view, networks in of_models(sums, models).items():
        for index, (layer, of) in enumerate(measured(networks, draw_of_crop).items()):
            first = networks[0][layer]
            low, high = bounds(of.change)
            gain_low, gain_high = bounds(of.gain)
            why = next(filter(None, (lacking(layers[layer]) for layers in networks)), "")
            more = intervals(of.change) | intervals(of.gain, "gain_") if several(models) else {}
            rows.append(
                {
                    "model": view.model,
                    "noise": view.noise,
                    "kind": noises.kind[view.noise],
                    "level": noises.level[view.noise],
                    "layer": layer,
                    "index": index,
                    "change": of.change.value,
                    "low": low,
                    "high": high,
                    "gain": of.gain.value,
                    "gain_low": gain_low,
                    "gain_high": gain_high,
                    "photographs": len(set(draw_of_crop)),
                    "crops": len(first.moved),
                    "positions": first.positions,
                    "channels": first.first.shape[1],
                    "note": noises.note[view.noise],
                    "reason": f"its {why}" if why else "",
                    **more,
                }
            )
    return pd.DataFrame(rows)
