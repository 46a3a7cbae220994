"""The tables of attribution, and the file of its maps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from analysis.attribution import integrated_gradients
from analysis.attribution.integrated_gradients import Attribution, Window
from analysis.attribution.settings import MAPS
from analysis.commands.inputs import RunInputs
from analysis.engine.observer import View
from analysis.stats import jackknife, model_differences
from analysis.stats.controls import NOTHING, Series
from analysis.text.noise_labels import describe
from mtd.utils.errors import BadInput

VALUES, ENDS, NOISY = "values", "ends", "noisy"
"""What is computed of a map: its values, the objective at both ends of the path, the input."""

Maps = Mapping[tuple[View, int], Mapping[str, Tensor]]
"""Maps by view and by the crop's place."""

Pictures = Mapping[tuple[str, str, int], NDArray[np.float32]]
"""Maps by model, noise and crop; noisy crops with the empty text as model."""


def windows(manifest: Mapping[str, Any]) -> list[Window]:
    """The windows of a run, in the order of its crops."""
    return [Window(*window) for window in manifest["windows"]]


def table(maps: Maps, inputs: RunInputs, windows: Sequence[Window]) -> pd.DataFrame:
    """One row for each model, noise and crop; see `analysis.attribution.integrated_gradients` for
    the numbers."""
    noises = describe(inputs.noises).set_index("noise")
    rows = []
    for (view, i), tensors in maps.items():
        crop, window = inputs.crops[i], windows[i]
        start, end = tensors[ENDS].tolist()
        attribution = Attribution(tensors[VALUES], start, end)
        strength = attribution.map
        rows.append(
            {
                "model": view.model,
                "noise": view.noise,
                "kind": noises.kind[view.noise],
                "level": noises.level[view.noise],
                "crop": i,
                "image": crop.image,
                "scene": crop.scene or crop.image,
                "top": crop.top,
                "left": crop.left,
                "sha256": crop.digest,
                "window_top": window.top,
                "window_left": window.left,
                "side": window.side,
                "di": integrated_gradients.diffusion_index(strength),
                "outside": outside(strength, window),
                "reach50": integrated_gradients.reach(strength, window, 0.5),
                "reach90": integrated_gradients.reach(strength, window, 0.9),
                "start": attribution.start,
                "end": attribution.end,
                "sum": float(attribution.values.sum()),
                "completeness": attribution.error,
                "note": noises.note[view.noise],
            }
        )
    return pd.DataFrame(rows)


AVERAGED = ("di", "outside", "reach50", "reach90")
"""The columns of which there are means with intervals."""

COMPARED = ("di", "outside")
"""The columns of which there are differences between models."""


def means(frame: pd.DataFrame) -> pd.DataFrame:
    """Means over crops of each model under each noise, with 95% intervals over photographs.

    Maps without a value are left out, column by column.

    Args:
        frame: see `table`.
    """
    rows = []
    for (model, noise), part in frame.groupby(["model", "noise"], sort=False):
        row = {"model": model, "noise": noise}
        row |= {"crops": len(part), "photographs": part.scene.nunique()}
        for name in AVERAGED:
            known = part[part[name].notna()]
            mean = jackknife.mean(known[name], list(known.scene))
            row |= {name: mean.value, f"{name}_low": mean.low, f"{name}_high": mean.high}
        rows.append(row)
    return pd.DataFrame(rows)


def over_noises(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Mean over noises of each model's map of a crop: (crops, models), indexed by scene and crop.

    Crops of which a model has no value under some noise are left out, for all models.
    """
    rows = ["scene", "crop"]
    wide = frame.pivot(index=rows, columns=["model", "noise"], values=column).dropna()
    by_model = wide.T.groupby(level="model", sort=False).mean().T
    return by_model[list(dict.fromkeys(frame.model))]


def differences(frame: pd.DataFrame) -> pd.DataFrame:
    """`COMPARED` of every two models in the same windows, b minus a, by noise.

    `measure` names the quantity; for the other columns see `model_differences.table`. Crops of
    which a model has no value under some noise are left out, for all models.

    Args:
        frame: see `table`.
    """
    frames = []
    for measure in COMPARED:
        rows = ["scene", "crop"]
        wide = frame.pivot(index=rows, columns=["model", "noise"], values=measure).dropna()
        draws = jackknife.draws(list(map(str, wide.index.get_level_values("scene"))))
        values: dict[str, dict[str, Series]] = {}
        for model, noise in frame[["model", "noise"]].drop_duplicates().itertuples(index=False):
            of = left_out(wide[model, noise].to_numpy(), draws)
            values.setdefault(str(model), {})[str(noise)] = of
        count = len(set(draws.tolist()))
        frames.append(model_differences.table(values, count).assign(measure=measure))
    return pd.concat(frames, ignore_index=True)


def left_out(values: NDArray[np.float64], draws: NDArray[np.int64]) -> Series:
    """The mean over crops, and without each photograph; NaN of none."""
    if not len(values):
        return NOTHING
    count = int(draws.max()) + 1
    without = [values[draws != draw].mean() for draw in range(count) if count > 1]
    return Series(float(values.mean()), np.array(without))


def outside(values: Tensor, window: Window) -> float:
    """The share of the attribution, from 0 to 1, that lies outside the window itself."""
    top, left, side = window
    whole = float(values.sum())
    inside = float(values[top : top + side, left : left + side].sum())
    return 1 - inside / whole if whole else float("nan")


def maps_file(maps: Maps) -> bytes:
    """The signed maps and noisy crops, (3, H, W) in float32, as a safetensors file.

    The tensors are numbered; the file's metadata say which is which, as a list of [model, noise,
    crop], the model of a noisy crop being the empty text.
    """
    from safetensors.torch import save

    tensors: dict[str, Tensor] = {}
    names: list[tuple[str, str, int]] = []
    for (view, i), parts in maps.items():
        for model, value in ((view.model, parts[VALUES]), ("", parts[NOISY])):
            if (model, view.noise, i) not in names:
                tensors[str(len(names))] = value.float().contiguous()
                names.append((model, view.noise, i))
    return bytes(save(tensors, {"names": json.dumps(names)}))


def read_maps(file: bytes) -> Pictures:
    """The maps and noisy crops of a file that `maps_file` made.

    Raises:
        BadInput: it is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(file)
        header = json.loads(file[8 : 8 + int.from_bytes(file[:8], "little")])
        names = json.loads(header["__metadata__"]["names"])
        return {
            (model, noise, i): tensors[str(place)] for place, (model, noise, i) in enumerate(names)
        }
    except (SafetensorError, TypeError, KeyError, ValueError) as error:
        raise BadInput(f"{MAPS}: not the maps of a run ({error})") from None
