"""The tables of sensitivity: how far layers move under every noise, and ratios between models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from analysis.commands.inputs import RunInputs
from analysis.engine.observer import View
from analysis.sensitivity.change import change, gain, lacking
from analysis.sensitivity.observer import DENOISED, IMAGE, Sums
from analysis.stats import jackknife, model_differences
from analysis.stats.controls import Series
from analysis.text.noise_labels import describe


def tables(sums: Mapping[View, Mapping[str, Sums]], inputs: RunInputs) -> dict[str, pd.DataFrame]:
    """sensitivity.csv, see `table`, and sensitivity_ratio.csv, see `ratios`."""
    return {
        "sensitivity.csv": table(sums, inputs),
        "sensitivity_ratio.csv": ratios(sums, draws(inputs)),
    }


def draws(inputs: RunInputs) -> list[int]:
    """The photograph of each crop; see `jackknife.draws`."""
    scenes = [crop.scene or crop.image for crop in inputs.crops]
    return [int(draw) for draw in jackknife.draws(scenes)]


def ratios(sums: Mapping[View, Mapping[str, Sums]], draw_of_crop: Sequence[int]) -> pd.DataFrame:
    """Gain of the denoised image of every two models, b over a, by noise.

    Intervals are of logarithms; see `model_differences.table`.

    Args:
        sums: of every view and layer.
        draw_of_crop: the photograph of each crop.
    """
    values: dict[str, dict[str, Series]] = {}
    for view, layers in sums.items():
        sides = (change(layers[name], draw_of_crop) for name in (DENOISED, IMAGE))
        value, without = gain(*sides)
        values.setdefault(view.model, {})[view.noise] = Series(float(value), without)
    return model_differences.table(values, len(set(draw_of_crop)), ratio=True)


def table(sums: Mapping[View, Mapping[str, Sums]], inputs: RunInputs) -> pd.DataFrame:
    """One row for each model, noise and layer: the image itself, layers as they fire, the output.

    Intervals are the 95% jackknife of logarithms over photographs, for `gain` with the same ones
    left out of the layer and of the image. `reason` says why a layer has no change.
    """
    noises = describe(inputs.noises).set_index("noise")
    draw_of_crop = draws(inputs)
    rows = []
    for view, layers in sums.items():
        image_change = change(layers[IMAGE], draw_of_crop)
        for index, (layer, layer_sums) in enumerate(layers.items()):
            layer_change = change(layer_sums, draw_of_crop)
            layer_gain = gain(layer_change, image_change)
            bounds = jackknife.log_interval(*layer_change)
            gain_bounds = jackknife.log_interval(*layer_gain)
            rows.append(
                {
                    "model": view.model,
                    "noise": view.noise,
                    "kind": noises.kind[view.noise],
                    "level": noises.level[view.noise],
                    "layer": layer,
                    "index": index,
                    "change": float(layer_change[0]),
                    "low": float(bounds.low),
                    "high": float(bounds.high),
                    "gain": float(layer_gain[0]),
                    "gain_low": float(gain_bounds.low),
                    "gain_high": float(gain_bounds.high),
                    "photographs": len(set(draw_of_crop)),
                    "crops": len(layer_sums.moved),
                    "positions": layer_sums.positions,
                    "channels": layer_sums.first.shape[1],
                    "note": noises.note[view.noise],
                    "reason": f"its {why}" if (why := lacking(layer_sums)) else "",
                }
            )
    return pd.DataFrame(rows)
