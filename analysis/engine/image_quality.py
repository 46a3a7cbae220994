"""The observer behind the benchmark: PSNR, SSIM, LPIPS and other metrics of each output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from analysis.engine.cache import CachedActivations
from analysis.engine.observer import OUTPUT, Batch, NoisyBatch, Observer, View
from analysis.engine.protocol import Protocol
from mtd.data.crops import Crop, busiest, place
from mtd.metrics import Metric, psnr_ssim
from mtd.metrics.lpips import LPIPS, NAMES, SMALLEST
from mtd.metrics.psnr_ssim import Quantize, as_rgb

WINDOW = "window"

COLUMNS = (
    *("model", "noise", "kind", "level", "image", "scene"),
    *("top", "left", "height", "width", "sha256"),
    *("metric", "value", "protocol", "border", "channel"),
    *("checkpoint", "masks", "seed", "quantize", "note", "is_reference", "testset"),
)
"""Of `results.csv`; `sha256` is of the clean pixels, `checkpoint` of the model's file,
`is_reference` whether it is a classical denoiser, which is not ranked; `testset` the test set that
the image is of, or empty."""

SCORED = tuple(name for name in COLUMNS[:16] if name not in ("kind", "level"))
"""The columns that the observer fills."""


class ImageQuality(Observer):
    """Image quality of every output, and its busiest square in 8 bits, for comparison strips.

    The result is a table with the columns `SCORED`, a row for each model, noise, image and metric.

    Args:
        models: names of the networks.
        protocol: how outputs are scored; LPIPS and further metrics are always of the whole RGB
            image, or of grayscale as three equal channels; see `Metric.quantizes` for rounding.
        perceptual: LPIPS, or None if it is not available.
        window: side of the squares for strips.
        further: metrics beside PSNR, SSIM and LPIPS, such as those of other packages.
    """

    name = "image_quality"
    rows: dict[int, list[dict[str, Any]]]

    def __init__(
        self,
        models: Sequence[str],
        protocol: Protocol | None = None,
        perceptual: LPIPS | None = None,
        window: int = 128,
        further: Sequence[Metric] = (),
    ) -> None:
        super().__init__()
        self.layers = {name: [OUTPUT] for name in models}
        self.protocol, self.perceptual = protocol or Protocol(), perceptual
        self.window, self.further = window, further
        self.outputs: dict[int, Mapping[View, CachedActivations]] = {}
        self.add_state("rows", {}, reduce="gather")

    @property
    def key(self) -> dict[str, Any]:
        """See `Observer.key`."""
        return {
            "border": self.protocol.border,
            "channel": self.protocol.channel,
            **({} if self.protocol.round_output else {"round_output": False}),
            "lpips": [self.perceptual.name, self.perceptual.sha256] if self.perceptual else None,
            "window": self.window,
            "further": [
                {metric.name: metric.entry} if metric.source else metric.name
                for metric in self.further
            ],
        }

    def extract(self, layer: str, value: Tensor, noisy: NoisyBatch) -> dict[str, Tensor]:
        """(images,) float64 by metric, and the squares (images, C, side, side) in 8 bits."""
        target, size = noisy.target, min(noisy.batch.size)
        value, border = value.detach().cpu(), self.protocol.border
        quantize: Quantize = True if self.protocol.round_output else "clip"
        how = border, self.protocol.channel, quantize
        metrics = {"psnr": psnr_ssim.psnr(value, target, *how)}
        if size - 2 * border >= psnr_ssim.WINDOW:
            metrics["ssim"] = psnr_ssim.ssim(value, target, *how)
        if self.perceptual and size >= SMALLEST:
            metrics[self.perceptual.name] = self.perceptual(value, target, quantize)
        colors = as_rgb(value), as_rgb(target)
        for metric in self.further:
            if not metric.refuses(*noisy.batch.size):
                rounding = (quantize,) if metric.quantizes else ()
                metrics[metric.name] = metric.function(*colors, *rounding)
        squares = []
        for crop, image in zip(noisy.batch.crops, value, strict=True):
            rows, columns = busiest(crop.pixels, self.window)
            squares.append(psnr_ssim.levels(image[None, :, rows, columns]).nan_to_num(0)[0])
        return metrics | {WINDOW: torch.stack(squares).to(torch.uint8)}

    def update(self, batch: Batch, activations: Mapping[View, CachedActivations]) -> None:
        """See `Observer.update`."""
        self.outputs[batch.index] = activations
        self.rows[batch.index] = self._rows(batch, activations)

    def compute(self) -> pd.DataFrame:
        """One row for each model, noise, image and metric, in the order of the batches."""
        rows = [row for index in sorted(self.rows) for row in self.rows[index]]
        return pd.DataFrame(rows, columns=list(SCORED))

    def _rows(
        self, batch: Batch, activations: Mapping[View, CachedActivations]
    ) -> list[dict[str, Any]]:
        return [
            {
                **view._asdict(),
                **place(crop),
                "metric": name,
                "value": float(values[i]),
                "protocol": self.protocol.name,
                **self._area(name),
            }
            for view, cached in activations.items()
            for name, values in cached.tensors().items()
            if name != WINDOW
            for i, crop in enumerate(batch.crops)
        ]

    def _area(self, metric: str) -> dict[str, Any]:
        """Pixels left out at every side for a metric, and the channels that it is of."""
        if metric in ("psnr", "ssim"):
            return {"border": self.protocol.border, "channel": self.protocol.channel}
        gray = self.protocol.channel == "gray"
        bgr = metric == NAMES["bgr"]
        return {"border": 0, "channel": "gray" if gray else "bgr" if bgr else "rgb"}

    def square(self, view: View, batch: Batch, crop: Crop) -> Tensor | None:
        """The busiest square (C, side, side) of a crop's output, if it ran on this process."""
        outputs = self.outputs.get(batch.index, {})
        if view not in outputs:
            return None
        index = next(i for i, other in enumerate(batch.crops) if other is crop)
        return outputs[view].tensors()[WINDOW][index]
