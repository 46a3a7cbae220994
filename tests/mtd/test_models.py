"""`python -m mtd.models`: what is known, and what files are."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mtd.inference import self_test
from mtd.loading import checkpoint_file
from mtd.masking import MaskPolicy
from mtd.models import lines, main
from mtd.networks import registry, spandrel_adapter
from mtd.networks.base import Denoiser
from mtd.networks.dncnn import ARCHITECTURE, DnCNN, DnCNNConfig
from mtd.networks.ffdnet import FFDNet, FFDNetConfig
from mtd.networks.ridnet import RIDNet, RIDNetConfig
from mtd.networks.rnan import RNAN, RNANConfig
from mtd.utils import plugins
from tests.helpers.networks import tiny_network
from tests.helpers.paths import ROOT
from tests.helpers.processes import fresh

Call = Callable[..., tuple[int, str, str]]

SOURCE = """\
from torch import nn

class Small(nn.Module):
    def __init__(self, width=2):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, 3, 5, padding=2)

    def forward(self, x):
        return x + self.b(self.a(x))
"""


def save(path: Path, network: nn.Module) -> str:
    torch.save(network.state_dict(), path)
    return str(path)


def table(text: str) -> dict[str, str]:
    """The names and values of one file's lines, all of them aligned."""
    rows = text.splitlines()
    column = len(rows[0]) - len(rows[0].removeprefix("file").lstrip())
    assert all(row[column - 2 : column] == "  " and row[column] != " " for row in rows)
    return {row[:column].strip(): row[column:] for row in rows}


def model(out: str) -> dict[str, Any]:
    """The one model of what `--json` prints."""
    (one,) = json.loads(out)["results"]["models"]
    assert isinstance(one, dict)
    return one


def test_all_that_is_known(in_process: Call) -> None:
    code, out, err = in_process(main)
    assert (code, err) == (0, "")
    for entry in registry.architectures().values():
        assert entry.name in out and entry.about in out
    assert "824,118" in out and "668,227" in out and "26,111,668" in out
    assert "baseline.pth, masked.pth" in out
    words = out.partition("of spandrel")[2].replace("\n", " ").replace(",", " ").split()
    assert set(spandrel_adapter.names()) <= set(words) or "not installed" in out
    assert max(map(len, out.partition("of spandrel")[2].splitlines())) <= 100


def test_all_that_is_known_as_json(in_process: Call) -> None:
    code, out, _ = in_process(main, "--json")
    found = json.loads(out)["results"]
    assert code == 0 and out.count("\n") == 1
    names = [row["name"] for row in found["architectures"] + found["of_other_packages"]]
    assert names == list(registry.architectures())
    assert {"name", "parameters", "about"} == set(found["architectures"][0])
    assert found["bundled"] == ["baseline.pth", "masked.pth"]


def test_other_packages_and_no_spandrel(in_process: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    other = replace(ARCHITECTURE, name="Theirs", about="a network of theirs")
    monkeypatch.setattr(EntryPoint, "load", lambda point: other)
    point = EntryPoint("theirs", "package.module:ENTRY", registry.GROUP)
    monkeypatch.setattr(plugins, "of_group", lambda group: [point] * (group == registry.GROUP))
    monkeypatch.setattr(spandrel_adapter, "names", list)
    registry.architectures.cache_clear()
    try:
        code, out, _ = in_process(main)
    finally:
        registry.architectures.cache_clear()
    assert code == 0
    assert "Theirs  668,227  a network of theirs" in out.partition("of other packages")[2]
    assert "not installed" in out.partition("of spandrel")[2]


def test_the_bundled_pair(in_process: Call) -> None:
    given = ("--size", "16", "--no-self-test")
    code, out, err = in_process(main, "baseline.pth", "masked.pth", *given)
    assert (code, err) == (0, "")
    plain, masked = (table(part) for part in out.removesuffix("\n").split("\n\n"))
    assert plain["file"] == "baseline.pth" and len(plain["SHA-256"]) == 64
    assert plain["container"] == "params" and plain["architecture"] == "SwinIR"
    assert plain["recognized by"] == "its own metadata"
    assert "embed_dim=48, depths=[4, 4]" in plain["hyper-parameters"]
    assert plain["parameters"] == "190,515 in 130 tensors"
    assert plain["multiply-adds"] == "229,584 per pixel, at 16 x 16"
    assert plain["receptive field"] == "sees 40 pixels to each side"
    assert plain["value range"] == "0 to 1" and plain["channel order"] == "RGB"
    assert plain["noise level"] == "not an input"
    assert plain["mask policy"] == "no input mask, no attention mask"
    assert masked["mask policy"].endswith("attention mask 75% (always), drawn at inference")
    assert masked["mask source"] == "the checkpoint"
    assert masked["default layers"] == "11: conv_first … conv_last"
    assert masked["training"] == "19,000 steps, noise gaussian:15"
    assert masked["command"].startswith("python -m mtd.train")
    _, out, _ = in_process(main, "masked.pth", *given, "--json")
    one = {"parameter_tensors": 1, "parameters": 1, "training": {"steps": 1}}
    said = table("\n".join(lines(model(out) | one)))
    assert (said["parameters"], said["training"]) == ("1 in 1 tensor", "1 step")


def test_the_self_test(in_process: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    computed = self_test.self_test
    found_by: dict[object, self_test.SelfTest] = {}

    def once(network: Denoiser, macs_per_pixel: float) -> self_test.SelfTest:
        """Of a network in one format, which several of the commands below have."""
        key = (network.source["sha256"], network.input_format)
        if key not in found_by:
            found_by[key] = computed(network, macs_per_pixel)
        return found_by[key]

    monkeypatch.setattr(self_test, "self_test", once)
    told = table(in_process(main, "baseline.pth", "--size", "16")[1])
    assert told["self-test"] == (
        "gaussian:15 on 4 crops of 96 x 96: noisy 25.04 dB, denoised 33.14 dB"
    )
    assert told["--residual"].split() == ["none", "minus", "plus", "flip"]
    assert told["RGB, 0 to 1"].startswith("33.14 *  ") and len(told["BGR, 0 to 255"].split()) == 4
    assert "warning" not in told and "residual" not in told
    # a forgotten residual
    code, out, err = in_process(main, "baseline.pth", "--size", "16", "--residual", "minus")
    told = table(out)
    assert (code, err) == (0, "") and told["residual"] == "minus"
    assert told["warning"] == "--residual none is better: 33.14 dB, not 8.05"
    assert told["RGB, 0 to 1"].split()[1:3] == ["8.05", "*"]
    # on request not
    given = ("baseline.pth", "--size", "16", "--no-self-test")
    assert "self-test" not in table(in_process(main, *given)[1])
    assert "self_test" not in model(in_process(main, *given, "--json")[1])
    found = model(in_process(main, *given[:-1], "--json")[1])["self_test"]
    assert found["images"] == ["astronaut", "chelsea", "coffee", "rocket"] and not found["warning"]
    assert [c["psnr"] for c in found["choices"] if c["chosen"]] == [found["denoised"]]
    assert len(found["choices"]) == 16 and round(found["noisy"], 2) == 25.04
    path = save(tmp_path / "four.pth", DnCNN(DnCNNConfig(in_chans=4, features=4, depth=3)))
    code, out, err = in_process(main, path, "--size", "8")
    assert code == 0 and table(out)["self-test"] == "none (takes 4 channels: expected 3 or 1)"


def test_mask_options(in_process: Call) -> None:
    given = ("masked.pth", "--size", "16", "--json", "--no-self-test")
    one = model(in_process(main, *given)[1])
    off = model(in_process(main, *given, "--attention-mask", "off")[1])
    assert one["attention_mask_drawn"] and not off["attention_mask_drawn"]
    three = model(in_process(main, *given, "--mask-samples", "3", "--seed", "5")[1])
    assert three["macs_per_pixel"] == 3 * one["macs_per_pixel"]


def test_a_network_of_one_s_own(
    in_process: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine_inspected.py").write_text(SOURCE)
    stack = nn.ModuleDict({"a": nn.Conv2d(3, 5, 3), "b": nn.Conv2d(5, 3, 5)})
    path = save(tmp_path / "mine.pth", stack)
    made = ("--model", "mine_inspected:Small", "--arg", "width=5", "--channel-order", "bgr")
    code, out, err = in_process(main, path, *made, "--value-range", "255")
    assert code == 0, err
    told = table(out)
    assert told["architecture"] == "Small"
    assert told["recognized by"] == "its factory, mine_inspected:Small(width=5)"
    assert told["multiply-adds"] == f"{5 * 27 + 15 * 25:,} per pixel, at 64 x 64"
    assert told["receptive field"] == "sees 3 pixels to each side (measured at 96 x 96)"
    assert told["value range"] == "0 to 255" and told["channel order"] == "BGR"
    assert told["default layers"] == "2: a … b"
    assert told["container"].startswith("none") and "training" not in told
    values = model(in_process(main, path, *made, "--json")[1])
    assert values["arguments"] == {"width": 5} and len(values["factory_sha256"]) == 64
    code, _, err = in_process(main, *made)
    assert code == 2 and err.count("\n") == 1 and "FILE" in err


def test_a_file_that_is_unknown_and_the_others(in_process: Call, tmp_path: Path) -> None:
    weights = {k: v for k, v in DnCNN().state_dict().items() if not k.startswith("model.38")}
    torch.save(weights | {"model.extra": torch.zeros(1)}, tmp_path / "odd.pth")
    grey = DnCNN(DnCNNConfig(in_chans=1, features=4, depth=3))
    paths = [save(tmp_path / "grey.pth", grey), str(tmp_path / "odd.pth"), "none.pth"]
    paths.append(str(tmp_path / "ours.safetensors"))
    network = tiny_network()
    checkpoint_file.save(paths[3], network.state_dict(), network=network.config, mask=MaskPolicy())
    code, out, err = in_process(main, *paths, "--size", "8", "--grey", "per-channel")
    assert code == 2
    first, second = (table(part) for part in out.removesuffix("\n").split("\n\n"))
    assert first["architecture"] == "DnCNN" and first["recognized by"] == "keys and shapes"
    assert first["channel order"] == "grayscale, called for each channel in turn"
    assert second["architecture"] == "SwinIR"
    unknown, missing = err.splitlines()
    assert unknown.startswith("error: ") and "odd.pth: no network known here" in unknown
    assert "nearest: " in unknown and "none.pth: no such file" in missing
    code, out, _ = in_process(main, *paths, "--size", "8", "--json")
    found = json.loads(out)
    assert code == 2 and found["status"] == "bad_input" and found["exit_code"] == 2
    assert [one["architecture"] for one in found["results"]["models"]] == ["DnCNN", "SwinIR"]
    assert "odd.pth: no network known here" in found["error"] and "none.pth" in found["error"]


def test_noise_conditional_networks(in_process: Call, tmp_path: Path) -> None:
    path = save(tmp_path / "f.pth", FFDNet(FFDNetConfig(features=4, depth=3)))
    for more, words in (
        ([], "an input: give --sigma, in 8-bit levels"),
        (["--sigma", "25"], "an input: 25 of 255"),
        (["--sigma", "oracle"], "an input: that of the added noise"),
    ):
        code, out, err = in_process(main, path, "--size", "8", *more)
        assert code == 0, err
        assert table(out)["noise level"] == words
    path = save(tmp_path / "r.pth", RNAN(RNANConfig(features=4, groups=1, inner=2)))
    code, _, err = in_process(main, path)
    assert code == 2 and err.count("\n") == 1 and "--value-range" in err
    path = save(tmp_path / "i.pth", RIDNet(RIDNetConfig(features=4, reduction=2, value_range=255)))
    code, out, _ = in_process(main, path, "--value-range", "255")
    told = table(out)
    assert code == 0 and told["value range"] == "0 to 255"
    assert told["receptive field"] == "sees the whole image (measured at 96 x 96)"


@pytest.mark.parametrize(
    "more, words",
    [
        (["--size", "0"], "whole number from 1"),
        (["--size", "7"], "masked.pth: size 7"),
        (["--sigma", "much"], "--sigma much"),
        (["--value-range", "255"], "takes 1"),
        (["--options", "none.json"], "none.json"),
        (["--attention-mask", "yes"], "known: auto, on, off"),
        (["--arg", "width=3"], "--model"),
        (["--model", "nothing_there:Net"], "nothing_there"),
    ],
)
def test_wrong_options(in_process: Call, more: list[str], words: str) -> None:
    code, out, err = in_process(main, "masked.pth", *more)
    assert (code, out) == (2, "") and err.count("\n") == 1 and words in err, err


def test_help_is_quick() -> None:
    code = (
        "import sys; sys.argv = ['x', '--help']\n"
        "from mtd import models\n"
        "try: models.main()\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules and 'spandrel' not in sys.modules"
    )
    done = fresh("-c", code, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "--attention-mask" in done.stdout and "--json" in done.stdout
