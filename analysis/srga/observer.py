"""The observer behind SRGA: one layer's features, by default those before the last convolution.

Features are cached in the run folder as they come, and read back in chunks of columns, so that
hundreds of patches of a million features need no more memory than one chunk.
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

FEATURES, PSNR = "features", "psnr"


class Deep(NamedTuple):
    """A view's features over all patches.

    Attributes:
        gram: (patches, patches) float64, of the centered features.
        features: number of features.
        psnr: (patches,) in dB, of the denoised patches.
    """

    gram: Tensor
    features: int
    psnr: Tensor


class DeepFeatures(Collector):
    """Extracts one layer's features of every patch, and the PSNR of the network's output.

    Of a layer that is called several times, they are those of its last call.

    The result is a `Deep` by view.

    Args:
        layers: one module path by network.
        memory: budget in bytes for reading features back.
        device: where Gram matrices are computed.
    """

    name = "deep_features"
    last_call_only = True

    def __init__(
        self, layers: Mapping[str, str], memory: int, device: torch.device | str = "cpu"
    ) -> None:
        super().__init__({model: [layer, OUTPUT] for model, layer in layers.items()})
        # features in single precision, and in double as they are and centered
        self.numbers = max(1, min(gram_pca.CHUNK, memory // 24))
        self.device = device

    def extract(self, layer: str, value: Tensor, noisy: NoisyBatch) -> dict[str, Tensor]:
        """(patches, features) in float32 at least; (patches,) PSNR."""
        if layer == OUTPUT:
            return {PSNR: psnr_ssim.psnr(value, noisy.target)}
        check_crops(layer, value, noisy)
        return {FEATURES: value.flatten(1).clone()}

    def result(self, activations: Mapping[View, Sequence[CachedActivations]]) -> dict[View, Deep]:
        """See `Collector.result`; views are distributed round-robin over the processes."""
        deep = self.ranks.map(self._deep, list(activations.values()))
        return dict(zip(activations, deep, strict=True))

    def _deep(self, batches: Sequence[CachedActivations]) -> Deep:
        width, chunks = columns(batches, FEATURES, self.numbers)
        gram = gram_pca.gram_of(chunks, self.device)
        return Deep(gram, width, torch.cat([batch.matrix(PSNR)[:] for batch in batches]))
