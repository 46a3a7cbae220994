"""The observer behind SRGA: one layer's features, by default those before the last convolution.

Features are spilled to the run folder as they come, and read back a chunk of columns at a time, so
that hundreds of patches of a million features need no more memory than one chunk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from analysis.engine.cache import CachedActivations
from analysis.engine.collecting_observer import Collector, check_crops, columns
from analysis.engine.observer import OUTPUT, NoisyBatch, View
from analysis.stats import gram_pca
from mtd.metrics import psnr_ssim
from mtd.utils.distributed import Ranks
from mtd.utils.errors import BadInput

FEATURES, PSNR = "features", "psnr"


class Deep(NamedTuple):
    """A view's features over all patches.

    Attributes:
        gram: (patches, patches) float64, of the centered features.
        features: number of them.
        psnr: (patches,) in dB, of the denoised patches.
    """

    gram: Tensor
    features: int
    psnr: Tensor


class DeepFeatures(Collector):
    """Keeps one layer's features of every patch, and the PSNR of its output.

    Its result has every view's `Deep`.

    Args:
        layers: the layer of each network.
        memory: bytes that reading the features back may take.
        device: where Gram matrices are made.
    """

    name = "deep_features"

    def __init__(
        self, layers: Mapping[str, str], memory: int, device: torch.device | str = "cpu"
    ) -> None:
        super().__init__({model: [layer, OUTPUT] for model, layer in layers.items()})
        # features in single precision, and in double as they are and centered
        self.numbers = max(1, min(gram_pca.CHUNK, memory // 24))
        self.device = device

    def keep(self, layer: str, value: Tensor, shown: NoisyBatch) -> dict[str, Tensor]:
        """(patches, features) in float32 at least; (patches,) PSNR."""
        if layer == OUTPUT:
            return {PSNR: psnr_ssim.psnr(value, shown.target)}
        if "#" in layer:
            raise BadInput(f"layer {layer.partition('#')[0]!r} fires more than once; name another")
        check_crops(layer, value, shown)
        return {FEATURES: value.flatten(1).clone()}

    def result(
        self, units: Mapping[View, Sequence[CachedActivations]], ranks: Ranks
    ) -> dict[View, Deep]:
        """See `Collector.result`; views are shared out among the processes."""
        return dict(zip(units, ranks.map(self._deep, list(units.values())), strict=True))

    def _deep(self, units: Sequence[CachedActivations]) -> Deep:
        width, parts = columns(units, FEATURES, self.numbers)
        gram = gram_pca.gram_of(parts, self.device)
        return Deep(gram, width, torch.cat([unit.matrix(PSNR)[:] for unit in units]))
