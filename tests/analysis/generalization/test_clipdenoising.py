"""The suite clipdenoising against an independent script of its public protocol."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import analysis
from analysis.generalization import noise_suite
from mtd.data.crops import to_tensor
from mtd.noise.specs import parse
from tests.helpers import clipdenoising_oracle as oracle
from tests.helpers.paths import data_folder

SUITE = "clipdenoising"
TOLERANCE = 1e-6
"""In dB."""


def checkpoint() -> Path:
    return data_folder("checkpoints") / "dncnn_color_blind.pth"


def benchmark(folder: Path, suite: str = SUITE) -> pd.DataFrame:
    """PSNR of DnCNN by noise and image, one at a time as in the script.

    In batches of several, float32 sums are taken in another order, which moves the PSNR of small
    images by up to 2e-6 dB.
    """
    result = analysis.generalization.benchmark(
        [checkpoint()],
        images=str(folder),
        suite=suite,
        lpips=False,
        references=False,
        batch_size=1,
        progress=False,
    )
    rows = result.results.query("metric == 'psnr' and model == 'dncnn_color_blind'")
    return rows.assign(noise=rows.noise.str.partition(",")[0])


def differences(rows: pd.DataFrame, files: list[Path], noises: list[str]) -> pd.Series:
    """The suite minus the script, by noise and image."""
    expected = pd.Series(
        {
            (noise, name): value
            for noise, of in oracle.scores(checkpoint(), files, noises).items()
            for name, value in of.items()
        }
    )
    found = rows.assign(image=rows.image.map(lambda name: Path(name).name))
    found = found.set_index(["noise", "image"]).value
    assert set(found.index) == set(expected.index)
    return found - expected.loc[found.index]


@pytest.mark.parametrize("noise", noise_suite.load(SUITE).noises)
def test_noisy_images_are_those_of_the_script_bit_for_bit(noise):
    pixels = np.random.default_rng(3).integers(0, 256, (17, 23, 3), dtype=np.uint8)
    drawing = noise_suite.load(SUITE).protocol.drawing
    made = drawing.noisy_images(parse(noise), to_tensor([pixels]), ["any"]).noisy
    clean = pixels.astype(np.float32) / np.float32(255)
    script = oracle.noisy_image(clean, noise.partition(",")[0])
    assert np.array_equal(made[0].permute(1, 2, 0).numpy(), script)
    assert made.dtype == torch.float32 and script.dtype == np.float32


def test_values_are_those_of_the_script_on_parts_of_photographs(tmp_path):
    files = []
    for name in ("kodim05.png", "kodim23.png"):
        path = tmp_path / name
        Image.open(data_folder("kodak24") / name).crop((200, 180, 272, 244)).save(path)
        files.append(path)
    found = differences(benchmark(tmp_path), files, oracle.NOISES)
    assert len(found) == 2 * 11 and found.abs().max() < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("name, count", [("kodak24", 24), ("cbsd68", 68)])
@pytest.mark.parametrize("noise", oracle.NOISES)
def test_values_are_those_of_the_script_on_whole_test_sets(tmp_path, name, count, noise):
    folder = data_folder(name)
    suite = tmp_path / "one.toml"
    text = (noise_suite.FOLDER / f"{SUITE}.toml").read_text()
    before, _, rest = text.partition("noises = [")
    spec = next(spec for spec in noise_suite.load(SUITE).noises if spec.startswith(noise))
    suite.write_text(f'{before}noises = ["{spec}"]{rest.partition("]")[2]}')
    found = differences(benchmark(folder, str(suite)), sorted(folder.glob("*.png")), [noise])
    assert len(found) == count and found.abs().max() < TOLERANCE
