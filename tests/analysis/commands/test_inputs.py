"""The images of a run: their page, and what their folders hold beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import nn

from analysis.commands.inputs import load_inputs, manifest_of
from analysis.commands.modules import photographs_from
from analysis.commands.settings import Settings
from analysis.generalization.inputs import load_inputs as load_benchmark
from analysis.generalization.settings import GeneralizationSettings
from mtd.utils.errors import BadInput

SMALL = {"crop": 16, "limit": 4, "noises": ("gaussian:15",)}


@pytest.fixture
def pages(tmp_path: Path) -> dict[int, np.ndarray]:
    """The two pages of photos/a.tif; noisy/a.tif has their negatives."""
    drawn = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
    for name, values in (("photos", drawn), ("noisy", 255 - drawn)):
        (tmp_path / name).mkdir()
        made = [Image.fromarray(page) for page in values]
        made[0].save(tmp_path / name / "a.tif", save_all=True, append_images=made[1:])
        for other in ("a.txt", "b.txt", "c.cr2"):
            (tmp_path / name / other).touch()
    return {1: drawn[0], 2: drawn[1]}


def test_the_page_is_read_and_recorded(tmp_path: Path, pages: dict[int, np.ndarray]) -> None:
    folder = str(tmp_path / "photos")
    for page, expected in pages.items():
        settings = Settings(images=(folder,), page=page, **SMALL)
        inputs = load_inputs(nn.Identity(), settings)
        assert np.array_equal(inputs.crops[0].pixels, expected)
        assert manifest_of("x", settings, inputs)["page"] == page
        noise = f"folder:{tmp_path / 'noisy'}"
        settings = Settings(images=(folder,), page=page, **SMALL | {"noises": (noise,)})
        recorded = load_inputs(nn.Identity(), settings).noises[0]
        assert np.array_equal(recorded.cut(inputs.crops[0]), 255 - expected)
        assert np.array_equal(photographs_from(folder, page)[0].load(), expected)
        assert np.array_equal(photographs_from([f"{folder}/a.tif"], page)[0].load(), expected)
    with pytest.raises(BadInput, match="2 pages; choose one with --page N"):
        load_inputs(nn.Identity(), Settings(images=(folder,), **SMALL))
    with pytest.raises(BadInput, match="page 3: it holds 2 pages"):
        load_inputs(nn.Identity(), Settings(images=(folder,), page=3, **SMALL))


def test_a_page_of_no_file_is_refused() -> None:
    with pytest.raises(BadInput, match="--page 2: the bundled photographs have none"):
        load_inputs(nn.Identity(), Settings(page=2, **SMALL))
    with pytest.raises(BadInput, match="--page 2: for --images and --paired-images"):
        load_benchmark(nn.Identity(), GeneralizationSettings(page=2, lpips=False))
    with pytest.raises(BadInput, match="page 0"):
        Settings(page=0)


def test_without_a_page_the_manifest_is_as_before() -> None:
    settings = Settings(**SMALL)
    assert "page" not in manifest_of("x", settings, load_inputs(nn.Identity(), settings))


def test_what_is_skipped_is_a_message(tmp_path: Path, pages: dict[int, np.ndarray]) -> None:
    photos, noisy = (str(tmp_path / name) for name in ("photos", "noisy"))
    settings = Settings(images=(photos,), page=1, **SMALL)
    line = f"{photos}: 3 files skipped (1 .cr2, 2 .txt)"
    assert load_inputs(nn.Identity(), settings).messages == [line]
    paired = GeneralizationSettings(paired_images=((f"x={noisy}", photos),), page=2, lpips=False)
    inputs = load_benchmark(nn.Identity(), paired)
    assert inputs.messages == [f"{noisy}: 3 files skipped (1 .cr2, 2 .txt)", line]
    assert np.array_equal(inputs.paired[0].crops[0].pixels, pages[2])
