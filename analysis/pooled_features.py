"""The observer of pooled features: every layer's maps as means over a few places of each crop.

As with the deepest features, they are spilled to the run folder and read back a chunk of columns at
a time; samples are the crops under all noises together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from analysis import components
from analysis.deep_features import check_space
from analysis.engine import Batch, Observer, Shown, View
from analysis.maps import lay_out
from analysis.ranks import ALONE, Ranks
from analysis.units import Unit
from mtd.errors import BadInput


class Pooled(NamedTuple):
    """A layer's features over all crops under all noises.

    Attributes:
        gram: (noises · crops, noises · crops) float64, of the features centred over all of them;
            crops of the first noise come first.
        features: number of them.
    """

    gram: Tensor
    features: int


class PooledFeatures(Observer):
    """Keeps means over places of each layer's maps.

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
        self.layers = {model: list(names) for model, names in layers.items()}
        self.pool, self.device = pool, device
        # features in single precision, and in double as they are and centred
        self.numbers = max(1, min(components.CHUNK, memory // 24))
        self.seen: dict[int, Mapping[View, Unit]] = {}
        self.spill: tuple[Path, int] | None = None
        """The run folder, and how many crops of all views will lie there; checked with the first
        view, whose layers are taken to be like those of the others."""
        self._widths: dict[str, int] = {}

    @property
    def key(self) -> dict[str, Any]:
        """See `Observer.key`."""
        return {"pool": self.pool}

    def keep(self, layer: str, value: Tensor, shown: Shown) -> dict[str, Tensor]:
        """(crops, features) in float32 at least: channel by channel, places row by row."""
        crops = len(shown.batch.crops)
        if value.shape[0] != crops:
            raise BadInput(
                f"layer {layer!r} gives {value.shape[0]} for {crops} crops; choose one with "
                "features for each"
            )
        if self.pool:
            try:
                maps = lay_out(layer, value, crops, *shown.batch.size)
            except BadInput as error:
                reason = str(error).partition("; ")[0]
                raise BadInput(f"{reason}; leave it out or use --pool 0") from None
            height, width = maps.shape[-2:]
            value = F.adaptive_avg_pool2d(maps, (min(self.pool, height), min(self.pool, width)))
        self._check_space(layer, value[0].numel())
        return {layer: value.flatten(1).clone()}

    def _check_space(self, layer: str, width: int) -> None:
        if self.spill is None:
            return
        if layer in self._widths:  # the second view begins
            self.spill = None
            return
        self._widths[layer] = width
        check_space(*self.spill, sum(self._widths.values()))

    def update(self, batch: Batch, seen: Mapping[View, Unit]) -> None:
        """See `Observer.update`."""
        self.seen[batch.index] = seen

    def merge(self, other: Self) -> None:
        """See `Observer.merge`."""
        self.seen |= other.seen

    def compute(self, ranks: Ranks = ALONE) -> dict[tuple[str, str], Pooled]:
        """By (network, layer), layers as they fired, in each process; they are shared out."""
        units: dict[int, Mapping[View, Unit]] = {}
        for part in ranks.gather(self.seen):
            units |= part
        ordered = [units[index] for index in sorted(units)]
        if not ordered:
            return {}
        first = {view.model: unit for view, unit in reversed(list(ordered[0].items()))}
        asked = [(model, name) for model in self.layers for name in first[model].tensors()]
        mine = {}
        for place in ranks.mine(len(asked)):
            model, name = asked[place]
            views = [view for view in ordered[0] if view.model == model]
            mine[model, name] = self._pooled(
                name, [seen[view] for view in views for seen in ordered]
            )
        found: dict[tuple[str, str], Pooled] = {}
        for shared in ranks.gather(mine):
            found |= shared
        return {entry: found[entry] for entry in asked}

    def _pooled(self, name: str, units: Sequence[Unit]) -> Pooled:
        held = [unit.matrix(name) for unit in units]
        widths = {len(part[:1].flatten()) for part in held}
        if len(widths) > 1:
            raise BadInput(f"features of {sorted(widths)} numbers: crops must be of one size")
        width, samples = widths.pop(), sum(len(part[:, :1]) for part in held)
        step = max(1, self.numbers // samples)

        def columns() -> Iterator[Tensor]:
            for start in range(0, width, step):
                yield torch.cat([part[:, start : start + step] for part in held])

        return Pooled(components.gram_of(columns(), self.device), width)
