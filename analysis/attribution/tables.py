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
from analysis.attribution.trainings import networks
from analysis.commands.inputs import RunInputs
from analysis.commands.trainings import Trainings, several
from analysis.engine.observer import View
from analysis.stats import controls, jackknife, model_differences
from analysis.stats.controls import Series
from analysis.text.noise_labels import describe
from mtd.data.crops import Crop
from mtd.utils import array_files
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
                **described(view, i, crop, window, noises),
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


def described(
    view: View, i: int, crop: Crop, window: Window, noises: pd.DataFrame
) -> dict[str, Any]:
    """The columns that say what a map is of.

    Args:
        view: the model under the noise.
        i: the crop's place.
        crop: the clean crop.
        window: of the output.
        noises: kind and level by noise.
    """
    return {
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
    }


SPOT = ["scene", "crop"]
"""Columns that name a window."""

AVERAGED = ("di", "outside", "reach50", "reach90")
"""The columns of which there are means with intervals."""

COMPARED = ("di", "outside")
"""The columns of which there are differences between models."""


def means(
    frame: pd.DataFrame,
    single: pd.DataFrame | None = None,
    averaged: Sequence[str] = AVERAGED,
) -> pd.DataFrame:
    """Means over crops of each model under each noise, with 95% intervals over photographs.

    Maps without a value are left out, column by column. Of models with several trainings these are
    means over them, and intervals are over trainings too; see `controls.columns`.

    Args:
        frame: attribution.csv, see `table`.
        single: attribution_by_training.csv, of a run that has several trainings of a model.
        averaged: the columns.
    """
    maps, trainings = networks(frame, single)
    rows = []
    for (model, noise), part in frame.groupby(["model", "noise"], sort=False):
        row: dict[str, Any] = {"model": model, "noise": noise}
        row |= {"crops": len(part), "photographs": part.scene.nunique()}
        more: dict[str, float] = {}
        for name in averaged:
            known = part[part[name].notna()]
            values = maps[(maps.noise == noise) & maps.crop.isin(known.crop)]
            of = mean_of(
                values.pivot(index=SPOT, columns="model", values=name), trainings[str(model)]
            )
            low, high = controls.interval(of)
            row |= {name: of.value, f"{name}_low": low, f"{name}_high": high}
            more |= {} if single is None else controls.columns(of, prefix=f"{name}_")
        rows.append(row | more)
    return pd.DataFrame(rows)


def mean_of(wide: pd.DataFrame, names: Sequence[str]) -> Series:
    """The mean over crops of a model's trainings, and without each photograph; `NOTHING` of none.

    Args:
        wide: (crops, networks), indexed by `SPOT`.
        names: of the model's trainings.
    """
    draws = jackknife.draws(list(map(str, wide.index.get_level_values("scene"))))
    single = [controls.mean_of(wide[name].to_numpy(), draws) for name in names]
    return controls.over_trainings(single)


def over_noises(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Mean over noises of each model's map of a crop: (crops, models), indexed by scene and crop.

    Crops of which a model has no value under some noise are left out, for all models.
    """
    wide = frame.pivot(index=SPOT, columns=["model", "noise"], values=column).dropna()
    by_model = wide.T.groupby(level="model", sort=False).mean().T
    return by_model[list(dict.fromkeys(frame.model))]


def differences(
    frame: pd.DataFrame,
    trainings: Trainings | None = None,
    compared: Sequence[str] = COMPARED,
) -> pd.DataFrame:
    """`compared` of every two models in the same windows, b minus a, by noise.

    `measure` names the quantity; for the other columns see `model_differences.table`. Crops of
    which a model has no value under some noise are left out, for all models.

    Args:
        frame: of networks, see `table`.
        trainings: by model; by default each network is a model.
        compared: the columns.
    """
    frames, noises = [], list(dict.fromkeys(frame.noise))
    trainings = trainings or {str(name): (str(name),) for name in frame.model.unique()}
    for measure in compared:
        wide = frame.pivot(index=SPOT, columns=["noise", "model"], values=measure).dropna()
        values = {
            model: {str(noise): mean_of(wide[noise], names) for noise in noises}
            for model, names in trainings.items()
        }
        count = wide.index.get_level_values("scene").nunique()
        frames.append(model_differences.table(values, count).assign(measure=measure))
    return pd.concat(frames, ignore_index=True)


def outside(values: Tensor, window: Window) -> float:
    """The share of the attribution, from 0 to 1, that lies outside the window itself."""
    top, left, side = window
    whole = float(values.sum())
    inside = float(values[top : top + side, left : left + side].sum())
    return 1 - inside / whole if whole else float("nan")


def maps_file(maps: Maps, trainings: Trainings | None = None) -> bytes:
    """The signed maps and noisy crops, (3, H, W) in float32, as a safetensors file.

    The tensors are numbered; the file's metadata say which is which, as a list of [model, noise,
    crop], the model of a noisy crop being the empty text. A model with several trainings stands for
    the first one.

    Args:
        maps: of networks.
        trainings: by model; by default none has several.
    """
    from safetensors.torch import save

    tensors: dict[str, Tensor] = {}
    names: list[tuple[str, str, int]] = []
    for (view, i), parts in maps.items():
        for model, value in ((view.model, parts[VALUES]), ("", parts[NOISY])):
            if (model, view.noise, i) not in names:
                tensors[str(len(names))] = value.float().contiguous()
                names.append((model, view.noise, i))
    firsts = {model: own[0] for model, own in several(trainings or {}).items()}
    more = {"first_trainings": json.dumps(firsts)} if firsts else {}
    return bytes(save(tensors, {"names": json.dumps(names), **more}))


def read_maps(file: bytes, name: str = MAPS) -> Pictures:
    """The maps and noisy crops of a file that `maps_file` made.

    Args:
        file: its contents.
        name: its name, for the message.

    Raises:
        BadInput: it is damaged.
    """
    tensors, about = array_files.read(file, name, "float32", 3)
    try:
        found = {
            (str(model), str(noise), int(i)): tensors[str(place)]
            for place, (model, noise, i) in enumerate(about["names"])
        }
        firsts = dict(about.get("first_trainings", {}))
        for (network, noise, i), values in list(found.items()):
            found |= {(model, noise, i): values for model, of in firsts.items() if of == network}
    except BadInput:
        raise
    except array_files.DAMAGED as error:
        raise BadInput(f"{name}: not the maps of a run ({str(error)[:100]})") from None
    return found
