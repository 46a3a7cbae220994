"""The observer behind the benchmark: PSNR, SSIM, LPIPS and other metrics of each output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import pandas as pd
import torch
from torch import Tensor

from analysis.engine.cache import CachedActivations
from analysis.engine.observer import OUTPUT, Batch, NoisyBatch, Observer, View
from mtd.data.crops import Crop, busiest, place
from mtd.metrics import Metric, psnr_ssim
from mtd.metrics.lpips import LPIPS, SMALLEST
from mtd.metrics.psnr_ssim import Channel
from mtd.utils.distributed import SINGLE_PROCESS, Ranks

WINDOW = "window"


@dataclass(frozen=True)
class Protocol:
    """How images are compared: `border` pixels left out at every side, all channels or luma."""

    name: str = "default"
    border: int = 0
    channel: Channel = "rgb"


PROTOCOLS = {"default": Protocol(), "paper": Protocol("paper", border=1)}
"""The default compares whole images; the paper's script for its own networks leaves out 1 pixel."""

COLUMNS = (
    *("model", "noise", "kind", "level", "image", "scene"),
    *("top", "left", "height", "width", "sha256"),
    *("metric", "value", "protocol", "border", "channel"),
    *("checkpoint", "masks", "seed", "quantize", "note"),
)
"""Of `results.csv`; `sha256` is of the clean pixels, `checkpoint` of the model's file."""

SCORED = tuple(name for name in COLUMNS[:16] if name not in ("kind", "level"))
"""What the observer knows of them."""


class ImageQuality(Observer):
    """Compares the outputs of networks with the clean images.

    A batch is one size; its values are kept image by image, and beside them the busiest square of
    every output in 8 bits, from which comparison strips are made.

    Args:
        models: names of the networks.
        protocol: see `Protocol`; LPIPS and further metrics are always of the whole RGB image.
        perceptual: LPIPS, or None where it is not available.
        window: side of the squares for strips.
        further: metrics beside PSNR, SSIM and LPIPS, such as those of other packages.
    """

    name = "image_quality"

    def __init__(
        self,
        models: Sequence[str],
        protocol: Protocol | None = None,
        perceptual: LPIPS | None = None,
        window: int = 128,
        further: Sequence[Metric] = (),
    ) -> None:
        self.layers = {name: [OUTPUT] for name in models}
        self.protocol, self.perceptual = protocol or Protocol(), perceptual
        self.window, self.further = window, further
        self.seen: dict[int, tuple[Batch, Mapping[View, CachedActivations]]] = {}

    @property
    def key(self) -> dict[str, Any]:
        """See `Observer.key`."""
        return {
            "border": self.protocol.border,
            "channel": self.protocol.channel,
            "lpips": self.perceptual.sha256 if self.perceptual else None,
            "window": self.window,
            "further": [metric.name for metric in self.further],
        }

    def keep(self, layer: str, value: Tensor, shown: NoisyBatch) -> dict[str, Tensor]:
        """(images,) float64 by metric, and the squares (images, 3, side, side) in 8 bits."""
        target, size = shown.target, min(shown.batch.size)
        value, how = value.detach().cpu(), self.protocol
        kept = {"psnr": psnr_ssim.psnr(value, target, how.border, how.channel)}
        if size - 2 * how.border >= psnr_ssim.WINDOW:
            kept["ssim"] = psnr_ssim.ssim(value, target, how.border, how.channel)
        if self.perceptual and size >= SMALLEST:
            kept["lpips"] = self.perceptual(value, target)
        kept |= {metric.name: metric.function(value, target) for metric in self.further}
        squares = []
        for crop, image in zip(shown.batch.crops, value, strict=True):
            rows, columns = busiest(crop.pixels, self.window)
            squares.append(psnr_ssim.levels(image[None, :, rows, columns]).nan_to_num(0)[0])
        return kept | {WINDOW: torch.stack(squares).to(torch.uint8)}

    def update(self, batch: Batch, seen: Mapping[View, CachedActivations]) -> None:
        """See `Observer.update`."""
        self.seen[batch.index] = batch, seen

    def merge(self, other: Self) -> None:
        """See `Observer.merge`."""
        self.seen |= other.seen

    def compute(self, ranks: Ranks = SINGLE_PROCESS) -> pd.DataFrame:
        """One row for each model, noise, image and metric, in the order of the batches."""
        mine = {index: self._rows(*self.seen[index]) for index in self.seen}
        rows: dict[int, list[dict[str, Any]]] = {}
        for part in ranks.gather(mine):
            rows |= part
        return pd.DataFrame(
            [row for index in sorted(rows) for row in rows[index]], columns=list(SCORED)
        )

    def _rows(self, batch: Batch, views: Mapping[View, CachedActivations]) -> list[dict[str, Any]]:
        about = {
            "protocol": self.protocol.name,
            "border": self.protocol.border,
            "channel": self.protocol.channel,
        }
        return [
            {**view._asdict(), **place(crop), "metric": name, "value": float(values[i]), **about}
            for view, unit in views.items()
            for name, values in unit.tensors().items()
            if name != WINDOW
            for i, crop in enumerate(batch.crops)
        ]

    def square(self, view: View, batch: Batch, crop: Crop) -> Tensor | None:
        """The kept square (3, side, side) of a crop's output, if this process has it."""
        _, views = self.seen.get(batch.index, (batch, {}))
        if view not in views:
            return None
        index = next(i for i, other in enumerate(batch.crops) if other is crop)
        return views[view].tensors()[WINDOW][index]
