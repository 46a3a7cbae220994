"""`python -m analysis.attribution`: maps made again by hand, what it writes, says and refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import mtd
from analysis.attribution import command, integrated_gradients
from analysis.attribution import tables as attribution_tables
from analysis.attribution.command import run
from analysis.attribution.integrated_gradients import Window
from analysis.attribution.maps import place
from analysis.commands.run_folder import RunFolder, read_manifest, read_tables
from mtd import masking
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.noise import base as noise_base
from mtd.noise import specs as noise_specs

FEW = ("--crop", "16", "--limit", "2", "--side", "4", "--blur", "1.5", "--steps", "4", "--quiet")
ONE = ("--noise", "gaussian:50")


@pytest.fixture
def folder(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(pair)
    return pair


def started(*arguments: str) -> Path:
    return run(command.parser().parse_args(list(arguments)), "test")


@pytest.mark.drawn
def test_maps_and_numbers_are_those_made_by_hand(folder, capsys):
    path = started("plain.pth", "hidden.pth", *FEW, *ONE, "--noise", "mixture:2")
    assert {file.name for file in path.iterdir()} == {
        *("manifest.json", "run.json", "summary.txt", "attribution.csv", "attribution.png"),
        "attribution.safetensors",
    }
    frame = read_tables(path, ["attribution"])["attribution"]
    maps = attribution_tables.read(RunFolder(path, "", read_manifest(path), resume=True))
    frame = frame.set_index(["model", "noise", "crop"])
    assert len(frame) == 2 * 3 * 2 and len(maps) == 2 * 3 * 2 + 3 * 2
    for i, crop in enumerate(data_crops.crops(photographs.photographs(), 16, 2)):
        window = place(crop.pixels, 4)
        for name, spec in (("plain", "gaussian:0"), ("hidden", "gaussian:50")):
            clean = data_crops.to_tensor([crop.pixels])
            noisy, _ = noise_base.pair_keyed(noise_specs.parse(spec), clean, [crop.digest])
            network = mtd.load(f"{name}.pth")
            found = integrated_gradients.attribute(
                network, noisy[0], window, key=crop.digest, sigma=1.5, steps=4
            )
            assert maps["", spec, i] == pytest.approx(noisy[0].numpy())
            assert maps[name, spec, i] == pytest.approx(found.values.numpy(), abs=1e-6)
            row = frame.loc[(name, spec, i)]
            assert row.di == pytest.approx(
                integrated_gradients.diffusion_index(found.map), rel=1e-5
            )
            assert row.completeness == pytest.approx(found.error, abs=1e-6)
            assert (row.window_top, row.window_left, row.side) == tuple(window)
            assert 0 <= row.reach50 <= row.reach90 <= 12
    out = capsys.readouterr().out
    assert "2 crops of 16 x 16, 4 steps" in out and "this project's own preset" in out


def test_hidden_pixels_have_no_part_in_the_output(folder):
    path = started("plain.pth", *FEW, *ONE, "--input-mask", "0.7")
    maps = attribution_tables.read(RunFolder(path, "", read_manifest(path), resume=True))
    network = mtd.load("plain.pth")
    for i, crop in enumerate(data_crops.crops(photographs.photographs(), 16, 2)):
        kept = masking.keyed_input_mask(16, 16, 0.7, 0, [crop.digest])
        clean = data_crops.to_tensor([crop.pixels])
        noisy, _ = noise_base.pair_keyed(noise_specs.parse("gaussian:50"), clean, [crop.digest])
        how = {"key": crop.digest, "sigma": 1.5, "steps": 4, "input_mask": kept}
        found = integrated_gradients.attribute(network, noisy[0], place(crop.pixels, 4), **how)
        assert maps["plain", "gaussian:50", i] == pytest.approx(found.values.numpy(), abs=1e-6)
        assert not found.map[~kept[0, 0]].any() and found.map[kept[0, 0]].any()


def test_completeness_is_warned_of(folder, capsys):
    started("plain.pth", *FEW, *ONE, "--steps", "1")
    assert "raise --steps" in capsys.readouterr().out


def test_the_window_is_where_the_edges_are():
    pixels = torch.zeros(32, 32, 3, dtype=torch.uint8).numpy()
    pixels[0:4:2] = 255  # outside the middle half
    pixels[16:20:2, 12:16] = 200
    window = place(pixels, 6)
    assert window.top >= 8 and window.top + 6 <= 24
    assert window.top <= 16 < window.top + 6 and window.left <= 12
    assert place(pixels, 6, (0, 26)) == Window(0, 26, 6)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--noise", "gausian:15"], "did you mean gaussian"),
        (["--window", "4"], "expected Y,X"),
        (["--window", "13,2"], "window of 4 at 13,2"),
        (["--side", "10"], "at most half"),
        (["--blur", "9"], "lower --blur"),
        (["--blur", "-1"], "pixels above 0"),
        (["--autocast", "bf16"], "gradients need float32"),
    ],
)
def test_what_cannot_be_used_is_one_line(folder, in_process, arguments, message):
    code, out, err = in_process(command.main, "plain.pth", *FEW, *arguments)
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1 and not out
