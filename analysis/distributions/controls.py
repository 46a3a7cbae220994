"""The controls of distances between distributions: ceiling, floor and untrained networks.

* *Ceiling*: of the features under the reference noise from those under the same noise drawn again.
  W1 and JS are never below 0 and biased upward near it: no smaller distance says anything of the
  kind of noise.
* *Floor*: between the crops of every other photograph and those of the rest, all under the
  reference noise, each half once as the reference; the mean of both.
* *Untrained*: of networks of the same architecture with random weights, between the same two
  noises; mean and standard deviation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.distributions import observer
from analysis.distributions.observer import Layer
from analysis.engine.cache import CachedActivations
from analysis.engine.controls import Controls as ControlViews
from analysis.engine.observer import View
from analysis.stats import histograms, jackknife
from analysis.stats.controls import NO_CONTROLS, NOTHING, Controls, Series, halves
from analysis.stats.histograms import Histogram

DISTANCES = ("w1", "w1_relative", "js")

CONTROLLED = ("w1_relative", "js")
"""The distances with controls, which also compare between layers and networks."""

SHARES = 256
"""Bins of the divergence; each holds an equal share of the reference's values."""

Array = NDArray[np.float64]
Activations = Mapping[View, Sequence[CachedActivations]]


def distances(reference: Histogram, test: Histogram, starts: NDArray[np.int64]) -> Array:
    """`DISTANCES` of a distribution from a reference.

    w1 is the Wasserstein-1 distance, in units of the features, and w1_relative the same over the
    reference's standard deviation; js the Jensen-Shannon divergence in bits, 0 to 1, over bins of
    equal shares of the reference.

    Args:
        reference: pooled features under the reference noise.
        test: pooled features under another noise, or the reference itself.
        starts: the divergence's bins; see `analysis.stats.histograms.shares`.
    """
    spread = reference.moments()[1]
    w1 = histograms.wasserstein(reference, test)
    relative = w1 / spread if spread > 0 else math.nan
    return np.array([w1, relative, histograms.jensen_shannon(reference, test, starts)])


def photographs(draws: NDArray[np.int64]) -> list[Tensor]:
    """Which crops are of each photograph, (crops,) boolean; none of too few for an interval."""
    of = torch.from_numpy(draws)
    parts = [of == draw for draw in range(int(draws.max()) + 1)]
    return parts if len(parts) >= jackknife.LEAST else []


def between(reference: Layer, test: Layer, parts: Sequence[Tensor]) -> dict[str, Series]:
    """`CONTROLLED` of a layer from a reference, and without each photograph; by name.

    Args:
        reference: the layer under the reference noise.
        test: under another noise.
        parts: of `photographs`.
    """
    whole, other = reference.pooled(), test.pooled()
    if whole.lacking or other.lacking:
        return dict.fromkeys(CONTROLLED, NOTHING)
    starts = histograms.shares(whole, SHARES)
    value = distances(whole, other, starts)
    without = np.array(
        [
            distances(reference.without(whole, part), test.without(other, part), starts)
            for part in parts
        ]
    ).reshape(len(parts), len(value))
    places = {name: DISTANCES.index(name) for name in CONTROLLED}
    return {name: Series(float(value[i]), without[:, i]) for name, i in places.items()}


def floors(reference: Layer, draws: NDArray[np.int64]) -> dict[str, float]:
    """`CONTROLLED` between two halves of the photographs; NaN where there are none."""
    sides = [
        Layer(reference.counts[side], reference.sums[side])
        for side in map(torch.from_numpy, halves(draws))
    ]
    if not sides:
        return dict.fromkeys(CONTROLLED, math.nan)
    a, b = sides
    both = [between(a, b, ()), between(b, a, ())]
    return {name: float(np.mean([one[name].value for one in both])) for name in CONTROLLED}


class LayerControls:
    """The controls of a model's distances, by layer and noise.

    Args:
        activations: of every view, the controls among them.
        views: which are the controls of which.
        reference: the model under the reference noise.
        draws: (crops,), index of each crop's photograph.
    """

    def __init__(
        self,
        activations: Activations,
        views: ControlViews,
        reference: View,
        draws: NDArray[np.int64],
    ) -> None:
        self.activations, self.views, self.reference = activations, views, reference
        self.parts = photographs(draws)
        self.layers = observer.layers(activations[reference])
        again = views.other_draw(reference)
        other = {} if again is None else observer.layers(activations[again])
        self.ceilings = {
            name: between(layer, other[name], self.parts)
            for name, layer in self.layers.items()
            if name in other
        }
        self.floors = {name: floors(layer, draws) for name, layer in self.layers.items()}

    def under(self, noise: str) -> dict[str, dict[str, Controls]]:
        """The controls under a noise, by layer and distance; none for the reference itself."""
        if noise == self.reference.noise:
            return {name: dict.fromkeys(CONTROLLED, NO_CONTROLS) for name in self.layers}
        pairs = self.views.untrained_pairs(self.reference, View(self.reference.model, noise))
        untrained = [
            tuple(observer.layers(self.activations[view]) for view in pair) for pair in pairs
        ]
        found: dict[str, dict[str, Controls]] = {}
        for name in self.layers:
            drawn = [between(a[name], b[name], self.parts) for a, b in untrained]
            ceilings = self.ceilings.get(name, dict.fromkeys(CONTROLLED, NOTHING))
            found[name] = {
                what: Controls(
                    ceilings[what], self.floors[name][what], [one[what] for one in drawn]
                )
                for what in CONTROLLED
            }
        return found


def columns(
    controls: Mapping[str, Controls], of: Mapping[str, Series], noises: int
) -> dict[str, float]:
    """The columns of the controls of each distance, and how far it is above them.

    Args:
        controls: by distance.
        of: the distances; `NOTHING` for those of the reference from itself.
        noises: beside the reference.
    """
    return {
        f"{what}_{key}": value
        for what, own in controls.items()
        for key, value in (own.columns() | own.gaps(of[what], noises=noises)).items()
    }
