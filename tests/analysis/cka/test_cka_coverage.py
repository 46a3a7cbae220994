"""Coverage of the intervals over photographs on the activations of the bundled networks (slow)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

import mtd
from analysis.cka.cells import Cells
from analysis.cka.command import ANALYSIS
from analysis.cka.features import Features
from analysis.cka.hsic_from_features import from_features
from analysis.cka.hsic_sums import Similarity
from analysis.cka.observer import Representations
from analysis.cka.settings import CKASettings
from analysis.commands import network_pass
from analysis.commands.inputs import load_inputs
from analysis.commands.job import plan
from analysis.engine.layers import default_layers, last_quarter
from analysis.engine.observer import View
from analysis.stats.jackknife import interval
from mtd.data.crops import spaced
from mtd.data.photographs import photographs
from tests.helpers.paths import data_folder

PHOTOGRAPHS, CROPS = 160, 8
MODELS = ("baseline", "masked")
NOISES = ("gaussian:15", "poisson:3")
DESIGNS = {(4, 8): 500, (8, 8): 2000, (24, 3): 500, (64, 1): 500}
"""Number of repetitions, by photographs and crops of each."""


class Sample(NamedTuple):
    """The last quarter's mean in the baseline, in the masked network, and their difference."""

    value: np.ndarray
    without: np.ndarray


class Population:
    """Features of the last quarters of both networks at sampled positions of all crops.

    Attributes:
        features: (crops, positions, features), a photograph's crops side by side.
        widths: features of each representation.
        pairs: each layer of the baseline under both noises, then those of the masked network.
    """

    def __init__(self, observer: Representations) -> None:
        rows = observer.rows()
        batches = [stored.activations for _, stored in sorted(observer.batches.items())]
        self.features = torch.cat(
            [
                torch.cat([batch[row.view].tensors()[row.layer] for row in rows], dim=-1)
                for batch in batches
            ]
        )
        self.widths = [row.features for row in rows]
        place = {(row.view, row.layer): i for i, row in enumerate(rows)}
        self.pairs = [
            (place[View(model, NOISES[0]), layer], place[View(model, NOISES[1]), layer])
            for model in MODELS
            for layer in observer.layers[model]
        ]

    def sample(self, chosen: Tensor) -> Sample:
        """Values of chosen crops, (photographs, crops of each), with each photograph left out."""
        part = self.features[chosen.flatten()]
        cells = Cells(len(self.widths), pairs=self.pairs)
        places = torch.arange(chosen.numel()).view(chosen.shape).tolist()
        few = len(chosen) < PHOTOGRAPHS
        sums = from_features(
            Features([lambda: part], [len(part)]),
            self.widths,
            cells,
            photographs=places if few else [],
        )
        return self.quarters(sums.pairs())

    @staticmethod
    def quarters(similar: Similarity) -> Sample:
        """Means over the layers of each network, and their difference."""
        sides = []
        for values in (similar.value.numpy(), similar.without.numpy()):
            baseline, masked = (part.mean(-1) for part in np.split(values, 2, axis=-1))
            sides.append(np.stack([baseline, masked, masked - baseline], axis=-1))
        return Sample(*sides)


@pytest.fixture(scope="module")
def population() -> Population:
    files = spaced(photographs(data_folder("bsds500_test")), PHOTOGRAPHS)
    deep = {tuple(last_quarter(default_layers(mtd.load(f"{model}.pth")))) for model in MODELS}
    (layers,) = deep  # the networks are of one architecture
    settings = CKASettings(noises=NOISES, limit=PHOTOGRAPHS * CROPS, layers=layers, controls=False)
    job = plan(ANALYSIS, load_inputs([f"{m}.pth" for m in MODELS], settings, files), settings)
    assert isinstance(job.observer, Representations)
    network_pass.run_pass(job.inputs, job.batches, [job.watch], quiet=True)
    names = job.observer.crops().photographs
    assert names == [file.name for file in files for _ in range(CROPS)]
    return Population(job.observer)


@pytest.mark.slow
def test_intervals_over_photographs_cover_the_value_of_all_photographs(population: Population):
    """At least 92% for 8 photographs or more: deep CKA of both networks, and its difference.

    The photographs of a design are drawn without replacement, so that of 64 in 160 values spread
    less than they would in an unlimited population.
    """
    every = torch.arange(PHOTOGRAPHS * CROPS).view(PHOTOGRAPHS, CROPS)
    truth = population.sample(every).value
    print("\nall photographs", *(f"{value:+.3f}" for value in truth))
    stream, shares = torch.Generator().manual_seed(0), {}
    for (count, crops), repetitions in DESIGNS.items():
        covered, widths, values = [], [], []
        for _ in range(repetitions):
            drawn = torch.randperm(PHOTOGRAPHS, generator=stream)[:count]
            which = torch.rand(count, CROPS, generator=stream).argsort(1)[:, :crops]
            found = population.sample(every[drawn].gather(1, which))
            low, high = interval(found.value, found.without)
            covered.append((low <= truth) & (truth <= high))
            widths.append(high - low)
            values.append(found.value)
        share = shares[count, crops] = np.mean(covered, axis=0)
        width, spread = np.mean(widths, axis=0), np.std(values, axis=0)
        bias = np.mean(values, axis=0) - truth
        print(f"{count:2d} photographs x {crops}, {repetitions} repetitions")
        for name, *numbers in zip(
            ("baseline", "masked", "difference"), share, width, spread, bias, strict=True
        ):
            print(f"  {name:10s} covered {numbers[0]:.3f}", end="")
            print(f", width {numbers[1]:.3f}, spread {numbers[2]:.3f}, bias {numbers[3]:+.3f}")
    assert all(share.min() >= 0.92 for (count, _), share in shares.items() if count >= 8)
