"""Small files that would take much memory or time are refused; large genuine ones are read."""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import spandrel
import torch

from mtd.loading import checkpoint_file, nearest, recognition
from mtd.loading.load import load
from mtd.networks import registry, spandrel_adapter
from mtd.tensor_files import unpickling
from mtd.tensor_files.budget import LEAST, Budget
from mtd.utils.errors import BadInput
from mtd.utils.limits import CHECKPOINT_RATIO, AboveLimit
from tests.helpers import steps
from tests.helpers.architectures import refused, tiny

TIMES = int(CHECKPOINT_RATIO.default)
HEAD = b"\x80\x02"
FLOATS = b"ctorch\nFloatStorage\n"


def text(value: str) -> bytes:
    content = value.encode()
    return b"X" + struct.pack("<I", len(content)) + content


def archive(
    path: Path, pickled: bytes, members: dict[str, bytes] | None = None, packing: int = 0
) -> Path:
    """A file as `torch.save` writes it, of some instructions and storages."""
    with zipfile.ZipFile(path, "w", packing) as file:
        file.writestr("a/data.pkl", HEAD + pickled + b".")
        for key, content in (members or {}).items():
            file.writestr(f"a/data/{key}", content)
    return path


def tensor(key: bytes, kind: bytes = FLOATS, count: int = 4) -> bytes:
    pid = b"(" + text("storage") + kind + key + text("cpu") + f"I{count}\n".encode() + b"tQ"
    sizes = f"(I{count}\nt(I1\nt".encode()
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + pid + b"K\x00" + sizes + b"\x89}tR"


def tuples(levels: int) -> bytes:
    """A tuple of one tuple twice, which holds another twice, and so on."""
    return text("word") + b"2\x86" * levels


def often(value: bytes, times: int) -> bytes:
    """A list that names a value, of place 0 of the memo, many times."""
    return value + b"q\x000(" + b"h\x00" * times + b"l"


def many_calls(function: bytes, argument: bytes, times: int = 3_000) -> bytes:
    """A list of the results of many calls of a function with one argument."""
    head = argument + b"q\x000" + function + b"q\x010"
    return head + b"(" + b"h\x01h\x00\x85R" * times + b"l"


def a_list(length: int) -> bytes:
    return b"](" + b"K\x01" * length + b"e"


def a_mapping(length: int) -> bytes:
    return b"}(" + b"".join(text(str(i)) + b"N" for i in range(length)) + b"u"


def module(children: dict[str, bytes]) -> bytes:
    state = b"}(" + text("_parameters") + b"}" + text("_buffers") + b"}" + text("_modules") + b"}("
    state += b"".join(text(name) + value for name, value in children.items()) + b"uu"
    return b"cnet\nNet\n)\x81" + state + b"b"


def module_tree(levels: int, times: int) -> bytes:
    """A list of networks, of which each is another one twice."""
    made = module({}) + b"q\x000"
    for i in range(levels):
        made += module({"a": b"h" + bytes([i]), "b": b"h" + bytes([i])}) + b"q" + bytes([i + 1])
        made += b"0"
    return made + b"(" + module({"c": b"h" + bytes([levels])}) * times + b"l"


def with_equal_hash(times: int) -> bytes:
    """A mapping of numbers that Python would all compare with each other."""
    numbers = (pickle.dumps(i * (2**61 - 1), 2)[2:-1] for i in range(1, times))
    return b"}(" + b"".join(number + b"N" for number in numbers) + b"u"


CRAFTED: dict[str, Callable[[], bytes]] = {
    "tuples that double as the kind of a persistent id": lambda: (
        b"(" + tuples(60) + FLOATS + text("0") + text("cpu") + b"K\x04tQ"
    ),
    "tuples that double as the key of a storage": lambda: tensor(tuples(60)),
    "a list copied often": lambda: many_calls(b"cbuiltins\nlist\n", a_list(2_000)),
    "a set copied often": lambda: many_calls(b"cbuiltins\nset\n", a_list(2_000)),
    "sizes copied often": lambda: many_calls(b"ctorch\nSize\n", a_list(2_000)),
    "text copied often": lambda: many_calls(b"cbuiltins\nbytearray\n", text("y" * 2_000)),
    "a mapping copied often": lambda: many_calls(
        b"ccollections\nOrderedDict\n", a_mapping(2_000)
    ),
    "an object's values copied often": lambda: many_calls(
        b"ccopyreg\n_reconstructor\n", b"cnet\nNet\ncbuiltins\nlist\n" + a_list(2_000) + b"\x87"
    ).replace(b"h\x01h\x00\x85R", b"h\x01h\x00R"),
    "a long list named often": lambda: often(a_list(2_500), 2_500),
    "an object with weights and a long list, made often": lambda: (
        a_list(2_500) + b"q\x000"
        + tensor(text("0")).replace(b"(I4\nt(I1\nt", b"(I2\nI2\nt(I2\nI1\nt")
        + b"q\x010(" + b"cnet\nNet\n(h\x01h\x00tR" * 2_500 + b"l"
    ),
    "a tree of modules named often": lambda: module_tree(11, 300),
    "one long key with many lists": lambda: (
        b"}" + text("k" * 10_000) + often(b"]", 50_000) + b"s"
    ),
    "a long name of a function named often": lambda: (
        text("m" * 5_000) + text("n") + b"\x93" + b"0N"
    ),
    "a tensor of many dimensions": lambda: (
        tensor(text("0")).replace(b"(I4\nt(I1\nt", (b"(" + b"K\x01" * 65 + b"t") * 2)
    ),
    "numbers of equal hash as keys": lambda: with_equal_hash(2_000),
    "numbers of equal hash in the memo": lambda: b"N" + b"".join(
        f"p{i * (2**61 - 1)}\n".encode() for i in range(1, 2_000)
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CRAFTED)
def test_crafted_files_are_refused_in_one_line(tmp_path, case):
    path = archive(tmp_path / "a.pth", CRAFTED[case](), {"0": bytes(16)})
    assert path.stat().st_size < 2**18
    with pytest.raises(BadInput) as caught:
        checkpoint_file.read(path)
    message = str(caught.value).removeprefix(f"{path}: ")
    if isinstance(caught.value, AboveLimit):
        assert message.endswith("set the environment variable MTD_MAX_CHECKPOINT_RATIO to raise it")
    else:
        assert message.startswith("damaged or not a PyTorch checkpoint (")
    assert "\n" not in str(caught.value)


def test_keys_of_storages_of_an_older_file_are_words(tmp_path):
    path = tmp_path / "a.pth"
    start = b"".join(pickle.dumps(one, 2) for one in (unpickling.MAGIC, unpickling.VERSION, {}))
    path.write_bytes(start + HEAD + b"N." + HEAD + b"]" + tuples(60) + b"a.")
    with pytest.raises(BadInput, match="a tuple in place of a name of a storage"):
        checkpoint_file.read(path)


def test_many_packed_members_are_bounded_together(tmp_path):
    zeros = {str(i): bytes(LEAST // 4) for i in range(4 * TIMES + 1)}
    items = b"".join(text(f"w{key}") + tensor(text(key), count=LEAST // 16) for key in zeros)
    path = archive(tmp_path / "a.pth", b"}(" + items + b"u", zeros, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < LEAST // 4
    for read in (checkpoint_file.read, unpickling.contents):
        with pytest.raises(BadInput, match=r"unpacks to \d+ bytes") as caught:
            read(path)
        assert "\n" not in str(caught.value)


def test_packed_weights_are_read(tmp_path):
    numbers = torch.linspace(-1, 1, 4096).half().float()
    content = {str(i): numbers.numpy().tobytes() for i in range(100)}
    items = b"".join(text(f"w{key}") + tensor(text(key), count=4096) for key in content)
    path = archive(tmp_path / "a.pth", b"}(" + items + b"u", content, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 16384 * 100
    (read,) = checkpoint_file.read(path).sets
    assert len(read.tensors) == 100
    assert all(torch.equal(value, numbers) for value in read.tensors.values())


@pytest.mark.parametrize("kind", ["QInt8", "QUInt8", "QInt32", "QUInt4x2", "QUInt2x4"])
def test_quantized_storages_are_refused_without_pytorchs_warning(tmp_path, capfd, recwarn, kind):
    path = archive(
        tmp_path / "a.pth",
        b"}"
        + text("model.0.weight")
        + tensor(text("0"), f"ctorch\n{kind}Storage\n".encode())
        + b"s",
        {"0": bytes(64)},
    )
    message = refused(path)
    assert "its weights are not read (a quantized tensor in model.0.weight)" in message
    assert "\n" not in message and capfd.readouterr() == ("", "") and not recwarn.list


def test_large_genuine_contents_are_read(tmp_path):
    shared = (0.9, 0.999)
    content = {
        "state_dict": {f"layer{i}.weight": torch.full((2, 2), float(i)) for i in range(300)},
        "history": {"losses of a long training": [[i, i / 7, shared] for i in range(5_000)]},
        "steps": {i: {"step": i, "betas": shared} for i in range(-500, 500)},
        "limits": {2**63: 1, -(2**63): 2, 2**64 - 1: 3},
    }
    path = tmp_path / "a.pth"
    for zip_ in (True, False):
        torch.save(content, path, _use_new_zipfile_serialization=zip_)
        read, left_out = unpickling.contents(path)  # all of it, of which weights are a part
        assert left_out == {} and read["history"] == content["history"]
        assert read["steps"] == content["steps"] and read["limits"] == content["limits"]
        (one,) = checkpoint_file.read(path).sets
        assert one.tensors.keys() == content["state_dict"].keys()
        assert all(torch.equal(v, content["state_dict"][k]) for k, v in one.tensors.items())


def forms(count: int) -> dict[str, dict[str, torch.Tensor]]:
    """Weights whose names make many parts, or look like copies, averages or networks."""
    one, kernel = torch.ones(2, 2), torch.ones(4, 3, 3, 3)
    deep = ".".join(f"b{i}" for i in range(12))
    return {
        "a prefix each": {f"a{i}.weight": one for i in range(count)},
        "four of a prefix": {f"a{i // 4}.{i % 4}.weight": one for i in range(count)},
        "deep names": {f"{deep}.w{i}": one for i in range(count // 4)},
        "training": {f"loss{i}.weight": one for i in range(count)},
        "averages": {f"ema{i}.net.weight": one for i in range(count)},
        "beginnings of networks": {f"m{i}.model.0.weight": kernel for i in range(count)},
        "anchors": {f"m{i}.conv_first.weight": kernel for i in range(count)},
    }


@pytest.mark.parametrize("size", [50, pytest.param(400, marks=pytest.mark.attack)])
@pytest.mark.parametrize("form", forms(1))
def test_the_steps_of_recognition_grow_with_the_number_of_tensors(
    tmp_path, monkeypatch, form, size
):
    """Lines of Python that are run, without those of spandrel, which is tried a limited number of
    times."""
    tried = []
    monkeypatch.setattr(spandrel_adapter, "recognize", lambda _: tried.append(1))
    monkeypatch.setattr(spandrel_adapter, "similar", lambda _: [])
    monkeypatch.setattr(nearest, "_default_keys", list)  # the same work for every file
    monkeypatch.setattr(recognition, "TRIES", size // 10)
    counts = []
    for times in (1, 1, 2, 4):
        path = tmp_path / f"{times}.pth"
        torch.save(forms(times * size)[form], path)
        counts.append(steps.lines(load, path))
    counts = counts[1:]  # the first one imports modules
    assert steps.grow_linearly(counts) and counts[2] > 1.5 * counts[0], counts
    assert len(tried) <= 4 * 3 * recognition.TRIES


def test_names_of_networks_of_other_packages_do_not_count_to_a_billion(monkeypatch):
    """Spandrel builds as many layers as the largest number in a name says."""
    weights = {f"body.{i}.weight": torch.ones(2, 2) for i in (0, 1, 10**9)}
    monkeypatch.setattr(spandrel.ModelLoader, "load_from_state_dict", lambda *_: pytest.fail("run"))
    assert spandrel_adapter.recognize(weights) is None


@pytest.mark.parametrize(
    "shape", [(10**6, 0, 1, 1), (0, 3, 1, 1), (4, 3, 1, 10**6), (10**6, 3, 1, 1)]
)
def test_shapes_that_suggest_a_giant_network_allocate_none(tmp_path, monkeypatch, shape):
    network = tiny("SwinIR")
    weights = network.state_dict() | {"conv_first.weight": torch.zeros(shape)}
    torch.save(weights, tmp_path / "a.pth")

    def build(config: object) -> object:
        if torch.get_default_device().type != "meta":
            pytest.fail("memory is allocated")  # which no handler of exceptions catches
        return built(config)

    entry = registry.named("SwinIR")
    built = entry.build
    monkeypatch.setattr(
        registry,
        "architectures",
        lambda: {"SwinIR": replace(entry, build=build)},
    )
    assert "\n" not in refused(tmp_path / "a.pth")


def test_a_budget_counts_down_from_the_size_of_a_file():
    budget = Budget(10 * LEAST, "a.pth")
    budget.spend(10 * TIMES * LEAST)
    with pytest.raises(AboveLimit, match=r"^a\.pth: too much, 4\.0000000\d+ bytes or steps"):
        budget.spend(1, "too much")
    Budget(0).spend(TIMES * LEAST)
