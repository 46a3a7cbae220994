"""The table of sensitivity: how far every layer moves under every noise, with intervals."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from analysis.commands.inputs import RunInputs
from analysis.engine.observer import View
from analysis.sensitivity.change import change, gain, lacking
from analysis.sensitivity.observer import IMAGE, Sums
from analysis.stats import jackknife
from analysis.text.noise_labels import describe


def table(sums: Mapping[View, Mapping[str, Sums]], inputs: RunInputs) -> pd.DataFrame:
    """One row for each model, noise and layer: the image itself, layers as they fire, the output.

    Intervals are the 95% jackknife of logarithms over photographs, for `gain` with the same ones
    left out of the layer and of the image. `reason` says why a layer has no change.
    """
    noises = describe(inputs.noises).set_index("noise")
    scenes = [crop.scene or crop.image for crop in inputs.crops]
    draw_of_crop = [int(draw) for draw in jackknife.draws(scenes)]
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
                    "photographs": len(set(scenes)),
                    "crops": len(layer_sums.moved),
                    "positions": layer_sums.positions,
                    "channels": layer_sums.first.shape[1],
                    "note": noises.note[view.noise],
                    "reason": f"its {why}" if (why := lacking(layer_sums)) else "",
                }
            )
    return pd.DataFrame(rows)
