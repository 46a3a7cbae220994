"""The observer of how far every layer moves between a clean image and its noisy version.

The clean layers of a batch are held while the batch is shown under its noises; only sums are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from analysis.engine.cache import CachedActivations
from analysis.engine.collecting_observer import Collector
from analysis.engine.observer import OUTPUT, Batch, NoisyBatch, View
from analysis.text.noise_names import CLEAN
from mtd.utils.distributed import Ranks
from mtd.utils.errors import BadInput

IMAGE, DENOISED = "noisy image", "denoised image"
"""Names of what goes into a network and comes out of it. No module has a blank in its name."""

MOVED, FIRST, SECOND, POSITIONS = " moved", " first", " second", " positions"
"""What is kept of a layer, behind its name."""


class Sums(NamedTuple):
    """What a layer's change is made of, image by image, all in float64.

    Attributes:
        moved: (images,) Σ (f(noisy) − f(clean))², over positions and channels.
        first: (images, channels) Σ f(clean), over positions.
        second: (images, channels) Σ f(clean)², over positions.
        positions: of an image.
    """

    moved: Tensor
    first: Tensor
    second: Tensor
    positions: int


class LayerChanges(Collector):
    """Keeps sums of squares of every layer's change from the clean view of the same batch.

    The clean view comes first. Its result has `Sums` by view and layer, input first, output last.

    Args:
        layers: of each network.
        memory: bytes that the clean layers of a batch, of all networks, may take.
    """

    name = "layer_changes"
    version = 2

    def __init__(self, layers: Mapping[str, Sequence[str]], memory: int = 2**31) -> None:
        super().__init__({model: [*chosen, OUTPUT] for model, chosen in layers.items()})
        self.memory = memory
        self.clean: dict[tuple[str, str], Tensor] = {}

    def before(self, view: View) -> View | None:
        """See `Observer.before`: the clean view."""
        return None if view.noise == CLEAN else View(view.model, CLEAN)

    def keep(self, layer: str, value: Tensor, shown: NoisyBatch) -> dict[str, Tensor]:
        """Sums over positions in float64: of the clean layer (images, channels), of the change."""
        kept = {layer: value}
        if layer == OUTPUT:
            kept = {IMAGE: shown.noisy, DENOISED: value}
        found: dict[str, Tensor] = {}
        for name, one in kept.items():
            laid = places(name, one, len(shown.batch.crops))
            if shown.noise.spec == CLEAN:
                self._hold((shown.model, name), laid)
                exact = laid.double()
                found[name + FIRST] = exact.sum(1)
                found[name + SECOND] = exact.square().sum(1)
                found[name + POSITIONS] = torch.tensor(laid.shape[1])
            else:
                clean = self.clean[shown.model, name]
                if clean.shape != laid.shape:
                    raise BadInput(
                        f"layer {name!r} has another size under noise: it cannot be compared"
                    )
                found[name + MOVED] = (laid.double() - clean.double()).square().sum((1, 2))
        return found

    def _hold(self, name: tuple[str, str], laid: Tensor) -> None:
        self.clean[name] = laid.clone()
        if sum(t.numel() * t.element_size() for t in self.clean.values()) > self.memory:
            self.clean.clear()
            raise BadInput(
                f"the clean layers of a batch of {len(laid)} take more than "
                f"{self.memory / 2**30:.2g} GiB: lower --batch-size, choose fewer --layers, or "
                "raise --memory"
            )

    def update(self, batch: Batch, seen: Mapping[View, CachedActivations]) -> None:
        """See `Observer.update`."""
        self.clean.clear()
        super().update(batch, seen)

    def result(
        self, units: Mapping[View, Sequence[CachedActivations]], ranks: Ranks
    ) -> dict[View, dict[str, Sums]]:
        """See `Collector.result`."""
        held = {view: [unit.tensors() for unit in parts] for view, parts in units.items()}
        found = {}
        for view in held:
            if view.noise == CLEAN:
                continue
            clean = held[View(view.model, CLEAN)]
            names = [key.removesuffix(MOVED) for key in held[view][0] if key.endswith(MOVED)]
            ordered = sorted(names, key=lambda name: (name != IMAGE, name == DENOISED))
            found[view] = {
                name: joined(
                    [
                        Sums(
                            noisy[name + MOVED],
                            still[name + FIRST],
                            still[name + SECOND],
                            int(still[name + POSITIONS]),
                        )
                        for noisy, still in zip(held[view], clean, strict=True)
                    ]
                )
                for name in ordered
            }
        return found


def places(layer: str, value: Tensor, count: int) -> Tensor:
    """A layer's output for `count` images as (images, positions, channels).

    Maps are (images, channels, h, w), tokens (images, positions, channels) already.

    Raises:
        BadInput: neither of them.
    """
    if value.shape[0] == count and value.ndim == 4:
        return value.flatten(2).mT
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
