"""The observer of how far every layer moves between a clean image and its noisy version.

Layers are spilled to the run folder as they come, and the two versions of a batch are read back a
chunk of columns at a time once both are there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from analysis.deep_features import check_space
from analysis.engine import OUTPUT, Batch, Observer, Shown, View
from analysis.ranks import ALONE, Ranks
from analysis.units import Unit
from mtd.errors import BadInput

CLEAN = "gaussian:0"
"""The noise that changes nothing."""

IMAGE, DENOISED = "noisy image", "denoised image"
"""Names of what goes into a network and comes out of it. No module has a blank in its name."""

CHANNELS = " channels"


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


class LayerChanges(Observer):
    """Keeps whole layers of every view, and makes sums of them when a batch is through.

    Args:
        layers: of each network.
        memory: bytes that reading the layers back may take.
    """

    name = "layer_changes"

    def __init__(self, layers: Mapping[str, Sequence[str]], memory: int = 2**30) -> None:
        self.layers = {model: [*chosen, OUTPUT] for model, chosen in layers.items()}
        # two versions in single precision, and three arrays in double
        self.numbers = max(1, memory // 32)
        self.found: dict[int, dict[View, dict[str, Sums]]] = {}
        self.spill: tuple[Path, int] | None = None
        """The run folder, and how many crops of all views will lie there; checked in one pass."""
        self._width = 0

    @property
    def key(self) -> dict[str, Any]:
        """See `Observer.key`."""
        return {}

    def keep(self, layer: str, value: Tensor, shown: Shown) -> dict[str, Tensor]:
        """(images, positions · channels) by layer, position by position, and how many channels."""
        count = len(shown.batch.crops)
        kept = {layer: value}
        if layer == OUTPUT:
            kept = {IMAGE: shown.noisy, DENOISED: value}
        found = {}
        for name, one in kept.items():
            laid = places(name, one, count)
            self._check(layer == OUTPUT, laid[0].numel())
            found[name] = laid.flatten(1).clone()
            found[name + CHANNELS] = torch.tensor(laid.shape[2])
        return found

    def _check(self, last: bool, width: int) -> None:
        if self.spill is None:
            return
        self._width += width
        check_space(*self.spill, self._width)
        if last:
            self.spill = None

    def update(self, batch: Batch, seen: Mapping[View, Unit]) -> None:
        """See `Observer.update`."""
        self.found[batch.index] = {
            view: self._compare(seen[View(view.model, CLEAN)], unit)
            for view, unit in seen.items()
            if view.noise != CLEAN
        }

    def merge(self, other: Self) -> None:
        """See `Observer.merge`."""
        self.found |= other.found

    def compute(self, ranks: Ranks = ALONE) -> dict[View, dict[str, Sums]]:
        """Sums of each layer over all batches of all processes, input first, output last."""
        parts: dict[int, dict[View, dict[str, Sums]]] = {}
        for part in ranks.gather(self.found):
            parts |= part
        ordered = [parts[index] for index in sorted(parts)]
        return {
            view: {layer: joined([part[view][layer] for part in ordered]) for layer in layers}
            for view, layers in (ordered[0] if ordered else {}).items()
        }

    def _compare(self, clean: Unit, noisy: Unit) -> dict[str, Sums]:
        channels = {
            name.removesuffix(CHANNELS): int(value)
            for name, value in clean.tensors().items()
            if name.endswith(CHANNELS)
        }
        names = [IMAGE, *(name for name in channels if name != IMAGE)]
        return {name: self._sums(clean, noisy, name, channels[name]) for name in names}

    def _sums(self, clean: Unit, noisy: Unit, name: str, channels: int) -> Sums:
        sides = clean.matrix(name), noisy.matrix(name)
        images, width = len(sides[0][:, :1]), len(sides[0][:1].flatten())
        if len(sides[1][:1].flatten()) != width:
            raise BadInput(f"layer {name!r} has another size under noise: it cannot be compared")
        step = max(1, self.numbers // (images * channels)) * channels

        def chunks() -> Iterator[tuple[Tensor, Tensor]]:
            for start in range(0, width, step):
                one, other = (side[:, start : start + step].double() for side in sides)
                yield one, other

        return sums(chunks(), channels)


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
        f"layer {layer!r} puts out {tuple(value.shape)} for {count} crops: expected maps or tokens "
        "of whole images; leave it out of --layers"
    )


def sums(chunks: Iterator[tuple[Tensor, Tensor]], channels: int) -> Sums:
    """Sums of a layer from its clean and noisy versions.

    Args:
        chunks: pairs of (images, columns) in float64; columns are whole positions, one after the
            other, each of all channels.
        channels: of the layer.
    """
    total: Sums | None = None
    for clean, noisy in chunks:
        laid = clean.reshape(len(clean), -1, channels)
        moved = (noisy - clean).square().sum(1)
        part = Sums(moved, laid.sum(1), laid.square().sum(1), laid.shape[1])
        total = part if total is None else added(total, part)
    assert total is not None
    return total


def added(one: Sums, other: Sums) -> Sums:
    """Sums over the positions of both."""
    return Sums(
        one.moved + other.moved,
        one.first + other.first,
        one.second + other.second,
        one.positions + other.positions,
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
