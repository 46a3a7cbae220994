"""The observer interface, and its inputs from the engine: views, batches, noisy batches."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple, get_args

from torch import Tensor

from analysis.engine.cache import CachedActivations
from analysis.engine.layers import module_path
from mtd.data import crops as data_crops
from mtd.data.crops import Crop
from mtd.data.recorded_noise import Recorded
from mtd.noise.base import Noise
from mtd.utils.distributed import SINGLE_PROCESS, Ranks
from mtd.utils.errors import nearest

OUTPUT = ".output"
"""The layer name that stands for the denoised image; no module can have it."""

Reduction = Literal["sum", "gather"]
State = Tensor | dict[int, Any]


class View(NamedTuple):
    """A network under a noise, by their names."""

    model: str
    noise: str


@dataclass(frozen=True)
class Batch:
    """Clean crops of one size that go through the networks together.

    Attributes:
        index: its position among all batches.
        crops: the clean pixels.
        noises: the only noises that apply to these crops, as for photographs that come with noisy
            versions of their own; None for all noises of the run.
    """

    index: int
    crops: list[Crop]
    noises: Sequence[Noise | Recorded] | None = None

    @property
    def clean(self) -> Tensor:
        """(B, C, H, W) in [0, 1]."""
        return data_crops.to_tensor([crop.pixels for crop in self.crops])

    @cached_property
    def digests(self) -> list[str]:
        """The crops' keys."""
        return [crop.digest for crop in self.crops]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a crop."""
        return self.crops[0].pixels.shape[0], self.crops[0].pixels.shape[1]


@dataclass(frozen=True)
class NoisyBatch:
    """A batch under a noise.

    Attributes:
        batch: the clean crops.
        noise: the noise that was added to them.
        noisy: (B, C, H, W), the networks' input, on their device.
        target: (B, C, H, W), the ideal output, on the CPU: the clean crops, unless the noise
            changes them too.
        level: (B,), what noise-conditional networks are given, see `mtd.noise.Noise.sigma_of`.
        model: name of the network that it goes through.
        windowed: paths of that network's layers that work inside attention windows.
    """

    batch: Batch
    noise: Noise | Recorded
    noisy: Tensor
    target: Tensor
    level: Tensor
    model: str = ""
    windowed: frozenset[str] = frozenset()

    @property
    def view(self) -> View:
        """The network under the noise."""
        return View(self.model, self.noise.spec)

    def is_windowed(self, layer: str) -> bool:
        """Whether an activation, by its entry name, is that of single attention windows."""
        return module_path(layer) in self.windowed


class Observer(ABC):
    """Extracts tensors from the networks for one analysis, and computes a result from them.

    As in torchmetrics, `update` accumulates into states that are declared by `add_state`, each
    with its reduction over processes; the engine reduces them before it calls `compute`.

    Attributes:
        name: of the analysis.
        layers: module paths by network; `OUTPUT` stands for the denoised image. Networks without
            an entry are not observed.
        ranks: the processes among which `compute` may share its work; each of them calls it, with
            the same states, and returns the whole result.
        last_call_only: whether only the last call of a layer in a forward pass is kept, under the
            layer's own name, instead of every call.
    """

    name: str
    layers: Mapping[str, Sequence[str]]
    last_call_only: bool = False
    ranks: Ranks = SINGLE_PROCESS

    def __init__(self) -> None:
        self._reductions: dict[str, Reduction] = {}
        self._reduced = False

    def add_state(self, name: str, default: State, reduce: Reduction) -> None:
        """Declare an attribute that `update` accumulates into.

        Args:
            name: of the attribute.
            default: its value before the first batch, which is copied.
            reduce: how the states of several processes become one. `sum`: tensors of one shape,
                added up. `gather`: dictionaries with an entry for each batch, by its index, united.

        Raises:
            ValueError: no such reduction, or a default that it does not apply to.
        """
        if reduce not in get_args(Reduction):
            raise ValueError(f"reduce = {reduce!r}: {nearest(str(reduce), get_args(Reduction))}")
        kind = Tensor if reduce == "sum" else dict
        if not isinstance(default, kind):
            expected = f"expected a {kind.__name__}"
            raise ValueError(f"state {name!r} of {type(default).__name__}: {expected}")
        setattr(self, name, copy.deepcopy(default))
        self._reductions[name] = reduce

    def reduce_states(self, ranks: Ranks) -> None:
        """Replace each state by that of all processes; the engine does so after the last batch.

        Raises:
            RuntimeError: the states are reduced already.
        """
        if self._reduced:
            raise RuntimeError(f"the states of {self.name} are reduced already")
        for name, reduction in self._reductions.items():
            state = getattr(self, name)
            total = ranks.sum(state)[0] if reduction == "sum" else ranks.merge(state)
            setattr(self, name, total)
        self.ranks, self._reduced = ranks, True

    def reference_view(self, view: View) -> View | None:
        """A view of the same batch, under an earlier noise, that this one is compared with.

        It is run again whenever this one is, even if it is cached.
        """
        return None

    @property
    @abstractmethod
    def key(self) -> dict[str, Any]:
        """Everything else that decides what `extract` returns, ready for JSON."""

    @abstractmethod
    def extract(self, layer: str, value: Tensor, noisy: NoisyBatch) -> dict[str, Tensor]:
        """Tensors to cache, by name, from a layer's output; called in the layer's forward hook.

        Args:
            layer: entry name of the activation; see `analysis.engine.hooks.Activations`.
            value: the activation, in float32 or float64. Returned tensors must not share its
                memory, which is the network's own.
            noisy: the batch that went in.
        """

    @abstractmethod
    def update(self, batch: Batch, activations: Mapping[View, CachedActivations]) -> None:
        """Accumulate the extracted tensors of a batch, for every observed view."""

    @abstractmethod
    def compute(self) -> Any:
        """The result over all batches, from the reduced states."""


@dataclass(frozen=True)
class Watch:
    """An observer, and the part of a pass that it observes.

    Attributes:
        observer: the observer.
        views: that it observes; None for all of its networks, under every noise.
        batches: indices of the batches that it observes; None for all.
        version: of what `extract` returns, part of every cache key.
    """

    observer: Observer
    views: Collection[View] | None = None
    batches: Collection[int] | None = None
    version: int = 1

    def observes_batch(self, batch: Batch) -> bool:
        """Whether a batch is observed."""
        return self.batches is None or batch.index in self.batches

    def observes_view(self, view: View) -> bool:
        """Whether a view is observed."""
        known = self.views is None or view in self.views
        return known and view.model in self.observer.layers
