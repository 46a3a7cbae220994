"""CKA and SRGA between recorded and synthetic noise: contents, strengths, and the numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import analysis
from analysis.commands.modules import denoiser, photographs_from
from analysis.generalization.noisy import features, no_reference
from analysis.generalization.noisy.inputs import RECORDED, load_inputs
from analysis.generalization.noisy.observer import average
from analysis.generalization.settings import GeneralizationSettings
from analysis.srga import srga
from mtd.data import crops as data_crops
from mtd.data.crops import Crop
from tests.helpers.networks import tiny_network


def pictures(count: int = 5, side: int = 40, sigma: float = 12) -> list[np.ndarray]:
    """Smooth pictures with white noise."""
    stream = np.random.default_rng(3)
    ramps = [np.add.outer(np.arange(side) * i, np.arange(side)[::-1]) / 2 for i in range(count)]
    noise = [stream.normal(0, sigma, (side, side, 3)) for _ in ramps]
    made = [60 + ramp[..., None] + n for ramp, n in zip(ramps, noise, strict=True)]
    return [np.asarray(image.round().clip(0, 255), dtype=np.uint8) for image in made]


def inputs(*specs: str):
    settings = GeneralizationSettings(noises=specs or None)
    models = {"plain": tiny_network(0)}
    return load_inputs(models, settings, photographs_from(pictures())), settings


def patches_of(given):
    """Every picture as one patch, the clean picture being its stand-in."""
    chosen = features.choose_patches(given.crops)
    stand_in = {patch: np.full((40, 40, 3), 90 + patch.crop, np.uint8) for patch in chosen}
    return {patch: (given.crops[patch.crop].pixels, stand_in[patch]) for patch in chosen}


def test_patches_are_of_one_size_and_spread_over_the_pictures():
    crops = [Crop(str(i), 0, 0, np.zeros((200 + i, 130, 3), np.uint8)) for i in range(3)]
    chosen = features.choose_patches(crops)
    assert {patch.side for patch in chosen} == {64} and len(chosen) == 18
    assert [sum(p.crop == i for p in chosen) for i in range(3)] == [6, 6, 6]
    assert {
        p.side
        for p in features.choose_patches(
            [*crops * 2, Crop("s", 0, 0, np.zeros((30, 99, 3), np.uint8))]
        )
    } == {30}


@pytest.mark.parametrize(
    "sizes, side, count",
    [
        ([(70, 70)] * 3, 32, 12),
        ([(96, 96)], 32, 9),
        ([(64, 64)], 32, 4),
        ([(128, 128)], 64, 4),
        ([(40, 40)], 20, 4),
        ([(20, 70)], 16, 4),
        ([(15, 99), *[(70, 70)] * 4], 64, 4),
        ([(20, 40)], 16, 2),
        ([(15, 99)], 0, 0),
    ],
)
def test_the_side_of_patches_is_halved_until_there_are_enough(sizes, side, count):
    crops = [Crop(str(i), 0, 0, np.zeros((*size, 3), np.uint8)) for i, size in enumerate(sizes)]
    chosen = features.choose_patches(crops)
    assert len(chosen) == count and {patch.side for patch in chosen} == ({side} if side else set())
    for patch in chosen:
        height, width = sizes[patch.crop]
        assert patch.top + side <= height and patch.left + side <= width


def test_synthetic_noise_is_as_strong_as_estimated():
    given, _ = inputs()
    made = features.contents(patches_of(given), given)
    first, second = features.ESTIMATED, features.again(features.ESTIMATED)
    assert [noise.spec for noise in made.noises] == [first, second, RECORDED]
    levels = [no_reference.coarse_noise_level(crop.pixels) for crop in given.crops]
    assert levels == pytest.approx([12] * 5, rel=0.2)
    for noise in made.noises[:2]:
        for crop, level in zip(made.crops, levels, strict=True):
            change = noise.cut(crop) - crop.pixels.astype(float)
            assert change.std() == pytest.approx(level, rel=0.04)
        assert made.strengths[noise.spec] == pytest.approx(
            np.sqrt(np.mean(np.square(levels))), rel=0.03
        )
    for crop, picture in zip(made.crops, given.crops, strict=True):
        np.testing.assert_array_equal(made.noises[2].cut(crop), picture.pixels)
        draws = [made.noises[i].cut(crop) - crop.pixels.astype(float) for i in (0, 1)]
        assert abs(np.corrcoef(*(draw.ravel() for draw in draws))[0, 1]) < 0.06
    distance = [
        np.square(c.pixels - p.pixels.astype(float)).mean()
        for c, p in zip(made.crops, given.crops, strict=True)
    ]
    assert made.strengths[RECORDED] == pytest.approx(np.sqrt(np.mean(distance)))


def test_noises_that_are_given_take_the_place_of_the_estimated_one():
    given, _ = inputs("gaussian:25", "poisson:2")
    made = features.contents(patches_of(given), given)
    names = ["gaussian:25", "gaussian:25, another draw", RECORDED, "poisson:2"]
    assert [noise.spec for noise in made.noises] == names
    assert made.strengths["gaussian:25"] == pytest.approx(25, rel=0.03)


def test_sigma_of_noise_of_matched_strength():
    given, _ = inputs("gaussian:=poisson:2", "poisson:2", "gaussian:=speckle:0.02")
    patches = patches_of(given)
    made = features.contents(patches, given)
    first, other = made.noises[0], made.noises[-1]
    names = [first.spec, features.again(first.spec), other.spec]
    assert [row["noise"] for row in made.sigmas] == [name for _ in made.crops for name in names]
    by_noise = {noise.spec: noise for noise in made.noises}
    for row, crop in zip(made.sigmas, np.repeat(made.crops, 3), strict=True):
        change = by_noise[row["noise"]].cut(crop) - crop.pixels.astype(float)
        rounded = np.sqrt(row["sigma"] ** 2 + 1 / 12)  # nothing is clipped
        assert np.sqrt(np.mean(change**2)) == pytest.approx(rounded, rel=0.02)
        assert row["sha256"] == crop.digest and (row["top"], row["left"]) == (0, 0)
    assert [row["image"] for row in made.sigmas[::3]] == [crop.image for crop in given.crops]


def test_equal_stand_ins_are_one_sample():
    given, _ = inputs()
    patches = patches_of(given)
    same = {
        patch: (noisy, np.full((40, 40, 3), 255, np.uint8)) for patch, (noisy, _) in patches.items()
    }
    assert len(features.contents(same, given).crops) == 1


def deepest(network: nn.Module, images: list[np.ndarray], digests: list[str]) -> torch.Tensor:
    """What goes into the last convolution, for each image."""
    found = []
    last = dict(network.named_modules())["conv_last"]
    handle = last.register_forward_pre_hook(lambda _, given: found.append(given[0].flatten(1)))
    with torch.no_grad():
        network(data_crops.to_tensor(images), digests)
    handle.remove()
    return found[0]


def test_srga_is_that_of_features_under_both_noises():
    given, settings = inputs()
    made = features.contents(patches_of(given), given)
    frame, depth = features.compare(made, given, settings, None)
    network = tiny_network(0)
    digests = [crop.digest for crop in made.crops]
    views = [[noise.cut(crop) for crop in made.crops] for noise in made.noises]
    synthetic, second, recorded = (deepest(network, view, digests) for view in views)
    rows = frame[frame.quantity == "SRGA"].set_index("noise_b").value
    assert rows[RECORDED] == pytest.approx(srga(synthetic, recorded).srga, abs=1e-3)
    draw = features.again(features.ESTIMATED)
    assert rows[draw] == pytest.approx(srga(synthetic, second).srga, abs=1e-3)
    assert set(frame.noise_a) == {features.ESTIMATED} and set(frame.patches) == {5}
    assert set(frame.strength_b) == {made.strengths[RECORDED], made.strengths[draw]}
    assert not any("psnr" in column for column in frame)
    layers = frame.groupby("quantity").layer.first()
    assert layers["SRGA"] == "input:conv_last"
    deep = layers["CKA"].split(features.SEPARATOR)
    assert deep == list(depth.layer[depth.layer.str.contains("blocks")].unique()[-len(deep) :])
    assert set(depth.noise_b) >= {RECORDED, draw}


def test_cka_is_that_of_the_analysis_between_folders_of_the_same_pixels(tmp_path):
    given, settings = inputs()
    made = features.contents(patches_of(given), given)
    frame, depth = features.compare(made, given, settings, None)
    for i, crop in enumerate(made.crops):
        views = {"clean": crop.pixels} | {f"{k}": n.cut(crop) for k, n in enumerate(made.noises)}
        for name, pixels in views.items():
            (tmp_path / name).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    result = analysis.cka.compare(
        {"plain": tiny_network(0)},
        images=tmp_path / "clean",
        crop=40,
        noises=[f"folder:{tmp_path}/{k}" for k in range(3)],
        progress=False,
    )
    expected = result.last_quarter
    rows = frame[frame.quantity == "CKA"]
    for column, name in (("value", "cka"), ("low", "low"), ("high", "high")):
        assert rows[column].to_numpy() == pytest.approx(expected[name].to_numpy(), abs=1e-6)
    assert depth.cka.to_numpy() == pytest.approx(result.depth.cka.to_numpy(), abs=1e-6)
    assert rows.value.max() < 0.999


def test_without_noise_features_are_equal():
    given, settings = inputs("gaussian:0")
    patches = {
        patch: (stand_in, stand_in)
        for patch, (_, stand_in) in zip(
            features.choose_patches(given.crops),
            [(None, image) for image in pictures(sigma=3)],
            strict=True,
        )
    }
    made = features.contents(patches, given)
    frame, _ = features.compare(made, given, settings, None)
    assert frame[frame.quantity == "CKA"].value.to_list() == pytest.approx([1, 1])
    assert frame[frame.quantity == "SRGA"].value.to_list() == pytest.approx([0, 0])
    assert made.strengths[RECORDED] == 0


class Linear(nn.Module):
    """A network without a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale


def test_a_measure_without_layers_is_left_out_with_the_reason():
    given, settings = inputs()
    given = replace(given, models={"linear": denoiser("linear", Linear(), settings, "cpu")})
    given = given.with_models({})
    made = features.contents(patches_of(given), given)
    frame, depth = features.compare(made, given, settings, None)
    assert list(frame.quantity) == ["CKA", "SRGA"] and depth.empty
    assert frame.note.str.startswith("linear: no convolution in the network").all()
    assert frame.value.isna().all()


def test_too_few_patches_are_no_comparison():
    given, settings = inputs()
    few = dict(list(patches_of(given).items())[:3])
    for patches, found in (({}, "0 different patches of 16 x 16"), (few, "3 different patches of")):
        made = features.contents(patches, given)
        frame, _ = features.compare(made, given, settings, None)
        (note,) = set(frame.note)
        assert note.startswith(f"the pictures give {found}") and note.endswith("it needs 4")
    assert "40 x 40 pixels" in note


def test_the_stand_in_is_the_mean_of_the_outputs():
    a, b = np.uint8([[[10, 255, 3]]]), np.uint8([[[20, 255, 6]]])
    assert average([[a], [b]]).tolist() == [[[15, 255, 4]]]
