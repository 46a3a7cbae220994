"""The observer behind CKA: layers at sampled positions, or Grams of whole images, of every view."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self, get_args

import torch
from torch import Tensor

from analysis.cka import hsic, hsic_from_features
from analysis.cka.hsic import HSIC
from analysis.cka.positions import Positions
from analysis.engine import feature_maps
from analysis.engine.cache import CachedActivations
from analysis.engine.feature_maps import Centring
from analysis.engine.observer import Batch, NoisyBatch, Observer, View
from mtd.utils.distributed import SINGLE_PROCESS, Ranks
from mtd.utils.errors import BadInput, nearest

SampleUnit = Literal["position", "image"]
Estimator = Literal["unbiased", "minibatch", "biased"]
Kernel = Literal["linear", "rbf"]

FEATURES = "/features"
"""What is appended to a layer's name for the number of its features."""


class Row(NamedTuple):
    """One representation: a layer's entry in a view, with its number of features."""

    view: View
    layer: str
    features: int


@dataclass(frozen=True)
class Comparison:
    """HSIC of all representations with each other.

    Attributes:
        rows: what they are, in the order of every matrix.
        hsic: the sums.
        sigma: width of each one's RBF kernel; empty for the linear one.
        places: of the images left out, (batch, place in it), in the order of `hsic.changes`.
    """

    rows: list[Row]
    hsic: HSIC
    sigma: Tensor
    places: list[tuple[int, int]]

    def slices(self) -> dict[View, slice]:
        """Where the rows of each view lie."""
        found: dict[View, slice] = {}
        for i, row in enumerate(self.rows):
            found[row.view] = slice(found.get(row.view, slice(i, i)).start, i + 1)
        return found


class Representations(Observer):
    """Keeps what layers put out, and compares all of it by HSIC.

    Args:
        layers: module paths by network.
        unit: what a sample is. `position`: a layer's channels at one place of an image. `image`:
            all of a layer's output for one image; its Gram over the batch is kept.
        positions: places in each image.
        centering: see `analysis.engine.feature_maps.center`.
        seed: of the places.
        estimator: `unbiased` and `biased` over all samples (image unit: all in one batch),
            `minibatch` unbiased over the pairs within batches.
        kernel: `linear`, or `rbf` with a σ for each representation that is fixed by the first
            batch: `sigma` x the median distance of its samples (of positions: see `estimator`).
        sigma: the factor of the median distance.
        leave_out: compute what leaving each image out changes.
        device: where sums over features are made.
    """

    name = "representations"

    def __init__(
        self,
        layers: Mapping[str, Sequence[str]],
        *,
        unit: SampleUnit = "position",
        positions: int = 64,
        centering: Centring = "global",
        seed: int = 0,
        estimator: Estimator = "unbiased",
        kernel: Kernel = "linear",
        sigma: float = 1.0,
        leave_out: bool = True,
        device: torch.device | str = "cpu",
    ) -> None:
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
        self.centering, self.seed, self.estimator = centering, seed, estimator
        self.kernel, self.factor, self.leave_out, self.device = kernel, sigma, leave_out, device
        self.seen: dict[int, tuple[int, Mapping[View, CachedActivations]]] = {}
        self._drawn: tuple[list[str], Positions] | None = None

    @property
    def key(self) -> dict[str, Any]:
        """See `Observer.key`."""
        places = [self.positions, self.seed] if self.unit == "position" else None
        return {"unit": self.unit, "positions": places, "centering": self.centering}

    def keep(self, layer: str, value: Tensor, shown: NoisyBatch) -> dict[str, Tensor]:
        """(images, positions, channels); or the Gram (images, images) and how many features."""
        batch = shown.batch
        count = len(batch.crops)
        if self.unit == "image" and self.centering == "global":
            flat = value.reshape(count, -1)
        else:
            laid = feature_maps.center(
                feature_maps.lay_out(layer, value, count, *batch.size), self.centering
            )
            if self.unit == "position":
                return {layer: self._places(batch).pick(laid)}
            flat = laid.reshape(count, -1)
        return {layer: hsic.gram(flat), layer + FEATURES: torch.tensor(flat.shape[1])}

    def _places(self, batch: Batch) -> Positions:
        if self._drawn is None or self._drawn[0] != batch.digests:
            drawn = Positions.draw(batch.digests, self.positions, *batch.size, self.seed)
            self._drawn = batch.digests, drawn
        return self._drawn[1]

    def update(self, batch: Batch, seen: Mapping[View, CachedActivations]) -> None:
        """See `Observer.update`."""
        self.seen[batch.index] = len(batch.crops), seen

    def merge(self, other: Self) -> None:
        """See `Observer.merge`."""
        self.seen |= other.seen

    def rows(self, ranks: Ranks = SINGLE_PROCESS) -> list[Row]:
        """The representations, in the order of views, and of firing within a view."""
        rows = []
        for _, views in list(self.seen.values())[:1]:
            for view, unit in views.items():
                tensors = unit.tensors()
                for name, value in tensors.items():
                    if self.unit == "position":
                        rows.append(Row(view, name, value.shape[-1]))
                    elif not name.endswith(FEATURES):
                        rows.append(Row(view, name, int(tensors[name + FEATURES])))
        # a process without a batch has seen nothing
        return max(ranks.gather(rows), key=len)

    def compute(self, ranks: Ranks = SINGLE_PROCESS) -> Comparison:
        """HSIC of every representation with every other."""
        rows = self.rows(ranks)
        order = sorted(self.seen)
        sizes = [self.seen[i][0] for i in order]
        whole = self.unit == "position" and self.kernel == "linear"
        formula: hsic.Formula = "biased" if self.estimator == "biased" else "unbiased"
        if whole and self.estimator != "minibatch":
            total = hsic_from_features.from_features(
                [self._features(i) for i in order],
                [row.features for row in rows],
                formula=formula,
                leave_out=self.leave_out,
                ranks=ranks,
                device=self.device,
            )
            if not self.leave_out:
                return Comparison(rows, total, torch.zeros(0), [])
            changes = dict(zip(order, total.changes.split(sizes), strict=True)) if order else {}
            merged = _merge(ranks.gather(changes))
            kept = torch.cat(list(merged.values()))
            total = HSIC(total.products, total.weight, total.power, total.samples, kept)
            return Comparison(rows, total, torch.zeros(0), _places(merged))
        sigma = self._sigma(ranks)
        mine = {i: self._one(i, rows, formula, sigma, whole) for i in order}
        parts = _merge(ranks.gather(mine))
        total, *others = parts.values()
        for other in others:
            total = total + other
        return Comparison(rows, total, sigma, _places({i: p.changes for i, p in parts.items()}))

    def _one(
        self, index: int, rows: list[Row], formula: hsic.Formula, sigma: Tensor, whole: bool
    ) -> HSIC:
        """HSIC of one batch."""
        if whole:
            widths = [row.features for row in rows]
            load = self._features(index)
            return hsic_from_features.from_features(
                [load], widths, formula=formula, leave_out=self.leave_out, device=self.device
            )
        grams = self.grams(index)
        if len(sigma):
            grams = hsic.rbf(grams, sigma)
        cluster = grams.shape[-1] // self.seen[index][0]
        return hsic.from_grams(grams, cluster=cluster, formula=formula, leave_out=self.leave_out)

    def _sigma(self, ranks: Ranks) -> Tensor:
        if self.kernel == "linear":
            return torch.zeros(0)
        mine = hsic.median_distance(self.grams(0)) * self.factor if 0 in self.seen else None
        return next(sigma for sigma in ranks.gather(mine) if sigma is not None)

    def _features(self, index: int) -> Callable[[], Tensor]:
        """What reads a batch: (images, positions, features of all representations)."""
        views = self.seen[index][1]
        return lambda: torch.cat(
            [value for unit in views.values() for value in unit.tensors().values()], dim=-1
        )

    def gathered_grams(self, ranks: Ranks = SINGLE_PROCESS) -> list[Tensor]:
        """`grams` of every batch, in the order of batches."""
        mine = {index: self.grams(index) for index in self.seen}
        return list(_merge(ranks.gather(mine)).values())

    def grams(self, index: int) -> Tensor:
        """Linear Gram matrices of a batch, (representations, samples, samples)."""
        grams = []
        for unit in self.seen[index][1].values():
            for name, value in unit.tensors().items():
                if self.unit == "position":
                    grams.append(hsic.gram(value.flatten(0, 1)))
                elif not name.endswith(FEATURES):
                    grams.append(value)
        return torch.stack(grams)


def _merge(parts: list[dict[int, Any]]) -> dict[int, Any]:
    """What several processes hold of each batch, in the order of batches."""
    together = {index: value for part in parts for index, value in part.items()}
    return dict(sorted(together.items()))


def _places(changes: Mapping[int, Tensor]) -> list[tuple[int, int]]:
    return [(batch, i) for batch, value in changes.items() for i in range(len(value))]
