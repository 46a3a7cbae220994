"""Features of tiny networks and of untrained ones, recorded by hand, for the controls of values."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

import mtd
from analysis.engine import run as engine_run
from analysis.engine.hooks import Activations
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.networks.untrained import untrained
from mtd.noise import base as noise_base
from mtd.noise import specs as noise_specs

LAYER = "input:conv_last"


def crops(count: int) -> list[data_crops.Crop]:
    """Bundled crops of 16 x 16, as a run with `--crop 16` has them."""
    return data_crops.crops(photographs.photographs(), 16, count)


@cache
def features(name: str, spec: str, count: int, seed: int | None = None) -> torch.Tensor:
    """(crops, …), what goes into the last convolution, of a checkpoint or of an untrained network.

    They are kept, so that a name stands for the same network in all tests: one of the tiny pair.

    Args:
        name: of the checkpoint.
        spec: of the noise.
        count: number of crops.
        seed: of the untrained network of the same architecture; None for the checkpoint itself.
    """
    network = mtd.load(f"{name}.pth")
    network = network if seed is None else untrained(network, seed).network
    cut = crops(count)
    clean, keys = data_crops.to_tensor([crop.pixels for crop in cut]), [c.digest for c in cut]
    noisy, _ = noise_base.pair_keyed(noise_specs.parse(spec), clean, keys)
    with torch.no_grad(), Activations(network, LAYER) as seen:
        network(noisy, keys)
    return seen[LAYER]


@cache
def photograph_of(count: int) -> tuple[int, ...]:
    """The index of each crop's photograph."""
    names = [crop.image for crop in crops(count)]
    return tuple(list(dict.fromkeys(names)).index(name) for name in names)


def halves(count: int) -> tuple[np.ndarray, np.ndarray]:
    """The crops of the first, third, … photograph, and those of the second, fourth, …"""
    odd = np.array(photograph_of(count)) % 2 == 1
    return np.flatnonzero(~odd), np.flatnonzero(odd)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Networks and noises of the passes that follow, in order."""
    seen: list[tuple[str, str]] = []
    original = engine_run.run_network

    def run_network(network, noisy, *rest):
        seen.append((noisy.model, noisy.noise.spec))
        return original(network, noisy, *rest)

    monkeypatch.setattr(engine_run, "run_network", run_network)
    return seen
