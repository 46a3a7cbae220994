"""The observer of the deepest features: what goes into a network's last convolution.

Features are spilled to the run folder as they come, and read back a chunk of columns at a time, so
that hundreds of patches of a million features need no more memory than one chunk.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from analysis import components
from analysis.engine import OUTPUT, Batch, Observer, Shown, View
from analysis.ranks import ALONE, Ranks
from analysis.units import Unit
from mtd import metrics
from mtd.errors import BadInput

FEATURES, PSNR = "features", "psnr"


class Deep(NamedTuple):
    """A view's deepest features over all patches.

    Attributes:
        gram: (patches, patches) float64, of the centred features.
        features: number of them.
        psnr: (patches,) in dB, of the denoised patches.
    """

    gram: Tensor
    features: int
    psnr: Tensor


class DeepFeatures(Observer):
    """Keeps one layer's features of every patch, and the PSNR of its output.

    Args:
        layers: the layer of each network.
        memory: bytes that reading the features back may take.
        device: where Gram matrices are made.
    """

    name = "deep_features"

    def __init__(
        self, layers: Mapping[str, str], memory: int, device: torch.device | str = "cpu"
    ) -> None:
        self.chosen = dict(layers)
        self.layers: Mapping[str, Sequence[str]] = {
            model: [layer, OUTPUT] for model, layer in layers.items()
        }
        # features in single precision, and in double as they are and centred
        self.numbers = max(1, min(components.CHUNK, memory // 24))
        self.device = device
        self.seen: dict[int, Mapping[View, Unit]] = {}
        self.spill: tuple[Path, int] | None = None
        """The run folder, and how many patches of all views will lie there; checked once."""

    @property
    def key(self) -> dict[str, Any]:
        """See `Observer.key`."""
        return {}

    def keep(self, layer: str, value: Tensor, shown: Shown) -> dict[str, Tensor]:
        """(patches, features) in float32 at least; (patches,) PSNR."""
        if layer == OUTPUT:
            return {PSNR: metrics.psnr(value, shown.target)}
        if value.shape[0] != len(shown.batch.crops):
            raise BadInput(
                f"layer {layer!r} gives {value.shape[0]} for {len(shown.batch.crops)} patches; "
                "choose one with features for each"
            )
        if self.spill is not None:
            check_space(*self.spill, value[0].numel())
            self.spill = None
        return {FEATURES: value.flatten(1).clone()}

    def update(self, batch: Batch, seen: Mapping[View, Unit]) -> None:
        """See `Observer.update`."""
        self.seen[batch.index] = seen

    def merge(self, other: Self) -> None:
        """See `Observer.merge`."""
        self.seen |= other.seen

    def compute(self, ranks: Ranks = ALONE) -> dict[View, Deep]:
        """Every view's Gram matrix, in each process; views are shared out among them."""
        units: dict[int, Mapping[View, Unit]] = {}
        for part in ranks.gather(self.seen):
            units |= part
        ordered = [units[index] for index in sorted(units)]
        views = list(ordered[0]) if ordered else []
        mine = {
            views[i]: self._deep([seen[views[i]] for seen in ordered])
            for i in ranks.mine(len(views))
        }
        found: dict[View, Deep] = {}
        for shared in ranks.gather(mine):
            found |= shared
        return {view: found[view] for view in views}

    def _deep(self, units: Sequence[Unit]) -> Deep:
        held = [unit.matrix(FEATURES) for unit in units]
        sizes = [(len(part[:, :1]), len(part[:1].flatten())) for part in held]
        widths = {width for _, width in sizes}
        if len(widths) > 1:
            raise BadInput(f"features of {sorted(widths)} numbers: patches must be of one size")
        width, patches = widths.pop(), sum(count for count, _ in sizes)
        step = max(1, self.numbers // patches)

        def columns() -> Iterator[Tensor]:
            for start in range(0, width, step):
                yield torch.cat([part[:, start : start + step] for part in held])

        gram = components.gram_of(columns(), self.device)
        return Deep(gram, width, torch.cat([unit.matrix(PSNR)[:] for unit in units]))


def check_space(folder: Path, patches: int, features: int) -> None:
    """See that the features of all patches under all views find room on the disk.

    Raises:
        BadInput: they do not.
    """
    needed = 4 * patches * features
    place = folder
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if needed > 0.95 * free:
        raise BadInput(
            f"{folder}: the features take {needed / 2**30:.1f} GiB while the run goes on, "
            f"{free / 2**30:.1f} are free: lower --limit or --crop, or choose another --output-dir"
        )
