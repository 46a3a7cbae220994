"""Causal effect maps: oracles, the same by a plain loop in float64, and the command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import analysis
import mtd
from analysis.attribution import attribute, causal_effects, command
from analysis.attribution.effects import effects, reading
from analysis.attribution.effects import tables as effects_tables
from analysis.attribution.effects.command import ANALYSIS, NAME
from analysis.attribution.effects.effects import Block
from analysis.attribution.effects.result import CausalEffectsResult
from analysis.attribution.integrated_gradients import Window
from analysis.attribution.maps import place
from analysis.attribution.settings import AttributionSettings
from analysis.commands.command import run_arguments
from analysis.commands.run_tables import read_tables
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.noise import base as noise_base
from mtd.noise import specs as noise_specs
from mtd.utils import seeds
from mtd.utils.errors import BadInput
from tests.helpers.networks import save_trainings

WINDOW = Window(8, 10, 8)
FEW = ("--map", "cem", "--crop", "24", "--limit", "2", "--side", "8", "--block", "4", "--quiet")
SMALL = {"crop": 24, "limit": 2, "side": 8, "block": 4, "progress": False}


def effects_of(call, coarse: int = 2, count: int = 5, least: float = 0.01, side: int = 4):
    """Effects of a call on random images of 24 x 26, with all that went in."""
    stream = torch.Generator().manual_seed(0)
    target = torch.rand(3, 24, 26, generator=stream)
    image = target + 0.1 * torch.randn(3, 24, 26, generator=stream)
    pool = torch.rand(4, 3, 24, 26, generator=stream)
    grid = effects.blocks((24, 26), WINDOW, side)
    given = [(block, effects.patches(pool, block, side, count, "a")) for block in grid]
    found = effects.effects(call, image, target, WINDOW, given, coarse=coarse, least=least, batch=7)
    return found, image, target, given


def touched(values: Tensor, margin: int) -> Tensor:
    """Whether effects are 0 at all blocks that are farther than `margin` from the window."""
    grid = effects.blocks(values.shape[1:], WINDOW, 4)
    top, left, side = WINDOW
    far = [
        block
        for block in grid
        if block.top + block.height <= top - margin
        or block.top >= top + side + margin
        or block.left + block.width <= left - margin
        or block.left >= left + side + margin
    ]
    near = [block for block in grid if block not in far]
    assert far and near
    largest = [max(abs(v) for v in effects.of_blocks(values, part)) for part in (far, near)]
    smallest = min(abs(v) for v in effects.of_blocks(values, near))
    return torch.tensor([largest[0], smallest])


def test_blocks_tile_the_image_and_the_window():
    grid = effects.blocks((24, 26), WINDOW, 4)
    covered = torch.zeros(24, 26)
    for block in grid:
        covered[block.place] += 1
    assert covered.eq(1).all()
    inside = [block for block in grid if effects_tables.within(block, WINDOW)]
    assert len(inside) == 4 and all(block[2:] == (4, 4) for block in inside)
    assert sum(block.height * block.width for block in inside) == 64


def test_the_identity_uses_the_window_alone():
    found, *_ = effects_of(lambda images: images)
    far, near = touched(found.values, 0)
    assert far == 0 and near > 0.1
    numbers = effects_tables.numbers(found.values, WINDOW, effects.blocks((24, 26), WINDOW, 4))
    assert numbers["outside"] == 0 and numbers["effect_outside"] == 0
    assert np.isnan(numbers["reach90"]) and np.isnan(numbers["negative"])


@pytest.mark.parametrize("mode", ["circular", "constant"])
def test_a_mean_of_three_by_three_reaches_one_pixel(mode):
    kernel = torch.full((3, 1, 3, 3), 1 / 9)

    def mean(images: Tensor) -> Tensor:
        return F.conv2d(F.pad(images, (1, 1, 1, 1), mode=mode), kernel, groups=3)

    far, near = touched(effects_of(mean)[0].values, 1)
    assert far < 1e-5 < 1e-4 < near


def test_all_effects_by_a_plain_loop_in_float64():
    """A small network, in NumPy: PSNR of the window minus its mean over the patches."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 3, 3, padding=1))
    network.double()

    @torch.no_grad()
    def call(images: Tensor) -> Tensor:
        return network(images.double())

    found, image, target, given = effects_of(call, least=0.05)
    top, left, side = WINDOW

    def psnr(y: np.ndarray) -> float:
        output = call(torch.from_numpy(y)[None])[0].numpy()
        error = (output - target.double().numpy())[:, top : top + side, left : left + side]
        return 10 * np.log10(1 / np.mean(error**2))

    clean, refined = psnr(image.double().numpy()), 0
    assert found.psnr == pytest.approx(clean, abs=1e-9)
    for block, patches in given:

        def effect(count: int, block: Block = block, patches: Tensor = patches) -> float:
            each = []
            for patch in patches[:count].double().numpy():
                y = image.double().numpy().copy()
                y[:, block.top : block.top + block.height][
                    :, :, block.left : block.left + block.width
                ] = patch
                each.append(psnr(y))
            return clean - np.mean(each)

        expected = effect(2)
        if abs(expected) >= 0.05:
            expected, refined = effect(5), refined + 1
        assert found.values[0][block.place].numpy() == pytest.approx(expected, abs=1e-9)
    assert found.refined == refined and 0 < refined < len(given)


def test_blocks_beyond_reach_are_not_replaced_one_by_one():
    """Of a mean of 3 x 3, only the window's blocks and those that touch it; of all else none."""
    kernel, passes = torch.full((3, 1, 3, 3), 1 / 9), []

    def mean(images: Tensor) -> Tensor:
        passes.append(len(images))
        return F.conv2d(images, kernel, padding=1, groups=3)

    found, image, target, given = effects_of(mean)
    far = effects.beyond_reach(mean, image, WINDOW, given)
    apart = [effects.distance(given[i][0], WINDOW) for i in far]
    assert min(apart) == 4 and len(far) + 16 == len(given)
    near = [i for i in range(len(given)) if i not in far]
    alone = effects.effects(
        mean, image, target, WINDOW, [given[i] for i in near], coarse=2, least=0.01, batch=7
    )
    for i in near:
        place = (0, *given[i][0].place)
        assert torch.equal(found.values[place], alone.values[place])
    assert all((found.values[(0, *given[i][0].place)] == 0).all() for i in far)


def test_the_reach_of_a_network_of_convolutions():
    """Two layers of 3 x 3 in float32 reach two pixels, whatever the rounding of a batch."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 3, padding=1))
    with torch.no_grad():
        found, image, _, given = effects_of(network)
        far = effects.beyond_reach(network, image, WINDOW, given)
    assert len(far) + 16 == len(given)
    assert all((found.values[(0, *given[i][0].place)] == 0).all() for i in far)


def test_every_block_is_replaced_where_all_of_the_image_is_used():
    def shifted(images: Tensor) -> Tensor:
        return images + images.mean((2, 3), keepdim=True)

    found, image, _, given = effects_of(shifted)
    assert not effects.beyond_reach(shifted, image, WINDOW, given)
    assert all(abs(value) > 0 for value in effects.of_blocks(found.values, [b for b, _ in given]))


def test_patches_are_of_the_pool_and_the_same_again():
    pool = torch.arange(2 * 10 * 12.0).view(2, 1, 10, 12)
    block = Block(0, 4, 3, 4)
    drawn = effects.patches(pool, block, 4, 6, 0, "a")
    assert torch.equal(drawn, effects.patches(pool, block, 4, 6, 0, "a"))
    assert not torch.equal(drawn, effects.patches(pool, block, 4, 6, 0, "b"))
    every = pool.unfold(2, 3, 1).unfold(3, 4, 1).reshape(-1, 1, 3, 4)
    assert drawn.shape == (6, 1, 3, 4)
    assert all(any(torch.equal(patch, one) for one in every) for patch in drawn)


def test_a_window_that_is_restored_exactly_has_no_effects():
    target = torch.rand(3, 24, 26)
    given = [(Block(0, 0, 4, 4), torch.rand(3, 3, 4, 4))]
    found = effects.effects(lambda images: images, target, target, WINDOW, given)
    assert found.values.isnan().all() and found.psnr == np.inf
    result = causal_effects(nn.Identity(), noises=["gaussian:0", "gaussian:50"], **SMALL)
    frame = result.effects.set_index(["noise", "crop"])
    assert frame.loc["gaussian:0"].outside.isna().all()
    assert set(frame.loc["gaussian:0"].reason) == {effects.EXACT}
    assert (frame.loc["gaussian:50"].outside == 0).all()
    said = " ".join(result.sentences())
    assert "2 of 4 maps of `Identity` have no numbers: the window is restored exactly" in said
    assert set(result.figures()) == {"effects"}


@pytest.fixture
def folder(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(pair)
    return pair


@pytest.mark.drawn
def test_the_command_and_its_maps_by_hand(folder, capsys):
    path = run_arguments(
        command.ANALYSIS,
        ["plain.pth", "hidden.pth", *FEW, "--patches", "4", "--noise", "gaussian:50"],
        "test",
    )
    assert {file.name for file in path.iterdir()} == {
        *("manifest.json", "run.json", "summary.txt", "effects.csv", "effects.png"),
        *("effects_difference.csv", "effects.safetensors"),
    }
    result = analysis.open_run(path, NAME)
    assert isinstance(result, CausalEffectsResult)
    cut = data_crops.crops(photographs.photographs(), 24, 2)
    noise = noise_specs.parse("gaussian:50")
    noisy = [
        noise_base.pair_keyed(noise, data_crops.to_tensor([crop.pixels]), [crop.digest])[0][0]
        for crop in cut
    ]
    network = mtd.load("hidden.pth")
    window = place(cut[0].pixels, 8)
    target = data_crops.to_tensor([cut[0].pixels])[0]
    top, left = window[:2]

    def psnr(image: Tensor) -> float:
        with torch.no_grad():
            output = network(image[None], [cut[0].digest])[0]
        error = (output - target)[:, top : top + 8, left : left + 8].double()
        return float(-10 * error.square().mean().log10())

    values, base = result.maps["hidden", "gaussian:50", 0], psnr(noisy[0])
    for block in effects.blocks((24, 24), window, 4)[::5]:
        stream = seeds.generator("causal effects", 0, cut[0].digest, f"{block.top},{block.left}")
        drawn = [torch.randint(limit, (4,), generator=stream).tolist() for limit in (1, 21, 21)]
        altered = []
        for _, row, column in zip(*drawn, strict=True):
            image = noisy[0].clone()
            image[(slice(None), *block.place)] = noisy[1][
                :, row : row + block.height, column : column + block.width
            ]
            altered.append(base - psnr(image))
        few = np.mean(altered[:3])
        expected = np.mean(altered) if abs(few) >= 0.01 else few
        assert values[0, block.top, block.left] == pytest.approx(expected, abs=1e-4)
    row = result.effects.set_index(["model", "noise", "crop"]).loc["hidden", "gaussian:50", 0]
    assert row.psnr == pytest.approx(base, abs=1e-4) and row.blocks >= 36
    assert (row.window_top, row.window_left, row.side, row.block) == (*window, 4)
    assert row.effect_inside > 0 and 0 < row.outside < 1 and 0 <= row.negative < 1
    out = " ".join(capsys.readouterr().out.split())
    assert "above 0 where replacing the block lowers the PSNR" in out
    assert "by 3 patches, one after another, and by 4 in all where the first mean effect" in out
    assert "too few for intervals" in out
    axes = result.plot_map(model="hidden", crop=1)
    assert "Gaussian, σ = 50" in axes.get_title() and len(axes.get_images()) == 1
    with pytest.raises(BadInput, match="crop 2"):
        result.plot_map(crop=2)
    (path / "effects.safetensors").write_bytes(b"damaged")
    with pytest.raises(BadInput, match=r"effects.safetensors: (damaged|not the maps of a run)"):
        _ = CausalEffectsResult.read(ANALYSIS, path).maps


def test_an_interrupted_run_is_continued(folder, monkeypatch):
    arguments = ["plain.pth", *FEW, "--noise", "gaussian:50", "--patches", "3", "--output-dir", "r"]
    whole, calls = effects.effects, []

    def once(*given, **how):
        if calls:
            raise KeyboardInterrupt
        calls.append(1)
        return whole(*given, **how)

    monkeypatch.setattr(effects, "effects", once)
    with pytest.raises(KeyboardInterrupt):
        run_arguments(command.ANALYSIS, arguments, "test")

    def counted(*given, **how):
        calls.append(2)
        return whole(*given, **how)

    monkeypatch.setattr(effects, "effects", counted)
    path = run_arguments(command.ANALYSIS, [*arguments, "--resume"], "test")
    assert calls == [1, 2]
    other = run_arguments(command.ANALYSIS, [*arguments[:-1], "fresh"], "test")
    one, two = (read_tables(place, ["effects"])["effects"] for place in (path, other))
    pd.testing.assert_frame_equal(one, two)


def test_classical_denoisers_and_hidden_pixels():
    """A 3 x 3 median reaches one pixel; where pixels are hidden, replacing them changes nothing."""
    how = {**SMALL, "noises": ["gaussian:50"]}
    result = causal_effects("classical:median:3", **how)
    assert (result.effects.reach90 <= 4).all() and (result.effects.outside > 0).all()
    hidden = causal_effects("classical:median:3", input_mask=0.9, **how)
    assert hidden.effects.effect_inside.mean() < result.effects.effect_inside.mean()


def test_trainings_are_averaged(tmp_path):
    how = {**SMALL, "noises": ["gaussian:50"], "coarse": 1, "patches": 1}
    pattern = save_trainings(tmp_path, 2)
    result = causal_effects({"a": pattern, "blur": "classical:blur:1"}, **how)
    assert list(result.effects.trainings) == [2, 1, 2, 1]
    single = result.frames["effects_by_training"]
    first = result.effects[result.effects.model == "a"].iloc[0]
    assert first.outside == pytest.approx(single[single.crop == first.crop].outside.mean())
    assert set(result.difference.measure) == {"outside", "negative"}
    assert "first one" in result.plot_map(model="a").get_title()
    assert reading.main(result.frames)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--side", "10"], "--side 10: expected a multiple of --block, 4"),
        (["--patches", "2"], "--patches 2: expected as many as --coarse, 3, or more"),
        (["--steps", "9"], "--steps 9: only for --map lam;"),
        (["--map", "lam"], "--block 4: only for --map cem;"),
        (["--map", "cam"], "expected lam or cem"),
        (["--limit", "1"], "blocks are replaced by patches of other photographs"),
        (["--block", "0"], "from 1 up"),
        (["--autocast", "bf16"], "small effects need float32"),
    ],
)
def test_what_cannot_be_used_is_one_line(folder, in_process, arguments, message):
    code, out, err = in_process(command.main, "plain.pth", *FEW, *arguments)
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1 and not out


def test_settings_of_the_two_kinds():
    lam, cem = AttributionSettings(), AttributionSettings(map="cem")
    assert (lam.crop, lam.side, lam.specs[0]) == (64, 16, "gaussian:0")
    assert (cem.crop, cem.side, cem.specs) == (64, 32, ("gaussian:15", "gaussian:50"))
    assert AttributionSettings.of(**cem.to_dict()) == cem
    with pytest.raises(BadInput, match=r"call analysis.attribution.causal_effects"):
        attribute("masked.pth", map="cem")
