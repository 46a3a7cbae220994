"""Checkpoints as trainers write them: each wrapping gives the outputs of the bare state dict."""

from __future__ import annotations

import random
import sys
import types
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import mtd
from mtd.networks.ffdnet import FFDNetConfig
from mtd.utils.errors import BadInput
from tests.helpers.architectures import NEEDED, X, output, tiny
from tests.helpers.external_networks import SOURCE, nafnet, scunet
from tests.helpers.paths import data_folder
from tests.helpers.wrappings import (
    CONTAINERS,
    EXTRAS,
    FORMATS,
    PREFIXES,
    Weights,
    lightning,
    parameters,
    renamed,
    shifted,
    tensors_only,
)

OWN = "wrapped_own:Plain"


@pytest.fixture(autouse=True)
def one_thread(few_threads: None) -> None:
    """These networks are too small for more, which would wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A module with a user's own classes."""
    module = types.ModuleType("wrapped_own")
    exec(SOURCE, vars(module))
    for value in list(vars(module).values()):
        if isinstance(value, type):
            value.__module__ = "wrapped_own"
    monkeypatch.setitem(sys.modules, "wrapped_own", module)
    return module


def random_weights(module: nn.Module, seed: int = 0) -> nn.Module:
    stream = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in module.parameters():
            value += 0.1 * torch.randn(value.shape, generator=stream)
    return module.eval()


def network_of(name: str) -> tuple[nn.Module, dict[str, object]]:
    """A small network, and what loading its bare state dict needs."""
    if name == "own":
        return random_weights(sys.modules["wrapped_own"].Plain()), {"factory": OWN}
    if name == "NAFNet":
        return random_weights(nafnet()), {}
    return tiny(name), dict(NEEDED.get(name, {}))


def reference(name: str, weights: Weights, folder: Path) -> tuple[Tensor, str]:
    """Output and digest of a network loaded from a bare state dict."""
    torch.save(weights, folder / "bare.pth")
    loaded = mtd.load(folder / "bare.pth", **network_of(name)[1])
    return output(loaded), loaded.source["weights_sha256"]


NETWORKS = ("DnCNN", "SwinIR", "RIDNet", "Restormer", "FFDNet", "RNAN", "NAFNet", "own")


def check_cases(name: str, cases: Sequence[tuple[str, str, str, str]], folder: Path) -> None:
    """Check that a network comes out of each wrapping as out of its bare state dict."""
    module, how = network_of(name)
    weights = dict(module.state_dict())
    expected, digest = reference(name, weights, folder)
    for case in cases:
        container, prefix, extra, form = case
        suffix, write = FORMATS[form]
        inside = {**renamed(weights, prefix), **EXTRAS[extra](prefix.partition("@")[0], weights)}
        write(CONTAINERS[container](inside), folder / f"a{suffix}")
        loaded = mtd.load(folder / f"a{suffix}", **how)
        assert torch.equal(output(loaded), expected), case
        assert loaded.source["weights_sha256"] == digest, case


def cases_of(name: str, count: int) -> list[tuple[str, str, str, str]]:
    """Containers, prefixes, extras and formats; in any of them, all of the first come first."""
    stream, lists = random.Random(name), [[*CONTAINERS], [*PREFIXES], [*EXTRAS], [*FORMATS]]
    for values in lists:
        stream.shuffle(values)
    columns = [[values[at % len(values)] for at in range(count)] for values in lists[:3]]
    columns.append([lists[3][(at + at // 4) % 4] for at in range(count)])
    return [*zip(*columns, strict=True)]


@pytest.mark.parametrize(
    "name, count",
    [("own", 52), ("FFDNet", 24), ("DnCNN", 16), ("NAFNet", 6), ("SwinIR", 5), ("RIDNet", 4)],
)
def test_containers_prefixes_extras_and_formats(tmp_path, name, count):
    check_cases(name, cases_of(name, count), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_every_container_prefix_extra_and_format(tmp_path, name):
    every = [(c, p, e, "zip") for c, p, e in product(CONTAINERS, PREFIXES, EXTRAS)]
    every += [(c, p, "none", f) for c, p, f in product(CONTAINERS, PREFIXES[:3], FORMATS)]
    check_cases(name, every, tmp_path)


@pytest.mark.parametrize("name", ["FFDNet", "own"])
def test_every_prefix_and_extra_in_safetensors(tmp_path, name):
    module, how = network_of(name)
    weights = dict(module.state_dict())
    expected, _ = reference(name, weights, tmp_path)
    extras = [*EXTRAS.values()]
    for number, prefix in enumerate(PREFIXES):
        extra = extras[number % len(extras)](prefix.partition("@")[0], weights)
        tensors_only({**renamed(weights, prefix), **extra}, tmp_path / "a.safetensors")
        assert torch.equal(output(mtd.load(tmp_path / "a.safetensors", **how)), expected), prefix


PAIRS = {
    "KAIR, BasicSR": lambda raw, ema, _: {"params": raw, "params_ema": ema},
    "timm": lambda raw, ema, _: {"state_dict": raw, "state_dict_ema": ema, "epoch": 3},
    "ema beside": lambda raw, ema, _: {"model": raw, "ema": ema},
    "model_ema": lambda raw, ema, _: {"model_ema": {"module": ema}, "model": raw},
    "ema_state_dict": lambda raw, ema, _: {"net": raw, "ema_state_dict": ema},
    "camel case": lambda raw, ema, _: {"netG": raw, "netGEma": ema},
    "shadow": lambda raw, ema, m: {"model": raw, "ema": {"decay": 0.999, "shadow": ema}},
    "parameters alone": lambda raw, ema, m: {"model": raw, "shadow": parameters(m, ema)},
    "in a list": lambda raw, ema, _: [{"weights": raw}, {"swa": ema}],
    "torch_ema": lambda raw, ema, m: {
        "model": raw,
        "ema": {
            "decay": 0.99,
            "num_updates": 3,
            "shadow_params": list(parameters(m, ema).values()),
        },
    },
    "Lightning": lambda raw, ema, _: lightning(
        {**renamed(raw, "model."), **renamed(ema, "ema_model."), "loss.vgg.0.weight": X}
    ),
    "AveragedModel": lambda raw, ema, _: lightning(
        {
            **renamed(raw, "net."),
            **renamed(ema, "average_model.module."),
            "average_model.n_averaged": torch.tensor(9),
        }
    ),
    "without dots": lambda raw, ema, m: lightning(
        {
            **renamed(raw, "model."),
            "model_ema.decay": torch.tensor(0.999),
            "model_ema.num_updates": torch.tensor(9, dtype=torch.int32),
            **{f"model_ema.{k.replace('.', '')}": v for k, v in parameters(m, ema).items()},
        }
    ),
}


AVERAGED = ("ema", "shadow", "swa", "average")
PARTIAL = ("parameters alone", "torch_ema", "without dots")
"""Pairs whose average leaves out buffers, which are then the network's own."""


@pytest.mark.parametrize("name", ["DnCNN", "own"])
def test_of_raw_and_averaged_weights_the_average_is_taken(tmp_path, name):
    module, how = network_of(name)
    raw = dict(module.state_dict())
    average = shifted(raw)
    buffers = {k: raw[k] for k in raw.keys() - dict(module.named_parameters()).keys()}
    of_raw, of_average, of_both = (
        reference(name, weights, tmp_path)[0] for weights in (raw, average, {**average, **buffers})
    )
    assert len({float(each.sum()) for each in (of_raw, of_average, of_both)}) == 3
    path = tmp_path / "a.ckpt"
    for pair, wrap in PAIRS.items():
        torch.save(wrap(raw, average, module), path)
        loaded = mtd.load(path, **how)
        expected = of_both if pair in PARTIAL else of_average
        assert torch.equal(output(loaded), expected), pair
        told = loaded.source["weights"]
        assert told["averaged"] and any(word in told["key"].lower() for word in AVERAGED), told
        assert ("buffers" in told) == (pair in PARTIAL)
        assert torch.equal(output(mtd.load(path, weights=told["key"], **how)), expected), pair
        (own,) = (
            key for key in told["sets"] if not any(w in key.lower() for w in (*AVERAGED, "loss"))
        )
        chosen = mtd.load(path, weights=own, **how)
        assert torch.equal(output(chosen), of_raw), pair
        assert chosen.source["weights"]["key"] == own and not chosen.source["weights"]["averaged"]


@pytest.mark.parametrize("pair", ["KAIR, BasicSR", "Lightning", "without dots", "torch_ema"])
def test_averages_of_networks_of_spandrel(tmp_path, pair):
    module, _ = network_of("NAFNet")
    raw = dict(module.state_dict())
    expected, _ = reference("NAFNet", shifted(raw), tmp_path)
    torch.save(PAIRS[pair](raw, shifted(raw), module), tmp_path / "a.ckpt")
    loaded = mtd.load(tmp_path / "a.ckpt")
    assert torch.equal(output(loaded), expected) and loaded.source["weights"]["averaged"]


def test_an_average_without_the_buffers_that_a_swinir_computes(tmp_path):
    module, _ = network_of("SwinIR")
    raw = dict(module.state_dict())
    expected, _ = reference("SwinIR", shifted(raw), tmp_path)
    blocks = [k.removesuffix("norm1.weight") for k in raw if k.endswith("norm1.weight")]
    buffers = {f"{block}attn.relative_position_index": torch.zeros(64, 64) for block in blocks}
    buffers |= {f"{b}attn_mask": torch.zeros(4, 64, 64) for b in blocks if b.endswith("blocks.1.")}
    torch.save({"params": raw | buffers, "params_ema": shifted(raw)}, tmp_path / "a.pth")
    loaded = mtd.load(tmp_path / "a.pth")
    assert torch.equal(output(loaded), expected)
    assert loaded.source["weights"]["buffers"] == "params"


@pytest.mark.parametrize("name", ["NAFNet", "SCUNet", "own"])
def test_checkpoints_of_lightning(tmp_path, name):
    module, how = (random_weights(scunet()), {}) if name == "SCUNet" else network_of(name)
    weights = dict(module.state_dict())
    torch.save(weights, tmp_path / "bare.pth")
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = output(mtd.load(tmp_path / "bare.pth", **how), image)
    inside = {
        **renamed(weights, "model."),
        **EXTRAS["loss"]("", {}),
        "model.total_ops": torch.zeros(1),
    }
    torch.save(lightning(inside), tmp_path / "a.ckpt")
    loaded = mtd.load(tmp_path / "a.ckpt", **how)
    assert torch.equal(output(loaded, image), expected)
    source = loaded.source
    assert (source["container"], source["prefix"]) == ("state_dict", "model.")
    assert source["counts"] == ["model.total_ops"]
    assert any(name.endswith("wrappings.Settings") for name in source["left_out"])


@pytest.mark.parametrize("count", [4, pytest.param(18, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "name, given",
    [
        ("dncnn_color_blind.pth", {}),
        ("ffdnet_color.pth", {"sigma": 25.0}),
        ("n2n_unet_gaussian.pt", {"factory": "wrapped_own:UNet"}),
    ],
)
def test_published_checkpoints_wrapped_in_several_ways(tmp_path, name, given, count):
    path = data_folder("checkpoints") / name
    network = mtd.load(path, **given)
    weights = torch.load(path, map_location="cpu", weights_only=True)
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    expected, digest = output(network, image), network.source["weights_sha256"]
    for case in cases_of(name, count):
        container, prefix, extra, form = case
        suffix, write = FORMATS[form]
        inside = {**renamed(weights, prefix), **EXTRAS[extra](prefix.partition("@")[0], weights)}
        write(CONTAINERS[container](inside), tmp_path / f"a{suffix}")
        loaded = mtd.load(tmp_path / f"a{suffix}", **given)
        assert torch.equal(output(loaded, image), expected), case
        assert loaded.source["weights_sha256"] == digest, case
    tensors_only(renamed(weights, "net."), tmp_path / "a.safetensors")
    assert torch.equal(output(mtd.load(tmp_path / "a.safetensors", **given), image), expected)
    pair = {"params": shifted(weights), "params_ema": weights}
    torch.save(pair, tmp_path / "a.pth")
    assert torch.equal(output(mtd.load(tmp_path / "a.pth", **given), image), expected)


@pytest.mark.parametrize("prefix", ["netG.", "module.", "netG.module.", "model."])
def test_an_ffdnet_under_a_prefix_beside_losses_is_no_dncnn_of_spandrel(tmp_path, prefix):
    """spandrel removes some prefixes by itself, and takes an FFDNet of ten layers for a DnCNN."""
    network = tiny("FFDNet", config=FFDNetConfig(features=8, depth=10))
    inside = {**renamed(dict(network.state_dict()), prefix), **EXTRAS["loss"]("", {})}
    torch.save({"state_dict": inside}, tmp_path / "a.pth")
    loaded = mtd.load(tmp_path / "a.pth", sigma=25)
    assert loaded.source["architecture"] == "FFDNet"
    assert torch.equal(output(loaded), output(network))


def test_parts_of_an_own_network_in_mappings_of_their_own(tmp_path):
    module, how = network_of("own")
    weights = dict(module.state_dict())
    expected, _ = reference("own", weights, tmp_path)
    tree: dict[str, Any] = {"shift": weights["shift"], "optim": {"param_groups": []}}
    for name in ("first", "last"):
        tree[name] = {key: weights[f"{name}.{key}"] for key in ("weight", "bias")}
    for content in (tree, {"epoch": 3, "networks": [tree]}):
        torch.save(content, tmp_path / "a.pth")
        assert torch.equal(output(mtd.load(tmp_path / "a.pth", **how)), expected)
    torch.save({**tree, "middle": {"weight": X}}, tmp_path / "a.pth")
    with pytest.raises(BadInput, match=r"middle\.weight|do not fit"):
        mtd.load(tmp_path / "a.pth", **how)
