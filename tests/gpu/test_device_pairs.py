"""Training pairs on the device: the clean crops of the CPU, and noise of whole batches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mtd.training import device_pairs
from mtd.training.device_pairs import DevicePairs
from mtd.training.pairs import TrainingPairs
from mtd.utils.device import memory, resolve_device
from mtd.utils.errors import BadInput

pytestmark = pytest.mark.gpu


@pytest.fixture
def photos(tmp_path: Path) -> str:
    """Three photographs that hold all 256 values."""
    rng = np.random.default_rng(0)
    for index, size in enumerate([(40, 52, 3), (61, 33, 3), (48, 48)]):
        pixels = rng.integers(0, 256, size, np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
    return str(tmp_path)


def test_clean_crops_are_those_of_the_cpu_bit_for_bit(photos, device):
    pairs = DevicePairs([photos], 32, "gaussian:15", resolve_device(device), 16, seed=1, quiet=True)
    plain = TrainingPairs([photos], 32, "gaussian:15", seed=1)
    for step in range(3):
        noisy, clean = pairs.batch(16 * step, 16)
        assert clean.device.type == noisy.device.type == pairs.pixels.device.type == device
        assert torch.equal(clean.cpu(), plain.batch(16 * step, 16)[1])


@pytest.mark.parametrize("noise", ["gaussian:15", "poisson:3", "spatial:60", "mixture:3", "isp"])
def test_noise_of_a_step_is_the_same_however_its_batch_is_divided(photos, device, noise):
    def pairs() -> DevicePairs:
        return DevicePairs([photos], 32, noise, resolve_device(device), 16, quiet=True)

    noisy, _ = pairs().batch(32, 16)
    again = pairs()
    parts = torch.cat([again.batch(first, 4)[0] for first in range(32, 48, 4)])
    assert noisy.device.type == device and torch.equal(parts, noisy)
    assert not torch.equal(again.batch(48, 16)[0], noisy)


def test_gaussian_noise_on_the_device_has_its_level(photos, device):
    pairs = DevicePairs(
        [photos], 32, "gaussian:15", resolve_device(device), 64, clip=False, quiet=True
    )
    noise = torch.cat([(noisy - clean) for noisy, clean in map(pairs.pairs_of_step, range(4))])
    error = 15 / 255 / noise.numel() ** 0.5  # standard error of the mean
    assert abs(float(noise.mean())) < 4 * error and abs(float(noise.std()) - 15 / 255) < 4 * error
    assert pairs.noise_stream == f"{device}, one stream for each step"


def test_more_photographs_than_the_device_holds_are_refused(photos, device, monkeypatch):
    assert memory(resolve_device(device)) > 2**28
    monkeypatch.setattr(device_pairs.devices, "memory", lambda _: 14_000)
    with pytest.raises(BadInput, match=rf"need 1\.9\d+e-05 GB, and {device} has 1\.4e-05 GB"):
        DevicePairs([photos], 32, "gaussian:15", resolve_device(device), 16, quiet=True)
