"""`python -m analysis.attribution`: maps made again by hand, what it writes, says and refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import mtd
from analysis.attribution import attribute, command, integrated_gradients, reading, tables
from analysis.attribution.integrated_gradients import Window
from analysis.attribution.maps import place
from analysis.attribution.result import AttributionResult
from analysis.attribution.settings import AttributionSettings
from analysis.commands.command import run_arguments
from analysis.commands.run_tables import read_tables
from mtd import masking
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.noise import base as noise_base
from mtd.noise import specs as noise_specs
from mtd.utils.errors import BadInput

FEW = ("--crop", "16", "--limit", "2", "--side", "4", "--blur", "1.5", "--steps", "4", "--quiet")
ONE = ("--noise", "gaussian:50")


@pytest.fixture
def folder(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(pair)
    return pair


def started(*arguments: str) -> Path:
    return run_arguments(command.ANALYSIS, arguments, "test")


@pytest.mark.drawn
def test_maps_and_numbers_are_those_made_by_hand(folder, capsys):
    path = started("plain.pth", "hidden.pth", *FEW, *ONE, "--noise", "mixture:2")
    assert {file.name for file in path.iterdir()} == {
        *("manifest.json", "run.json", "summary.txt", "attribution.csv", "attribution.png"),
        "attribution_difference.csv",
        "attribution.safetensors",
    }
    frame = read_tables(path, ["attribution"])["attribution"]
    maps = AttributionResult.read(command.ANALYSIS, path).maps
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
    assert "2 crops of 16 x 16, 4 steps" in out
    assert "Mixture is this project's own preset" in " ".join(out.split())


def test_hidden_pixels_have_no_part_in_the_output(folder):
    path = started("plain.pth", *FEW, *ONE, "--input-mask", "0.7")
    maps = AttributionResult.read(command.ANALYSIS, path).maps
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
        (["--blur", "-1"], "expected a number above 0"),
        (["--autocast", "bf16"], "gradients need float32"),
    ],
)
def test_what_cannot_be_used_is_one_line(folder, in_process, arguments, message):
    code, out, err = in_process(command.main, "plain.pth", *FEW, *arguments)
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1 and not out


def test_the_function_takes_modules_and_arrays_and_plots():
    torch.manual_seed(0)
    mine = torch.nn.Conv2d(3, 3, 3, padding=1)
    images = [np.random.default_rng(i).random((24, 24, 3)) for i in range(2)]
    how = {"crop": 16, "limit": 2, "side": 4, "blur": 1.5, "steps": 2, "progress": False}
    result = attribute({"mine": mine}, images=images, noises=["gaussian:50"], **how)
    frame, maps = result.attribution, result.maps
    assert list(frame.noise) == ["gaussian:0", "gaussian:50"] * 2 and len(maps) == 8
    assert all(p.grad is None and p.requires_grad for p in mine.parameters())
    total = float(np.float64(maps["mine", "gaussian:50", 1]).sum())
    assert total == pytest.approx(frame["sum"].iloc[3], rel=1e-4)
    axes = result.plot_map(model="mine", noise="gaussian:50", crop=1)
    assert "Gaussian, σ = 50" in axes.get_title() and len(axes.get_images()) == 1
    (frame_of_window,) = axes.patches
    window = frame.iloc[3]
    assert frame_of_window.get_xy() == (window.window_left - 0.5, window.window_top - 0.5)
    for wrong in ({"model": "mime"}, {"noise": "gaussian:5"}, {"crop": 2}):
        with pytest.raises(BadInput):
            result.plot_map(**wrong)
    assert set(result.figures()) == {"attribution"} and "`mine`" in result.sentences()[0]


def test_maps_outlive_a_folder(tmp_path):
    how = {"crop": 16, "limit": 1, "side": 4, "blur": 1.5, "steps": 1, "progress": False}
    images = [np.random.default_rng(0).random((16, 16, 3))]
    result = attribute(torch.nn.Conv2d(3, 3, 3, padding=1), images=images, **how)
    again = AttributionResult.read(command.ANALYSIS, result.save(tmp_path / "run"))
    assert (tmp_path / "run" / "attribution.png").is_file()
    assert again.maps.keys() == result.maps.keys()
    assert all((again.maps[name] == values).all() for name, values in result.maps.items())
    (tmp_path / "run" / "attribution.safetensors").write_bytes(b"damaged")
    with pytest.raises(BadInput, match=r"(damaged|not the maps of a run)"):
        _ = AttributionResult.read(command.ANALYSIS, tmp_path / "run").maps


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"window": "4"}, "expected Y,X"),
        ({"window": (1, 2, 3)}, "expected"),
        ({"window": (-1, 2)}, "from 0 up"),
        ({"blur": 0}, "above 0"),
        ({"steps": 0}, "from 1 up"),
        ({"autocast": "fp16"}, "gradients need float32"),
    ],
)
def test_settings_that_cannot_be_used_are_one_line(settings, message):
    with pytest.raises(BadInput, match=message) as caught:
        AttributionSettings.of(**settings)
    assert "\n" not in str(caught.value)


def test_settings_have_the_clean_image_first_once():
    settings = AttributionSettings.of(noises=["gaussian:5", "gaussian:0"], window=[3, 4])
    assert settings.specs == ("gaussian:0", "gaussian:5") and settings.window == (3, 4)
    assert AttributionSettings.of(**settings.to_dict()) == settings
    assert AttributionSettings.of(window="3,4").window == (3, 4)
    assert AttributionSettings.of(crop=None, side=None) == AttributionSettings()


def test_a_report_shows_two_noises_and_a_window_that_fits():
    many = AttributionSettings.of(noises=["gaussian:15", "poisson:3", "isp"], crop=16)
    assert many.for_report().noises == ("gaussian:15",) and many.for_report().side == 8
    others = AttributionSettings.of(noises=["speckle:0.02", "poisson:3", "isp"])
    assert others.for_report().noises == ("speckle:0.02", "poisson:3")
    assert others.for_report().for_report() == others.for_report()


def drawn(crops: int, photographs: int, step: float) -> pd.DataFrame:
    """Indices of a and b under two noises, of crops that are alike within a photograph."""
    rng = np.random.default_rng(0)
    of = np.arange(crops) * photographs // crops
    content, change = (rng.normal(size=photographs)[of] for _ in range(2))
    rows = [
        {"model": m, "noise": n, "crop": c, "scene": f"{of[c]}.png"}
        | {"di": 5 + content[c] + (m == "a") * (step + 0.1 * change[c]) + (n == "x") * 0.5}
        | dict.fromkeys(("outside", "reach50", "reach90"), 0.1)
        for c in range(crops)
        for n in ("gaussian:0", "x")
        for m in ("a", "b")
    ]
    return pd.DataFrame(rows)


def said_of(frame: pd.DataFrame) -> list[str]:
    """What is said of the differences between the indices of two models."""
    frames = {"attribution": frame, "attribution_difference": tables.differences(frame)}
    return reading.compared(frames, "di")


def test_means_and_differences_leave_out_photographs_with_all_their_crops():
    frame = drawn(24, 12, 1.0)
    row = tables.means(frame).set_index(["model", "noise"]).loc[("a", "x")]
    each = frame[(frame.model == "a") & (frame.noise == "x")].groupby("scene").di.mean()
    low, high = stats.t.interval(0.95, 11, each.mean(), stats.sem(each))
    assert (row.di, row.di_low, row.di_high) == pytest.approx((each.mean(), low, high))
    assert (row.crops, row.photographs) == (24, 12)
    by_model = frame.groupby(["scene", "model"]).di.mean().unstack()
    change = by_model.a - by_model.b
    low, high = stats.t.interval(0.95, 11, change.mean(), stats.sem(change))
    assert said_of(frame)[0] == (
        f"Averaged over 2 noises, `b` - `a` is {-change.mean():.2f} [{-high:.2f}, {-low:.2f}]: "
        "shown."
    )
    assert "shown to be lower in `b` under no noise and `x`." in said_of(frame)[1]
    reverse = said_of(drawn(24, 12, -1.0))
    assert reverse[0].endswith(": shown.") and "lower in `a` under no noise and `x`." in reverse[1]
    assert said_of(drawn(24, 12, 0.0))[0].endswith(": not shown.")
    (text,) = said_of(drawn(90, 9, 1.0))  # however many crops they have
    assert text.endswith(": too few images to tell (at least 10 photographs).")
    frame.loc[(frame.model == "a") & (frame.crop == 0), "di"] = np.nan
    assert tables.over_noises(frame, "di").shape == (23, 2)


def test_by_default_there_is_a_crop_of_each_photograph_up_to_twelve(tmp_path):
    images = [np.random.default_rng(i).random((40, 40, 3)) for i in range(13)]
    how = {"crop": 16, "side": 4, "blur": 1.5, "steps": 1, "noises": ["gaussian:50"]}
    network = torch.nn.Conv2d(3, 3, 3, padding=1)
    for count, expected in ((2, 2), (13, 12)):
        result = attribute(network, images=images[:count], progress=False, **how)
        frame = result.attribution
        assert frame.scene.nunique() == frame.crop.nunique() == expected == len(frame) / 2
        assert set(result.means.photographs) == {expected}
    assert result.means.di_low.notna().all() and len(result.maps) == 12 * 2 * 2
    (figure,) = result.figures().values()
    assert sum(bool(axes.get_images()) for axes in figure.axes) == 4  # of an example
    more = attribute(network, images=images[:2], limit=5, progress=False, **how)
    assert more.attribution.crop.nunique() == 5 and more.attribution.scene.nunique() == 2
