"""Hundreds of damaged checkpoints: each is refused in one line, or holds the weights it had."""

from __future__ import annotations

import io
import json
import random
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import Tensor

import mtd
from mtd.loading import checkpoint_file
from mtd.masking import MaskPolicy
from mtd.networks import registry
from mtd.networks.base import Denoiser
from mtd.networks.config import Config
from mtd.networks.dncnn import DnCNNConfig
from mtd.networks.swinir_layers import SwinIRConfig
from mtd.networks.weights import weights_digest
from mtd.utils.errors import BadInput
from tests.helpers.architectures import NEEDED, TINY, tiny

Weights = dict[str, Tensor]

NETWORKS: dict[str, Config] = {
    "SwinIR": SwinIRConfig(embed_dim=4, depths=(1,), num_heads=(2,), window_size=4, mlp_hidden=3),
    "FFDNet": replace(TINY["FFDNet"], features=3),
    "DnCNN": DnCNNConfig(features=3, depth=3, batch_norm=True),
    "RIDNet": replace(TINY["RIDNet"], features=4, blocks=1),
    "RNAN": replace(TINY["RNAN"], features=2, inner=2),
    "Restormer": replace(TINY["Restormer"], dim=2, heads=(1, 1, 1, 1)),
}
BYTES = 50
"""Files of a format with changed bytes, of all networks together."""

TIMES = pytest.mark.parametrize("times", [1, pytest.param(5, marks=pytest.mark.slow)])
"""How many times as much damage is done."""


def ours(network: Denoiser, suffix: str, folder: Path) -> bytes:
    path = folder / f"whole{suffix}"
    policy = MaskPolicy((75, 85), "pixel", 75, "always")
    checkpoint_file.save(path, network.state_dict(), network=network.config, mask=policy)
    return path.read_bytes()


def pickled(weights: Weights, zipped: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(weights, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


FORMATS: dict[str, Callable[[Denoiser, Path], bytes]] = {
    "ours.pth": lambda network, folder: ours(network, ".pth", folder),
    "ours.safetensors": lambda network, folder: ours(network, ".safetensors", folder),
    "bare.pth": lambda network, _: pickled(network.state_dict()),
    "legacy.pth": lambda network, _: pickled(network.state_dict(), zipped=False),
    "bare.safetensors": lambda network, _: save(dict(network.state_dict())),
}
CHECKED = ("ours.pth", "ours.safetensors", "bare.pth")
"""Formats in which a changed byte of a weight is always found."""


@pytest.fixture(autouse=True)
def one_thread(few_threads: None) -> None:
    """These networks are too small for more, which would wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def silent(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """No warning is given, whatever a file holds, but of changed names of what is no tensor."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    out, err = capfd.readouterr()
    assert out == "" and all(": read without " in line for line in err.splitlines())


def tried(path: Path, name: str) -> Denoiser | None:
    """The network of a file, or None if it is refused in one line that names it."""
    try:
        return mtd.load(path, **NEEDED.get(name, {}))
    except BadInput as error:
        message = str(error)
        assert message.startswith(str(path)) and "\n" not in message and len(message) < 1200
        return None


def same(network: Denoiser, whole: Denoiser) -> bool:
    held, expected = network.state_dict(), whole.state_dict()
    return held.keys() == expected.keys() and all(
        torch.equal(held[key], value) for key, value in expected.items()
    )


def damaged(content: bytes, stream: random.Random) -> bytes:
    """Some bytes with one kind of damage."""
    held = bytearray(content)
    kind = stream.choice(
        ["cut", "flip", "flip", "flip", "insert", "remove", "zero", "swap", "tail"]
    )
    # half of all damage near the ends, where the formats have their tables
    reach = stream.choice([len(held), 600])
    place = stream.randrange(min(reach, len(held)))
    place = stream.choice([place, len(held) - 1 - place])
    length = stream.choice([1, 2, 7, 64])
    if kind == "cut":
        del held[place:]
    elif kind == "flip":
        near = stream.random() < 0.5
        for _ in range(stream.randint(1, 8)):
            bit = place + stream.randrange(16) if near else stream.randrange(len(held))
            held[min(bit, len(held) - 1)] ^= 1 << stream.randrange(8)
    elif kind == "insert":
        held[place:place] = stream.randbytes(length)
    elif kind == "remove":
        del held[place : place + length]
    elif kind == "zero":
        held[place : place + length] = bytes(len(held[place : place + length]))
    elif kind == "swap":
        other = stream.randrange(len(held))
        held[place], held[other] = held[other], held[place]
    else:
        held += stream.randbytes(stream.choice([1, 30, 70_000]))
    return bytes(held)


@TIMES
@pytest.mark.parametrize("form", FORMATS)
def test_changed_bytes(tmp_path, form, times):
    stream = random.Random(form)
    path = tmp_path / form
    wholes = {name: tiny(name, config=config) for name, config in NETWORKS.items()}
    contents = {name: FORMATS[form](whole, tmp_path) for name, whole in wholes.items()}
    for name, content in contents.items():
        path.write_bytes(content)
        assert same(mtd.load(path, **NEEDED.get(name, {})), wholes[name])
    loaded = 0
    for number in range(BYTES * times):
        name = list(NETWORKS)[number % len(NETWORKS)]
        content = damaged(contents[name], stream)
        path.write_bytes(content)
        network = tried(path, name)
        if network is not None and form in CHECKED:
            assert same(network, wholes[name]), number
            if form.startswith("ours"):  # what is recorded is there, too
                assert network.source["policy"] == mtd_policy(wholes[name]), number
        loaded += network is not None
    assert loaded < BYTES * times * (0.5 if form in CHECKED else 0.8)


def mtd_policy(network: Denoiser) -> str:
    is_swinir = type(network).__name__ == "SwinIR"
    return str(MaskPolicy((75, 85), "pixel", 75, "always") if is_swinir else MaskPolicy())


def one_of(weights: Weights, stream: random.Random) -> str:
    return stream.choice([key for key, value in weights.items() if value.is_floating_point()])


def renamed(weights: Weights, stream: random.Random) -> Weights:
    old = one_of(weights, stream)
    new = stream.choice(
        [old + "s", old.replace(".", "_"), "", "x", "a\nb", "module." + old, "é" * 90]
    )
    return {new if key == old else key: value for key, value in weights.items()}


def reshaped(weights: Weights, stream: random.Random) -> Weights:
    key = one_of(weights, stream)
    value = weights[key]
    shapes = [
        lambda: value.flatten(),
        lambda: value[None],
        lambda: value[..., None],
        lambda: value.mT.contiguous() if value.ndim > 1 else value[:-1],
        lambda: value.reshape(-1)[:0],
        lambda: torch.cat([value, value]),
        lambda: value.reshape(-1)[0].clone(),
        lambda: torch.zeros(0, 0, 0, 0),
        lambda: value.new_zeros([1] * 12),
    ]
    return {**weights, key: stream.choice(shapes)()}


def retyped(weights: Weights, stream: random.Random) -> Weights:
    kinds = [torch.int8, torch.int64, torch.bool, torch.complex64, torch.float64, torch.float16]
    kinds += [torch.bfloat16, torch.float8_e4m3fn, torch.uint8]
    key, kind = one_of(weights, stream), stream.choice(kinds)
    if stream.random() < 0.5:
        return {k: v.to(kind) for k, v in weights.items()}
    return {**weights, key: weights[key].to(kind)}


def infinite(weights: Weights, stream: random.Random) -> Weights:
    key = one_of(weights, stream)
    value = weights[key].clone().flatten()
    value[stream.randrange(len(value))] = stream.choice([float("nan"), float("inf"), -float("inf")])
    return {**weights, key: value.reshape(weights[key].shape)}


def more(weights: Weights, stream: random.Random) -> Weights:
    like = one_of(weights, stream)
    names = [
        "x",
        "",
        "model.99.weight",
        "upsample.0.weight",
        "mask_token",
        "net." + like,
        like + ".0",
    ]
    extra = stream.choice([torch.zeros(0), torch.zeros(3, 3), weights[like], torch.tensor(1)])
    return {**weights, stream.choice(names): extra.clone()}


def fewer(weights: Weights, stream: random.Random) -> Weights:
    left = stream.sample(list(weights), stream.randrange(len(weights)))
    return {key: value for key, value in weights.items() if key in left}


CHANGES = (renamed, reshaped, retyped, infinite, more, fewer)


@TIMES
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_changed_tensors(tmp_path, change, times):
    stream = random.Random(change.__name__)
    for name, suffix in product(NETWORKS, ("pth", "safetensors")):
        whole = tiny(name, config=NETWORKS[name])
        for _ in range(times):
            weights = change(dict(whole.state_dict()), stream)
            path = tmp_path / f"a.{suffix}"
            path.write_bytes(save(weights) if suffix == "safetensors" else pickled(weights))
            network = tried(path, name)
            if change is infinite:
                assert network is None
            if network is not None and change in (renamed, fewer):
                assert network.state_dict().keys() <= whole.state_dict().keys()
            # the same under our own digest: never taken for what was saved
            text = about(whole)
            held = {k: v for k, v in weights.items() if k}
            torch.save({"params": held, "mtd": text}, tmp_path / "b.pth")
            network = tried(tmp_path / "b.pth", name)
            assert network is None or same(network, whole)


def about(whole: Denoiser, /, **changes: object) -> str:
    """Metadata of our own with right digests."""
    values: dict[str, object] = {
        checkpoint_file.WEIGHTS: weights_digest(whole.state_dict()),
        "network": registry.describe(whole.config),
        "mask": MaskPolicy().to_dict(),
        "training": {},
        **changes,
    }
    values[checkpoint_file.ABOUT] = checkpoint_file.about_digest(json.loads(json.dumps(values)))
    return json.dumps(values, sort_keys=True)


ODD = (
    -1,
    0,
    10**6,
    2**70,
    1e300,
    float("nan"),
    float("inf"),
    2.5,
    "x",
    "",
    None,
    True,
    [],
    [[1]],
    {},
)


@TIMES
def test_changed_metadata(tmp_path, times):
    stream, path = random.Random(0), tmp_path / "a.pth"
    for name, config in NETWORKS.items():
        whole = tiny(name, config=config)
        described = registry.describe(config)
        values = [{**described, key: stream.choice(ODD)} for key in described for _ in range(times)]
        values += [{**described, key: odd} for key, odd in (("x", 1), ("", 2))]
        texts = [about(whole, network=value) for value in (*values, [], None, 3, "SwinIR", {})]
        texts += [about(whole, mask=value) for value in (3, None, [], {"fill": "x"}, {"y": 2})]
        texts += ["{", "[]", "3", "null", '{"network": ' * 3000, "[" * 100_000, "\ud800", "\0"]
        texts += [about(whole).replace("DnCNN", "RNAN").replace("FFDNet", "DnCNN")]
        for text in texts:
            torch.save({"params": whole.state_dict(), "mtd": text}, path)
            network = tried(path, name)
            assert network is None or same(network, whole)
        for odd in (3, None, b"{}", ["a"], torch.zeros(3)):
            torch.save({"params": whole.state_dict(), "mtd": odd}, path)
            tried(path, name)


def test_a_changed_byte_of_our_metadata_is_found_in_files_without_checksums(tmp_path):
    whole = tiny("SwinIR", config=NETWORKS["SwinIR"])
    content, path = ours(whole, ".safetensors", tmp_path), tmp_path / "a.safetensors"
    assert (
        content.count(b'attention_percent\\":75') + content.count(b'attention_percent\\": 75') == 1
    )
    for old, new in (
        (b'attention_percent\\": 75', b'attention_percent\\": 35'),
        (b"weights_sha256", b"weights_sha257"),
        (b"metadata_sha256", b"netadata_sha256"),
        (b'"mtd"', b'"mtc"'),
    ):
        assert content.count(old) == 1
        path.write_bytes(content.replace(old, new))
        network = tried(path, "SwinIR")
        if network is not None:
            assert same(network, whole) and network.source["policy"] == mtd_policy(whole)
        if old.startswith(b"att"):
            assert network is None


@pytest.mark.parametrize("make", [
    lambda w: {k: v.to_sparse() for k, v in w.items()},
    lambda w: {k: torch.empty(v.shape, device="meta") for k, v in w.items()},
    lambda w: {k: torch.quantize_per_tensor(v.float(), 0.1, 0, torch.qint8) for k, v in w.items()},
    lambda w: {k: v.numpy() for k, v in w.items()},
    lambda w: {k: v.tolist() for k, v in w.items()},
    lambda w: {k: [v] for k, v in w.items()},
    lambda w: {"params": {}, "state_dict": w},
    lambda w: {"params": {"params": w}},
    lambda w: dict(enumerate(w.values())),
    lambda w: {(k,): v for k, v in w.items()},
    lambda w: list(w.values()),
    lambda w: None,
    lambda w: "weights",
    lambda w: {k: torch.zeros(1).expand(10**9, *v.shape) for k, v in w.items()},
])  # fmt: skip
@pytest.mark.parametrize("metadata", [False, True])
def test_odd_contents(tmp_path, make, metadata):
    whole, path = tiny("FFDNet", config=NETWORKS["FFDNet"]), tmp_path / "a.pth"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # quantised and sparse tensors are experimental
        content = make(dict(whole.state_dict()))
        torch.save({"params": content, "mtd": about(whole)} if metadata else content, path)
        network = tried(path, "FFDNet")
    assert network is None or same(network, whole)
