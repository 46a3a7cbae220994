"""The observer behind CKA: features at sampled positions, or Gram matrices of whole images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor

from analysis.cka import hsic, removal, spectra
from analysis.cka.cells import deranged
from analysis.cka.control_cells import ControlCells, Row, Wanted, view_slices
from analysis.cka.feature_sums import MEMORY
from analysis.cka.features import Features
from analysis.cka.hsic_from_features import from_features
from analysis.cka.hsic_from_grams import from_grams
from analysis.cka.hsic_sums import HSIC
from analysis.cka.positions import Positions
from analysis.cka.removal import Removal
from analysis.engine import feature_maps
from analysis.engine.cache import CachedActivations
from analysis.engine.feature_maps import Centering
from analysis.engine.observer import Batch, NoisyBatch, Observer, View
from analysis.stats.jackknife import LEAST
from mtd.utils.distributed import SINGLE_PROCESS, Ranks
from mtd.utils.errors import BadInput, nearest

SampleUnit = Literal["position", "image"]
Estimator = Literal["unbiased", "minibatch", "biased"]
Kernel = Literal["linear", "rbf"]
Given = Literal["clean", "clean-3x3"]

FEATURES = "/features"
"""Suffix of the tensor that holds a layer's number of features."""


class Stored(NamedTuple):
    """What is kept of a batch.

    Attributes:
        photographs: of its crops.
        activations: by view.
        pixels: of the clean crops at each position, (images, positions, values), without values
            where none are regressed out.
    """

    photographs: tuple[str, ...]
    activations: Mapping[View, CachedActivations]
    pixels: Tensor


@dataclass(frozen=True)
class Comparison:
    """HSIC of the pairs of representations that are compared.

    Attributes:
        rows: the representations.
        plan: the cells, and where the controls of each are.
        hsic: the sums.
        sigma: bandwidth of each representation's RBF kernel; empty for the linear kernel.
        photographs: those left out in turn, in the order of the sums without each.
    """

    rows: list[Row]
    plan: ControlCells
    hsic: HSIC
    sigma: Tensor
    photographs: list[str]

    def slices(self) -> dict[View, slice]:
        """Where the rows of each view lie."""
        return view_slices(self.rows)


class Representations(Observer):
    """Extracts the layers of every view, and compares all of them by HSIC.

    The result is a `Comparison`.

    Args:
        layers: module paths by network.
        wanted: the pairs of views, and their controls.
        unit: what a sample is. `position`: a layer's channel vector at one position of an image.
            `image`: a layer's whole output for one image, of which the Gram matrix over the batch
            is extracted.
        positions: number of positions in each image.
        centering: see `analysis.engine.feature_maps.center`; or `clean`, by which each network's
            own features of the clean image are subtracted.
        given: pixels of the clean image that are regressed out; see `analysis.cka.removal`.
        remove_components: number of principal components of every layer that are removed.
        seed: of the positions.
        estimator: `unbiased` and `biased` over all samples (image unit: all in one batch),
            `minibatch` unbiased over the pairs within batches.
        kernel: `linear`, or `rbf` with a bandwidth σ for each representation, `sigma` x the median
            distance of its samples in the first batch.
        sigma: the factor of the median distance.
        leave_out: compute HSIC without each photograph, too.
        device: where sums over features are computed.
        memory: bytes that these sums may take.

    Attributes:
        batches: what is kept of each batch, by its index; gathered.
    """

    name = "representations"
    batches: dict[int, Stored]

    def __init__(
        self,
        layers: Mapping[str, Sequence[str]],
        wanted: Wanted,
        *,
        unit: SampleUnit = "position",
        positions: int = 64,
        centering: Centering | Literal["clean"] = "global",
        given: Given | None = None,
        remove_components: int = 0,
        seed: int = 0,
        estimator: Estimator = "unbiased",
        kernel: Kernel = "linear",
        sigma: float = 1.0,
        leave_out: bool = True,
        device: torch.device | str = "cpu",
        memory: int = MEMORY,
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
        self.layers, self.wanted, self.unit, self.positions = layers, wanted, unit, positions
        self.clean = wanted.controls.clean if centering == "clean" else None
        self.centering: Centering = "global" if centering == "clean" else centering
        self.given, self.remove_components = given, remove_components
        self.seed, self.estimator = seed, estimator
        self.kernel, self.factor, self.leave_out, self.device = kernel, sigma, leave_out, device
        self.memory = memory
        self.add_state("batches", {}, reduce="gather")
        self._drawn: tuple[list[str], Positions] | None = None
        self._removal: Removal | None = None

    @property
    def key(self) -> dict[str, Any]:
        """See `Observer.key`."""
        places = [self.positions, self.seed] if self.unit == "position" else None
        return {"unit": self.unit, "positions": places, "centering": self.centering}

    def extract(self, layer: str, value: Tensor, noisy: NoisyBatch) -> dict[str, Tensor]:
        """(images, positions, channels); or a Gram (images, images) and the number of features."""
        batch = noisy.batch
        count = len(batch.crops)
        if self.unit == "image" and self.centering == "global":
            flat = value.reshape(count, -1)
        else:
            windowed = noisy.is_windowed(layer)
            maps = feature_maps.lay_out(layer, value, count, *batch.size, windowed)
            maps = feature_maps.center(maps, self.centering)
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
        scenes = tuple(crop.scene or crop.image for crop in batch.crops)
        pixels = torch.zeros(len(scenes), self.positions, 0)
        if self.given is not None:
            around = self.given == "clean-3x3"
            pixels = removal.clean_pixels(batch.clean, self._positions(batch), around)
        self.batches[batch.index] = Stored(scenes, activations, pixels)

    def rows(self) -> list[Row]:
        """The representations, in the order of views, and of firing within a view."""
        rows = []
        for view, cached in self.batches[min(self.batches)].activations.items():
            if view.noise == self.clean:
                continue  # it is subtracted from the others
            tensors = cached.tensors()
            for name, value in tensors.items():
                if self.unit == "position":
                    rows.append(Row(view, name, value.shape[-1]))
                elif not name.endswith(FEATURES):
                    rows.append(Row(view, name, int(tensors[name + FEATURES])))
        return rows

    def compute(self) -> Comparison:
        """HSIC of the pairs of representations that are compared, and of their controls."""
        rows, crops = self.rows(), self.crops()
        plan = ControlCells.of(rows, self.wanted)
        photographs = list(dict.fromkeys(crops.photographs))
        left_out = photographs if self.leave_out and len(photographs) >= LEAST else []
        if self._by_features and self.estimator != "minibatch":
            members = [crops.of(photograph) for photograph in left_out]
            sums = self._from_features(rows, plan, members, deranged(crops.photographs))
            return Comparison(rows, plan, sums, torch.zeros(0), left_out)
        sigma = self._sigma()
        order = sorted(self.batches)
        parts = self.ranks.map(lambda i: self._of_batch(i, rows, plan, left_out, sigma), order)
        total, *others = parts
        for other in others:
            total = total + other
        if not others and self.unit == "image":
            total = replace(total, spectra=[spectra.of_gram(k) for k in self.grams(order[0])])
        return Comparison(rows, plan, total, sigma, left_out)

    @property
    def _by_features(self) -> bool:
        """Whether sums are over features rather than over pairs of samples."""
        return self.unit == "position" and self.kernel == "linear"

    @property
    def _formula(self) -> hsic.Formula:
        return "biased" if self.estimator == "biased" else "unbiased"

    def crops(self) -> Crops:
        """All crops, batch by batch."""
        order = sorted(self.batches)
        return Crops(order, [self.batches[index].photographs for index in order])

    def _from_features(
        self,
        rows: list[Row],
        plan: ControlCells,
        members: Sequence[Sequence[int]],
        across: tuple[Tensor, Tensor],
        crops: Sequence[int] | None = None,
        ranks: Ranks | None = None,
    ) -> HSIC:
        """HSIC of all crops, or of some, by sums over features; all are read where needed."""
        order = sorted(self.batches)
        sizes = [len(self.batches[index].photographs) for index in order]
        features = Features(self._loads(order, rows), sizes)
        return from_features(
            features,
            [row.features for row in rows],
            plan.cells,
            formula=self._formula,
            photographs=members,
            across=across,
            crops=crops,
            ranks=self.ranks if ranks is None else ranks,
            device=self.device,
            memory=self.memory,
        )

    def _of_batch(
        self,
        index: int,
        rows: list[Row],
        plan: ControlCells,
        photographs: Sequence[str],
        sigma: Tensor,
    ) -> HSIC:
        """HSIC of one batch, for the minibatch estimator or from Gram matrices."""
        crops = self.crops()
        if self._by_features:
            here = crops.of_batch(index)
            members = [crops.of(one) for one in photographs]
            first, second = deranged(crops.photographs)
            own = torch.isin(first, torch.tensor(here))
            pairs = first[own], second[own]
            return self._from_features(rows, plan, members, pairs, here, SINGLE_PROCESS)
        grams, partner = self._kernels(index, sigma), crops.partner(index)
        names, others = (self.batches[at].photographs for at in (index, partner))
        if partner == index:
            first, second = deranged(names)
        else:
            first = torch.tensor(
                [i for i, (a, b) in enumerate(zip(names, others, strict=False)) if a != b],
                dtype=torch.int64,
            )
            second = first
        cluster = grams.shape[-1] // len(names)
        return from_grams(
            grams,
            plan.cells,
            formula=self._formula,
            photographs=[samples(of_photograph(names, one), cluster) for one in photographs],
            across=(samples(first, cluster), samples(second, cluster)),
            others=(
                grams if partner == index else self._kernels(partner, sigma),
                [samples(of_photograph(others, one), cluster) for one in photographs],
            ),
        )

    def _kernels(self, index: int, sigma: Tensor) -> Tensor:
        """Gram matrices of a batch, by the kernel."""
        grams = self.grams(index)
        return hsic.rbf(grams, sigma) if len(sigma) else grams

    def _sigma(self) -> Tensor:
        """Bandwidth of each representation's RBF kernel, from the first batch; empty if linear."""
        if self.kernel == "linear":
            return torch.zeros(0)
        first = [min(self.batches)]
        (median,) = self.ranks.map(lambda index: hsic.median_distance(self.grams(index)), first)
        return median * self.factor

    def _loads(self, order: Sequence[int], rows: list[Row]) -> list[Callable[[], Tensor]]:
        """Functions that read batches: (images, positions, features of all representations)."""
        plain = [partial(self._features, index) for index in order]
        if self.given is None and not self.remove_components:
            return list(plain)
        if self._removal is None:
            pixels = [self.batches[index].pixels for index in order]
            widths = [row.features for row in rows]
            self._removal = Removal.fit(plain, pixels, widths, self.remove_components, self.ranks)
        removed = self._removal
        return [partial(self._without, index, removed) for index in order]

    def _without(self, index: int, removed: Removal) -> Tensor:
        """Features of a batch without what is removed from them."""
        return removed.apply(self._features(index), self.batches[index].pixels)

    def _features(self, index: int) -> Tensor:
        """Features of a batch, less those of the clean image where these are subtracted."""
        activations, parts = self.batches[index].activations, []
        clean = {
            view.model: cached.tensors()
            for view, cached in activations.items()
            if view.noise == self.clean
        }
        for view, cached in activations.items():
            if view.noise == self.clean:
                continue
            for name, value in cached.tensors().items():
                parts.append(value - clean[view.model][name] if self.clean is not None else value)
        return torch.cat(parts, dim=-1)

    def features(self, rows: Sequence[Row]) -> list[Tensor]:
        """(crops, positions, channels) of each representation, over all batches."""
        together = torch.cat([load() for load in self._loads(sorted(self.batches), list(rows))])
        return list(together.split([row.features for row in rows], dim=-1))

    def gathered_grams(self) -> list[Tensor]:
        """`grams` of every batch, in the order of the batches, in each process."""
        return self.ranks.map(self.grams, sorted(self.batches))

    def grams(self, index: int) -> Tensor:
        """Linear Gram matrices of a batch, (representations, samples, samples)."""
        grams = []
        for cached in self.batches[index].activations.values():
            for name, value in cached.tensors().items():
                if self.unit == "position":
                    grams.append(hsic.gram(value.flatten(0, 1)))
                elif not name.endswith(FEATURES):
                    grams.append(value)
        return torch.stack(grams)


@dataclass(frozen=True)
class Crops:
    """All crops of a run, batch by batch.

    Attributes:
        order: indices of the batches.
        names: photograph of each crop of each batch.
    """

    order: Sequence[int]
    names: Sequence[tuple[str, ...]]

    @property
    def photographs(self) -> list[str]:
        """The photograph of every crop."""
        return [name for names in self.names for name in names]

    def of(self, photograph: str) -> list[int]:
        """The crops of a photograph, counted over all batches."""
        return of_photograph(self.photographs, photograph)

    def of_batch(self, index: int) -> list[int]:
        """The crops of a batch, counted over all batches."""
        place = self.order.index(index)
        start = sum(map(len, self.names[:place]))
        return list(range(start, start + len(self.names[place])))

    def partner(self, index: int) -> int:
        """The batch whose crops those of a batch are paired with for the floor."""
        place = self.order.index(index)
        return self.order[(place + len(self.order) // 2) % len(self.order)]


def of_photograph(names: Sequence[str], photograph: str) -> list[int]:
    """Where a photograph is among those of crops."""
    return [i for i, name in enumerate(names) if name == photograph]


def samples(crops: Sequence[int] | Tensor, each: int) -> Tensor:
    """The samples of crops, `each` of every one."""
    first = torch.as_tensor(crops, dtype=torch.int64)[:, None] * each
    return (first + torch.arange(each)).flatten()
