"""Photographs to train on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.images import photos_in


@pytest.fixture(autouse=True)
def one_thread(few_threads: None) -> None:
    """Several threads take longer for networks as small as these."""
    torch.set_num_threads(1)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Five small photographs, one of them grey, one too small."""
    folder = tmp_path / "photos"
    rng = photos_in(folder)
    Image.fromarray(rng.integers(0, 255, (24, 20), dtype=np.uint8)).save(folder / "grey.png")
    Image.fromarray(rng.integers(0, 255, (10, 90, 3), dtype=np.uint8)).save(folder / "small.png")
    return folder
