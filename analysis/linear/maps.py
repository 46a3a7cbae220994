"""The pass of the analysis: the local linear map of every network at every noisy crop."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from analysis.commands import units
from analysis.engine import forward as engine_forward
from analysis.engine.forward import ForwardSettings
from analysis.engine.observer import Batch, NoisyBatch, View
from analysis.linear import measures
from analysis.linear.derivatives import (
    Call,
    Linearized,
    NoGradient,
    NoSecondGradient,
    call_of,
    frozen,
)
from analysis.linear.equivariance import CHANGES, relative_error
from analysis.linear.places import KINDS, Place, places
from analysis.linear.settings import LinearSettings
from analysis.linear.summary import by_products, of_matrix
from mtd.inference.forward import GIB
from mtd.noise.specs import parse
from mtd.utils.seeds import generator

if TYPE_CHECKING:
    from analysis.commands.inputs import RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.commands.run_folder import RunFolder
    from mtd.data.crops import Crop

Maps = Mapping[tuple[View, int], Mapping[str, Tensor]]
"""Maps by view and by the crop's place."""

NUMBERS = (
    *("trace", "effective_dimension", "largest", "asymmetry", "affine_rest"),
    *("row_sum", "row_sum_sd", "image_share", "noise_share", "chance_share", "directions"),
    *("reach50", "reach95", "sure", "mse", "noise_mse"),
    *("trace_error", "dimension_error", "asymmetry_error", "singular_error"),
)
"""Numbers of a map, see `analysis.linear.tables.table`."""

LEVELS = 255.0**2
"""Squared 8-bit levels in 1."""


def collect(job: AnalysisJob, folder: RunFolder | None = None) -> Maps:
    """Every model's map under every noise at every crop; called in every process.

    Args:
        job: planned.
        folder: keeps finished maps until the run is finished; None for memory.
    """
    inputs, settings = job.inputs, job.settings
    entries = [
        (View(model, noise.spec), i)
        for i in range(len(inputs.crops))
        for noise in inputs.noises
        for model in inputs.models
    ]

    def key(entry: tuple[View, int]) -> dict[str, Any]:
        view, i = entry
        return cache_key(inputs, view, inputs.crops[i], settings)

    def map_of(entry: tuple[View, int]) -> dict[str, Tensor]:
        view, i = entry
        return make(inputs, view, inputs.crops[i], settings)

    return units.collect(job, entries, key, map_of, folder, name="map")


def cache_key(
    inputs: RunInputs, view: View, crop: Crop, settings: LinearSettings
) -> dict[str, Any]:
    """Everything that decides a map."""
    return {
        **units.key_of(inputs, view, [crop]),
        "probes": 0 if settings.is_whole else settings.probes,
        "rank": 0 if settings.is_whole else settings.rank,
        "levels": settings.levels if view.noise == inputs.specs[0] else "",
    }


def make(inputs: RunInputs, view: View, crop: Crop, settings: LinearSettings) -> dict[str, Tensor]:
    """A network's map at a noisy crop; under the first noise, its errors at all levels, too."""
    noise = next(noise for noise in inputs.noises if noise.spec == view.noise)
    model, how = inputs.models[view.model], inputs.forward
    noisy = engine_forward.make_noisy_batch(noise, Batch(0, [crop]), how)
    found = local(model, noisy, how, settings)
    found["equivariance"] = changed(model, noisy, how)
    if view.noise == inputs.specs[0]:
        found["levels"] = at_levels(model, crop, how, settings.sigmas)
    return found


def call_on(
    model: nn.Module, noisy: NoisyBatch, how: ForwardSettings, *, copies: bool = False
) -> Call:
    """A network as a function of images, with the masks and the noise level of a noisy crop."""
    return call_of(
        model,
        engine_forward.mask_keys(noisy, how)[0],
        engine_forward.noise_level(model, noisy),
        engine_forward.input_mask(noisy, how),
        copies=copies,
    )


def local(
    model: nn.Module, noisy: NoisyBatch, how: ForwardSettings, settings: LinearSettings
) -> dict[str, Tensor]:
    """The map itself: its numbers, singular values and the filters of three pixels."""
    y, (crop,) = noisy.noisy[0], noisy.batch.crops
    clean, spots = noisy.target[0].to(y), places(crop.pixels)
    whole, n = settings.is_whole, y.numel()
    found = {
        "numbers": torch.full((len(NUMBERS),), math.nan, dtype=torch.float64),
        "singular": torch.zeros(0, dtype=torch.float64),
        "singular_errors": torch.zeros(0, dtype=torch.float64),
        "filters": torch.full((len(spots), *y.shape[1:]), math.nan),
        "reach": torch.full((len(spots), 2), math.nan, dtype=torch.float64),
        "spots": torch.tensor([[spot.top, spot.left] for spot in spots]),
        "noisy": y.cpu(),
        "gradient": torch.tensor(True),
        "both": torch.tensor(True),
        "transposed": torch.tensor(False),
    }
    with frozen(model):
        call = call_on(model, noisy, how, copies=True)
        try:
            line = linearized(call, y, settings, whole)
        except NoGradient:
            return found | {"gradient": torch.tensor(False)}
        matrix = line.matrix() if whole else None
        rows = filters_of(line, spots, matrix)
        output = line.output
        if not (torch.isfinite(output).all() and torch.isfinite(rows).all()):
            return found
        if matrix is None:
            of, leading = by_products(
                line, y, clean, generator("linear", how.seed, crop.digest), settings
            )
        else:
            of, leading = of_matrix(matrix, y, clean, output)
    found |= leading
    variance = float((y.double() - clean.double()).square().mean())
    error = float((output.double() - clean.double()).square().mean())
    found["filters"] = rows.sum(2).mean(1).cpu()
    found["reach"] = torch.tensor(
        [
            [
                measures.radius(measures.energy(own).cpu(), (spot.top, spot.left), share)
                for share in (0.5, 0.95)
            ]
            for own, spot in zip(rows, spots, strict=True)
        ],
        dtype=torch.float64,
    )
    reach = found["reach"].mean(0).tolist()
    of |= {"reach50": reach[0], "reach95": reach[1], "mse": LEVELS * error}
    of |= {"sure": LEVELS * measures.sure(y, output, variance, n * of["trace"])}
    of |= {"noise_mse": LEVELS * variance}
    found["numbers"] = torch.tensor(
        [of.get(name, math.nan) for name in NUMBERS], dtype=torch.float64
    )
    return found


def filters_of(line: Linearized, spots: tuple[Place, ...], matrix: Tensor | None) -> Tensor:
    """(pixels, C, C, H, W), the rows of the Jacobian for the channels of some pixels.

    Args:
        line: the network at the image.
        spots: the pixels.
        matrix: the Jacobian, if it is known.
    """
    channels, height, width = line.output.shape
    if matrix is not None:
        view = matrix.view(channels, height, width, channels, height, width)
        return torch.stack([view[:, spot.top, spot.left] for spot in spots])
    vectors = torch.zeros(len(spots), channels, channels, height, width, device=line.output.device)
    for i, spot in enumerate(spots):
        for channel in range(channels):
            vectors[i, channel, channel, spot.top, spot.left] = 1
    return line.vjp(vectors.flatten(0, 1)).view_as(vectors)


def linearized(call: Call, y: Tensor, settings: LinearSettings, whole: bool) -> Linearized:
    """The network at a noisy crop, with products J v too where these are needed and possible."""
    if whole:
        return Linearized(call, y, settings.memory * GIB)
    if not settings.rank:
        most = max(settings.probes, len(KINDS) * len(y))  # random vectors, rows of three pixels
        return Linearized(call, y, settings.memory * GIB, most)
    try:
        return Linearized(call, y, settings.memory * GIB, both=True)
    except NoSecondGradient:
        return Linearized(call, y, settings.memory * GIB)


def changed(model: nn.Module, noisy: NoisyBatch, how: ForwardSettings) -> Tensor:
    """(changes,) float64, a network's relative error under each change of a noisy crop.

    See `equivariance`. Attention masks stay where they are in the image's frame; a mask of the
    input moves along.
    """
    key = engine_forward.mask_keys(noisy, how)[0]
    level = engine_forward.noise_level(model, noisy)
    mask = engine_forward.input_mask(noisy, how)
    errors = []
    with torch.no_grad():
        before = call_of(model, key, level, mask)(noisy.noisy)
        for change in CHANGES.values():
            moved = change.apply(mask) if mask is not None and change.moves else mask
            scaled = None if level is None else level * change.level
            after = call_of(model, key, scaled, moved)(change.apply(noisy.noisy))
            errors.append(relative_error(after, change.apply(before)))
    return torch.tensor(errors, dtype=torch.float64)


def at_levels(
    model: nn.Module, crop: Crop, how: ForwardSettings, sigmas: tuple[float, ...]
) -> Tensor:
    """(levels, 2) float64, MSE of output and of noisy input at each level of Gaussian noise."""
    rows = []
    for sigma in sigmas:
        noisy = engine_forward.make_noisy_batch(parse(f"gaussian:{sigma:g}"), Batch(0, [crop]), how)
        with torch.no_grad():
            output = call_on(model, noisy, how)(noisy.noisy).cpu().double()
        target = noisy.target.cpu().double()
        pair = (output, noisy.noisy.cpu().double())
        rows.append([LEVELS * float((image - target).square().mean()) for image in pair])
    return torch.tensor(rows, dtype=torch.float64)
