"""The observer of the distributions of features: a histogram of each layer for every image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from analysis import histograms
from analysis.engine import Batch, Observer, Shown, View
from analysis.histograms import Histogram
from analysis.ranks import ALONE, Ranks
from analysis.units import Unit
from mtd.errors import BadInput

COUNTS, SUMS = "counts:", "sums:"


class Layer(NamedTuple):
    """A layer's features of every image under a view.

    Attributes:
        counts: (images, BINS) int32; see `analysis.histograms.count`.
        sums: (images, POWERS) float64.
    """

    counts: Tensor
    sums: Tensor

    def pooled(self) -> Histogram:
        """All images as one."""
        return histograms.pooled(self.counts, self.sums)

    def without(self, whole: Histogram, image: int) -> Histogram:
        """All images but one."""
        return histograms.without(whole, self.counts[image], self.sums[image])


class FeatureHistograms(Observer):
    """Counts the features of each image, all channels and places pooled; 64 KiB for each layer.

    Args:
        layers: of each network.
    """

    name = "feature_histograms"

    def __init__(self, layers: Mapping[str, Sequence[str]]) -> None:
        self.layers = {model: list(chosen) for model, chosen in layers.items()}
        self.seen: dict[int, Mapping[View, Unit]] = {}

    @property
    def key(self) -> dict[str, Any]:
        """See `Observer.key`."""
        return {"grid": [histograms.LINEAR, histograms.LIMIT, histograms.BINS]}

    def keep(self, layer: str, value: Tensor, shown: Shown) -> dict[str, Tensor]:
        """(images, BINS) and (images, POWERS); see `analysis.histograms.count`."""
        if value.shape[0] != len(shown.batch.crops):
            raise BadInput(
                f"layer {layer!r} gives {value.shape[0]} for {len(shown.batch.crops)} crops; "
                "choose one with features for each"
            )
        try:
            counts, sums = histograms.count(value)
        except BadInput as error:
            raise BadInput(f"layer {layer!r} under {shown.noise.spec}: {error}") from None
        return {COUNTS + layer: counts, SUMS + layer: sums}

    def update(self, batch: Batch, seen: Mapping[View, Unit]) -> None:
        """See `Observer.update`."""
        self.seen[batch.index] = seen

    def merge(self, other: Self) -> None:
        """See `Observer.merge`."""
        self.seen |= other.seen

    def compute(self, ranks: Ranks = ALONE) -> dict[View, list[Unit]]:
        """What was kept of every view, in the order of the batches; `layers` reads it."""
        units: dict[int, Mapping[View, Unit]] = {}
        for part in ranks.gather(self.seen):
            units |= part
        ordered = [units[index] for index in sorted(units)]
        views = list(ordered[0]) if ordered else []
        return {view: [seen[view] for seen in ordered] for view in views}


def layers(units: Sequence[Unit]) -> dict[str, Layer]:
    """A view's layers over all its images, in firing order."""
    held = [unit.tensors() for unit in units]
    names = [name.removeprefix(COUNTS) for name in held[0] if name.startswith(COUNTS)]
    return {
        name: Layer(*(torch.cat([part[kind + name] for part in held]) for kind in (COUNTS, SUMS)))
        for name in names
    }
