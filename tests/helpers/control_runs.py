"""A run of CKA with controls on small photographs, and the same samples extracted apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy import stats

import mtd
from analysis.cka import functional
from analysis.cka.cells import deranged
from analysis.cka.command import ANALYSIS
from analysis.cka.positions import Positions
from analysis.commands.command import run_arguments
from analysis.engine.hooks import Activations
from mtd.data import crops as data_crops
from mtd.data.crops import Crop
from mtd.data.photographs import photographs
from mtd.loading import checkpoint_file
from mtd.masking import MaskPolicy
from mtd.networks.base import Denoiser
from mtd.networks.swinir_layers import SwinIRConfig
from mtd.networks.untrained import untrained
from mtd.noise import specs as noise_specs
from tests.helpers.figures import leave_unrendered
from tests.helpers.networks import MASKED, TINY, tiny_network
from tests.helpers.noises import add_keyed

SIDE = 16

CONFIG = SwinIRConfig(**(TINY.to_dict() | {"depths": (4, 4)}))
"""Of eight blocks, so that the last quarter is two of them."""

PHOTOGRAPHS, CROPS, POSITIONS, SEED = 12, 24, 12, 3
NOISES = ("gaussian:15", "poisson:3.5")
BLOCKS = [f"layers.{g}.residual_group.blocks.{b}" for g in (0, 1) for b in range(4)]
LAST = BLOCKS[-2:]
OPTIONS = ("--images", "photos", "--crop", "16", "--seed", str(SEED), "--quiet")
POSITIONED = (
    *OPTIONS,
    "--limit",
    str(CROPS),
    "--positions",
    str(POSITIONS),
    "--layers",
    "**.blocks.*",
)

View = tuple[str, str]

EVERY = range(CROPS)


def prepare(place: Path) -> Path:
    """The folder of a run: two checkpoints, and photographs of which each gives two crops."""
    for seed, (name, policy) in enumerate({"plain": MaskPolicy(), "hidden": MASKED}.items()):
        weights = tiny_network(seed, CONFIG).state_dict()
        checkpoint_file.save(place / f"{name}.pth", weights, network=CONFIG, mask=policy)
    draw_photographs(place / "photos", PHOTOGRAPHS)
    return place


def run(name: str, *arguments: str) -> Path:
    """Run CKA in the current folder; the run folder, of this name."""
    with pytest.MonkeyPatch.context() as patch:
        leave_unrendered(patch)
        return run_arguments(ANALYSIS, [*arguments, "--output-dir", name], "test")


def summary(path: Path) -> str:
    """The text of a run, in one line."""
    return " ".join((path / "summary.txt").read_text().split())


def value(cells: pd.DataFrame, control: str, a: View, b: View, layer: str) -> float:
    """The only cell of a control."""
    chosen = cells[
        (cells.control == control)
        & (cells.layer_a == layer)
        & (cells.layer_b == layer)
        & (cells.model_a == a[0])
        & (cells.noise_a == a[1])
        & (cells.model_b == b[0])
        & (cells.noise_b == b[1])
    ]
    (row,) = chosen.itertuples()
    return float(row.cka)


def draw_photographs(folder: Path, count: int) -> Path:
    """Photographs of smooth random colors and fine texture, 16 x 40, in a folder of their own."""
    folder.mkdir()
    for i in range(count):
        stream = np.random.default_rng(i)
        coarse = stream.integers(0, 255, (3, 4, 3), dtype=np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize((40, SIDE), Image.Resampling.BICUBIC))
        fine = smooth + stream.normal(0, 12, smooth.shape)
        Image.fromarray(fine.clip(0, 255).astype(np.uint8)).save(folder / f"{i:02}.png")
    return folder


class Samples:
    """What a run with given photographs and noises sees, computed without the engine.

    Args:
        folder: of the photographs and checkpoints.
        crops: number of them.
        positions: of each crop.
        seed: of the run.
    """

    def __init__(self, folder: Path, crops: int, positions: int = 0, seed: int = 0) -> None:
        self.folder, self.positions, self.seed = folder, positions, seed
        self.crops: list[Crop] = data_crops.crops(photographs(folder / "photos"), SIDE, crops)
        self._networks: dict[str, Denoiser] = {}
        self._known: dict[tuple[str, str, str], np.ndarray] = {}

    @cached_property
    def names(self) -> list[str]:
        """The photograph of each crop."""
        return [crop.image for crop in self.crops]

    @cached_property
    def places(self) -> Positions:
        """The sampled positions."""
        digests = [crop.digest for crop in self.crops]
        return Positions.draw(digests, self.positions, SIDE, SIDE, self.seed)

    def network(self, name: str) -> Denoiser:
        """A model of the run, or an untrained network by its name in the tables."""
        if name not in self._networks:
            if name.startswith("untrained "):
                _, number, _, model = name.split()
                made = untrained(self.network(model), self.seed + int(number) - 1).network
            else:
                made = mtd.load(self.folder / f"{name}.pth", seed=self.seed)
            self._networks[name] = made
        return self._networks[name]

    def of(self, model: str, noise: str, layer: str) -> np.ndarray:
        """(crops, samples of a crop, features) in float64: positions, or one whole image."""
        key = model, noise, layer
        if key not in self._known:
            self._known[key] = self._extracted(*key)
        return self._known[key]

    def _extracted(self, model: str, noise: str, layer: str) -> np.ndarray:
        network = self.network(model)
        clean = data_crops.to_tensor([crop.pixels for crop in self.crops])
        digests = [crop.digest for crop in self.crops]
        noisy = add_keyed(noise_specs.parse(noise), clean, digests, seed=self.seed)
        with torch.no_grad(), Activations(network, layer) as seen:
            network(noisy, digests)
        value = seen[layer].double()
        if value.ndim == 3:  # tokens of the image, row by row
            value = value.mT.reshape(len(value), -1, SIDE, SIDE)
        maps = value.numpy()
        if not self.positions:
            return maps.reshape(len(maps), 1, -1)
        rows, columns = self.places.rows, self.places.columns
        picked = [maps[i][:, rows[i], columns[i]].T for i in range(len(maps))]
        return np.stack(picked)


def rows_of(samples: np.ndarray, crops: Sequence[int]) -> np.ndarray:
    """(samples, features) of some crops."""
    return samples[list(crops)].reshape(-1, samples.shape[-1])


def unbiased_hsic(k: np.ndarray, ell: np.ndarray) -> tuple[float, int]:
    """HSIC₁ times its weight, and the weight n(n − 3), from Gram matrices; see Song et al. 2012."""
    n = len(k)
    k, ell = (m - np.diag(np.diag(m)) for m in (k, ell))
    terms = (k * ell).sum() + k.sum() * ell.sum() / ((n - 1) * (n - 2))
    return float(terms - 2 / (n - 2) * (k.sum(0) @ ell.sum(0))), n * (n - 3)


def cka_of(samples: Samples, a: View, b: View, layer: str, crops: Iterable[int]) -> float:
    """CKA of a layer under two views, from some crops."""
    kept = list(crops)
    return functional.cka(*(rows_of(samples.of(*view, layer), kept) for view in (a, b)))


def ceiling_of(samples: Samples, a: View, b: View, layer: str, crops: Iterable[int]) -> float:
    """√(CKA(A, A@1) · CKA(B, B@1))."""
    kept = list(crops)
    draws = [
        cka_of(samples, (model, noise), (model, f"{noise}@1"), layer, kept)
        for model, noise in (a, b)
    ]
    return math.sqrt(draws[0] * draws[1])


def floor_of(
    samples: Samples, a: View, b: View, layer: str, crops: Iterable[int], other: str = ""
) -> float:
    """HSIC of samples beside those of another photograph, over √ of those with themselves.

    Args:
        samples: of the run.
        a: view of the first side.
        b: of the second side.
        layer: of both sides.
        crops: that are there.
        other: layer of the second side, if it is another one.
    """
    kept = set(crops)
    pairs = [
        (int(i), int(j))
        for i, j in zip(*deranged(samples.names), strict=True)
        if {int(i), int(j)} <= kept
    ]
    sides = [samples.of(*a, layer), samples.of(*b, other or layer)]
    x, y = (
        rows_of(side, chosen) for side, chosen in zip(sides, zip(*pairs, strict=True), strict=True)
    )
    own = [rows_of(side, sorted(kept)) for side in sides]

    def hsic(one: np.ndarray, other: np.ndarray) -> float:
        total, weight = unbiased_hsic(one @ one.T, other @ other.T)
        return total / weight

    return hsic(x, y) / math.sqrt(hsic(own[0], own[0]) * hsic(own[1], own[1]))


def without(samples: Samples, value: Callable[[list[int]], float]) -> np.ndarray:
    """A value with each photograph left out in turn."""
    names = list(dict.fromkeys(samples.names))
    kept = [[i for i, of in enumerate(samples.names) if of != name] for name in names]
    return np.array([value(crops) for crops in kept])


def half_width(values: np.ndarray) -> float:
    """Half the jackknife's 95% interval, from the values without each photograph."""
    count = len(values)
    error = math.sqrt((count - 1) / count * np.square(values - values.mean()).sum())
    return float(stats.t.ppf(0.975, count - 1)) * error
