"""A run of CKA with controls on small photographs, and the same samples extracted apart."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import mtd
from analysis.cka.positions import Positions
from analysis.engine.hooks import Activations
from mtd.data import crops as data_crops
from mtd.data.crops import Crop
from mtd.data.photographs import photographs
from mtd.networks.base import Denoiser
from mtd.networks.untrained import untrained
from mtd.noise import specs as noise_specs
from tests.helpers.noises import add_keyed

SIDE = 16


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
