"""An observer that computes its result from the activations of all batches at once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from analysis.engine.cache import CachedActivations
from analysis.engine.observer import Batch, NoisyBatch, Observer, View
from mtd.utils.errors import BadInput


class Collector(Observer):
    """Collects the cached activations of every batch.

    Attributes:
        activations: by index of the batch and view, gathered over processes.
    """

    activations: dict[int, Mapping[View, CachedActivations]]

    def __init__(self, layers: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        self.layers = {model: list(paths) for model, paths in layers.items()}
        self.add_state("activations", {}, reduce="gather")

    @property
    def key(self) -> dict[str, Any]:
        """See `Observer.key`."""
        return {}

    def update(self, batch: Batch, activations: Mapping[View, CachedActivations]) -> None:
        """See `Observer.update`."""
        self.activations[batch.index] = activations

    def compute(self) -> Any:
        """See `Observer.compute`."""
        batches = [self.activations[index] for index in sorted(self.activations)]
        views = list(batches[0]) if batches else []
        return self.result({view: [batch[view] for batch in batches] for view in views})

    @abstractmethod
    def result(self, activations: Mapping[View, Sequence[CachedActivations]]) -> Any:
        """The result, from the activations of each view in the order of the batches."""


def check_crops(layer: str, value: Tensor, noisy: NoisyBatch) -> None:
    """Check that the first dimension of a layer's output is that of the crops.

    Raises:
        BadInput: it is not.
    """
    count = len(noisy.batch.crops)
    if value.shape[0] != count:
        raise BadInput(
            f"layer {layer!r} gives {value.shape[0]} for {count} crops; choose one with features "
            "for each"
        )


def columns(
    activations: Sequence[CachedActivations], name: str, numbers: int
) -> tuple[int, Iterator[Tensor]]:
    """The (samples, features) matrix whose rows are spread over batches, read in chunks of columns.

    Args:
        activations: those of each batch, which hold some of the samples.
        name: of the tensor, (samples of the batch, features).
        numbers: most numbers in a chunk.

    Returns:
        The number of features; chunks (all samples, some of the features), in order.

    Raises:
        BadInput: batches with different numbers of features.
    """
    matrices = [batch.matrix(name) for batch in activations]
    widths = {matrix[:1].numel() for matrix in matrices}
    if len(widths) > 1:
        raise BadInput(f"features of {sorted(widths)} numbers: crops must be of one size")
    width, samples = widths.pop(), sum(matrix[:, :1].numel() for matrix in matrices)
    step = max(1, numbers // samples)
    starts = range(0, width, step)
    return width, (torch.cat([m[:, start : start + step] for m in matrices]) for start in starts)
