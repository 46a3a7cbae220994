"""Loading: every architecture through every container, how networks are called, unknown files."""

from __future__ import annotations

import importlib.metadata
import io
import pickle
import sys
import types
from dataclasses import dataclass, replace
from itertools import product

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import mtd
from mtd.loading import checkpoint_file, nearest
from mtd.loading import load as loading_load
from mtd.loading.weight_sets import WeightSet
from mtd.masking import MaskPolicy
from mtd.networks import external, registry
from mtd.networks.architecture import Architecture
from mtd.networks.base import Denoiser
from mtd.networks.config import Config
from mtd.networks.dncnn import DnCNNConfig
from mtd.networks.input_format import InputFormat
from mtd.utils import plugins
from mtd.utils.errors import BadInput
from tests.helpers.architectures import NEEDED, TINY, X, output, refused, saved, tiny


@pytest.fixture(autouse=True)
def one_thread(few_threads: None) -> None:
    """These networks are too small for more, which would wait for each other."""
    torch.set_num_threads(1)


def test_every_architecture_has_a_tiny_one():
    assert list(TINY) == list(registry.architectures())


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_built_saved_loaded_is_the_same(tmp_path, name, suffix):
    network = tiny(name)
    path = saved(network, tmp_path / f"a.{suffix}", steps=3)
    sigma = {k: v for k, v in NEEDED.get(name, {}).items() if k == "sigma"}
    loaded = mtd.load(path, **sigma)
    assert type(loaded) is type(network) and loaded.config == network.config
    assert loaded.input_format == replace(network.input_format, **sigma) and not loaded.training
    assert torch.equal(output(loaded), output(network))
    assert loaded.source["architecture"] == name and loaded.source["training"] == {"steps": 3}
    assert loaded.source["recognised"] == "its own metadata"
    assert loaded.source["usage"] == sigma


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize(
    "prefix, container",
    [
        *product(["", "module.", "netG.", "_orig_mod."], [""]),
        *product(["", "module."], ["params", "params_ema", "state_dict", "model"]),
        ("_orig_mod.module.", "state_dict"),
        ("netG.module.", "params"),
    ],
)
def test_recognised_by_keys_and_shapes(tmp_path, name, prefix, container):
    network = tiny(name)
    weights = {prefix + key: value for key, value in network.state_dict().items()}
    torch.save({container: weights, "epoch": 3} if container else weights, tmp_path / "a.pth")
    found = [tmp_path / "a.pth"]
    if not container:
        save_file(weights, tmp_path / "a.safetensors")
        found.append(tmp_path / "a.safetensors")
    for path in found:
        loaded = mtd.load(path, **NEEDED.get(name, {}))
        assert loaded.config == network.config and torch.equal(output(loaded), output(network))
        assert loaded.source["recognised"] == "keys and shapes"
        assert loaded.source["architecture"] == name and loaded.source["container"] == container


def test_value_ranges_are_detected_declared_or_asked_for(tmp_path):
    rnan, path = tiny("RNAN"), tmp_path / "a.pth"
    torch.save(rnan.state_dict(), path)
    assert "give --value-range 255 (as published) or --value-range 1" in refused(path)
    scaled = mtd.load(path, value_range=255)
    with torch.no_grad():
        assert torch.equal(scaled(X), rnan.restore(255 * X) / 255)
    assert scaled.source["usage"] == {"value_range": 255}
    # our own files say it
    config = replace(TINY["RNAN"], value_range=255.0)
    assert mtd.load(saved(tiny("RNAN", config=config), path)).input_format.value_range == 255
    assert "this RNAN takes 255" in refused(path, value_range=1)
    config = replace(TINY["RIDNet"], value_range=255.0)
    ridnet = tiny("RIDNet", config=config)
    torch.save(ridnet.state_dict(), path)
    loaded = mtd.load(path)
    assert loaded.config == config and loaded.source["usage"] == {"value_range": 255}
    with torch.no_grad():
        assert torch.equal(loaded(X), ridnet.restore(255 * X) / 255)
    assert mtd.load(path, value_range=255).input_format == loaded.input_format
    assert "--value-range 1: this RIDNet takes 255" in refused(path, value_range=1)
    # the weights of others do not tell, their metadata does
    dncnn = tiny("DnCNN")
    torch.save(dncnn.state_dict(), path)
    with torch.no_grad():
        assert torch.equal(mtd.load(path, value_range=255)(X), dncnn.restore(255 * X) / 255)
    refusal = "--value-range 255: this DnCNN takes 1"
    assert refusal in refused(saved(dncnn, path), value_range=255)


def test_blue_first(tmp_path):
    network = tiny("DnCNN")
    loaded = mtd.load(saved(network, tmp_path / "a.pth"), bgr=True)
    assert torch.equal(output(loaded), output(network, X.flip(1)).flip(1))
    assert not torch.equal(output(loaded), output(network))
    assert loaded.source["usage"] == {"bgr": True}


def test_networks_that_return_no_image(tmp_path):
    network = tiny("DnCNN")
    path, y = saved(network, tmp_path / "a.pth"), output(network)
    for how, expected in (("minus", X - y), ("plus", X + y), ("flip", 2 * X - y), ("none", y)):
        loaded = mtd.load(path, residual=how)
        assert torch.allclose(output(loaded), expected, atol=1e-6)
        assert loaded.source["usage"] == ({"residual": how} if how != "none" else {})
    bare = tmp_path / "bare.pth"
    torch.save(network.state_dict(), bare)
    # in the units of the images, whatever those of the network
    loaded = mtd.load(bare, residual="minus", bgr=True, value_range=255)
    with torch.no_grad():
        expected = X - network.restore(255 * X.flip(1)).flip(1) / 255
    assert torch.allclose(output(loaded), expected, atol=1e-6)
    with pytest.raises(BadInput, match="residual 'add': expected none, minus, plus or flip"):
        mtd.load(path, residual="add")


def test_the_input_is_what_it_was_when_a_residual_is_added():
    network = external.wrap(InPlace())
    for how, expected in (("minus", X - X / 2), ("flip", 2 * X - X / 2)):
        network.input_format = InputFormat(residual=how)
        x = X.clone()
        assert torch.allclose(network(x), expected) and torch.equal(x, X)


def test_grey_networks_channel_by_channel(tmp_path):
    network = tiny("DnCNN", config=DnCNNConfig(in_chans=1, features=6, depth=3))
    path = saved(network, tmp_path / "a.pth")
    assert mtd.load(path).channels == 1
    loaded = mtd.load(path, per_channel=True)
    assert loaded.channels == 3 and loaded.source["usage"] == {"per_channel": True}
    for i in range(3):
        assert torch.equal(output(loaded)[:, i : i + 1], output(network, X[:, i : i + 1]))
    # colour networks are called as ever
    colour = mtd.load(saved(tiny("DnCNN"), path), per_channel=True)
    assert colour.channels == 3 and colour.source["usage"] == {}


def test_noise_levels(tmp_path):
    network = tiny("FFDNet")
    path = saved(network, tmp_path / "a.pth")
    message = "an FFDNet is noise-conditional: give --sigma 25, in 8-bit levels, or"
    assert message in refused(path).replace("a FFDNet", "an FFDNet")
    with torch.no_grad():
        constant = mtd.load(path, sigma=50)
        assert torch.equal(constant(X), network(X, sigma=torch.full((2,), 50 / 255)))
        assert torch.equal(constant(X, sigma=torch.zeros(2)), constant(X))  # as it was asked
        oracle, levels = mtd.load(path, sigma="oracle"), torch.tensor([0.1, 0.2])
        assert torch.equal(oracle(X, sigma=levels), network(X, sigma=levels))
        with pytest.raises(BadInput, match="FFDNet is noise-conditional: give --sigma"):
            oracle(X)
    assert oracle.source["usage"] == {"sigma": "oracle"}
    # others are not told
    plain = mtd.load(saved(tiny("DnCNN"), path), sigma=50)
    assert plain.source["usage"] == {} and torch.equal(output(plain), output(tiny("DnCNN")))


@pytest.mark.parametrize("sigma", [-1, 300, float("nan"), "strong", True])
def test_noise_levels_that_are_none(sigma):
    with pytest.raises(BadInput, match=r"expected a level from 0 to 255, or oracle"):
        InputFormat(sigma=sigma)


@pytest.mark.parametrize("white", [0, -1, float("nan"), float("inf")])
def test_value_ranges_that_are_none(white):
    with pytest.raises(BadInput, match="expected a number above 0"):
        InputFormat(value_range=white)


@dataclass(frozen=True)
class SharpConfig(Config):
    """Of a network of another package."""

    width: int = 4


class Sharp(Denoiser):
    """A network of another package, built as many are: it cannot be built without memory."""

    def __init__(self, config: SharpConfig) -> None:
        super().__init__()
        self.config = config
        self.rates = [rate.item() for rate in torch.linspace(0, 1, 3)]
        self.body = nn.Sequential()
        self.body.add_module("conv_first", nn.Conv2d(3, config.width, 1))
        self.sharp_last = nn.Conv2d(config.width, 3, 1)

    def restore(self, x, keys=None, **given):
        return x + self.sharp_last(self.body(x))


def detect_sharp(weights):
    last = weights.get("sharp_last.weight")
    return None if last is None else SharpConfig(width=last.shape[1])


SHARP = Architecture(
    "Sharp", "sharp_last.weight", SharpConfig, Sharp, detect_sharp, ("sharp_last.weight",), "sharp"
)


@pytest.fixture
def installed(monkeypatch):
    """Makes it look as if another package had an entry point of our group."""
    registry.architectures.cache_clear()

    def install(value, attribute="SHARP"):
        monkeypatch.setitem(sys.modules, "sharp_models", types.ModuleType("sharp_models"))
        sys.modules["sharp_models"].SHARP = value
        point = importlib.metadata.EntryPoint("sharp", f"sharp_models:{attribute}", "mtd.models")
        monkeypatch.setattr(plugins, "of_group", lambda group: [point] * (group == point.group))

    yield install
    registry.architectures.cache_clear()


def test_architectures_of_other_packages(tmp_path, installed):
    installed(SHARP)
    assert list(registry.architectures()) == [*TINY, "Sharp"]
    torch.manual_seed(0)
    network, path = Sharp(SharpConfig(width=7)).eval(), tmp_path / "a.pth"
    for weights in (
        network.state_dict(),
        {f"module.{k}": v for k, v in network.state_dict().items()},
    ):
        torch.save(weights, path)
        loaded = mtd.load(path)
        assert isinstance(loaded, Sharp) and loaded.config == SharpConfig(width=7)
        assert torch.equal(output(loaded), output(network))
        assert loaded.source["architecture"] == "Sharp"
    for path in (tmp_path / "b.pth", tmp_path / "b.safetensors"):
        loaded = mtd.load(saved(network, path))
        assert isinstance(loaded, Sharp) and torch.equal(output(loaded), output(network))
    # an unknown file is likened to the others, though this one cannot be built without memory
    torch.save({"sharp_last.bias": X}, tmp_path / "c.pth")
    assert "no network known here: 1 tensor at" in refused(tmp_path / "c.pth")


def test_a_key_of_another_architecture_within_is_no_anchor(tmp_path, installed):
    """`conv_first` is SwinIR's first layer; here it lies within, and all else with it."""
    installed(SHARP)
    network = Sharp(SharpConfig())
    assert "body.conv_first.weight" in network.state_dict()
    torch.save(network.state_dict(), tmp_path / "a.pth")
    assert isinstance(mtd.load(tmp_path / "a.pth"), Sharp)
    assert isinstance(mtd.load(saved(network, tmp_path / "b.pth")), Sharp)


def test_entry_points_that_cannot_be_used(tmp_path, installed):
    installed(3)
    with pytest.raises(BadInput, match=r"entry point sharp \(sharp_models:SHARP\): not an Arch"):
        registry.architectures()
    installed(SHARP, "absent")
    with pytest.raises(BadInput, match=r"entry point sharp \(sharp_models:absent\): module"):
        registry.architectures()
    installed(replace(SHARP, name="RNAN"))
    with pytest.raises(BadInput, match="two architectures are named RNAN"):
        registry.architectures()

    def fail(weights):
        raise ZeroDivisionError("division by zero")

    installed(replace(SHARP, detect=fail))
    torch.save({"a.weight": X}, tmp_path / "a.pth")
    assert "division by zero" in refused(tmp_path / "a.pth")


def test_names_whatever_their_case_and_names_that_are_none():
    assert registry.named("ridnet").name == "RIDNet"
    with pytest.raises(BadInput, match="no architecture 'Restorme'; did you mean Restormer"):
        registry.named("Restorme")


def test_an_unknown_file_says_what_it_holds_and_what_is_near(tmp_path):
    path = tmp_path / "a.pth"
    weights = {f"stem.{i}.weight": torch.zeros(2, 2) for i in range(6)}
    torch.save({"state_dict": weights}, path)
    names = ", ".join(registry.architectures())
    assert refused(path) == (
        f"{path}: no network known here: 6 tensors under 'state_dict', stem.0.weight, "
        f"stem.1.weight, stem.2.weight, stem.3.weight, …; none of {names} is near; with a class of "
        "your own: --model package.module:factory, and, in analyses, --checkpoint FILE instead of "
        "FILE"
    )
    weights = {k: v for k, v in tiny("Restormer").state_dict().items() if "patch_embed" not in k}
    torch.save(weights, path)
    message = refused(path)
    assert f"{len(weights)} tensors at its top, encoder_level1.0.norm1.body.weight" in message
    assert "nearest: Restormer, but it lacks patch_embed.proj.weight;" in message
    assert "--model package.module:factory" in message


@pytest.mark.parametrize("name", TINY)
def test_an_incomplete_file_names_what_is_missing(tmp_path, name):
    whole, path = tiny(name).state_dict(), tmp_path / "a.pth"
    last = [key for key in whole if key.endswith("weight")][-1]
    torch.save({k: v for k, v in whole.items() if k != last}, path)
    message = refused(path, **NEEDED.get(name, {}))
    assert last in message or name in message or "convolutions from 13 to 8 channels" in message
    torch.save({**whole, last: whole[last][..., :0]}, path)
    refused(path, **NEEDED.get(name, {}))
    torch.save({**whole, "else.weight": X}, path)
    message = refused(path, **NEEDED.get(name, {}))
    assert "else.weight" in message or "no network known here" in message


def test_weights_that_are_whole_numbers_are_refused(tmp_path):
    whole, path = tiny("FFDNet").state_dict(), tmp_path / "a.pth"
    for kind in (torch.int8, torch.bool, torch.int64):
        torch.save({**whole, "model.2.weight": whole["model.2.weight"].to(kind)}, path)
        assert f"model.2.weight is of {kind}" in refused(path, sigma=25)
    for kind in (torch.float64, torch.float16, torch.bfloat16):
        torch.save({k: v.to(kind) for k, v in whole.items()}, path)
        loaded = mtd.load(path, sigma=25)
        assert {p.dtype for p in loaded.parameters()} == {torch.float32}
        value = whole["model.2.weight"].to(kind).float()
        assert torch.equal(loaded.state_dict()["model.2.weight"], value)


class InPlace(nn.Module):
    """Writes its output into its input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.div_(2)


class Loose(nn.Module):
    """Pickled as a whole."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
def test_files_that_hold_code_are_refused_with_the_way_out(tmp_path):
    path = tmp_path / "a.pt"
    torch.jit.save(torch.jit.script(Loose()), path)
    message = refused(path)
    assert "refused, it holds TorchScript that loading would run" in message
    assert "torch.save(model.state_dict()" in message
    assert "--model package.module:factory --checkpoint weights.pth" in message
    path.write_bytes(pickle.dumps(Loose()))
    assert f"a pickle of {Loose.__module__}.Loose that torch.save did not write" in refused(path)
    torch.save({"net": io.BytesIO(pickle.dumps(torch.zeros(3, 3))), "epoch": 3}, path)
    assert "no weights in it (its keys: net, epoch)" in refused(path)


def test_metadata_beyond_what_the_weights_can_be_are_refused_at_once(tmp_path):
    """Nothing is built first, which could take all memory."""
    network, path = tiny("DnCNN"), tmp_path / "a.pth"
    for values in (
        {"features": 10**6},
        {"depth": 10**9},
        {"features": 30_000},
        {"in_chans": 2**70},
    ):
        checkpoint_file.save(
            path,
            network.state_dict(),
            network=replace(network.config, **values),
            mask=MaskPolicy(),
        )
        refused(path)


def test_nearest_is_one_clause():
    weights = dict(tiny("RIDNet").state_dict())
    assert nearest.nearest(WeightSet("", weights)) == "nearest: RIDNet, but other numbers of layers"
    under = WeightSet("", {f"a.{key}": value for key, value in weights.items()} | {"loss.b": X})
    assert nearest.nearest(under) == "nearest: RIDNet under a.*, but other numbers of layers"
    assert nearest.nearest(WeightSet("", {"a": X})).startswith("none of SwinIR")


def test_an_embedding_of_one_pixel_in_a_larger_kernel_is_no_stock_swinir(tmp_path):
    """A stock network adds its input; the paper's, enlarged so, would give wrong images."""
    config = replace(TINY["SwinIR"], embed_kernel=1)
    weights = dict(tiny("SwinIR", config=config).state_dict())
    weights["conv_first.weight"] = nn.functional.pad(weights["conv_first.weight"], (1, 1, 1, 1))
    torch.save(weights, tmp_path / "a.pth")
    assert "embedding of 1 x 1 enlarged to 3 x 3" in refused(tmp_path / "a.pth")


def test_a_part_of_another_network_is_not_run_alone(tmp_path):
    inner = {f"prior.{k}": v for k, v in tiny("DnCNN").state_dict().items()}
    torch.save(inner | {"refine.weight": torch.zeros(3)}, tmp_path / "a.pth")
    assert "holds a DnCNN and 1 other tensor (refine.weight" in refused(tmp_path / "a.pth")
    torch.save(inner | {"perceptual_loss.vgg.0.weight": torch.zeros(3)}, tmp_path / "b.pth")
    assert torch.equal(output(mtd.load(tmp_path / "b.pth")), output(tiny("DnCNN")))


def test_what_a_network_says_of_its_own_use_is_kept(tmp_path):
    network = tiny("DnCNN")
    network.input_format = InputFormat(value_range=255, bgr=True)
    assert (
        loading_load.input_format(network, True, loading_load.LoadOptions()) == network.input_format
    )
    assert not loading_load.input_format(network, True, loading_load.LoadOptions(bgr=False)).bgr


def test_what_tensors_do_not_tell_is_said(tmp_path):
    torch.save(tiny("DnCNN").state_dict(), tmp_path / "a.pth")
    assert mtd.load(tmp_path / "a.pth").source["assumed"].startswith("outputs x - f(x)")
