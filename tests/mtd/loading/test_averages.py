"""Averages of weights: those of the network itself, in every form that trainers write."""

from __future__ import annotations

import copy
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import mtd
from mtd.loading.listing import weights_line
from tests.helpers.architectures import X, output, refused, tiny
from tests.helpers.external_networks import nafnet
from tests.helpers.wrappings import Weights, lightning, parameters, renamed, shifted

MODULE = "averaged_own"


class Twins(nn.Module):
    """Two layers of the same shape."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 3, 3, padding=1)
        self.b = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.relu(self.a(x)))


class SwappedTwins(Twins):
    """The same, whose layers are made in another order."""

    def __init__(self) -> None:
        super().__init__()
        self.a = self._modules.pop("a")


class Swapped(nn.Module):
    """Two layers of different shapes, made in another order than they are called."""

    def __init__(self, first: str = "last") -> None:
        super().__init__()
        for name in ("last", "head") if first == "last" else ("head", "last"):
            shape = (3, 5) if name == "head" else (5, 3)
            self.add_module(name, nn.Conv2d(*shape, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.head(x)))


class Tied(Twins):
    """One layer that is called twice, under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.again = self.a

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.again(torch.relu(self.a(x))))


class Unrolled(nn.Module):
    """With a parameter whose name is that of a counter."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.step = nn.Parameter(torch.tensor([4.0]))

    def forward(self, x: Tensor) -> Tensor:
        return x - self.step * self.conv(x)


@pytest.fixture(autouse=True)
def own(few_threads: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The classes above as a user's own module; these networks are too small for more threads."""
    torch.set_num_threads(1)
    module = types.ModuleType(MODULE)
    for kind in (Twins, Swapped, Tied, Unrolled):
        setattr(module, kind.__name__, kind)
    monkeypatch.setitem(sys.modules, MODULE, module)


def loaded(folder: Path, content: Any, **how: Any) -> Any:
    torch.save(content, folder / "a.ckpt")
    return mtd.load(folder / "a.ckpt", **how)


def of(module: nn.Module) -> Tensor:
    """The output of a plain module."""
    with torch.no_grad():
        return module(X)


def shadow(weights: Weights | list[Tensor], **more: Any) -> dict[str, Any]:
    """The state of `torch_ema`."""
    values = list(weights.values()) if isinstance(weights, dict) else weights
    return {"decay": 0.99, "num_updates": 3, "shadow_params": values, **more}


def counts(one_dimension: bool = False) -> Weights:
    made = (torch.tensor(True), torch.tensor(5))
    return {
        k: v[None] if one_dimension else v for k, v in zip(("initted", "step"), made, strict=True)
    }


def ema_pytorch(raw: Weights, ema: Weights, old: bool = False) -> Weights:
    return {**renamed(raw, "online_model."), **renamed(ema, "ema_model."), **counts(old)}


FORMS = {
    "ema_pytorch": lambda raw, ema, m: {"model": raw, "ema": ema_pytorch(raw, ema)},
    "ema_pytorch, old": lambda raw, ema, m: {"model": raw, "ema": ema_pytorch(raw, ema, True)},
    "ema_pytorch alone": lambda raw, ema, m: ema_pytorch(raw, ema, True),
    "torch_ema in use": lambda raw, ema, m: {
        "model": ema,
        "ema": shadow(parameters(m, ema), collected_params=list(parameters(m, raw).values())),
    },
    "Lightning's WeightAveraging": lambda raw, ema, m: {
        **lightning(renamed(ema, "model.")),
        "averaging_state": {"n_averaged": torch.tensor(3)},
        "current_model_state": renamed(raw, "model."),
    },
    "a discriminator and its average": lambda raw, ema, m: {
        "net_g": raw,
        "net_d": shifted(ema),
        "net_d_ema": shifted(ema),
        "net_g_ema": ema,
    },
    "StyleGAN": lambda raw, ema, m: {"g": raw, "d": shifted(ema), "g_ema": ema},
    "StyleGAN, other d": lambda raw, ema, m: {"g": raw, "d": {"w": torch.ones(4, 4)}, "g_ema": ema},
    "the best is the last": lambda raw, ema, m: {
        key: {"params": raw, "params_ema": ema} for key in ("last", "best")
    },
}


@pytest.mark.parametrize("name", ["DnCNN", "NAFNet", "own"])
def test_the_average_is_taken_from_every_form(tmp_path, name):
    module = {"DnCNN": lambda: tiny("DnCNN"), "NAFNet": nafnet, "own": Twins}[name]()
    how = {"factory": f"{MODULE}:Twins"} if name == "own" else {}
    raw = dict(module.state_dict())
    ema = shifted(raw)
    expected = output(loaded(tmp_path, ema, **how))
    assert not torch.equal(expected, output(loaded(tmp_path, raw, **how)))
    for form, wrap in FORMS.items():
        network = loaded(tmp_path, wrap(raw, ema, module), **how)
        assert torch.equal(output(network), expected), form
        assert network.source["weights"]["averaged"], form


OTHERS = {
    "of the discriminator": lambda raw, ema: {"netG": raw, "netD": ema, "emaD": ema},
    "of it, in one mapping": lambda raw, ema: {
        "state_dict": {**renamed(raw, "net_g."), **renamed(ema, "net_d_ema.")}
    },
    "of the teacher": lambda raw, ema: {"student": raw, "ema_teacher": ema},
    "that is the teacher": lambda raw, ema: {"student": raw, "teacher_ema": ema},
    "of losses": lambda raw, ema: {"net": raw, "ema_losses": {"l1": torch.ones(3)}},
}


@pytest.mark.parametrize("form", OTHERS)
def test_the_average_of_another_network_is_not_taken(tmp_path, form):
    raw = dict(tiny("DnCNN").state_dict())
    network = loaded(tmp_path, OTHERS[form](raw, shifted(raw)))
    assert torch.equal(output(network), output(tiny("DnCNN")))


@pytest.mark.parametrize("ema", ["prior_ema", "ema_init_prior"])
def test_an_average_of_something_else_by_its_name_is_refused(tmp_path, ema):
    raw = dict(tiny("DnCNN").state_dict())
    torch.save({"denoiser": raw, ema: shifted(raw)}, tmp_path / "a.pth")
    assert f"--weights denoiser or --weights {ema}" in refused(tmp_path / "a.pth")
    torch.save({"denoiser": raw, ema: {"0.weight": torch.ones(3, 3)}}, tmp_path / "a.pth")
    assert "holds a DnCNN and 1 other tensor" in refused(tmp_path / "a.pth")


def test_averages_that_differ_are_refused(tmp_path):
    raw = dict(tiny("DnCNN").state_dict())
    pairs = {"last": {"params": raw, "params_ema": raw}, "best": {"params": raw}}
    pairs["best"]["params_ema"] = shifted(raw)
    torch.save(pairs, tmp_path / "a.pth")
    assert "several sets of weights of a DnCNN" in refused(tmp_path / "a.pth")


def test_a_list_is_in_the_order_of_the_file(tmp_path):
    how = {"factory": f"{MODULE}:Twins"}
    raw, average = SwappedTwins(), SwappedTwins()
    assert next(iter(raw.state_dict())) == "b.weight"
    listed = list(parameters(average, average.state_dict()).values())
    torch.save({"model": raw.state_dict(), "ema": shadow(listed)}, tmp_path / "a.pth")
    message = refused(tmp_path / "a.pth", **how)
    assert "the order of the file (b.weight before a.weight) or of the network" in message
    # the same order, or shapes that decide
    raw_twins, twins = Twins(), Twins()
    content = {"model": raw_twins.state_dict(), "ema": shadow(list(twins.parameters()))}
    assert torch.equal(output(loaded(tmp_path, content, **how)), of(twins))
    shaped = Swapped("last")
    content = {"model": Swapped("last").state_dict(), "ema": shadow(list(shaped.parameters()))}
    for first in ("last", "head"):
        how = {"factory": f"{MODULE}:Swapped", "arguments": {"first": first}}
        assert torch.equal(output(loaded(tmp_path, content, **how)), of(shaped))


@pytest.mark.parametrize("kind", [Tied, Unrolled])
@pytest.mark.parametrize("listed", [True, False])
def test_averages_of_shared_parameters_and_of_those_named_as_counters(tmp_path, kind, listed):
    how = {"factory": f"{MODULE}:{kind.__name__}"}
    raw = kind()
    average = copy.deepcopy(raw)
    with torch.no_grad():
        for value in average.parameters():
            value += 1
    held = dict(average.named_parameters())
    content = {"model": raw.state_dict(), "ema": shadow(held) if listed else held}
    network = loaded(tmp_path, content, **how)
    assert torch.equal(output(network), of(average))
    line = weights_line(network.source)
    assert line == ("averaged, ema.shadow_params" if listed else "averaged, ema")


def test_other_weights_beside_a_listed_average_are_refused(tmp_path):
    module = tiny("DnCNN")
    raw = dict(module.state_dict())
    content = {"model": raw, "ema": shadow(parameters(module, raw))}
    torch.save({**content, "refine": {"0.weight": torch.ones(3, 3)}}, tmp_path / "a.pth")
    assert "1 other tensor in refine (0.weight" in refused(tmp_path / "a.pth")


def test_two_averages_one_of_them_a_list(tmp_path):
    module = tiny("DnCNN")
    raw = dict(module.state_dict())
    content = {"params": raw, "params_ema": shifted(raw), "swa": shadow(parameters(module, raw))}
    torch.save(content, tmp_path / "a.pth")
    assert "holds several averages of a DnCNN" in refused(tmp_path / "a.pth")
    chosen = mtd.load(tmp_path / "a.pth", weights="params")
    assert torch.equal(output(chosen), output(module))
