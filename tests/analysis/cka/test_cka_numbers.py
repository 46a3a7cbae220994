"""The numbers of `python -m analysis.cka` against their definitions, computed without its code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import ndimage, stats

import mtd
from analysis.cka import functional
from analysis.cka.command import ANALYSIS
from analysis.cka.positions import Positions
from analysis.cka.settings import CKASettings
from analysis.commands.command import compute, run_arguments
from analysis.commands.inputs import load_inputs
from analysis.commands.job import plan
from analysis.engine.feature_maps import lay_out
from analysis.engine.hooks import Activations
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.data.crops import Crop
from mtd.data.photographs import Photograph
from mtd.noise import specs as noise_specs
from tests.helpers.networks import tiny_network
from tests.helpers.noises import add_keyed

FEW = ("--limit", "8", "--crop", "24", "--positions", "16", "--no-controls")


def run(*arguments: str) -> Path:
    return run_arguments(ANALYSIS, [*arguments, "--quiet"], "test")


@pytest.fixture
def folder(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(pair)
    return pair


def test_numbers_are_those_of_the_definition(folder):
    """The whole pipeline again, written out plainly for one pair of layers."""
    path = run("plain.pth", "hidden.pth", *FEW, "--seed", "3")
    frame = pd.read_csv(path / "cka.csv").set_index(
        ["model_a", "noise_a", "layer_a", "model_b", "noise_b", "layer_b"]
    )
    crops = data_crops.crops(photographs.photographs(), 24, 8)
    clean = data_crops.to_tensor([crop.pixels for crop in crops])
    digests = [crop.digest for crop in crops]
    places = Positions.draw(digests, 16, 24, 24, 3)

    def channels(model: str, spec: str, layer: str) -> np.ndarray:
        network = mtd.load(f"{model}.pth", seed=3)
        rows = []
        for i, digest in enumerate(digests):
            noisy = add_keyed(noise_specs.parse(spec), clean[i : i + 1], [digest], seed=3)
            with torch.no_grad(), Activations(network, layer) as seen:
                network(noisy, [digest])
            value = seen[layer][0].double()
            image = value.T.reshape(-1, 24, 24) if value.ndim == 2 else value
            rows.append(image[:, places.rows[i], places.columns[i]].T)
        return torch.cat(rows).numpy()

    deep = "layers.1.residual_group.blocks.1"
    for a, b in [
        (("plain", "gaussian:15", deep), ("hidden", "gaussian:15", "conv_first")),
        (("hidden", "gaussian:15", deep), ("hidden", "poisson:3.5", deep)),
        (("plain", "gaussian:15", "conv_last"), ("plain", "poisson:3.5", "conv_after_body")),
    ]:
        expected = functional.cka(channels(*a), channels(*b))
        assert frame.cka[(*a, *b)] == pytest.approx(expected, abs=1e-5)


def left_out(x: np.ndarray, y: np.ndarray, names: list[str]) -> tuple[float, float]:
    """The interval, from values that were really computed without each photograph.

    Args:
        x: samples of one side, as many of each crop, crop by crop.
        y: those of the other side.
        names: photograph of each crop.
    """
    of = np.repeat(names, len(x) // len(names))
    without = np.array([functional.cka(x[of != name], y[of != name]) for name in set(names)])
    count = len(without)
    spread = np.sqrt((count - 1) / count * np.square(without - without.mean()).sum())
    half = stats.t.ppf(0.975, count - 1) * spread
    value = functional.cka(x, y)
    return value - half, value + half


@pytest.mark.parametrize("unit", ["position", "image"])
@pytest.mark.parametrize("centering", ["global", "image", "highpass"])
def test_intervals_and_centerings_are_those_of_the_definition(folder, unit, centering):
    layer = "layers.0.residual_group.blocks.1"
    options = ("--unit", unit, "--centering", centering, "--layers", layer, "--permutations", "0")
    path = run("plain.pth", *FEW, *(options if unit == "image" else options[:-2]))
    crops = data_crops.crops(photographs.photographs(), 24, 8)
    clean = data_crops.to_tensor([crop.pixels for crop in crops])
    digests = [crop.digest for crop in crops]
    places = Positions.draw(digests, 16, 24, 24, 0)
    network = mtd.load("plain.pth")
    sides = []
    for spec in ("gaussian:15", "poisson:3.5"):
        noisy = add_keyed(noise_specs.parse(spec), clean, digests)
        with torch.no_grad(), Activations(network, layer) as seen:
            network(noisy, digests)
        maps = seen[layer].double().mT.reshape(8, -1, 24, 24).numpy()
        if centering == "image":
            maps = maps - maps.mean((2, 3), keepdims=True)
        if centering == "highpass":
            weight = ndimage.uniform_filter(np.ones((24, 24)), 9, mode="constant")
            local = [
                [ndimage.uniform_filter(m, 9, mode="constant") / weight for m in image]
                for image in maps
            ]
            maps = maps - np.array(local)
        if unit == "position":
            picked = [maps[i][:, places.rows[i], places.columns[i]].T for i in range(len(digests))]
            sides.append(np.concatenate(picked))
        else:
            sides.append(maps.reshape(8, -1))
    row = pd.read_csv(path / "cka.csv").iloc[0]
    assert row.cka == pytest.approx(functional.cka(*sides), abs=1e-5)
    names = [crop.image for crop in crops]
    assert sorted(map(names.count, set(names))) == [2, 2, 2, 2]
    assert (row.low, row.high) == pytest.approx(left_out(*sides, names), abs=1e-4)
    assert row.centering == centering and row.samples == len(sides[0])


def test_photographs_of_one_scene_are_left_out_together(folder):
    """Six photographs of three scenes, two crops of each: three intervals' draws, not six or 12."""
    whole = photographs.photographs()[:3]
    halves = [
        Photograph(f"{photo.name} {half}", 64, 64, part_of(photo, half), photo.name)
        for half in (0, 1)
        for photo in whole
    ]
    settings = CKASettings(
        crop=24, limit=12, positions=16, layers=("conv_last",), controls=False, batch_size=5
    )
    job = plan(ANALYSIS, load_inputs(["plain.pth"], settings, halves), settings)
    frames = compute(job, quiet=True)
    (row,) = frames["cka.csv"].itertuples()
    assert frames["last_quarter.csv"].photographs.tolist() == [3]
    assert frames["influence.csv"].photograph.tolist() == [photo.name for photo in whole]
    crops = job.inputs.crops
    scenes = [crop.scene for crop in crops]
    assert len(crops) == 12 and scenes != sorted(scenes)  # those of one are not side by side
    sides = position_sides("plain.pth", "conv_last", crops, 16)
    assert row.cka == pytest.approx(functional.cka(*sides), abs=1e-5)
    assert (row.low, row.high) == pytest.approx(left_out(*sides, scenes), abs=1e-4)


def part_of(photo: Photograph, half: int) -> Callable[[], np.ndarray]:
    """Loads a square of a photograph, at its upper left or its center."""
    top, left = (0, 0) if not half else (photo.height // 2, photo.width // 2)
    return lambda: photo.load()[top : top + 64, left : left + 64]


def position_sides(model: str, layer: str, crops: list[Crop], count: int) -> list[np.ndarray]:
    """Channels of a layer at sampled positions of crops, under the two noises of a run."""
    clean = data_crops.to_tensor([crop.pixels for crop in crops])
    digests = [crop.digest for crop in crops]
    places = Positions.draw(digests, count, *clean.shape[2:], 0)
    network, sides = mtd.load(model), []
    for spec in ("gaussian:15", "poisson:3.5"):
        noisy = add_keyed(noise_specs.parse(spec), clean, digests)
        with torch.no_grad(), Activations(network, layer) as seen:
            network(noisy, digests)
        maps = seen[layer].double().numpy()
        picked = [maps[i][:, places.rows[i], places.columns[i]].T for i in range(len(digests))]
        sides.append(np.concatenate(picked))
    return sides


def test_biased_values_have_their_null_value_beside_them(folder):
    options = ("--estimator", "biased", "--layers", "conv_first", "--layers", "conv_last")
    frame = pd.read_csv(run("plain.pth", *FEW, *options) / "cka.csv")
    p, q, n = 12, 3, 128
    row = frame[(frame.layer_a == "conv_first") & (frame.layer_b == "conv_last")].iloc[0]
    assert row.null == pytest.approx(np.sqrt(p * q / ((p + n) * (q + n))))
    assert pd.read_csv(run("plain.pth", *FEW) / "cka.csv")["null"].isna().all()


def test_averaged_masks_are_averaged_before_anything_nonlinear(folder):
    path = run(
        *("hidden.pth", *FEW, "--unit", "image", "--mask-samples", "3", "--layers", "norm"),
        *("--permutations", "0"),
    )
    network = mtd.load("hidden.pth", mask_samples=3)
    crops = data_crops.crops(photographs.photographs(), 24, 8)
    clean = data_crops.to_tensor([crop.pixels for crop in crops])
    digests = [crop.digest for crop in crops]
    sides = []
    for spec in ("gaussian:15", "poisson:3.5"):
        noisy = add_keyed(noise_specs.parse(spec), clean, digests)
        draws = []
        for draw in network.inference.draws(digests):
            with torch.no_grad(), Activations(network, "norm") as seen:
                network(noisy, masks=draw)
            draws.append(seen["norm"].double())
        sides.append(torch.stack(draws).mean(0).flatten(1))
    value = pd.read_csv(path / "cka.csv").cka[0]
    assert value == pytest.approx(functional.cka(*sides), abs=1e-6)


@pytest.mark.parametrize("unit", ["position", "image"])
def test_batch_size_changes_only_which_image_pairs_count(folder, unit):
    frames = []
    for size in ("8", "3"):
        path = run(
            "hidden.pth", *FEW, "--unit", unit, "--batch-size", size, "--output-dir", f"o{size}"
        )
        frames.append(pd.read_csv(path / "cka.csv"))
    difference = (frames[0].cka - frames[1].cka).abs().max()
    assert difference < 1e-5 if unit == "position" else difference > 1e-5


def test_crop_that_is_padded_gives_one_place_the_same_pixel_in_every_layer(folder):
    """A crop of 20 is padded to 24 before the first convolution; its pixels stay where they are."""
    network = tiny_network()
    places = Positions.draw(["a"], 400, 20, 20, 0)
    x = torch.rand(1, 3, 20, 20)
    with Activations(network, ["conv_first", "patch_embed"]) as seen, torch.no_grad():
        network(x)

    def picked(name: str) -> torch.Tensor:
        return places.pick(lay_out(name, seen[name], 1, 20, 20))[0]

    convolved = network.conv_first(x - network.mean)[0]
    expected = convolved[:, places.rows[0], places.columns[0]].T
    assert seen["conv_first"].shape[-2:] == (24, 24)
    assert torch.allclose(picked("conv_first"), expected, atol=1e-6)
    normed = network.patch_embed.norm(expected)
    assert torch.allclose(picked("patch_embed"), normed, atol=1e-5)
