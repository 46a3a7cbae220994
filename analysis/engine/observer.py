"""What an observer is, and what it is given: views, batches, noisy batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor

from analysis.engine.cache import CachedActivations
from mtd.data import crops as data_crops
from mtd.data.crops import Crop
from mtd.data.recorded_noise import Recorded
from mtd.noise.base import Noise
from mtd.noise.synthetic import Gaussian
from mtd.utils.distributed import SINGLE_PROCESS, Ranks

OUTPUT = "output"
"""The name under which an observer keeps something of the denoised image."""


class View(NamedTuple):
    """A network under a noise, by their names."""

    model: str
    noise: str


@dataclass(frozen=True)
class Batch:
    """Crops of one size that go through the networks together.

    Attributes:
        index: its place among all batches.
        crops: the clean pixels.
        noises: those that the crops are seen under; None for all that are asked for. Photographs
            that come with noisy versions of their own are seen under those only.
    """

    index: int
    crops: list[Crop]
    noises: Sequence[Noise | Recorded] | None = None

    @property
    def clean(self) -> Tensor:
        """(B, 3, H, W) in [0, 1]."""
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
        batch: the crops.
        noise: what was added to them.
        model: who looks at it.
        noisy: (B, 3, H, W), what the networks are shown, on their device.
        target: (B, 3, H, W), what they should give, on the CPU: the clean crops, but for noises
            that change them too.
    """

    batch: Batch
    noise: Noise | Recorded
    noisy: Tensor
    target: Tensor
    model: str = ""

    @cached_property
    def level(self) -> Tensor:
        """(B,), the noise level of each image as a share of white, for networks that are told.

        The noise's own σ if it is Gaussian; otherwise the root of the mean squared difference
        between what is shown and what it should become, image by image.
        """
        if isinstance(self.noise, Gaussian):
            return torch.full((len(self.target),), self.noise.level / 255)
        change = self.noisy.cpu().double() - self.target.double()
        return change.square().mean((1, 2, 3)).sqrt().float()

    @property
    def view(self) -> View:
        """The network under the noise."""
        return View(self.model, self.noise.spec)


class Observer(ABC):
    """What one analysis keeps of the networks, and what it makes of that.

    Attributes:
        name: of the analysis.
        version: of its code; raise it when what is kept changes its meaning.
        layers: module paths by network; `OUTPUT` asks for the denoised image. Other networks are
            not looked at.
        noises: those that it looks at; None for all.
        crops: digests of those that it looks at; None for all.
    """

    name: str
    version: int = 1
    layers: Mapping[str, Sequence[str]]
    noises: Sequence[str] | None = None
    crops: Collection[str] | None = None

    def looks_at(self, batch: Batch) -> bool:
        """Whether it looks at a batch, which is all or nothing.

        Raises:
            ValueError: it is to look at some of its crops.
        """
        found = {self.crops is None or digest in self.crops for digest in batch.digests}
        if len(found) > 1:
            raise ValueError(
                f"batch {batch.index}: some of its crops are for {self.name}, others not"
            )
        return found.pop()

    def wants(self, view: View) -> bool:
        """Whether it looks at a view."""
        return view.model in self.layers and (self.noises is None or view.noise in self.noises)

    def before(self, view: View) -> View | None:
        """A view of the same batch, under an earlier noise, that must be shown with this one.

        It is shown again even if what was kept of it is there.
        """
        return None

    @property
    @abstractmethod
    def key(self) -> dict[str, Any]:
        """Everything else that decides what is kept, ready for JSON."""

    @abstractmethod
    def keep(self, layer: str, value: Tensor, shown: NoisyBatch) -> dict[str, Tensor]:
        """What to keep of a layer's output for a batch, by name; called in the layer's hook.

        The value is in float32 at least. It is the network's own: what is returned must not share
        its memory.
        """

    @abstractmethod
    def update(self, batch: Batch, seen: Mapping[View, CachedActivations]) -> None:
        """Take in a batch: what was kept, for every view."""

    @abstractmethod
    def merge(self, other: Self) -> None:
        """Take in the batches that another observer of the same kind has seen."""

    @abstractmethod
    def compute(self, ranks: Ranks = SINGLE_PROCESS) -> Any:
        """The result over all batches of all processes."""
