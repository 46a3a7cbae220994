"""The observer of how far every layer moves between a clean image and its noisy version.

The clean activations of a batch stay in memory while it runs under its noises; sums are cached.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from analysis.engine.cache import CachedActivations
from analysis.engine.collecting_observer import Collector
from analysis.engine.feature_maps import channels_first
from analysis.engine.observer import OUTPUT, Batch, NoisyBatch, View
from analysis.text.noise_names import CLEAN
from mtd.utils.errors import BadInput

IMAGE, DENOISED = "noisy image", "denoised image"
"""Layer names of a network's input and output; no module has a blank in its name."""

MOVED, FIRST, SECOND, POSITIONS = " moved", " first", " second", " positions"
"""Suffixes of the tensors of a layer."""


class Sums(NamedTuple):
    """Sums behind a layer's relative change, image by image, all in float64.

    Attributes:
        moved: (images,) Σ (f(noisy) − f(clean))², over positions and channels.
        first: (images, channels) Σ f(clean), over positions.
        second: (images, channels) Σ f(clean)², over positions.
        positions: number of positions in an image.
    """

    moved: Tensor
    first: Tensor
    second: Tensor
    positions: int


class LayerChanges(Collector):
    """Sums of squares of every layer's change from the clean view of the same batch.

    The clean view comes first. The result is `Sums` by view and layer, input first, output last.

    Args:
        layers: module paths by network.
        memory: limit in bytes for the clean activations of a batch, of all networks.
    """

    name = "layer_changes"

    def __init__(self, layers: Mapping[str, Sequence[str]], memory: int = 2**31) -> None:
        super().__init__({model: [*paths, OUTPUT] for model, paths in layers.items()})
        self.memory = memory
        self.clean: dict[tuple[str, str], Tensor] = {}

    def reference_view(self, view: View) -> View | None:
        """See `Observer.reference_view`: the clean view."""
        return None if view.noise == CLEAN else View(view.model, CLEAN)

    def extract(self, layer: str, value: Tensor, noisy: NoisyBatch) -> dict[str, Tensor]:
        """Sums over positions in float64: of the clean layer (images, channels), of the change."""
        layers = {layer: value}
        if layer == OUTPUT:
            layers = {IMAGE: noisy.noisy, DENOISED: value}
        sums: dict[str, Tensor] = {}
        for name, activation in layers.items():
            positions = by_position(name, activation, len(noisy.batch.crops), *noisy.batch.size)
            if noisy.noise.spec == CLEAN:
                self._remember((noisy.model, name), positions)
                exact = positions.double()
                sums[name + FIRST] = exact.sum(1)
                sums[name + SECOND] = exact.square().sum(1)
                sums[name + POSITIONS] = torch.tensor(positions.shape[1])
            else:
                clean = self.clean[noisy.model, name]
                if clean.shape != positions.shape:
                    raise BadInput(
                        f"layer {name!r} has another size under noise: it cannot be compared"
                    )
                sums[name + MOVED] = (positions.double() - clean.double()).square().sum((1, 2))
        return sums

    def _remember(self, name: tuple[str, str], positions: Tensor) -> None:
        self.clean[name] = positions.clone()
        if sum(t.numel() * t.element_size() for t in self.clean.values()) > self.memory:
            self.clean.clear()
            raise BadInput(
                f"the clean layers of a batch of {len(positions)} take more than "
                f"{self.memory / 2**30:.2g} GiB: lower --batch-size, choose fewer --layers, or "
                "raise --memory"
            )

    def update(self, batch: Batch, activations: Mapping[View, CachedActivations]) -> None:
        """See `Observer.update`."""
        self.clean.clear()
        super().update(batch, activations)

    def result(
        self, activations: Mapping[View, Sequence[CachedActivations]]
    ) -> dict[View, dict[str, Sums]]:
        """See `Collector.result`."""
        tensors = {view: [b.tensors() for b in batches] for view, batches in activations.items()}
        sums = {}
        for view, batches in tensors.items():
            if view.noise == CLEAN:
                continue
            clean_batches = tensors[View(view.model, CLEAN)]
            names = [key.removesuffix(MOVED) for key in batches[0] if key.endswith(MOVED)]
            ordered = sorted(names, key=lambda name: (name != IMAGE, name == DENOISED))
            sums[view] = {
                name: joined(
                    [
                        Sums(
                            noisy[name + MOVED],
                            clean[name + FIRST],
                            clean[name + SECOND],
                            int(clean[name + POSITIONS]),
                        )
                        for noisy, clean in zip(batches, clean_batches, strict=True)
                    ]
                )
                for name in ordered
            }
        return sums


def by_position(layer: str, value: Tensor, count: int, height: int, width: int) -> Tensor:
    """A layer's output for `count` images of (height, width) as (images, positions, channels).

    Feature maps are (images, channels, h, w) or (images, h, w, channels), tokens (images,
    positions, channels) already.

    Raises:
        BadInput: neither of them.
    """
    if value.shape[0] == count and value.ndim == 4:
        return channels_first(value, height, width).flatten(2).mT
    if value.shape[0] == count and value.ndim == 3:
        return value
    raise BadInput(
        f"layer {layer!r} outputs {tuple(value.shape)} for {count} crops: expected maps or tokens "
        "of whole images; leave it out of --layers"
    )


def joined(parts: Sequence[Sums]) -> Sums:
    """Sums of several batches as those of one.

    Raises:
        BadInput: crops of several sizes.
    """
    if len({part.positions for part in parts}) > 1:
        raise BadInput("a layer has several numbers of positions: crops must be of one size")
    columns = zip(*(part[:3] for part in parts), strict=True)
    moved, first, second = (torch.cat(column) for column in columns)
    return Sums(moved, first, second, parts[0].positions)
