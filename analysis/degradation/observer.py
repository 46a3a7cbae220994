"""The observer of pooled features: every layer's feature maps, average-pooled to a few positions.

Like the last features they are cached in the run folder and read back in chunks of columns; the
samples are the crops under all noises together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from analysis.engine.cache import CachedActivations
from analysis.engine.collecting_observer import Collector, check_crops, columns
from analysis.engine.feature_maps import lay_out
from analysis.engine.observer import NoisyBatch, View
from analysis.stats import gram_pca
from mtd.utils.errors import BadInput


class Pooled(NamedTuple):
    """A layer's features over all crops under all noises.

    Attributes:
        gram: (noises · crops, noises · crops) float64, of the features centered over all samples;
            crops of the first noise come first.
        features: number of features.
    """

    gram: Tensor
    features: int


class PooledLayers(NamedTuple):
    """The features of every layer, by (network, layer) in firing order.

    Attributes:
        noises: under the noises of the run, of untrained networks as well.
        draws: under as many draws of the reference noise; empty without controls.
    """

    noises: dict[tuple[str, str], Pooled]
    draws: dict[tuple[str, str], Pooled]


class PooledFeatures(Collector):
    """Average-pools each layer's feature maps.

    The result is `PooledLayers`.

    Args:
        layers: module paths by network.
        pool: feature maps are pooled to at most `pool` x `pool` positions; 0 for no pooling.
        memory: budget in bytes for reading features back.
        device: where Gram matrices are computed.
        noises: those of the run; by default all that are seen.
        draws: of the reference noise, as many; none without controls.
    """

    name = "pooled_features"

    def __init__(
        self,
        layers: Mapping[str, Sequence[str]],
        pool: int,
        memory: int = 2**31,
        device: torch.device | str = "cpu",
        noises: Sequence[str] = (),
        draws: Sequence[str] = (),
    ) -> None:
        super().__init__(layers)
        self.pool, self.device, self.noises, self.draws = pool, device, noises, draws
        # features in single precision, and in double as they are and centered
        self.numbers = max(1, min(gram_pca.CHUNK, memory // 24))

    @property
    def key(self) -> dict[str, Any]:
        """See `Observer.key`."""
        return {"pool": self.pool}

    def extract(self, layer: str, value: Tensor, noisy: NoisyBatch) -> dict[str, Tensor]:
        """(crops, features) in float32 at least: channel by channel, positions row by row."""
        check_crops(layer, value, noisy)
        if self.pool:
            try:
                windowed = noisy.is_windowed(layer)
                maps = lay_out(layer, value, len(value), *noisy.batch.size, windowed)
            except BadInput as error:
                reason = str(error).partition("; ")[0]
                raise BadInput(f"{reason}; leave it out or use --pool 0") from None
            height, width = maps.shape[-2:]
            value = F.adaptive_avg_pool2d(maps, (min(self.pool, height), min(self.pool, width)))
        return {layer: value.flatten(1).clone()}

    def result(self, activations: Mapping[View, Sequence[CachedActivations]]) -> PooledLayers:
        """See `Collector.result`; layers are distributed round-robin over the processes."""
        specs = self.noises or tuple(dict.fromkeys(view.noise for view in activations))
        return PooledLayers(self._under(activations, specs), self._under(activations, self.draws))

    def _under(
        self, activations: Mapping[View, Sequence[CachedActivations]], specs: Sequence[str]
    ) -> dict[tuple[str, str], Pooled]:
        """The features of those networks that were seen under all of some noises."""
        by_model = {
            model: [batch for spec in specs for batch in activations[View(model, spec)]]
            for model in self.layers
            if specs and all(View(model, spec) in activations for spec in specs)
        }
        entries = [
            (model, layer) for model, batches in by_model.items() for layer in batches[0].tensors()
        ]

        def pooled(entry: tuple[str, str]) -> Pooled:
            model, layer = entry
            width, chunks = columns(by_model[model], layer, self.numbers)
            return Pooled(gram_pca.gram_of(chunks, self.device), width)

        return dict(zip(entries, self.ranks.map(pooled, entries, "Gram matrices"), strict=True))
