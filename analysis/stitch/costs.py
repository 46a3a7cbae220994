"""The pass of stitching: features matched on some photographs, the cost measured on the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from analysis.commands import units
from analysis.engine.observer import NoisyBatch
from analysis.engine.recorded_run import Replacement, run_with
from analysis.stats.arrays import double
from analysis.stats.undefined import CONSTANT, NOT_FINITE, Undefined
from analysis.stitch import layouts, pairs
from analysis.stitch.layouts import PLACES, SEVERAL, WINDOWS, Recording
from analysis.stitch.matching import Moments, Stitch, linear_cka, solve
from analysis.stitch.pairs import Stitched
from analysis.stitch.recordings import FOLDS, Recordings, exchanged

if TYPE_CHECKING:
    from analysis.commands.inputs import RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.commands.run_folder import RunFolder
    from analysis.stitch.settings import StitchSettings

PSNR, OWN, R2, CKA, REASON = "psnr", "own", "r2", "cka", "reason"
"""What is computed of a unit: by layer and crop the PSNR stitched, by crop that of the receiver as
it is, by layer R², CKA and the number of a reason."""

SIZES = "the sender's feature maps have a different size"
CALLS = "the sender's layer is called a different number of times"
FEW = "there are too few photographs to exchange them"
ENDLESS = "the PSNR is not finite"
REASONS = (
    *("", SIZES, CALLS, FEW, WINDOWS, PLACES, ENDLESS),
    *(SEVERAL, f"its {CONSTANT}", f"its {NOT_FINITE}"),
)
"""Why there is no value, by number."""


def collect(job: AnalysisJob, folder: RunFolder | None = None) -> dict[Stitched, dict[str, Tensor]]:
    """The costs of everything that is stitched; called in every process."""
    settings = job.settings
    more = job.inputs.controls
    noises = [*job.inputs.noises, *(more.noises if more is not None else ())]
    inputs = replace(job.inputs, noises=noises)
    recordings = Recordings(inputs, settings)

    def key(unit: Stitched) -> dict[str, Any]:
        return cache_key(inputs, unit, recordings.layers, settings)

    everything = pairs.units(job.inputs)

    def costs(unit: Stitched) -> dict[str, Tensor]:
        return measure(recordings, unit)

    return units.collect(job, everything, key, costs, folder, name="stitch")


def cache_key(
    inputs: RunInputs, unit: Stitched, layers: Mapping[str, Sequence[str]], settings: StitchSettings
) -> dict[str, Any]:
    """Everything that decides the costs of a unit."""
    sides = {"sender": unit.sender, "receiver": unit.receiver}
    return {
        **{name: units.key_of(inputs, view, inputs.crops) for name, view in sides.items()},
        "scenes": [crop.scene or crop.image for crop in inputs.crops],
        "layers": [list(layers[view.model]) for view in sides.values()],
        "permuted": unit.permuted,
        "ridge": settings.ridge,
        "batch": settings.batch_size,
    }


class Matched(NamedTuple):
    """The stitch of a layer for each fold, fitted on the other, and how well it fits there.

    Attributes:
        stitches: by the fold on which the cost is measured.
        r2: of the linear fit, on the photographs that it was not fitted to.
        cka: linear CKA over all photographs.
    """

    stitches: list[Stitch]
    r2: float
    cka: float


def measure(recordings: Recordings, unit: Stitched) -> dict[str, Tensor]:
    """The costs of one sender and receiver, layer by layer, and how alike the layers are."""
    layers = recordings.layers[unit.receiver.model]
    found = match(recordings, unit)
    crops = len(recordings.inputs.crops)
    psnr = torch.full((len(layers), crops), torch.nan, dtype=torch.float64)
    own = torch.full((crops,), torch.nan, dtype=torch.float64)
    r2, cka = torch.full((2, len(layers)), torch.nan, dtype=torch.float64)
    why = torch.zeros(len(layers), dtype=torch.int64)
    for i, name in enumerate(layers):
        one = found[name]
        if isinstance(one, str):
            why[i] = REASONS.index(one)
        else:
            r2[i], cka[i] = one.r2, one.cka
    for fold, batches in enumerate(recordings.folds):
        for places in batches:
            noisy = recordings.noisy(unit.receiver, places)
            own[places] = psnr_of(recordings.recorded(unit.receiver, places).run.output, noisy)
            for i, name in enumerate(layers):
                one = found[name]
                if isinstance(one, Matched):
                    output = stitched(recordings, unit, name, one.stitches[fold], places, noisy)
                    psnr[i, places] = psnr_of(output, noisy)
    for i in range(len(layers)):
        if not why[i] and not (psnr[i].isfinite() & own.isfinite()).all():
            why[i] = REASONS.index(ENDLESS)
    return {PSNR: psnr, OWN: own, R2: r2, CKA: cka, REASON: why}


def psnr_of(output: Tensor, noisy: NoisyBatch) -> Tensor:
    """(B,), the PSNR 10 log₁₀(1 / MSE) in dB of images that are neither clamped nor rounded.

    Args:
        output: (B, C, H, W), values in [0, 1] from black to white.
        noisy: the batch, with its clean images.
    """
    error = double(output.cpu()) - double(noisy.target.cpu())
    return -10 * error.square().mean((1, 2, 3)).log10()


def match(recordings: Recordings, unit: Stitched) -> dict[str, Matched | str]:
    """The stitches of every layer of the receiver, or why there is none."""
    own = recordings.layers[unit.receiver.model]
    partner = pairs.partners(recordings.layers[unit.sender.model], own)
    sums: list[dict[str, Moments]] = [{} for _ in range(FOLDS)]
    reasons: dict[str, str] = {}
    for fold, batches in enumerate(recordings.folds):
        places = [i for batch in batches for i in batch]
        others = exchanged(places, recordings.scenes) if unit.permuted else places
        if others is None:
            return dict.fromkeys(own, FEW)
        of = dict(zip(places, others, strict=True))
        for batch in batches:
            sender = recordings.recorded(unit.sender, [of[i] for i in batch])
            receiver = recordings.recorded(unit.receiver, batch)
            noisy = recordings.noisy(unit.receiver, batch)
            for name in own:
                more = moments(partner[name], sender, name, receiver, noisy)
                if isinstance(more, str):
                    reasons[name] = more
                else:
                    sums[fold][name] = sums[fold][name] + more if name in sums[fold] else more
    return {
        name: reasons[name] if name in reasons else solved([s[name] for s in sums], recordings)
        for name in own
    }


def moments(
    sender_layer: str, sender: Recording, layer: str, receiver: Recording, noisy: NoisyBatch
) -> Moments | str:
    """The moments of a batch between two layers, or why there are none."""
    theirs, why = layouts.refusal(sender_layer, sender, noisy)
    own, why_own = layouts.refusal(layer, receiver, noisy)
    if theirs is None or own is None:
        return why or why_own
    if theirs.size != own.size:
        return SIZES
    calls = sender.calls(sender_layer), receiver.calls(layer)
    if len(calls[0]) != len(calls[1]):
        return CALLS
    x, y = (
        torch.cat([double(layouts.samples(call, of)).flatten(0, 1) for call in side])
        for side, of in zip(calls, (theirs, own), strict=True)
    )
    return Moments.of(x.cpu(), y.cpu())


def solved(sums: list[Moments], recordings: Recordings) -> Matched | str:
    """The stitches of a layer, each of one fold applied to the other, or why there are none."""
    try:
        fitted = [solve(one, recordings.settings.ridge) for one in sums]
        errors = [fitted[1 - fold].error(sums[fold]) for fold in range(FOLDS)]
        r2 = 1 - sum(error for error, _ in errors) / sum(total for _, total in errors)
        return Matched([fitted[1 - fold] for fold in range(FOLDS)], r2, linear_cka(sum_of(sums)))
    except Undefined as error:
        return f"its {error}"


def sum_of(sums: list[Moments]) -> Moments:
    """The moments of all folds."""
    first, *others = sums
    for other in others:
        first = first + other
    return first


def stitched(
    recordings: Recordings,
    unit: Stitched,
    layer: str,
    stitch: Stitch,
    places: list[int],
    noisy: NoisyBatch,
) -> Tensor:
    """The receiver's output for some crops with one layer's output made of the sender's."""
    own = recordings.layers[unit.receiver.model]
    theirs = pairs.partners(recordings.layers[unit.sender.model], own)[layer]
    sender, receiver = (recordings.recorded(view, places) for view in (unit.sender, unit.receiver))
    theirs_at, own_at = (
        layouts.layout(name, of.calls(name)[0], noisy, False)
        for name, of in ((theirs, sender), (layer, receiver))
    )
    values = []
    for call, like in zip(sender.calls(theirs), receiver.calls(layer), strict=True):
        mapped = stitch(layouts.samples(call, theirs_at).cpu()).to(like.device, like.dtype)
        values.append(layouts.as_output(mapped, like, own_at))
    model = recordings.inputs.models[unit.receiver.model]
    given = recordings.given(unit.receiver, noisy)
    return run_with(model, given, {(layer, "output"): Replacement(values)}, receiver.run)
