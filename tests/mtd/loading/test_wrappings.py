"""Checkpoints as trainers write them: each wrapping gives the outputs of the bare state dict."""

from __future__ import annotations

import random
import sys
import types
from itertools import product

import pytest
import torch
from torch import Tensor, nn

import mtd
from tests.helpers.architectures import NEEDED, X, output, tiny
from tests.helpers.external_networks import SOURCE, nafnet
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
    zipped,
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


def reference(name: str, weights: Weights, path) -> tuple[Tensor, dict[str, object], str]:
    """Output and digest of a network loaded from a bare state dict, as before."""
    _, how = network_of(name)
    torch.save(weights, path)
    loaded = mtd.load(path, **how)
    return output(loaded), how, loaded.source["weights_sha256"]


NETWORKS = ("DnCNN", "SwinIR", "RIDNet", "Restormer", "FFDNet", "RNAN", "NAFNet", "own")


@pytest.mark.parametrize("name", NETWORKS)
def test_every_container_prefix_extra_and_format(tmp_path, name):
    module, _ = network_of(name)
    weights = dict(module.state_dict())
    expected, how, digest = reference(name, weights, tmp_path / "bare.pth")
    every = [*product(CONTAINERS, PREFIXES, EXTRAS, FORMATS)]
    stream = random.Random(name)
    chosen = [(c, stream.choice(PREFIXES), stream.choice([*EXTRAS]), f)
              for c in CONTAINERS for f in FORMATS]  # fmt: skip
    chosen += [(stream.choice([*CONTAINERS]), p, e, "zip") for p in PREFIXES for e in EXTRAS]
    assert set(chosen) <= set(every)
    for container, prefix, extra, form in chosen:
        suffix, write = FORMATS[form]
        path = tmp_path / f"a{suffix}"
        inside = {**renamed(weights, prefix), **EXTRAS[extra](prefix.partition("@")[0], weights)}
        write(CONTAINERS[container](inside), path)
        loaded = mtd.load(path, **how)
        case = (container, prefix, extra, form)
        assert torch.equal(output(loaded), expected), case
        assert loaded.source["weights_sha256"] == digest, case


@pytest.mark.parametrize("name", NETWORKS)
def test_every_prefix_and_extra_in_safetensors(tmp_path, name):
    module, _ = network_of(name)
    weights = dict(module.state_dict())
    expected, how, _ = reference(name, weights, tmp_path / "bare.pth")
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


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("name", ["DnCNN", "NAFNet", "own"])
def test_of_raw_and_averaged_weights_the_average_is_taken(tmp_path, name, pair):
    module, _ = network_of(name)
    raw = dict(module.state_dict())
    average = shifted(raw)
    buffers = {k: raw[k] for k in raw.keys() - dict(module.named_parameters()).keys()}
    expected, how, _ = reference(name, average, tmp_path / "bare.pth")
    if pair in ("parameters alone", "torch_ema", "without dots"):  # the rest is the network's own
        expected, how, _ = reference(name, {**average, **buffers}, tmp_path / "bare.pth")
    of_raw, _, _ = reference(name, raw, tmp_path / "bare.pth")
    assert not torch.equal(expected, of_raw)
    path = tmp_path / "a.ckpt"
    zipped(PAIRS[pair](raw, average, module), path)
    loaded = mtd.load(path, **how)
    assert torch.equal(output(loaded), expected)
    told = loaded.source["weights"]
    assert any(w in told["key"].lower() for w in ("ema", "shadow", "swa", "average")), told
    others = [key for key in told["sets"] if key != told["key"] and "loss" not in key]
    assert others, told
    for key in others:
        if not any(w in key.lower() for w in ("ema", "shadow", "swa", "average")):
            assert torch.equal(output(mtd.load(path, weights=key, **how)), of_raw)
    assert torch.equal(output(mtd.load(path, weights=told["key"], **how)), expected)
