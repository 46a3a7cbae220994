"""The observer of feature distributions: a histogram of each layer for every image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from analysis.engine.cache import CachedActivations
from analysis.engine.collecting_observer import Collector, check_crops
from analysis.engine.observer import NoisyBatch, View
from analysis.stats import histograms
from analysis.stats.histograms import Histogram

COUNTS, SUMS = "counts:", "sums:"


class Layer(NamedTuple):
    """A layer's features of every image under a view.

    Attributes:
        counts: (images, BINS) int32; see `analysis.stats.histograms.count`.
        sums: (images, POWERS) float64.
    """

    counts: Tensor
    sums: Tensor

    def pooled(self) -> Histogram:
        """All images as one."""
        return histograms.pooled(self.counts, self.sums)

    def without(self, whole: Histogram, images: Tensor) -> Histogram:
        """All images but some, (images,) boolean."""
        counts, sums = self.counts[images].sum(0, dtype=torch.int64), self.sums[images].sum(0)
        return histograms.without(whole, counts, sums)


class FeatureHistograms(Collector):
    """Histograms of each image's features, over all channels and positions; 64 KiB per layer.

    Args:
        layers: module paths by network.
    """

    name = "feature_histograms"

    @property
    def key(self) -> dict[str, Any]:
        """See `Observer.key`."""
        return {"grid": [histograms.LINEAR, histograms.LIMIT, histograms.BINS]}

    def extract(self, layer: str, value: Tensor, noisy: NoisyBatch) -> dict[str, Tensor]:
        """(images, BINS) and (images, POWERS); see `analysis.stats.histograms.count`."""
        check_crops(layer, value, noisy)
        counts, sums = histograms.count(value)
        return {COUNTS + layer: counts, SUMS + layer: sums}

    def result(
        self, activations: Mapping[View, Sequence[CachedActivations]]
    ) -> dict[View, Sequence[CachedActivations]]:
        """The cached histograms of every view; `layers` reads them."""
        return dict(activations)


def layers(activations: Sequence[CachedActivations]) -> dict[str, Layer]:
    """A view's layers over all its images, in firing order."""
    batches = [batch.tensors() for batch in activations]
    names = [name.removeprefix(COUNTS) for name in batches[0] if name.startswith(COUNTS)]
    return {
        name: Layer(*(torch.cat([b[kind + name] for b in batches]) for kind in (COUNTS, SUMS)))
        for name in names
    }
