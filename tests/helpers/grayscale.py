"""Small grayscale networks, grayscale photographs, and noisy pairs of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from mtd.loading import checkpoint_file
from mtd.masking import MaskPolicy
from mtd.networks.swinir_layers import SwinIRConfig
from tests.helpers.networks import MASKED, TINY, tiny_network

GRAY = SwinIRConfig(**(TINY.to_dict() | {"in_chans": 1}))
"""The small network of the tests, of one channel."""


def save_gray(path: Path, seed: int = 0, mask: MaskPolicy | None = None) -> Path:
    """A checkpoint of a small grayscale network, trained on `gaussian:15` as it says; its path."""
    weights = tiny_network(seed, GRAY).state_dict()
    about = {"noise": "gaussian:15"}
    checkpoint_file.save(path, weights, network=GRAY, mask=mask or MaskPolicy(), training=about)
    return path


def gray_pair(folder: Path) -> Path:
    """The folder, with plain.pth and hidden.pth, a baseline and a masked network."""
    save_gray(folder / "plain.pth", 0)
    save_gray(folder / "hidden.pth", 1, MASKED)
    return folder


def save_pairs(folder: Path, count: int = 4, side: int = 40) -> tuple[Path, Path]:
    """Folders of noisy and clean grayscale files of the same names."""
    noisy, clean = folder / "noisy", folder / "clean"
    for place in (noisy, clean):
        place.mkdir()
    for i in range(count):
        stream = np.random.default_rng(i)
        coarse = stream.integers(20, 235, (5, 5), dtype=np.uint8)
        smooth = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
        levels = np.asarray(smooth, np.float64)
        for place, spread in ((clean, 6.0), (noisy, 20.0)):
            levels = levels + stream.normal(0, spread, levels.shape)
            pixels = levels.round().clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(place / f"{i}.png")
    return noisy, clean
