"""The observer behind CKA: features at sampled positions, or Gram matrices of whole images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from analysis.cka import hsic, hsic_from_features
from analysis.cka.hsic import HSIC
from analysis.cka.positions import Positions
from analysis.engine import feature_maps
from analysis.engine.cache import CachedActivations
from analysis.engine.feature_maps import Centring
from analysis.engine.observer import Batch, NoisyBatch, Observer, View
from mtd.utils.errors import BadInput, nearest

SampleUnit = Literal["position", "image"]
Estimator = Literal["unbiased", "minibatch", "biased"]
Kernel = Literal["linear", "rbf"]

FEATURES = "/features"
"""Suffix of the tensor that holds a layer's number of features."""


class Row(NamedTuple):
    """One representation: a layer's entry in a view, with its number of features."""

    view: View
    layer: str
    features: int


@dataclass(frozen=True)
class Comparison:
    """HSIC of all representations with each other.

    Attributes:
        rows: the representations, in the order of every matrix.
        hsic: the sums.
        sigma: bandwidth of each representation's RBF kernel; empty for the linear kernel.
        places: (batch, position in it) of each image left out, in the order of `hsic.changes`.
    """

    rows: list[Row]
    hsic: HSIC
    sigma: Tensor
    places: list[tuple[int, int]]

    def slices(self) -> dict[View, slice]:
        """Where the rows of each view lie."""
        slices: dict[View, slice] = {}
        for i, row in enumerate(self.rows):
            slices[row.view] = slice(slices.get(row.view, slice(i, i)).start, i + 1)
        return slices


class Representations(Observer):
    """Extracts the layers of every view, and compares all of them by HSIC.

    The result is a `Comparison`.

    Args:
        layers: module paths by network.
        unit: what a sample is. `position`: a layer's channel vector at one position of an image.
            `image`: a layer's whole output for one image, of which the Gram matrix over the batch
            is extracted.
        positions: number of positions in each image.
        centring: see `analysis.engine.feature_maps.center`.
        seed: of the positions.
        estimator: `unbiased` and `biased` over all samples (image unit: all in one batch),
            `minibatch` unbiased over the pairs within batches.
        kernel: `linear`, or `rbf` with a bandwidth σ for each representation, `sigma` x the median
            distance of its samples in the first batch.
        sigma: the factor of the median distance.
        leave_out: compute how leaving each image out changes HSIC.
        device: where sums over features are computed.

    Attributes:
        batches: number of crops and activations by view of each batch, by its index; gathered.
    """

    name = "representations"
    batches: dict[int, tuple[int, Mapping[View, CachedActivations]]]

    def __init__(
        self,
        layers: Mapping[str, Sequence[str]],
        *,
        unit: SampleUnit = "position",
        positions: int = 64,
        centring: Centring = "global",
        seed: int = 0,
        estimator: Estimator = "unbiased",
        kernel: Kernel = "linear",
        sigma: float = 1.0,
        leave_out: bool = True,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__()
        for name, word, known in (
            ("unit", unit, get_args(SampleUnit)),
            ("estimator", estimator, get_args(Estimator)),
            ("kernel", kernel, get_args(Kernel)),
        ):
            if word not in known:
                raise BadInput(f"{name} {word!r}: {nearest(str(word), known)}")
        if kernel == "rbf" and unit == "position" and estimator != "minibatch":
            raise BadInput("an RBF kernel over positions needs --estimator minibatch")
        self.layers, self.unit, self.positions = layers, unit, positions
        self.centring, self.seed, self.estimator = centring, seed, estimator
        self.kernel, self.factor, self.leave_out, self.device = kernel, sigma, leave_out, device
        self.add_state("batches", {}, reduce="gather")
        self._drawn: tuple[list[str], Positions] | None = None

    @property
    def key(self) -> dict[str, Any]:
        """See `Observer.key`."""
        places = [self.positions, self.seed] if self.unit == "position" else None
        return {"unit": self.unit, "positions": places, "centring": self.centring}

    def extract(self, layer: str, value: Tensor, noisy: NoisyBatch) -> dict[str, Tensor]:
        """(images, positions, channels); or a Gram (images, images) and the number of features."""
        batch = noisy.batch
        count = len(batch.crops)
        if self.unit == "image" and self.centring == "global":
            flat = value.reshape(count, -1)
        else:
            windowed = noisy.is_windowed(layer)
            maps = feature_maps.lay_out(layer, value, count, *batch.size, windowed)
            maps = feature_maps.center(maps, self.centring)
            if self.unit == "position":
                return {layer: self._positions(batch).pick(maps)}
            flat = maps.reshape(count, -1)
        return {layer: hsic.gram(flat), layer + FEATURES: torch.tensor(flat.shape[1])}

    def _positions(self, batch: Batch) -> Positions:
        if self._drawn is None or self._drawn[0] != batch.digests:
            drawn = Positions.draw(batch.digests, self.positions, *batch.size, self.seed)
            self._drawn = batch.digests, drawn
        return self._drawn[1]

    def update(self, batch: Batch, activations: Mapping[View, CachedActivations]) -> None:
        """See `Observer.update`."""
        self.batches[batch.index] = len(batch.crops), activations

    def rows(self) -> list[Row]:
        """The representations, in the order of views, and of firing within a view."""
        rows = []
        _, activations = self.batches[min(self.batches)]
        for view, cached in activations.items():
            tensors = cached.tensors()
            for name, value in tensors.items():
                if self.unit == "position":
                    rows.append(Row(view, name, value.shape[-1]))
                elif not name.endswith(FEATURES):
                    rows.append(Row(view, name, int(tensors[name + FEATURES])))
        return rows

    def compute(self) -> Comparison:
        """HSIC of every representation with every other."""
        rows, order = self.rows(), sorted(self.batches)
        by_features = self.unit == "position" and self.kernel == "linear"
        formula: hsic.Formula = "biased" if self.estimator == "biased" else "unbiased"
        if by_features and self.estimator != "minibatch":
            return self._of_all_samples(rows, formula)
        sigma = self._sigma()
        parts = self.ranks.map(lambda i: self._one(i, rows, formula, sigma, by_features), order)
        total, *others = parts
        for other in others:
            total = total + other
        changes = {index: part.changes for index, part in zip(order, parts, strict=True)}
        return Comparison(rows, total, sigma, _places(changes))

    def _of_all_samples(self, rows: list[Row], formula: hsic.Formula) -> Comparison:
        """By sums over features; each process reads its own batches."""
        own = sorted(index for index in self.batches if index % self.ranks.size == self.ranks.rank)
        total = hsic_from_features.from_features(
            [self._features(index) for index in own],
            [row.features for row in rows],
            formula=formula,
            leave_out=self.leave_out,
            ranks=self.ranks,
            device=self.device,
        )
        if not self.leave_out:
            return Comparison(rows, total, torch.zeros(0), [])
        sizes = [self.batches[index][0] for index in own]
        changes = dict(zip(own, total.changes.split(sizes), strict=True)) if own else {}
        changes = dict(sorted(self.ranks.merge(changes).items()))
        together = torch.cat(list(changes.values()))
        total = HSIC(total.products, total.weight, total.power, total.samples, together)
        return Comparison(rows, total, torch.zeros(0), _places(changes))

    def _one(
        self, index: int, rows: list[Row], formula: hsic.Formula, sigma: Tensor, by_features: bool
    ) -> HSIC:
        """HSIC of one batch."""
        if by_features:
            widths = [row.features for row in rows]
            load = self._features(index)
            return hsic_from_features.from_features(
                [load], widths, formula=formula, leave_out=self.leave_out, device=self.device
            )
        grams = self.grams(index)
        if len(sigma):
            grams = hsic.rbf(grams, sigma)
        cluster = grams.shape[-1] // self.batches[index][0]
        return hsic.from_grams(grams, cluster=cluster, formula=formula, leave_out=self.leave_out)

    def _sigma(self) -> Tensor:
        """Bandwidth of each representation's RBF kernel, from the first batch; empty if linear."""
        if self.kernel == "linear":
            return torch.zeros(0)
        first = [min(self.batches)]
        (median,) = self.ranks.map(lambda index: hsic.median_distance(self.grams(index)), first)
        return median * self.factor

    def _features(self, index: int) -> Callable[[], Tensor]:
        """A function that reads a batch: (images, positions, features of all representations)."""
        activations = self.batches[index][1]
        return lambda: torch.cat(
            [value for cached in activations.values() for value in cached.tensors().values()],
            dim=-1,
        )

    def gathered_grams(self) -> list[Tensor]:
        """`grams` of every batch, in the order of the batches, in each process."""
        return self.ranks.map(self.grams, sorted(self.batches))

    def grams(self, index: int) -> Tensor:
        """Linear Gram matrices of a batch, (representations, samples, samples)."""
        grams = []
        for cached in self.batches[index][1].values():
            for name, value in cached.tensors().items():
                if self.unit == "position":
                    grams.append(hsic.gram(value.flatten(0, 1)))
                elif not name.endswith(FEATURES):
                    grams.append(value)
        return torch.stack(grams)


def _places(changes: Mapping[int, Tensor]) -> list[tuple[int, int]]:
    return [(batch, i) for batch, value in changes.items() for i in range(len(value))]
