"""`python -m analysis.sensitivity`: numbers from layers taken by hand, what it says and refuses."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

import mtd
from analysis.commands.command import run_arguments
from analysis.commands.run_manifest import read_manifest
from analysis.commands.run_tables import read_tables
from analysis.engine.hooks import Activations
from analysis.engine.layers import default_layers
from analysis.sensitivity import command, measure_sensitivity
from analysis.sensitivity.observer import DENOISED, IMAGE
from analysis.sensitivity.settings import SensitivitySettings
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.networks.dncnn import DnCNN, DnCNNConfig
from mtd.noise import base as noise_base
from mtd.noise import specs as noise_specs
from mtd.utils.errors import BadInput

FEW = ("--crop", "16", "--limit", "7", "--quiet")
TWO = ("--noise", "poisson:3.5", "--noise", "gaussian:50")


@pytest.fixture
def folder(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(pair)
    torch.manual_seed(0)
    torch.save(DnCNN(DnCNNConfig(features=8, depth=3)).state_dict(), pair / "dncnn.pth")
    return pair


def started(*arguments: str) -> Path:
    return run_arguments(command.ANALYSIS, arguments, "test")


def table(path: Path):
    return read_tables(path, ["sensitivity"])["sensitivity"]


def relative(clean: torch.Tensor, noisy: torch.Tensor) -> float:
    centred = clean - clean.mean((0, 1))
    return math.sqrt(float((noisy - clean).square().sum() / centred.square().sum()))


@pytest.mark.parametrize("name", ["plain", "hidden", "dncnn"])
def test_numbers_are_those_of_layers_taken_by_hand(folder, name):
    frame = table(started("plain.pth", "hidden.pth", "dncnn.pth", *FEW, *TWO))
    frame = frame.set_index(["model", "noise", "layer"])
    network = mtd.load(f"{name}.pth")
    crops = data_crops.crops(photographs.photographs(), 16, 7)
    clean, keys = data_crops.to_tensor([c.pixels for c in crops]), [c.digest for c in crops]
    seen = {}
    for spec in ("clean", "poisson:3.5", "gaussian:50"):
        shown = clean
        if spec != "clean":
            shown, _ = noise_base.pair_keyed(noise_specs.parse(spec), clean, keys)
        with torch.no_grad(), Activations(network, default_layers(network)) as held:
            output = network(shown, keys)
        seen[spec] = {IMAGE: shown, **dict(held.items()), DENOISED: output}
    for spec in ("poisson:3.5", "gaussian:50"):
        rows = frame.loc[(name, spec)]
        assert list(rows.index) == list(seen[spec]) and list(rows["index"]) == [*range(len(rows))]
        changes = {}
        for layer, one in seen["clean"].items():
            pair = [v.flatten(2).mT if v.ndim == 4 else v for v in (one, seen[spec][layer])]
            changes[layer] = relative(*(v.double() for v in pair))
            assert rows.change[layer] == pytest.approx(changes[layer], rel=1e-5)
            assert rows.gain[layer] == pytest.approx(changes[layer] / changes[IMAGE], rel=1e-5)
            assert rows.low[layer] < rows.change[layer] < rows.high[layer]
    assert (frame.xs(IMAGE, level="layer").gain == 1).all()


def test_ratios_of_models_leave_the_same_photographs_out(folder):
    path = started("plain.pth", "hidden.pth", *FEW, *TWO)
    rows = read_tables(path, ["sensitivity_ratio"])["sensitivity_ratio"].set_index("noise")
    crops = data_crops.crops(photographs.photographs(), 16, 7)
    clean, keys = data_crops.to_tensor([c.pixels for c in crops]), [c.digest for c in crops]
    noisy, _ = noise_base.pair_keyed(noise_specs.parse("poisson:3.5"), clean, keys)
    networks = [mtd.load(f"{name}.pth") for name in ("plain", "hidden")]
    with torch.no_grad():
        outputs = [[network(x, keys) for x in (clean, noisy)] for network in networks]

    def log_ratio(kept: list[int]) -> float:
        plain, hidden = (
            relative(*(side[kept].flatten(2).mT.double() for side in pair)) for pair in outputs
        )
        return math.log(hidden / plain)

    scenes = list(dict.fromkeys(crop.image for crop in crops))
    logs = np.array(
        [log_ratio([i for i, c in enumerate(crops) if c.image != scene]) for scene in scenes]
    )
    row, value = rows.loc["poisson:3.5"], log_ratio(list(range(7)))
    half = stats.t.ppf(0.975, 3) * math.sqrt(3 / 4 * np.sum((logs - logs.mean()) ** 2))
    expected = np.exp([value, value - half, value + half])
    assert (row.value, row.low, row.high) == pytest.approx(tuple(expected), rel=1e-4)
    assert row.photographs == len(scenes) == 4


def test_the_batches_decide_nothing(folder):
    whole = table(started("hidden.pth", *FEW, *TWO, "--output-dir", "a"))
    parts = table(started("hidden.pth", *FEW, *TWO, "--batch-size", "2", "--output-dir", "b"))
    for column in ("change", "high", "gain_low"):
        assert np.allclose(whole[column], parts[column], rtol=1e-4)


@pytest.mark.drawn
def test_what_is_written_and_said(folder, capsys):
    arguments = ("--noise", "mixture:2", "--noise", "isp", "--mask-draws", "independent")
    path = started("plain.pth", "hidden.pth", *FEW, *TWO, *arguments)
    assert {file.name for file in path.iterdir()} == {
        *("manifest.json", "run.json", "summary.txt", "sensitivity.csv", "sensitivity.png"),
        "sensitivity_ratio.csv",
    }
    manifest = read_manifest(path)
    assert manifest["noises"][0] == "gaussian:0" and "conv_first" in manifest["layers"]["plain"]
    out = capsys.readouterr().out
    assert "7 crops of 16 x 16" in out
    words = " ".join(out.split())
    assert "With 4 photographs they are rough" in words and "not inference" in words
    assert "Mixture is this project's own preset" in words
    assert "The camera pipeline also changes the image" in words
    assert "masks were drawn independently under each noise" in words


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--noise", "gausian:15"], "did you mean gaussian"),
        (["--noise", "gaussian:0"], "leave it out"),
        (["--layers", "blocks"], "'blocks' matches no module"),
        (["--layers", "**.attn"], "leave it out of --layers"),
        (["--memory", "0"], "expected a number above 0"),
        (["--memory", "1e-6"], "lower --batch-size"),
    ],
)
def test_what_cannot_be_used_is_one_line(folder, in_process, arguments, message):
    code, out, err = in_process(command.main, "plain.pth", *FEW, *arguments)
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1 and not out


class Blur(torch.nn.Module):
    """Half of a channel mixture: a network of a caller's own."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(3, 4, 3, padding=1)
        self.last = torch.nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, x):
        return x + self.last(self.first(x).relu())


def test_the_function_takes_modules_and_arrays_and_plots():
    torch.manual_seed(0)
    images = [np.random.default_rng(i).random((24, 24, 3)) for i in range(4)]
    result = measure_sensitivity(
        {"mine": Blur(), "other": Blur()},
        images=images,
        noises=["gaussian:25", "poisson:3.5"],
        crop=16,
        limit=4,
        progress=False,
    )
    frame = result.sensitivity
    assert list(frame[frame.noise == "gaussian:25"].layer) == [IMAGE, "first", "last", DENOISED] * 2
    axes = result.plot_gain(noise="poisson:3.5")
    part = frame[(frame.noise == "poisson:3.5") & (frame.model == "other")]
    (curve,) = (line for line in axes.get_lines() if line.get_label() == "other")
    assert np.asarray(curve.get_ydata()) == pytest.approx(part.gain.to_numpy())
    assert axes.get_yscale() == "log" and "Poisson, α = 3.5" in axes.get_title()
    assert result.plot_gain(axes) is axes
    with pytest.raises(BadInput, match="'poisson:3'"):
        result.plot_gain(noise="poisson:3")
    assert set(result.figures()) == {"sensitivity"} and "`mine`" in result.sentences()[0]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"noises": ["gaussian:0"]}, "leave it out"),
        ({"crop": None}, "crops of one size"),
        ({"memory": -1}, "above 0"),
        ({"layer": "x"}, "did you mean layers"),
    ],
)
def test_settings_that_cannot_be_used_are_one_line(settings, message):
    with pytest.raises(BadInput, match=message) as caught:
        SensitivitySettings.of(**settings)
    assert "\n" not in str(caught.value)


def test_settings_have_the_clean_image_first():
    settings = SensitivitySettings.of(noises="gaussian:5")
    assert settings.specs == ("gaussian:0", "gaussian:5")
    assert SensitivitySettings.of(**settings.to_dict()) == settings
    assert SensitivitySettings().specs[1:] == (
        "gaussian:15",
        "gaussian:50",
        "poisson:3.5",
        "salt_pepper:0.02",
    )
