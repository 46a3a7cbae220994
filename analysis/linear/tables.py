"""The tables of local linear maps, and the file of the filters."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from analysis.commands.inputs import RunInputs
from analysis.commands.trainings import Trainings, of_models, several, with_single_trainings
from analysis.engine.observer import View
from analysis.linear.equivariance import CHANGES
from analysis.linear.maps import NUMBERS, Maps
from analysis.linear.places import KINDS
from analysis.linear.settings import FILTERS, LinearSettings
from analysis.stats import controls, model_differences
from analysis.stats.controls import Series
from analysis.text.noise_labels import describe
from mtd.utils import array_files
from mtd.utils.errors import BadInput

Array = NDArray[np.float64]

COMPARED = ("effective_dimension", "trace", "asymmetry", "affine_rest", "reach95", "sure_error")
"""The quantities of linear_difference.csv."""

BOUNDED = (*NUMBERS[:9], "reach50", "reach95", "sure", "mse", "sure_error")
"""The columns of linear.csv with intervals."""

PLAIN = (
    *("chance_share", "directions", "noise_mse"),
    *("trace_error", "dimension_error", "asymmetry_error", "singular_error"),
)
"""Its columns without."""

NOT_FINITE = "its output or its gradient is not finite"
NO_GRADIENT = "its output has no gradient"
TRANSPOSED = (
    "with --rank 0 only products with the transposed Jacobian are computed, which give no singular "
    "values, asymmetry or affine rest"
)
NO_SECOND_GRADIENT = (
    "its gradient cannot be differentiated, so that there are no products J v, and no singular "
    "values, asymmetry or affine rest"
)

RELATIVE = ("asymmetry", "affine_rest")
"""Numbers that are relative to the norm of the map or of the output, as is their rounding."""

Filters = Mapping[tuple[str, str, int, str], NDArray[np.float32]]
"""Filters by model, noise, crop and kind of pixel; noisy crops with empty model and kind."""


def tables(maps: Maps, inputs: RunInputs, settings: LinearSettings) -> dict[str, pd.DataFrame]:
    """All tables; of a model with several trainings each value is a mean over these."""
    count = len(inputs.crops)
    views = list(dict.fromkeys(view for view, _ in maps))
    by_view = {view: [maps[view, i] for i in range(count)] for view in views}
    draws = inputs.photographs
    first = {view: own for view, own in by_view.items() if view.noise == inputs.specs[0]}

    def of(models: Trainings) -> dict[str, pd.DataFrame]:
        networks = of_models(by_view, models)
        return {
            "linear.csv": table(networks, inputs, draws, models),
            "filters.csv": filters(networks, inputs),
            "singular_values.csv": singular_values(networks),
            "equivariance.csv": equivariance(networks, draws),
            "levels.csv": at_levels(of_models(first, models), draws, settings.sigmas),
        }

    names = ["linear", "equivariance", "levels"]
    found = with_single_trainings(of, inputs.trainings, names)
    found["linear_difference.csv"] = differences(of_models(by_view, inputs.trainings), draws)
    return found


Own = Sequence[Mapping[str, Tensor]]
"""The maps of a network under a noise, crop by crop."""


def values(own: Own, name: str) -> Array:
    """(crops,) a number of every map."""
    stacked = np.stack([tensors["numbers"].numpy() for tensors in own])
    if name == "sure_error":
        return values(own, "sure") - values(own, "mse")
    return np.asarray(stacked[:, NUMBERS.index(name)], dtype=np.float64)


def over(
    networks: Sequence[Own],
    number: Callable[[Own], Array],
    draws: NDArray[np.int64],
    scale: float = 0.0,
) -> Series:
    """The mean over the crops and trainings of a model of a number of every map.

    Args:
        networks: the maps of each training.
        number: (crops,) of the maps of one.
        draws: (crops,) the photograph of each.
        scale: what rounding is relative to, where it is larger than the number.
    """
    single = [controls.mean_of(number(own), draws, scale) for own in networks]
    return controls.over_trainings(single)


def mapped(networks: Sequence[Own], name: str, draws: NDArray[np.int64]) -> Series:
    """As `over`, of the number `name`."""
    scale = 1.0 if name in RELATIVE else 0.0
    if name == "sure_error":
        parts = [values(own, part) for own in networks for part in ("sure", "mse", "noise_mse")]
        scale = max(float(np.abs(part).mean()) for part in parts)
    return over(networks, lambda own: values(own, name), draws, scale)


def columns(name: str, of: Series, more: bool = False) -> dict[str, float]:
    """A value with its 95% interval, `_low` and `_high`; of several trainings also their parts."""
    low, high = controls.interval(of)
    found = {name: of.value, f"{name}_low": low, f"{name}_high": high}
    return found | (controls.columns(of, prefix=f"{name}_") if more else {})


def table(
    networks: Mapping[View, Sequence[Own]],
    inputs: RunInputs,
    draws: NDArray[np.int64],
    models: Trainings,
) -> pd.DataFrame:
    """linear.csv, one row for each model and noise: means over crops of the maps' numbers.

    `trace` is tr J / n; `effective_dimension` Σs² = ‖J‖_F², of `dimensions` n; `largest` the
    largest singular value; `row_sum` and `row_sum_sd` mean and standard deviation of the sums of
    J's rows; `image_share` and `noise_share` the shares of the clean crop (without the mean of each
    channel) and of the noise in the leading input directions, as many as the effective dimension or
    as are known (`directions`), `chance_share` that of a random direction; `reach50` and `reach95`
    radii in pixels that hold 50 and 95% of a filter's energy, means over three pixels; `sure`,
    `mse` and their difference `sure_error` in squared 8-bit levels, `noise_mse` that of the noisy
    crop. `trace_error`, `dimension_error` and `asymmetry_error` are the standard errors of
    estimates from random vectors, `singular_error` is the largest bound of the errors of leading
    singular values, all means over crops; of a whole Jacobian blank and 0. `reason` says why values
    are missing.
    """
    noises = describe(inputs.noises).set_index("noise")
    rows: list[dict[str, Any]] = []
    for view, own in networks.items():
        row: dict[str, Any] = {**view._asdict(), "photographs": len(set(draws.tolist()))}
        row["dimensions"] = own[0][0]["noisy"].numel()
        for name in BOUNDED:
            row |= columns(name, mapped(own, name, draws), bool(several(models)))
        row |= {name: mapped(own, name, draws).value for name in PLAIN}
        row |= {"reason": reason(own), "crops": len(draws), "kind": noises.kind[view.noise]}
        rows.append(row | {"level": noises.level[view.noise], "note": noises.note[view.noise]})
    return pd.DataFrame(rows)


def reason(networks: Sequence[Own]) -> str:
    """Why a model lacks a value under a noise; empty where it lacks none."""
    every = [tensors for own in networks for tensors in own]
    if not all(bool(tensors["gradient"]) for tensors in every):
        return NO_GRADIENT
    if any(np.isnan(values(own, "trace")).any() for own in networks):
        return NOT_FINITE
    if not all(bool(tensors["both"]) for tensors in every):
        return NO_SECOND_GRADIENT
    return TRANSPOSED if any(bool(tensors["transposed"]) for tensors in every) else ""


def filters(networks: Mapping[View, Sequence[Own]], inputs: RunInputs) -> pd.DataFrame:
    """filters.csv, one row for each model, noise, crop and kind of pixel: its place and reach."""
    rows = []
    for view, own in networks.items():
        for i, crop in enumerate(inputs.crops):
            reach = np.mean([maps[i]["reach"].numpy() for maps in own], axis=0)
            center = np.mean([weights_at_center(maps[i]) for maps in own], axis=0)
            for place, kind in enumerate(KINDS):
                top, left = own[0][i]["spots"][place].tolist()
                about = {**view._asdict(), "crop": i, "image": crop.image, "pixel": kind}
                about |= {"top": top, "left": left, "center": center[place]}
                rows.append(about | {"reach50": reach[place, 0], "reach95": reach[place, 1]})
    return pd.DataFrame(rows)


def weights_at_center(tensors: Mapping[str, Tensor]) -> Array:
    """(pixels,) the weight of a pixel itself in its gray filter."""
    spots = tensors["spots"].tolist()
    found = [
        float(own[top, left]) for own, (top, left) in zip(tensors["filters"], spots, strict=True)
    ]
    return np.array(found)


def singular_values(networks: Mapping[View, Sequence[Own]]) -> pd.DataFrame:
    """singular_values.csv: the mean over crops of each singular value, from the largest, index 0.

    `error` is the mean of the bounds of their errors: 0 of a whole Jacobian. Of larger crops there
    are the leading ones.
    """
    frames = []
    for view, own in networks.items():
        every = [tensors["singular"].numpy() for maps in own for tensors in maps]
        if any(not len(one) for one in every):
            continue
        errors = [tensors["singular_errors"].numpy() for maps in own for tensors in maps]
        known = {"value": np.mean(every, axis=0), "error": np.mean(errors, axis=0)}
        frames.append(pd.DataFrame({**view._asdict(), "index": np.arange(len(every[0])), **known}))
    names = ["model", "noise", "index", "value", "error"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=names)


def equivariance(networks: Mapping[View, Sequence[Own]], draws: NDArray[np.int64]) -> pd.DataFrame:
    """equivariance.csv: the relative error under each change of the input, mean over crops."""
    rows = []
    for view, own in networks.items():
        for place, change in enumerate(CHANGES):

            def error(maps: Own, place: int = place) -> Array:
                return np.array([float(tensors["equivariance"][place]) for tensors in maps])

            about = {**view._asdict(), "change": change, "photographs": len(set(draws.tolist()))}
            rows.append(about | columns("error", over(own, error, draws, scale=1.0)))
    return pd.DataFrame(rows)


def at_levels(
    networks: Mapping[View, Sequence[Own]], draws: NDArray[np.int64], sigmas: Sequence[float]
) -> pd.DataFrame:
    """levels.csv: PSNR in dB under Gaussian noise of every level, mean over crops.

    Of outputs that are neither clipped nor rounded; `input_psnr` is that of the noisy crop, and
    `gain` the difference of both.
    """
    rows = []
    for view, own in networks.items():
        for place, sigma in enumerate(sigmas):

            def psnr(maps: Own, place: int = place, which: int = 0) -> Array:
                squares = np.array([float(tensors["levels"][place, which]) for tensors in maps])
                with np.errstate(divide="ignore"):
                    return np.asarray(10 * np.log10(255.0**2 / squares))

            about = {"model": view.model, "sigma": sigma, "photographs": len(set(draws.tolist()))}
            of = over(own, psnr, draws)
            before = over(own, lambda maps, of=psnr: of(maps, which=1), draws)  # type: ignore[misc]
            row = about | columns("psnr", of) | {"input_psnr": before.value}
            gain = controls.difference(of, before)
            rows.append(row | columns("gain", gain))
    return pd.DataFrame(rows)


def differences(networks: Mapping[View, Sequence[Own]], draws: NDArray[np.int64]) -> pd.DataFrame:
    """linear_difference.csv: `COMPARED` of every two models at the same crops, b minus a, by noise.

    `measure` names the quantity; for the other columns see `model_differences.table`.
    """
    frames = []
    for measure in COMPARED:
        of: dict[str, dict[str, Series]] = {}
        for view, own in networks.items():
            of.setdefault(view.model, {})[view.noise] = mapped(own, measure, draws)
        frames.append(model_differences.table(of, len(set(draws.tolist()))).assign(measure=measure))
    frame = pd.concat(frames, ignore_index=True)
    return frame[["measure", *model_differences.COLUMNS]]


def filters_file(maps: Maps, trainings: Trainings) -> bytes:
    """The gray filters (H, W) of three pixels and noisy crops (3, H, W), as a safetensors file.

    A gray filter is the gradient of the mean over an output pixel's channels with respect to all
    channels of the input alike. The file's metadata name the tensors: a list of [model, noise,
    crop, kind of pixel]. Of a model with several trainings there are those of the first one.
    """
    from safetensors.torch import save

    model_of = {names[0]: model for model, names in trainings.items()}
    named: dict[tuple[str, str, int, str], Tensor] = {}
    for (view, i), tensors in maps.items():
        named.setdefault(("", view.noise, i, ""), tensors["noisy"])
        if view.model in model_of:
            for place, kind in enumerate(KINDS):
                named[model_of[view.model], view.noise, i, kind] = tensors["filters"][place]
    numbered = {str(i): value.float().contiguous() for i, value in enumerate(named.values())}
    return bytes(save(numbered, {"names": json.dumps(list(named))}))


def read_filters(file: bytes) -> Filters:
    """The filters and noisy crops of a file that `filters_file` made.

    Raises:
        BadInput: it is damaged.
    """
    tensors, about = array_files.read(file, FILTERS, "float32", 2, 3)
    try:
        return {
            (str(model), str(noise), int(i), str(kind)): tensors[str(place)]
            for place, (model, noise, i, kind) in enumerate(about["names"])
        }
    except BadInput:
        raise
    except array_files.DAMAGED as error:
        raise BadInput(f"{FILTERS}: not the filters of a run ({str(error)[:100]})") from None
