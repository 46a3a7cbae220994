"""The observer of pooled features: every layer's maps as means over a few places of each crop.

As with the deepest features, they are spilled to the run folder and read back a chunk of columns at
a time; samples are the crops under all noises together.
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
from mtd.utils.distributed import Ranks
from mtd.utils.errors import BadInput


class Pooled(NamedTuple):
    """A layer's features over all crops under all noises.

    Attributes:
        gram: (noises · crops, noises · crops) float64, of the features centred over all of them;
            crops of the first noise come first.
        features: number of them.
    """

    gram: Tensor
    features: int


class PooledFeatures(Collector):
    """Keeps means over places of each layer's maps.

    Its result has a `Pooled` by (network, layer), layers as they fired.

    Args:
        layers: those of each network.
        pool: maps are averaged to at most `pool` x `pool` places; 0 for every number as it is.
        memory: bytes that reading the features back may take.
        device: where Gram matrices are made.
    """

    name = "pooled_features"

    def __init__(
        self,
        layers: Mapping[str, Sequence[str]],
        pool: int,
        memory: int = 2**31,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(layers)
        self.pool, self.device = pool, device
        # features in single precision, and in double as they are and centred
        self.numbers = max(1, min(gram_pca.CHUNK, memory // 24))

    @property
    def key(self) -> dict[str, Any]:
        """See `Observer.key`."""
        return {"pool": self.pool}

    def keep(self, layer: str, value: Tensor, shown: NoisyBatch) -> dict[str, Tensor]:
        """(crops, features) in float32 at least: channel by channel, places row by row."""
        check_crops(layer, value, shown)
        if self.pool:
            try:
                maps = lay_out(layer, value, len(value), *shown.batch.size)
            except BadInput as error:
                reason = str(error).partition("; ")[0]
                raise BadInput(f"{reason}; leave it out or use --pool 0") from None
            height, width = maps.shape[-2:]
            value = F.adaptive_avg_pool2d(maps, (min(self.pool, height), min(self.pool, width)))
        return {layer: value.flatten(1).clone()}

    def result(
        self, units: Mapping[View, Sequence[CachedActivations]], ranks: Ranks
    ) -> dict[tuple[str, str], Pooled]:
        """See `Collector.result`; layers are shared out among the processes."""
        names: dict[str, list[str]] = {}
        for view, held in units.items():
            if view.model not in names:
                names[view.model] = list(held[0].tensors())
        entries = [(model, layer) for model in self.layers for layer in names.get(model, ())]

        def pooled(entry: tuple[str, str]) -> Pooled:
            model, layer = entry
            held = [unit for view in units if view.model == model for unit in units[view]]
            width, parts = columns(held, layer, self.numbers)
            return Pooled(gram_pca.gram_of(parts, self.device), width)

        return dict(zip(entries, ranks.map(pooled, entries), strict=True))
