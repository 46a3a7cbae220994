"""The observer of noisy pictures: outputs in 8 bits, and quantities without a clean image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor

from analysis.commands.trainings import Trainings
from analysis.engine.cache import CachedActivations
from analysis.engine.observer import OUTPUT, Batch, NoisyBatch, Observer, View
from analysis.generalization.noisy import no_reference
from analysis.generalization.noisy.inputs import BLUR, RECORDED, blurred
from analysis.text.noise_labels import NOISY
from mtd.data.crops import Crop, busiest, place, to_tensor
from mtd.data.image_io import Pixels
from mtd.metrics import Metric
from mtd.metrics.psnr_ssim import as_rgb, levels
from mtd.utils.errors import BadInput

Row = dict[str, Any]

WINDOW = 128
"""Side of the squares that strips show."""

PIXELS = "pixels"


@dataclass(frozen=True)
class Patch:
    """A part of a picture whose features are compared.

    Attributes:
        crop: index of the picture's crop among all.
        top: first row in it.
        left: first column in it.
        side: in pixels.
    """

    crop: int
    top: int
    left: int
    side: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Its rows and columns in the picture."""
        return slice(self.top, self.top + self.side), slice(self.left, self.left + self.side)


@dataclass(frozen=True)
class Seen:
    """What is kept of the batches.

    Attributes:
        rows: a row for each model and picture, controls included; see `quantities`.
        agreement: a row for each two models and picture; see `differences`.
        squares: by picture's digest, the busiest square of the noisy picture and of each output.
        patches: by patch, its noisy pixels, and the mean of all models' outputs there (H, W, C).
    """

    rows: list[Row]
    agreement: list[Row]
    squares: dict[str, dict[str, Pixels]]
    patches: dict[Patch, tuple[Pixels, Pixels]]


class Denoised(Observer):
    """Every output in 8 bits, and what can be said of it without a clean image.

    All quantities are of the 8-bit images that are written. The result is a `Seen`.

    Args:
        models: names of the networks.
        shown: digests of the pictures of which strips are made.
        patches: that features are compared on, by digest of the picture's crop.
        trainings: of each model the networks; by default every network is a model by itself.
        metrics: without reference.
    """

    name = "denoised"
    rows: dict[int, list[Row]]
    agreement: dict[int, list[Row]]
    squares: dict[int, dict[str, dict[str, Pixels]]]
    cut: dict[int, dict[Patch, tuple[Pixels, Pixels]]]

    def __init__(
        self,
        models: Sequence[str],
        shown: frozenset[str] = frozenset(),
        patches: Mapping[str, Sequence[Patch]] | None = None,
        trainings: Trainings | None = None,
        metrics: Sequence[Metric] = (),
    ) -> None:
        super().__init__()
        self.trainings = trainings or {name: (name,) for name in models}
        self.layers = {name: [OUTPUT] for name in models}
        self.shown, self.patches, self.metrics = shown, patches or {}, metrics
        self.batches: dict[int, tuple[Batch, Mapping[View, CachedActivations]]] = {}
        for name in ("rows", "agreement", "squares", "cut"):
            self.add_state(name, {}, reduce="gather")

    @property
    def key(self) -> dict[str, Any]:
        """See `Observer.key`."""
        return {}

    def extract(self, layer: str, value: Tensor, noisy: NoisyBatch) -> dict[str, Tensor]:
        """(images, C, H, W) in 8 bits.

        Raises:
            BadInput: an output that is not finite.
        """
        for crop, image in zip(noisy.batch.crops, value, strict=True):
            if not image.isfinite().all():
                raise BadInput(
                    f"{noisy.model}: its output for {crop.image} is not finite; leave out the "
                    "model or the picture"
                )
        return {PIXELS: levels(value.detach().cpu()).to(torch.uint8)}

    def update(self, batch: Batch, activations: Mapping[View, CachedActivations]) -> None:
        """See `Observer.update`."""
        self.batches[batch.index] = batch, activations
        rows: list[Row] = []
        agreement: list[Row] = []
        self.squares[batch.index], self.cut[batch.index] = {}, {}
        for crop, outputs in zip(batch.crops, outputs_of(batch, activations), strict=True):
            everything = {**outputs, BLUR: blurred(crop.pixels), NOISY: crop.pixels}
            rows += [
                quantities(crop, name, output) | values(self.metrics, output)
                for name, output in everything.items()
            ]
            agreement += differences(crop, everything)
            if crop.digest in self.shown:
                where = busiest(crop.pixels, WINDOW)
                parts = {NOISY: crop.pixels, **outputs}
                self.squares[batch.index][crop.digest] = {
                    name: np.ascontiguousarray(pixels[where]) for name, pixels in parts.items()
                }
            for patch in self.patches.get(crop.digest, ()):
                where = patch.slices
                self.cut[batch.index][patch] = (
                    np.ascontiguousarray(crop.pixels[where]),
                    average([[outputs[n][where] for n in of] for of in self.trainings.values()]),
                )
        self.rows[batch.index], self.agreement[batch.index] = rows, agreement

    def compute(self) -> Seen:
        """Everything, in the order of the batches."""
        order = sorted(self.rows)
        return Seen(
            [row for index in order for row in self.rows[index]],
            [row for index in order for row in self.agreement[index]],
            {name: parts for index in order for name, parts in self.squares[index].items()},
            {patch: parts for index in order for patch, parts in self.cut[index].items()},
        )


def outputs_of(
    batch: Batch, activations: Mapping[View, CachedActivations]
) -> list[dict[str, Pixels]]:
    """The outputs of each picture of a batch by model, (H, W, C) in 8 bits."""
    by_model = {
        view.model: cached.tensors()[PIXELS].permute(0, 2, 3, 1).contiguous().numpy()
        for view, cached in activations.items()
        if view.noise == RECORDED
    }
    return [{name: pixels[i] for name, pixels in by_model.items()} for i in range(len(batch.crops))]


def average(outputs: Sequence[Sequence[Pixels]]) -> Pixels:
    """The mean over models of the mean over their trainings, rounded to 8 bits.

    Args:
        outputs: by model, then by training, images of equal size.
    """
    by_model = [np.mean(trainings, axis=0) for trainings in outputs]
    return np.asarray(np.mean(by_model, axis=0).round(), dtype=np.uint8)


def quantities(crop: Crop, model: str, output: Pixels) -> Row:
    """The quantities of `no_reference` of one output, with their values for white noise.

    Of the noisy picture itself there is no residual.
    """
    row: Row = {
        "model": model,
        **place(crop),
        "noise_level": no_reference.noise_level(output),
        "coarse_noise_level": no_reference.coarse_noise_level(output),
        "residual": math.nan,
        "autocorrelation": math.nan,
        "autocorrelation_floor": math.nan,
        "detail_correlation": math.nan,
    }
    if model != NOISY:
        residual = crop.pixels.astype(np.float64) - output
        floor = no_reference.autocorrelation_floor(*crop.pixels.shape[:2])
        row |= {
            "residual": no_reference.rms(residual),
            "autocorrelation": no_reference.correlated(residual),
            "autocorrelation_floor": floor,
            "detail_correlation": no_reference.detail_correlation(residual, output),
        }
    return row


def values(metrics: Sequence[Metric], output: Pixels) -> Row:
    """The values of metrics without reference; NaN for a size that a metric refuses."""
    image = to_tensor([output])
    return {
        metric.name: math.nan
        if metric.refuses(*output.shape[:2])
        else float(metric.function(as_rgb(image), as_rgb(image)))
        for metric in metrics
    }


def differences(crop: Crop, outputs: Mapping[str, Pixels]) -> list[Row]:
    """The root mean square difference of every two outputs of a picture, in 8-bit levels."""
    rows = []
    for a, b in combinations(outputs, 2):
        change = outputs[a].astype(np.float64) - outputs[b]
        rows.append(
            {"model_a": a, "model_b": b, **place(crop), "difference": no_reference.rms(change)}
        )
    return rows
