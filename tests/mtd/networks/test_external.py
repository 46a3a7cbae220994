"""Networks that are not ours: a user's own classes by factory, and those that spandrel knows."""

from __future__ import annotations

import builtins
import re
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import mtd
from analysis.cka import command as cka_command
from analysis.commands.command import parser as parser_of
from analysis.commands.command import run_arguments
from analysis.engine.hooks import Activations
from analysis.engine.layers import last_convolution
from mtd import denoise as denoise_command
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.loading import cli_options
from mtd.metrics.psnr_ssim import psnr
from mtd.networks import external
from mtd.networks.external import ExternalNetwork
from mtd.networks.ffdnet import FFDNet
from mtd.networks.input_format import InputFormat
from mtd.noise import specs as noise_specs
from mtd.utils.errors import BadInput
from tests.helpers.architectures import TINY, output, refused, saved, tiny
from tests.helpers.external_networks import SOURCE, nafnet, scunet
from tests.helpers.noises import add_keyed
from tests.helpers.paths import data_folder

X = torch.rand(2, 3, 21, 34, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def one_thread(few_threads: None) -> None:
    """These networks are too small for more, which would wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A user's module in the current folder."""
    (tmp_path / "mymod.py").write_text(SOURCE)
    (tmp_path / "broken.py").write_text("import absent_package\n")
    (tmp_path / "script.py").write_text("import sys\nsys.exit('usage: script FILE')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    for name in ("mymod", "broken", "script"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    found, _ = external.make("mymod:make", {"width": 1})
    yield sys.modules[type(found).__module__]
    for name in ("mymod", "broken", "script"):
        sys.modules.pop(name, None)


def weights_of(module, path="w.pth", seed=0):
    """Fresh weights of a module, saved bare; the module has them."""
    stream = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=stream))
    torch.save(module.state_dict(), path)
    return module.eval()


def test_a_plain_class(own, tmp_path):
    bare = weights_of(own.Plain())
    loaded = mtd.load("w.pth", factory="mymod:Plain")
    assert isinstance(loaded, ExternalNetwork) and loaded.channels == 3
    assert torch.equal(output(loaded), output(ExternalNetwork(bare, loaded.config)))
    with torch.no_grad():
        assert torch.equal(loaded(X), bare(X))
    assert loaded.source["architecture"] == "Plain"
    assert loaded.source["recognised"] == "its factory"
    assert loaded.source["factory"] == "mymod:Plain" and len(loaded.source["factory_sha256"]) == 64
    assert loaded.source["usage"] == {} and loaded.source["arguments"] == {}
    assert loaded.source["policy_source"] == "no attention masks in this architecture"
    with torch.no_grad():
        scaled = mtd.load("w.pth", factory="mymod:Plain", value_range=255, bgr=True)
        expected = bare(255 * X.flip(1)).flip(1) / 255
        assert torch.allclose(scaled(X), expected, atol=1e-6)


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod."])
def test_containers_prefixes_and_keys_that_others_are_known_by(own, prefix):
    bare = weights_of(own.Plain())
    torch.save({"params": {prefix + k: v for k, v in bare.state_dict().items()}}, "a.pth")
    with torch.no_grad():
        assert torch.equal(mtd.load("a.pth", factory="mymod:Plain")(X), bare(X))

    class Around(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = nn.Sequential()
            self.module.add_module("conv_first", nn.Conv2d(3, 3, 1))
            self.module.add_module("last", nn.Conv2d(3, 3, 1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.module(x)

    own.Around = Around  # its keys begin with `module.`, and SwinIR's first layer lies within
    bare = weights_of(Around())
    for name in (prefix, f"{prefix}module."):
        torch.save({name + k: v for k, v in bare.state_dict().items()}, "a.pth")
        if name.count("module") < 2:
            with torch.no_grad():
                assert torch.equal(mtd.load("a.pth", factory="mymod:Around")(X), bare(X))


def test_arguments(own):
    arguments = {"width": 6, "factor": 0.5, "name": "a b", "sides": [1, 5]}
    bare = weights_of(own.Plain(**arguments))
    loaded = mtd.load("w.pth", factory="mymod:Plain", arguments=arguments)
    with torch.no_grad():
        assert torch.equal(loaded(X), bare(X))
    assert loaded.source["arguments"] == arguments
    texts = (
        "width=6",
        "factor=0.5",
        "name=a b",
        "sides=[1, 5]",
        "on=true",
        'say="7"',
        "d=1979-05-27",
    )
    given = dict(cli_options._argument(text) for text in texts)
    assert given == arguments | {"on": True, "say": "7", "d": "1979-05-27"}


def test_noise_levels(own):
    bare, level = weights_of(own.Told()), torch.full((2, 1, 1, 1), 30 / 255)
    assert "a Told is noise-conditional: give --sigma 25" in refused("w.pth", factory="mymod:Told")
    with torch.no_grad():
        loaded = mtd.load("w.pth", factory="mymod:Told", sigma=30)
        assert loaded.takes_sigma and torch.equal(loaded(X), bare(X, level))
        oracle = mtd.load("w.pth", factory="mymod:Told", sigma="oracle")
        assert torch.equal(oracle(X, sigma=level.flatten()), bare(X, level))
        scaled = mtd.load("w.pth", factory="mymod:Told", sigma=30, value_range=255)
        assert torch.allclose(scaled(X), bare(255 * X, 255 * level) / 255, atol=1e-6)
        # one that may be told is told if there is something to tell
        without = mtd.load("w.pth", factory="mymod:MayBeTold")
        assert not without.takes_sigma and torch.equal(without(X), bare(X, 0 * level))
        told = mtd.load("w.pth", factory="mymod:MayBeTold", sigma=30)
        assert told.source["usage"] == {"sigma": 30} and torch.equal(told(X), bare(X, level))


def test_published_unet_through_its_users_own_class(own):
    path = data_folder("checkpoints") / "n2n_unet_gaussian.pt"
    network = mtd.load(path, factory="mymod:UNet")
    assert network.config.multiple == 32 and network.source["architecture"] == "UNet"
    crop = data_crops.whole(photographs.photographs(data_folder("kodak24")))[3]
    clean = data_crops.to_tensor([crop.pixels])[..., :204, :300]
    noisy = add_keyed(noise_specs.parse("gaussian:25"), clean, [crop.digest], quantize=False)
    with torch.no_grad():
        cleaned = network(noisy)
    assert cleaned.shape == clean.shape
    assert float(psnr(cleaned, clean) - psnr(noisy, clean)) > 6
    # a part that is called again fires again
    with Activations(network, ["_block2", "_block5.0"]) as seen, torch.no_grad():
        network(noisy[..., :40, :40])
    fired = [(name, value.shape[-1]) for name, value in seen.items()]
    assert fired == [
        *(("_block2", 16), ("_block2#2", 8), ("_block2#3", 4), ("_block2#4", 2)),
        *(("_block5.0", 8), ("_block5.0#2", 16), ("_block5.0#3", 32)),
    ]


def test_published_ffdnet_through_its_users_own_class_is_ours(own):
    path = data_folder("checkpoints") / "ffdnet_color.pth"
    ours = mtd.load(path, sigma=25)
    theirs = mtd.load(path, factory="mymod:FFD", sigma=25)
    assert (
        isinstance(ours, FFDNet)
        and isinstance(theirs, ExternalNetwork)
        and theirs.config.multiple == 2
    )
    with torch.no_grad():
        even = X[..., :20, :34]
        assert torch.equal(ours(even), theirs(even))
        assert (ours(X) - theirs(X))[..., :8, :].abs().max() < 1e-2


@pytest.mark.parametrize(
    "factory, arguments, message",
    [
        ("mymod", {}, "expected package.module:factory"),
        ("mymod:", {}, "expected package.module:factory"),
        ("absent:make", {}, "cannot import absent (ModuleNotFoundError: No module named 'absent')"),
        ("broken:make", {}, "cannot import broken (ModuleNotFoundError"),
        ("script:make", {}, "cannot import script (SystemExit: usage: script FILE)"),
        (".mymod:make", {}, "cannot import .mymod"),
        ("mymod:Plian", {}, "no class or function Plian; did you mean Plain"),
        ("mymod:value", {}, "no class or function value"),
        ("mymod:fail", {"a": 1}, "fail(a=1) fails (RuntimeError: no luck)"),
        ("mymod:leave", {}, "leave() fails (SystemExit: 2)"),
        ("mymod:make", {}, "make() fails (TypeError: make() missing 1 required"),
        ("mymod:Plain", {"depth": 3}, "unexpected keyword argument 'depth'"),
        ("mymod:none", {}, "returns a list, expected an nn.Module"),
        (
            "mymod:Larger",
            {},
            "Larger is no denoiser: it returns (1, 3, 130, 128) for",
        ),
        ("mymod:UNet", {}, "weights do not fit (Missing key(s) in state_dict: "),
        ("mymod:Plain", {"width": 5}, "weights do not fit (size mismatch for first.weight"),
    ],
)
def test_factories_that_cannot_be_used(own, factory, arguments, message):
    weights_of(own.Plain())
    assert message in refused("w.pth", factory=factory, arguments=arguments)


def test_outputs_of_another_size_at_some_sizes(own):
    class Odd(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.shape[-1] > 40 else x[..., :-1]

    network = external.wrap(Odd())
    with pytest.raises(BadInput, match=r"Odd returns \(2, 3, 21, 33\) for \(2, 3, 21, 34\)"):
        network(X)


class Branches(nn.Module):
    """A module with buffers at its root, and parts that are called as attributes of ours are."""

    def __init__(self) -> None:
        super().__init__()
        self.source = nn.Conv2d(3, 4, 1)
        self.inference = nn.Conv2d(4, 3, 1)
        self.input_format = nn.Dropout(0.5)
        self.gain = nn.Parameter(torch.tensor(0.5))
        self.register_buffer("shift", torch.tensor(0.25))
        self.register_buffer("passing", torch.tensor(0.125), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.input_format(self.inference(self.source(x)))
        return self.gain * y + self.shift + self.passing


def test_a_wrapped_module_is_the_users_own():
    bare = Branches()
    network = mtd.networks.external.wrap(bare)
    assert not bare.training and not network.training
    names = [name for name, _ in bare.named_modules()]
    assert [name for name, _ in network.named_modules()] == names
    assert list(network.state_dict()) == list(bare.state_dict())
    assert network.main_layers() == ["source", "inference"]
    for kind in (torch.float64, torch.float32):
        network.to(kind)
        shared = dict(bare.named_parameters()) | dict(bare.named_buffers())
        assert {value.dtype for value in shared.values()} == {kind}
        for name, value in (*network.named_parameters(), *network.named_buffers()):
            assert value is shared[name]
        with torch.no_grad():
            assert network(X.to(kind)).dtype == kind
    with Activations(network) as seen, torch.no_grad():
        expected = network(X)
    assert list(dict(seen.items())) == ["source", "inference"]
    with torch.no_grad():
        assert torch.equal(expected, bare(X))
        network.load_state_dict({k: 2 * v for k, v in bare.state_dict().items()})
        assert float(bare.gain) == 1 and torch.equal(network(X), bare(X))
    network.train()
    assert bare.training and bare._modules["input_format"].training
    assert network.train(False) is network and not bare._modules["input_format"].training
    network.source = {"path": "x"}  # as `load` records it
    assert network.source == {"path": "x"} and isinstance(bare._modules["source"], nn.Conv2d)
    network.double().zero_grad()
    network(X.double()).sum().backward()
    assert bare.gain.grad is not None


def test_modules_that_decide_themselves_how_they_are_trained():
    class Frozen(nn.Sequential):
        def train(self, mode: bool = True) -> Frozen:
            super().train(mode)
            self[1].eval()
            return self

    bare = Frozen(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    network = external.wrap(bare).train()
    assert network.training and bare.training and bare[0].training and not bare[1].training


def test_wrapping_finds_channels_multiples_and_levels():
    grey = external.wrap(nn.Conv2d(1, 1, 3, padding=1))
    assert grey.config.in_chans == 1 and grey(X[:, :1]).shape == (2, 1, 21, 34)
    assert external.wrap(nn.Identity()).main_layers() == []
    many = external.wrap(nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(50))))
    assert len(many.main_layers()) == external.MANY == len(set(many.main_layers()))
    assert many.main_layers()[0] == "0" and many.main_layers()[-1] == "49"
    squeeze = nn.Sequential(nn.PixelUnshuffle(4), nn.PixelShuffle(4))
    assert external.wrap(squeeze).config.multiple == 4
    with torch.no_grad():
        assert torch.equal(external.wrap(squeeze)(X), X)
    for module in (nn.Linear(7, 7), nn.Conv2d(3, 6, 1), nn.Flatten(), nn.MaxPool2d(2)):
        with pytest.raises(BadInput, match=r"is no denoiser: .*; expected an image of the same"):
            external.wrap(module)


TINIEST = ("--crop", "16", "--limit", "4", "--positions", "8", "--quiet")


def run(*arguments: str) -> pd.DataFrame:
    path = run_arguments(cka_command.ANALYSIS, [*arguments, *TINIEST], "test")
    return pd.read_csv(path / "cka.csv")


def test_the_command(own, tmp_path):
    weights_of(own.Plain(8))
    weights_of(own.Told(), "told.pth", 1)
    saved(tiny("DnCNN"), tmp_path / "plain.pth")
    frame = run(
        *("--model", "mymod:make", "--checkpoint", "w.pth", "--arg", "width=8", "plain.pth"),
        *("--model", "mymod:Told", "--checkpoint", "told.pth", "--arg", "factor=0.5"),
        *("--arg", "sides=[3,3]", "--sigma", "10", "--sigma", "told=oracle"),
        *("--value-range", "w=255", "--channel-order", "told.pth=bgr", "--compare", "cross-model"),
    )
    pairs = set(zip(frame.model_a, frame.model_b, strict=True))
    assert pairs == {("plain", "w"), ("plain", "told"), ("w", "told")}
    assert set(frame[frame.model_a == "w"].layer_a) == {"first", "last"}
    assert np.isfinite(frame.cka).all()


def resolved(*arguments: str):
    args = parser_of(cka_command.ANALYSIS).parse_args(list(arguments))
    before = dict(vars(args))
    requests = cli_options.resolve_requests(args)
    assert vars(args) == before
    return {request.path: request.options for request in requests}


def test_the_old_spelling_of_grayscale():
    (old,) = resolved("a.pth", "--grey", "per-channel").values()
    (new,) = resolved("a.pth", "--grayscale=per-channel").values()
    assert old == new and old.per_channel
    assert "--grey" not in parser_of(cka_command.ANALYSIS).format_help()


def test_a_command_for_one_model_takes_one_factory():
    parser = denoise_command.parser()
    args = parser.parse_args(["a.pth", "in", "out", "--model", "m:f", "--arg", "width=3"])
    (request,) = cli_options.resolve_requests(args)
    assert (request.path, request.options.factory) == ("a.pth", "m:f")
    assert request.options.arguments == {"width": 3}
    args = parser.parse_args(["a.pth", "in", "out", "--model", "m:f", "--model", "m:g"])
    with pytest.raises(BadInput, match="--model m:g: one --model for one checkpoint"):
        cli_options.resolve_requests(args)


def test_options_by_model():
    found = resolved(
        *("a.pth", "b/c.pth", "--sigma", "15", "--sigma", "c=oracle", "--value-range", "a.pth=255"),
        *(
            "--grayscale",
            "b/c.pth=per-channel",
            "--channel-order",
            "bgr",
            "--channel-order",
            "a=rgb",
        ),
        *("--residual", "minus", "--residual", "c=flip", "--wrap", "normalize", "--wrap=a=none"),
    )
    a, c = found["a.pth"], found["b/c.pth"]
    assert (a.sigma, c.sigma) == (15, "oracle") and (a.value_range, c.value_range) == (255, None)
    assert (a.per_channel, c.per_channel) == (False, True) and (a.bgr, c.bgr) == (False, True)
    assert (a.residual, c.residual) == ("minus", "flip")
    assert (a.wrap, c.wrap) == ("none", "normalize")
    for arguments, message in (
        (["a.pth", "--sigma", "d=15"], "--sigma d=15: no such model"),
        (["a.pth", "--sigma", "256"], "expected a level from 0 to 255, or oracle"),
        (["a.pth", "--sigma", "nan"], "expected a level from 0 to 255, or oracle"),
        (["a.pth", "--value-range", "2"], "expected 1 or 255"),
        (["a.pth", "--channel-order", "a=grb"], "expected rgb or bgr"),
        (["a.pth", "--residual", "a=twice"], "expected none or minus or plus or flip"),
        (["a.pth", "--wrap", "a=normalise"], "^--wrap 'normalise': did you mean normalize.$"),
        (["a.pth", "--wrap", "d=normalize"], "--wrap d=normalize: no such model"),
        (["a.pth", "--grayscale", "yes"], "expected luma or per-channel"),
        (["--model", "m:f"], "--model m:f: give its weights with --checkpoint"),
        (["a.pth", "./a.pth"], "twice, ./a.pth: .* such as --wrap a#2=normalize$"),
        (
            ["--model", "a:b", "--checkpoint", "a.pth"] * 2,
            "twice, a.pth: .* another setting, such as --arg KEY=VALUE behind its --model$",
        ),
        (["a/n.pth", "b/n.pth", "--sigma", "n=15"], "names a/n.pth and b/n.pth; give one"),
        ([], "the following arguments are required: MODEL"),
    ):
        with pytest.raises(BadInput, match=message):
            resolved(*arguments)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ["--checkpoint", "w.pth"],
            "--checkpoint w.pth: give --model package.module:factory before",
        ),
        (["--arg", "width=8"], "--arg width: give --model package.module:factory before it"),
        (["--model", "m:f", "--arg", "width"], "'width': expected KEY=VALUE"),
        (["--model", "m:f", "--checkpoint", "a", "--checkpoint", "b"], "give --model"),
    ],
)
def test_options_that_need_a_model_before_them(arguments, message):
    with pytest.raises(BadInput, match=re.escape(message)):
        parser_of(cka_command.ANALYSIS).parse_args(arguments)


def test_grey_networks_on_the_command_line(own, tmp_path):
    torch.save(nn.Sequential(nn.Conv2d(1, 1, 3, padding=1)).state_dict(), "grey.pth")
    (tmp_path / "mymod.py").write_text(
        "from torch import nn\n\n"
        "def grey():\n    return nn.Sequential(nn.Conv2d(1, 1, 3, padding=1))\n"
    )
    del sys.modules["mymod"]
    given = ("--model", "mymod:grey", "--checkpoint", "grey.pth")
    one = run(*given)
    assert set(one.layer_a.astype(str)) == {"0"}
    each = run(*given, "--grey", "grey=per-channel")
    assert set(each.layer_a.astype(str)) == {"0"} and not each.equals(one)


def drunet(channels=3):
    from spandrel.architectures.DRUNet import DRUNet

    return DRUNet(in_nc=channels + 1, out_nc=channels, nc=[4, 4, 8, 8], nb=2)


@pytest.mark.parametrize("make", [nafnet, scunet])
def test_networks_that_spandrel_knows(tmp_path, make):
    torch.manual_seed(0)
    bare, path = make().eval(), tmp_path / "a.pth"
    with torch.no_grad():
        for parameter in bare.parameters():  # of NAFNet's, some begin as 0
            parameter += 0.1 * torch.randn(parameter.shape)
        list(bare.parameters())[-1].mul_(3)
    weights = bare.state_dict()
    kind = type(bare).__name__
    for content in (weights, {"params": {f"module.{k}": v for k, v in weights.items()}}):
        torch.save(content, path)
        loaded = mtd.load(path)
        assert isinstance(loaded, ExternalNetwork) and loaded.source["architecture"] == kind
        assert loaded.source["recognised"].startswith("keys and shapes, by spandrel 0.")
        assert loaded.source["recognised"].endswith(f": {kind}")
    image = torch.cat([X, X.flip(-1)], 2)[..., :40, :]
    image = torch.cat([image, image], 3)[..., :64]
    with torch.no_grad():
        expected = bare(image)
        assert expected.min() < -0.01 and expected.max() > 1.01  # clamping would show
        assert torch.equal(loaded(image), expected)
        assert loaded(X).shape == X.shape
    torch.save({**weights, next(iter(weights)): next(iter(weights.values())).to(torch.int8)}, path)
    assert "is of torch.int8" in refused(path)


@pytest.mark.parametrize("channels", [3, 1])
def test_drunet_is_told_the_level_that_is_asked_for(tmp_path, channels):
    torch.manual_seed(0)
    path = tmp_path / "a.pth"
    bare = weights_of(drunet(channels), path)
    assert "a DRUNet is noise-conditional: give --sigma 25" in refused(path)
    loaded, image = mtd.load(path, sigma=40), X[:, :channels]
    assert loaded.config.in_chans == channels and loaded.config.multiple == 8
    sides = torch.nn.functional.pad(image, (0, 6, 0, 3), mode="reflect")
    told = torch.full((2, 1, 24, 40), 40 / 255)
    with torch.no_grad():
        expected = bare(torch.cat([sides, told], 1))[..., :21, :34]
        assert torch.equal(loaded(image), expected)
        oracle = mtd.load(path, sigma="oracle")
        assert torch.equal(oracle(image, sigma=told[:, 0, 0, 0]), expected)


def test_super_resolution_is_refused(tmp_path):
    from spandrel.architectures.Compact import Compact

    torch.save(Compact(num_feat=4, num_conv=1, upscale=2).state_dict(), tmp_path / "a.pth")
    assert "a Compact (recognized by spandrel): expected a denoiser" in refused(tmp_path / "a.pth")


def test_without_spandrel(tmp_path, monkeypatch):
    torch.save(nafnet().state_dict(), tmp_path / "a.pth")
    original = builtins.__import__

    def absent(name, *more):
        if name.partition(".")[0] == "spandrel":
            raise ImportError("No module named 'spandrel'")
        return original(name, *more)

    monkeypatch.setattr(builtins, "__import__", absent)
    message = refused(tmp_path / "a.pth")
    assert "no network known here" in message and "--model package.module:factory" in message
    assert external is not None and mtd.networks.spandrel_adapter.names() == []


def test_a_damaged_swinir_never_comes_back_as_a_stock_one(tmp_path):
    """spandrel takes the paper's variant for a stock SwinIR."""
    path, weights = tmp_path / "a.pth", tiny("SwinIR").state_dict()
    for name in weights:
        torch.save({k: v for k, v in weights.items() if k != name}, path)
        refused(path)
    large = nn.functional.pad(weights["conv_first.weight"], (1, 1, 1, 1))
    torch.save({**weights, "conv_first.weight": large}, path)
    refused(path)


def test_ffdnet_never_comes_back_as_a_dncnn_of_twelve_channels(tmp_path):
    config = type(TINY["FFDNet"])(features=8, depth=10)  # deep enough for spandrel's DnCNN
    path, weights = tmp_path / "a.pth", tiny("FFDNet", config=config).state_dict()
    for name in weights:
        torch.save({k: v for k, v in weights.items() if k != name}, path)
        refused(path, sigma=25)
    for extra in ("model.1.running_mean", "scale", "module.x"):
        torch.save({**weights, extra: torch.zeros(8)}, path)
        refused(path, sigma=25)


def test_factory_digests_tell_runs_apart(own, tmp_path):
    weights_of(own.Plain())
    first = mtd.load("w.pth", factory="mymod:Plain").source["factory_sha256"]
    (tmp_path / "mymod.py").write_text(SOURCE.replace("- self.factor", "+ self.factor"))
    assert mtd.load("w.pth", factory="mymod:Plain").source["factory_sha256"] != first


def test_the_deepest_convolution_is_the_last_to_fire(tmp_path):
    network = external.wrap(nafnet())
    assert network.last_convolution() == "ending"
    assert last_convolution(network) == "ending" != list(dict(network.named_modules()))[-1]
    layers = network.main_layers()
    assert layers[0] == "intro" and layers[-1] == "ending" and len(layers) <= external.MANY
    with torch.no_grad(), Activations(network, layers) as held:
        network(X)
    assert list(held) == layers


def test_layers_of_a_grey_network_hold_all_channels_side_by_side():
    network = external.wrap(nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 1, 1)))
    network.input_format = InputFormat(per_channel=True)
    with torch.no_grad(), Activations(network, ["0", "input:1", "1"]) as held:
        output = network(X)
    with torch.no_grad():
        expected = torch.cat([network.whole[0](X[:, c : c + 1]) for c in range(3)], 1)
    assert list(held) == ["0", "input:1", "1"]
    assert torch.equal(held["0"], expected) and torch.equal(held["input:1"], expected)
    assert torch.equal(held["1"], output)


def test_a_failure_at_some_size_is_one_line():
    class Fixed(nn.Module):
        def forward(self, x):
            if x.shape[-1] > 80:
                raise ValueError("too wide\nfor me")
            return x

    network = external.wrap(Fixed())
    with pytest.raises(BadInput, match=r"Fixed fails on \(1, 3, 8, 96\): ValueError: too wide$"):
        network(torch.rand(1, 3, 8, 96))


def test_a_factory_may_return_a_denoiser_of_ours(own, tmp_path):
    checkpoint = tmp_path / "ffdnet.pth"
    torch.save(tiny("FFDNet").state_dict(), checkpoint)
    (tmp_path / "ours.py").write_text(
        "from mtd.networks.ffdnet import FFDNet, FFDNetConfig\n\n"
        "def make():\n    return FFDNet(FFDNetConfig(features=8, depth=3))\n"
    )
    network = mtd.load(checkpoint, factory="ours:make", sigma=25)
    assert torch.equal(output(network), output(mtd.load(checkpoint, sigma=25)))


def test_weights_of_float64_are_refused_with_what_to_do():
    with pytest.raises(BadInput, match=r"weights of torch.float64.*call .float\(\) on it"):
        external.wrap(nn.Conv2d(3, 3, 3, padding=1).double())
