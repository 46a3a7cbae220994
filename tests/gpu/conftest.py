"""The device of these tests: a GPU where there is one, else the CPU, at toy size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from mtd.training import config
from mtd.training.config import Recipe

FULL = ("data.crop=64", "run.batch_size=16", "optimizer.learning_rate=3e-4")
TOY = (
    *("network.embed_dim=8", "network.depths=[2]", "network.num_heads=[2]"),
    *("network.mlp_hidden=16", "data.crop=16", "run.batch_size=4"),
    "optimizer.learning_rate=1e-3",
)


@pytest.fixture(autouse=True)
def float32_means_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """As commands have it (`mtd.utils.distributed.start`)."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)


@pytest.fixture
def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight photographs with smooth and sharp parts."""
    folder = tmp_path_factory.mktemp("photographs")
    stream = np.random.default_rng(0)
    for i in range(8):
        smooth = gaussian_filter(stream.random((100, 120, 3)), (6, 6, 0))
        smooth = (smooth - smooth.min()) / np.ptp(smooth)
        pixels = np.where(stream.random((100, 120, 1)) < 0.02, 1 - smooth, smooth)
        Image.fromarray((255 * pixels).round().astype(np.uint8)).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def recipe(device: str, photographs: Path) -> Callable[..., Recipe]:
    """Makes recipes of the paper's network, or of a toy on the CPU, with changed settings."""

    def make(*changes: str, baseline: bool = False) -> Recipe:
        sizes = FULL if device == "cuda" else TOY
        common = ("run.steps=60", "validation.every=0")
        return config.load(
            "paper.toml", [*sizes, *common, *changes], folders=[str(photographs)], baseline=baseline
        )

    return make
