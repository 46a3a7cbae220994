"""`python -m analysis.sensitivity`: numbers from layers taken by hand, what it says and refuses."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

import mtd
from analysis.commands.run_folder import read_manifest, read_tables
from analysis.engine.hooks import Activations
from analysis.engine.layers import default_layers
from analysis.sensitivity import command
from analysis.sensitivity.command import run
from analysis.sensitivity.observer import DENOISED, IMAGE
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.networks.dncnn import DnCNN, DnCNNConfig
from mtd.noise import base as noise_base
from mtd.noise import specs as noise_specs

FEW = ("--crop", "16", "--limit", "7", "--quiet")
TWO = ("--noise", "poisson:3.5", "--noise", "gaussian:50")


@pytest.fixture
def folder(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(pair)
    torch.manual_seed(0)
    torch.save(DnCNN(DnCNNConfig(features=8, depth=3)).state_dict(), pair / "dncnn.pth")
    return pair


def started(*arguments: str) -> Path:
    return run(command.parser().parse_args(list(arguments)), "test")


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


def test_the_batches_decide_nothing(folder):
    whole = table(started("hidden.pth", *FEW, *TWO, "--output-dir", "a"))
    parts = table(started("hidden.pth", *FEW, *TWO, "--batch-size", "2", "--output-dir", "b"))
    for column in ("change", "high", "gain_low"):
        assert np.allclose(whole[column], parts[column], rtol=1e-4)


@pytest.mark.drawn
def test_what_is_written_and_said(folder, capsys):
    arguments = ("--noise", "mixture:2", "--noise", "isp", "--mask-pairing", "independent")
    path = started("plain.pth", "hidden.pth", *FEW, *TWO, *arguments)
    assert {file.name for file in path.iterdir()} == {
        *("manifest.json", "run.json", "summary.txt", "sensitivity.csv", "sensitivity.png")
    }
    manifest = read_manifest(path)
    assert manifest["noises"][0] == "gaussian:0" and "conv_first" in manifest["layers"]["plain"]
    out = capsys.readouterr().out
    assert "7 crops of 16 x 16" in out and "7 crops, so they are rough" in out
    assert "this project's own preset" in out and "isp changes the right answer" in out
    assert "masks were drawn anew" in out


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--noise", "gausian:15"], "did you mean gaussian"),
        (["--noise", "gaussian:0"], "leave it out"),
        (["--layers", "blocks"], "'blocks' matches no module"),
        (["--layers", "**.attn"], "leave it out of --layers"),
        (["--memory", "0"], "expected GiB above 0"),
        (["--memory", "1e-6"], "lower --batch-size"),
    ],
)
def test_what_cannot_be_used_is_one_line(folder, in_process, arguments, message):
    code, out, err = in_process(command.main, "plain.pth", *FEW, *arguments)
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1 and not out
