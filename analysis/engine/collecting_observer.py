"""An observer that makes its result of its units once all batches are through."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor

from analysis.engine.cache import CachedActivations
from analysis.engine.observer import Batch, NoisyBatch, Observer, View
from mtd.utils.distributed import SINGLE_PROCESS, Ranks
from mtd.utils.errors import BadInput


class Collector(Observer):
    """Holds the units of every batch, and hands them out in order."""

    def __init__(self, layers: Mapping[str, Sequence[str]]) -> None:
        self.layers = {model: list(chosen) for model, chosen in layers.items()}
        self.seen: dict[int, Mapping[View, CachedActivations]] = {}

    @property
    def key(self) -> dict[str, Any]:
        """See `Observer.key`."""
        return {}

    def update(self, batch: Batch, seen: Mapping[View, CachedActivations]) -> None:
        """See `Observer.update`."""
        self.seen[batch.index] = seen

    def merge(self, other: Self) -> None:
        """See `Observer.merge`."""
        self.seen |= other.seen

    def compute(self, ranks: Ranks = SINGLE_PROCESS) -> Any:
        """See `Observer.compute`."""
        units = ranks.merge(self.seen)
        ordered = [units[index] for index in sorted(units)]
        views = list(ordered[0]) if ordered else []
        return self.result({view: [seen[view] for seen in ordered] for view in views}, ranks)

    @abstractmethod
    def result(self, units: Mapping[View, Sequence[CachedActivations]], ranks: Ranks) -> Any:
        """The result, from each view's units in the order of the batches."""


def check_crops(layer: str, value: Tensor, shown: NoisyBatch) -> None:
    """See that a layer's output has an entry for each crop.

    Raises:
        BadInput: it has not.
    """
    count = len(shown.batch.crops)
    if value.shape[0] != count:
        raise BadInput(
            f"layer {layer!r} gives {value.shape[0]} for {count} crops; choose one with features "
            "for each"
        )


def columns(
    units: Sequence[CachedActivations], name: str, numbers: int
) -> tuple[int, Iterator[Tensor]]:
    """A tensor that units hold (samples, features) of, put together.

    Args:
        units: each holds some of the samples.
        name: of the tensor.
        numbers: most that are read at a time.

    Returns:
        How many features there are; chunks (all samples, some of the features), in order.

    Raises:
        BadInput: another number of features in some of the units.
    """
    held = [unit.matrix(name) for unit in units]
    widths = {part[:1].numel() for part in held}
    if len(widths) > 1:
        raise BadInput(f"features of {sorted(widths)} numbers: crops must be of one size")
    width, samples = widths.pop(), sum(part[:, :1].numel() for part in held)
    step = max(1, numbers // samples)
    starts = range(0, width, step)
    return width, (torch.cat([part[:, s : s + step] for part in held]) for s in starts)
