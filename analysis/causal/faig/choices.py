"""Which filters are reverted: by attribution, by the change of their weights, or at random.

Photographs are cut into two halves: filters that are reverted on the photographs of one half are
chosen by those of the other half alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.causal.faig.filters import by_filter, count
from analysis.causal.faig.pair import Pair
from analysis.stats.arrays import double
from mtd.utils import seeds

if TYPE_CHECKING:
    from analysis.causal.faig.settings import FaigSettings
    from analysis.commands.inputs import RunInputs

ATTRIBUTION, CHANGE, RANDOM = "attribution", "weight change", "random"
"""By what reverted filters are chosen: F(x_A) − F(x_B), Σ |θ̄ − θ|, or at random."""

HALVES = 2

Array = NDArray[np.float64]


class Choice(NamedTuple):
    """A choice of filters.

    Attributes:
        selection: `ATTRIBUTION`, `CHANGE` or `RANDOM`.
        percent: of all filters.
        noise: A, of `ATTRIBUTION`; else empty.
        draw: of `RANDOM`, from 0.
    """

    selection: str
    percent: float
    noise: str = ""
    draw: int = 0


def number_of(percent: float, filters: int) -> int:
    """How many filters a percentage is, one at least.

    >>> number_of(1, 2955), number_of(1, 10), number_of(100, 10)
    (30, 1, 10)
    """
    return max(1, round(percent / 100 * filters))


def half_of(photographs: NDArray[np.int64]) -> NDArray[np.int64]:
    """(crops,) the half of each crop: photographs in turn."""
    return photographs % HALVES


def change_of(pair: Pair) -> Tensor:
    """(filters,) Σ |θ̄ − θ| over each filter, in float64 and in the unit of its weights."""
    weights = {
        layer.weight: (double(pair.baseline[layer.weight]) - double(pair.twin[layer.weight])).abs()
        for layer in pair.layers
    }
    return by_filter(weights, pair.layers).cpu()


def choices(noise: str, specs: Sequence[str], settings: FaigSettings) -> list[Choice]:
    """What is reverted under a noise: filters of this noise; under the reference, of every other.

    Args:
        noise: under which errors are measured.
        specs: all noises, the reference first.
        settings: of the run.
    """
    chosen_for = specs[1:] if noise == specs[0] else [noise]
    found = []
    for percent in settings.percent:
        found += [Choice(ATTRIBUTION, percent, spec) for spec in chosen_for]
        found += [Choice(CHANGE, percent)]
        found += [Choice(RANDOM, percent, draw=draw) for draw in range(settings.random)]
    return found


class Orders(NamedTuple):
    """The orders in which filters are chosen, each (filters,), the first ones first.

    Attributes:
        attribution: by noise and half that is measured.
        change: by weight change.
        random: by draw.
    """

    attribution: Mapping[tuple[str, int], Tensor]
    change: Tensor
    random: Sequence[Tensor]

    def chosen(self, choice: Choice, half: int) -> Tensor:
        """(filters,) boolean, the filters of a choice on the photographs of a half."""
        if choice.selection == ATTRIBUTION:
            order = self.attribution[choice.noise, half]
        else:
            order = self.change if choice.selection == CHANGE else self.random[choice.draw]
        found = torch.zeros(len(order), dtype=torch.bool)
        found[order[: number_of(choice.percent, len(order))]] = True
        return found

    def digest(self) -> str:
        """SHA-256 of all orders."""
        every = [*self.attribution.values(), self.change, *self.random]
        return hashlib.sha256(b"".join(order.numpy().tobytes() for order in every)).hexdigest()


def descending(values: Tensor) -> Tensor:
    """Places from the largest value to the smallest; of equal ones the first, NaN as 0."""
    return values.nan_to_num(0.0).argsort(descending=True, stable=True)


def orders(
    absolute: Mapping[str, Array], inputs: RunInputs, pair: Pair, settings: FaigSettings
) -> Orders:
    """The orders of filters, those by attribution from the photographs of the other half.

    Args:
        absolute: by noise, (crops, filters).
        inputs: of the run.
        pair: the networks.
        settings: of the run.
    """
    first, *specs = inputs.specs
    half = half_of(inputs.photographs)
    by_attribution = {
        (spec, own): descending(
            torch.from_numpy((absolute[spec] - absolute[first])[half != own].mean(0))
        )
        for spec in specs
        for own in range(HALVES)
    }
    total = count(pair.layers)
    drawn = [
        torch.randperm(total, generator=seeds.generator("reverted at random", settings.seed, draw))
        for draw in range(settings.random)
    ]
    return Orders(by_attribution, descending(change_of(pair)), drawn)
