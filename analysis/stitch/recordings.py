"""Networks on the crops of a run: what their layers return, recorded once where memory allows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from analysis.engine import recorded_run
from analysis.engine.forward import make_noisy_batch
from analysis.engine.layers import windowed_layers
from analysis.engine.network_input import NetworkInput
from analysis.engine.observer import Batch, NoisyBatch, View
from analysis.stats import jackknife
from analysis.stitch import pairs
from analysis.stitch.layouts import Recording
from mtd.networks.compiled import original
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from analysis.commands.inputs import RunInputs
    from analysis.stitch.settings import StitchSettings
    from mtd.data.crops import Crop

PIXELS = 2**14
"""Pixels that go through a network together: the features of all layers are held in memory."""

FOLDS = 2
"""Parts of the photographs: stitches are fitted on one and measured on the other."""


def folds(crops: Sequence[Crop]) -> list[list[int]]:
    """Places of the crops of every other photograph, and those of the rest.

    Raises:
        BadInput: a single photograph.
    """
    draws = jackknife.draws([crop.scene or crop.image for crop in crops])
    if not draws.any():
        raise BadInput(
            "crops of 1 photograph: stitches are fitted on photographs other than those on which "
            "their cost is measured; give at least 2 photographs, or raise --limit"
        )
    return [[int(i) for i in np.flatnonzero(draws % FOLDS == side)] for side in range(FOLDS)]


def exchanged(places: Sequence[int], scenes: Sequence[str]) -> list[int] | None:
    """For each crop of a fold one of another photograph, each used once; None where there is none.

    >>> exchanged([0, 1, 2, 3], ["a", "a", "b", "b"]), exchanged([0, 1], ["a", "a"])
    ([2, 3, 0, 1], None)
    """
    order = sorted(places, key=lambda i: (scenes[i], i))
    sorted_scenes = [scenes[i] for i in order]
    most = max(map(sorted_scenes.count, sorted_scenes))
    if 2 * most > len(order):
        return None
    other = dict(zip(order, [*order[most:], *order[:most]], strict=True))
    return [other[i] for i in places]


class Recordings:
    """The networks of a run on its crops, in batches of one fold each.

    Attributes:
        inputs: of the run, with the noises of the controls.
        settings: of the run.
        layers: paths of the layers of each network.
        scenes: the photograph of each crop.
        folds: batches, as places of crops, of each fold.
    """

    def __init__(self, inputs: RunInputs, settings: StitchSettings) -> None:
        self.inputs, self.settings = inputs, settings
        self.layers = pairs.chosen_layers(inputs.models, settings.layers)
        self.scenes = [crop.scene or crop.image for crop in inputs.crops]
        assert settings.crop is not None
        size = settings.batch_size or max(1, PIXELS // settings.crop**2)
        self.folds = [
            [places[i : i + size] for i in range(0, len(places), size)]
            for places in folds(inputs.crops)
        ]
        self._kept: dict[tuple[View, tuple[int, ...]], Recording] = {}
        self._free = int(settings.memory * 2**30)
        self._batches = {tuple(batch) for fold in self.folds for batch in fold}

    def noisy(self, view: View, places: Sequence[int]) -> NoisyBatch:
        """The noisy versions of some crops."""
        noise = next(noise for noise in self.inputs.noises if noise.spec == view.noise)
        batch = Batch(0, [self.inputs.crops[i] for i in places])
        return make_noisy_batch(noise, batch, self.inputs.forward)

    def given(self, view: View, noisy: NoisyBatch) -> NetworkInput:
        """What a network is given for a noisy batch."""
        return NetworkInput.of(self.inputs.models[view.model], noisy, self.inputs.forward)

    def recorded(self, view: View, places: Sequence[int]) -> Recording:
        """What the layers of a network return for some crops; kept while there is memory."""
        key = view, tuple(places)
        if key in self._kept:
            return self._kept[key]
        model, layers = self.inputs.models[view.model], self.layers[view.model]
        given = self.given(view, self.noisy(view, places))
        run = recorded_run.record(model, given, [(layer, "output") for layer in layers])
        found = Recording(run, windowed_layers(original(model), layers))
        if key[1] in self._batches and run.bytes <= self._free:
            self._free -= run.bytes
            self._kept[key] = found
        return found
