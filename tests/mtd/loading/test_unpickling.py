"""Files that hold more than tensors: nothing in them is imported or called, whatever they name."""

from __future__ import annotations

import argparse
import collections
import copyreg
import datetime
import enum
import io
import os
import pathlib
import pickle
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

import mtd
from mtd import denoise
from mtd.loading import checkpoint_file, stand_ins, unpickling
from mtd.loading.stand_ins import Named, Unread
from mtd.loading.tensor_unpickler import TensorUnpickler
from mtd.utils import messages
from mtd.utils.errors import BadInput
from tests.helpers.architectures import output, tiny

WATCHED = ("exec", "compile", "import", "os.", "subprocess.", "socket.", "ctypes.", "shutil.")
"""Beginnings of the names of audit events that reading a file never raises."""

EVENTS: list[str] | None = None
"""Those that were raised while a file was read; None while none is."""


def _record(event: str, arguments: Any) -> None:
    if EVENTS is not None and event.startswith((*WATCHED, "pickle.find_class")):
        EVENTS.append(f"{event} {arguments!r:.200}")


sys.addaudithook(_record)


class Quiet:
    """Runs a block, after which nothing may have been imported or run."""

    def __enter__(self) -> None:
        global EVENTS
        self.modules = set(sys.modules)
        EVENTS = []

    def __exit__(self, *error: Any) -> None:
        global EVENTS
        events, EVENTS = EVENTS, None
        assert events == [] and set(sys.modules) == self.modules


@pytest.fixture(autouse=True)
def one_thread(few_threads: None) -> None:
    """These networks are too small for more, which would wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a module on the path that would leave a mark when it is imported or used."""
    folder = tmp_path_factory.mktemp("trap")
    (folder / "a_trap.py").write_text(
        f"import os\nos.mkdir({str(folder / 'mark')!r})\nclass Trap:\n    pass\n"
    )
    sys.path.insert(0, str(folder))
    path = folder / "warm.pth"
    torch.save({"w": torch.ones(2, 2), "n": argparse.Namespace()}, path)
    checkpoint_file.read(path)  # so that what reading itself imports is there
    checkpoint_file.read(beside(b"Vx\n", path))
    yield folder
    sys.path.remove(str(folder))
    assert not (folder / "mark").exists() and "a_trap" not in sys.modules


WEIGHTS = {"model.0.weight": torch.arange(12.0).view(3, 4)}


def parts_of(content: Any, **how: Any) -> dict[str, bytes]:
    """The members of an archive that `torch.save` writes."""
    buffer = io.BytesIO()
    torch.save(content, buffer, **how)
    with zipfile.ZipFile(buffer) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def beside(instructions: bytes, path: Path) -> Path:
    """A file with a list of what some instructions of a pickle make, and weights."""
    members = parts_of(WEIGHTS)
    whole = members["archive/data.pkl"]
    assert whole[:2] == b"\x80\x02" and whole[-1:] == b"."
    members["archive/data.pkl"] = b"\x80\x04]" + instructions + b"a" + whole[2:-1] + b"a."
    return zipped(path, members)


def text(value: object) -> bytes:
    """The instruction that pushes a text."""
    content = str(value).encode()
    return b"X" + struct.pack("<I", len(content)) + content


CALLS: dict[str, Callable[[bytes], bytes]] = {
    "GLOBAL": lambda place: b"cos\nmkdir\n(" + place + b"tR",
    "STACK_GLOBAL": lambda place: text("os") + text("mkdir") + b"\x93" + place + b"\x85R",
    "INST": lambda place: b"(" + place + b"ios\nmkdir\n",
    "OBJ": lambda place: b"(cos\nmkdir\n" + place + b"o",
    "NEWOBJ": lambda place: b"cos\nmkdir\n" + place + b"\x85\x81",
    "NEWOBJ_EX": lambda place: b"cos\nmkdir\n" + place + b"\x85}\x92",
    "a module": lambda place: b"ca_trap\nTrap\n)R",
    "a nested name": lambda place: text("a_trap") + text("Trap.x.y") + b"\x93)R",
    "a state": lambda place: b"ca_trap\nTrap\n)\x81}" + text("a") + place + b"sb",
    "a state of a function": lambda place: b"cos\nmkdir\n}" + text("a") + place + b"sb",
    "slots": lambda place: b"ca_trap\nTrap\n)\x81N}" + text("a") + place + b"s\x86b",
    "reduced twice": lambda place: b"cos\nmkdir\n" + place + b"\x85R" + place + b"\x85R",
    "getattr": lambda place: (
        b"cbuiltins\ngetattr\ncos\nopen\n" + text("__self__") + b"\x86R" + place + b"\x85R"
    ),
    "partial": lambda place: b"cfunctools\npartial\ncos\nmkdir\n" + place + b"\x86R)R",
    "map": lambda place: b"cbuiltins\nlist\ncbuiltins\nmap\ncos\nmkdir\n]" + place + b"a\x86R\x85R",
    "copyreg": lambda place: b"ccopyreg\n__newobj__\ncos\nmkdir\n" + place + b"\x86R",
    "reconstructor": lambda place: (
        b"ccopyreg\n_reconstructor\nca_trap\nTrap\ncbuiltins\nobject\nN\x87R"
    ),
    "Python 2": lambda place: b"c__builtin__\nexecfile\n" + place + b"\x85R",
    "a codec": lambda place: b"c_codecs\nlookup\n" + place + b"\x85R",
    "torch.load": lambda place: b"ctorch\nload\n" + place + b"\x85R",
    "a hub": lambda place: b"ctorch.hub\nload\n" + place + place + b"\x86R",
    "a file in bytes": lambda place: (
        b"ctorch.storage\n_load_from_bytes\nB\x05\x00\x00\x00cos\n.\x85R"
    ),
    "EXT1": lambda place: b"\x82\xf0" + place + b"\x85R",
    "EXT2": lambda place: b"\x83\xf0\x00" + place + b"\x85R",
    "EXT4": lambda place: b"\x84\xf0\x00\x00\x00" + place + b"\x85R",
    "unregistered EXT1": lambda place: b"\x82\x07",
}


def code_of(source: str) -> bytes:
    return text(f"__import__('os').mkdir({source!r})") + b"\x85R"


def test_every_instruction_that_could_run_something_is_replaced():
    """Those of Python that stay push numbers, text and containers, or call what is replaced."""
    kept = {
        function.__name__
        for function in TensorUnpickler.dispatch.values()
        if function.__module__ == "pickle"
    }
    made = "int binint binint1 binint2 long long1 long4 float binfloat none true false string"
    made += " binstring short_binstring unicode binunicode binunicode8 short_binunicode binbytes"
    made += " binbytes8 short_binbytes tuple tuple1 tuple2 tuple3 empty_tuple empty_list list"
    made += " empty_dictionary mark pop pop_mark dup get binget long_binget binput long_binput"
    made += " memoize proto frame stop next_buffer"
    calling = "global stack_global ext1 ext2 ext4 persid binpersid"
    assert kept == {f"load_{name}" for name in f"{made} {calling}".split()}
    assert {"find_class", "get_extension", "persistent_load"} <= vars(TensorUnpickler).keys()


@pytest.fixture
def extension() -> Iterator[None]:
    """A function that is registered, and looked up once, under an extension code."""
    copyreg.add_extension("os", "mkdir", 0xF0)
    copyreg._extension_cache[0xF0] = os.mkdir  # type: ignore[attr-defined]
    yield
    copyreg.remove_extension("os", "mkdir", 0xF0)


@pytest.mark.parametrize("call", CALLS)
def test_what_a_file_names_is_never_imported_or_called(place, extension, call):
    path = beside(CALLS[call](text(place / "mark")), place / "a.pth")
    with Quiet():
        content, left_out = unpickling.contents(path)
    assert not (place / "mark").exists()
    assert torch.equal(content[1]["model.0.weight"], WEIGHTS["model.0.weight"])
    kinds = (Unread, Named) if call != "map" else (list, Unread)
    assert isinstance(content[0], kinds) and (left_out or call == "map")


@pytest.mark.parametrize("function", ["eval", "exec", "compile", "__import__"])
@pytest.mark.parametrize("module", ["builtins", "__builtin__"])
def test_code_in_text_is_never_run(place, function, module):
    name = f"c{module}\n{function}\n".encode()
    path = beside(name + code_of(str(place / "mark")), place / "a.pth")
    with Quiet():
        content, left_out = unpickling.contents(path)
    assert content[0].of == Named("builtins", function)
    assert stand_ins.warning(left_out).endswith(f"(builtins.{function} – never run)")
    assert not (place / "mark").exists()


CHANGES = {
    "an item of os.environ": b"cos\nenviron\n" + text("MARK") + text("1") + b"s",
    "items of os.environ": b"cos\nenviron\n(" + text("MARK") + text("1") + b"u",
    "a value of sys.path": b"csys\npath\n" + text("mark") + b"a",
    "values of sys.path": b"csys\npath\n(" + text("mark") + b"e",
    "values of a set": b"csys\npath\n(" + text("mark") + b"\x90",
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_file_names_is_never_changed(place, change):
    before = dict(os.environ), list(sys.path)
    with Quiet(), pytest.raises(BadInput, match="damaged or not a PyTorch checkpoint"):
        unpickling.contents(beside(CHANGES[change], place / "a.pth"))
    assert (dict(os.environ), list(sys.path)) == before


@pytest.mark.parametrize("name", ["torch._utils\n_rebuild_tensor_v2", "collections\nOrderedDict"])
def test_functions_that_are_known_are_never_changed(place, name):
    path = beside(b"c" + name.encode() + b"\n}" + text("x") + text("y") + b"sb", place / "a.pth")
    with Quiet():
        unpickling.contents(path)
    assert not hasattr(torch._utils._rebuild_tensor_v2, "x")
    assert not hasattr(collections.OrderedDict, "x")


def nested(instructions: bytes, times: int, end: bytes = b"N") -> bytes:
    return end + instructions * times


BOMBS = {
    "a persistent id of text": b"Pstorage\n",
    "a persistent id of a call": b"cos\nmkdir\n" + text("mark") + b"\x85RQ",
    "a persistent id of a module": text("module") + b"cos\nmkdir\nN\x87Q",
    "a persistent id of None": b"NQ",
    "a storage without a type": b"(" + text("storage") + b"N" + text("0") * 2 + b"K\x01tQ",
    "lists that double": b"]" + b"q\xc0(h\xc0h\xc0l" * 70,
    "a list as a key": b"}]Ns",
    "long text": b"\x8d" + b"\xff" * 8,
    "long bytes": b"\x8e" + b"\xff" * 7 + b"\x0f",
    "a long array of bytes": b"\x96" + b"\xff" * 7 + b"\x0f",
    "a long number": b"\x8b\xff\xff\xff\x7f",
    "a long frame": b"\x95" + b"\xff" * 7 + b"\x0f",
    "a buffer from outside": b"\x97",
    "an unknown instruction": b"\xff",
    "an empty stack": b"0000",
    "a mark that is missing": b"t",
    "nothing in the memo": b"h\x99",
    "marks": b"(" * 100_000,
    "a call of a number": b"K\x01)R",
    "a call of a tensor's function": b"ctorch._utils\n_rebuild_tensor_v2\n)R",
    "a tensor's function of a subclass": (
        b"ctorch._tensor\n_rebuild_from_type_v2\n(cos\nmkdir\nN" + text("x") + b"\x85NtR"
    ),
    "a name of numbers": b"K\x01K\x02\x93",
    "a key without a value": b"}(Nu",
    "more end": b"N.",
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_malformed_pickles_are_refused_in_one_line(place, bomb):
    path = beside(BOMBS[bomb], place / "a.pth")
    with Quiet(), pytest.raises(BadInput) as caught:
        checkpoint_file.read(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "harmless",
    [
        nested(b"\x85", 200_000),  # tuples in tuples
        b"}" + nested(b"\x85", 200_000) + b"Ns",
        b")" + b"2\x86" * 60 + b"q\xc00}h\xc0Ns",  # tuples that double in a key
        b"]" + b"]" * 3000 + b"a" * 3000,
        b"Nr\xff\xff\xff\xff",  # the last place of the memo
        b"]q\xc0h\xc0a",  # a list that holds itself
        b"}q\xc0" + text("x") + b"h\xc0s",
    ],
)
def test_odd_pickles_are_read(place, harmless):
    with Quiet():
        read = checkpoint_file.read(beside(harmless, place / "a.pth"))
    assert torch.equal(read.sets[0].tensors["model.0.weight"], WEIGHTS["model.0.weight"])


def module_in(children: int) -> bytes:
    """A module that holds itself, by some names."""
    state = b"}(" + text("_parameters") + b"}" + text("_buffers") + b"}" + text("_modules") + b"}("
    state += b"".join(text(f"child{i}") + b"h\xc0" for i in range(children)) + b"uu"
    return b"cnet\nNet\n)\x81q\xc0" + state + b"b"


@pytest.mark.parametrize("children", [1, 3])
def test_modules_within_themselves_are_refused(place, children):
    with pytest.raises(BadInput, match="modules within modules without end"):
        unpickling.contents(beside(module_in(children), place / "a.pth"))


def tensor(changes: dict[str, Any]) -> bytes:
    """A pickle's tensor of 12 numbers in the storage of `WEIGHTS`, with changes."""
    one = {"kind": b"ctorch\nFloatStorage\n", "key": "0", "count": 12, "offset": 0}
    one |= {"size": (3, 4), "stride": (4, 1)} | changes

    def number(value: Any) -> bytes:
        return f"I{value}\n".encode() if isinstance(value, int) else text(value)

    def numbers(values: Any) -> bytes:
        return b"(" + b"".join(map(number, values)) + b"t"

    pid = b"(" + text("storage") + one["kind"] + text(one["key"]) + text("cpu")
    pid += number(one["count"]) + b"tQ"
    arguments = pid + number(one["offset"]) + numbers(one["size"]) + numbers(one["stride"])
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"\x89NtR"


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": b"((((()tttt"},
        {"size": (1,) * 65, "stride": (1,) * 65},
        {"offset": 1},
        {"offset": -1},
        {"offset": 2**70},
        {"size": (3, 5)},
        {"size": (-3, 4)},
        {"size": (3, 4, 2)},
        {"size": ("x", 4)},
        {"size": (2**62, 4)},
        {"size": (2**40, 2**40), "stride": (0, 0)},
        {"stride": (4, -1)},
        {"stride": (5, 1)},
        {"stride": (2**62, 2**62)},
        {"count": 13},
        {"count": -1},
        {"count": 2**62},
        {"count": "12"},
        {"key": "1"},
        {"key": "../../../data/0"},
        {"kind": b"ctorch\nDoubleStorage\n"},
        {"kind": b"cos\nmkdir\n"},
    ],
)
def test_tensors_beyond_their_storage_are_refused(place, changes):
    with Quiet(), pytest.raises(BadInput, match="damaged or not"):
        unpickling.contents(beside(tensor(changes), place / "a.pth"))


@pytest.mark.parametrize("zip_", [True, False])
def test_strided_shared_and_empty_tensors_are_read(tmp_path, zip_):
    base = torch.arange(24.0).view(4, 6)
    content = {
        "transposed": base.T,
        "part": base[1:3, ::2],
        "expanded": base[:1].expand(5, 6),
        "last": base[3, 5:],
        "empty": torch.zeros(0, 3),
        "number": torch.tensor(3),
        "parameter": nn.Parameter(base),
        "negated": torch._neg_view(base),
        "conjugated": torch.conj(base * (1 + 2j)),
        **{str(d): base.to(d) for d in (torch.half, torch.bfloat16, torch.int8, torch.bool)},
    }
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=zip_)
    read, left_out = unpickling.contents(tmp_path / "a.pth")
    assert left_out == {} and read.keys() == content.keys()
    for name, value in content.items():
        assert torch.equal(read[name], value) and read[name].dtype == value.dtype, name
    assert read["part"].untyped_storage().data_ptr() == read["last"].untyped_storage().data_ptr()


def test_older_files_with_fewer_bytes_are_refused(tmp_path):
    path = tmp_path / "a.pth"
    torch.save(WEIGHTS, path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(BadInput):
            checkpoint_file.read(path)
    assert whole.count(b"K\x0cN") == 1
    path.write_bytes(whole.replace(b"K\x0cN", b"J\xff\xff\xff\x7fN"))  # of 8 GB
    with pytest.raises(BadInput, match="storages larger than the file"):
        checkpoint_file.read(path)


def test_packed_members_and_archives_in_archives(tmp_path):
    members = parts_of(WEIGHTS)
    inner = zipped(tmp_path / "inner.pth", members).read_bytes()
    path = zipped(tmp_path / "a.pth", {**members, "archive/inner/data.pkl": b"x", "b.zip": inner})
    assert len(checkpoint_file.read(path).sets) == 1
    large = {**members, "archive/data/0": bytes(2**24)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in large.items():
            archive.writestr(name, content)
    assert path.stat().st_size < 2**15
    with pytest.raises(BadInput, match="unpacks to 1677"):
        checkpoint_file.read(path)
    with pytest.raises(BadInput, match=r"no data\.pkl"):
        checkpoint_file.read(zipped(path, {"archive/other": b"x"}))


def test_numbers_of_the_other_byte_order_are_read(tmp_path):
    members = parts_of(WEIGHTS)
    numbers = np.frombuffer(members["archive/data/0"], "<f4")
    members |= {"archive/byteorder": b"big", "archive/data/0": numbers.astype(">f4").tobytes()}
    read, _ = unpickling.contents(zipped(tmp_path / "a.pth", members))
    assert torch.equal(read["model.0.weight"], WEIGHTS["model.0.weight"])


class Phase(enum.Enum):
    """A value of a trainer's own class."""

    FIT = "fit"
    TEST = "test"


class Settings(dict):  # type: ignore[type-arg]
    """A mapping of a trainer's own class."""


class Values(list):  # type: ignore[type-arg]
    """A list of a trainer's own class."""


class Config:
    """An object of a trainer's own class, with a method that would set its state."""

    def __init__(self, content: Any) -> None:
        self.content = content

    def __setstate__(self, state: Any) -> None:
        raise AssertionError("called")


OBJECTS: dict[str, Any] = {
    "namespace": argparse.Namespace(lr=1e-3, bias=False),
    "enum": Phase.FIT,
    "path": pathlib.PurePosixPath("/x/y"),
    "scalar": np.float32(3),
    "array": np.arange(3),
    "date": datetime.date(2020, 1, 2),
    "settings": Settings(a=1, b=Settings(c=2)),
    "values": Values([1, 2]),
    "config": Config({"model": Config([1, 2])}),
    "default": collections.defaultdict(list, {"a": [1]}),
    "counter": collections.Counter("aab"),
    "set": {1, 2},
    "frozen": {frozenset({1}): 2},
    "keys": {Phase.FIT: 1, Phase.TEST: 2, (1, "a"): 3, None: 4},
    "tensor keys": {torch.ones(3): 1, (torch.ones(3),): 2},
    "complex": 1 + 2j,
    "bytes": b"\x00\xff",
    "array of bytes": bytearray(b"ab"),
    "device": torch.device("cuda:0"),
    "size": torch.Size([1, 2]),
    "type": torch.float16,
    "function": print,
    "class": dict,
    "optimizer": torch.optim.Adam(nn.Linear(2, 2).parameters()),
    "schedule": torch.optim.lr_scheduler.StepLR(torch.optim.SGD(nn.Linear(2, 2).parameters()), 3),
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("zip_", [True, False])
def test_objects_that_trainers_store_are_left_out(tmp_path, protocol, zip_):
    path, network = tmp_path / "a.pth", tiny("DnCNN")
    content = {"state_dict": network.state_dict(), "epoch": 3, **OBJECTS}
    torch.save(content, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zip_)
    assert torch.equal(output(mtd.load(path)), output(network))
    read, left_out = unpickling.contents(path)
    assert read["epoch"] == 3 and read["complex"] == 1 + 2j and read["counter"]["a"] == 2
    assert read["bytes"] == b"\x00\xff" and read["array of bytes"] == b"ab"
    assert read["type"] == torch.float16 and read["size"] == (1, 2)
    assert [str(key) for key in read["keys"]] == [
        f"{__name__}.Phase(fit)",
        f"{__name__}.Phase(test)",
        "(1, a)",
        "None",
    ]
    assert [str(key) for key in read["tensor keys"]] == ["Tensor", "()"]
    assert sorted(read["set"]) == [1, 2] and {str(k): v for k, v in read["frozen"].items()} == {
        "(1)": 2
    }
    assert stand_ins.opened(read["settings"])["a"] == 1
    assert stand_ins.opened(read["values"]) == [1, 2]
    assert read["default"] == {"a": [1]}
    assert isinstance(read["config"], Unread) and not hasattr(read["config"], "content")
    names = {str(one) for one in left_out}
    assert {"argparse.Namespace", "builtins.print", f"{__name__}.Config"} <= names
    assert not {"builtins.dict", "collections.defaultdict", "torch.device"} & names
    assert left_out[Named(__name__, "Config")] == 2


def test_the_warning_is_one_line_and_given_once(tmp_path, capsys, in_process):
    path, network = tmp_path / "a.pth", tiny("DnCNN")

    class Bare:
        def __reduce__(self):
            return os.system, ("touch mark",)

    content = {"args": argparse.Namespace(), "log": Bare(), "model": [network.state_dict()]}
    torch.save(content, path)
    for _ in range(2):
        assert torch.equal(output(mtd.load(path)), output(network))
    system = f"{os.system.__module__}.system"
    assert capsys.readouterr() == (
        "",
        f"{path}: read without 2 objects that are not tensors (argparse.Namespace, {system} – "
        "never run)\n",
    )
    messages._SAID.clear()
    (tmp_path / "in").mkdir()
    Image.new("RGB", (9, 9), (10, 20, 30)).save(tmp_path / "in/a.png")
    given = (str(path), str(tmp_path / "in"), str(tmp_path / "out"))
    code, _, err = in_process(denoise.main, *given)
    assert code == 0 and err.count("read without 2 objects") == 1


def test_a_warning_names_few_classes_and_those_that_run_first():
    many = {Named("made", f"Class{i}"): 2 for i in range(40)} | {Named("os", "system"): 1}
    line = stand_ins.warning(many)
    assert line.startswith("read without 81 objects") and len(line) < 250
    assert "os.system – never run" in line and line.endswith("… of 41 classes)")
    odd = stand_ins.warning({Named("a\x1b[31m\n", "x" * 500): 1})
    assert odd.isprintable() and len(odd) < 250
    assert stand_ins.warning({}) == ""


BASES = [
    parts_of({"w": WEIGHTS, **OBJECTS}, pickle_protocol=protocol)["archive/data.pkl"]
    for protocol in (2, 3, 4, 5)
]
MEMBERS = parts_of({"w": WEIGHTS, **OBJECTS})

NAMES = ("os\nmkdir", "a_trap\nTrap", "builtins\neval", "torch._utils\n_rebuild_tensor_v2")
PIECES = [
    *(b"c" + name.encode() + b"\n" for name in (*NAMES, "collections\nOrderedDict", "x\ny")),
    *(text(word) for word in ("os", "mkdir", "storage", "0", "_modules", "_parameters", "mark")),
    *(bytes([code]) for code in b"()]}.0123NRQbaeuslotd\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92"),
    *(b"\x93\x94", b"q\x01", b"h\x01", b"K\x01", b"M\x00\x10", b"I-3\n", b"F2.5\n", b"U\x01a"),
    *(b"C\x01x", b"\x82\x07", b"\x82\xf0", b"ios\nmkdir\n", b"Pstorage\n", b"\x95\x02" + bytes(7)),
    tensor({}),
]  # fmt: skip


def mutated(base: bytes, changes: list[tuple[int, bytes, int]]) -> bytes:
    held = bytearray(base)
    for at, piece, removed in changes:
        start = at % (len(held) + 1)
        held[start : start + removed] = piece
    return bytes(held)


CHANGED = st.builds(
    mutated,
    st.sampled_from(BASES),
    st.lists(
        st.tuples(
            st.integers(0, 10**6),
            st.one_of(st.sampled_from(PIECES), st.binary(max_size=3)),
            st.integers(0, 9),
        ),
        max_size=5,
    ),
)
RANDOM = st.lists(st.sampled_from(PIECES), max_size=40).map(lambda pieces: b"".join(pieces) + b".")


def fuzz(examples: int) -> Callable[[Any], Any]:
    checks = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
    return settings(
        max_examples=examples, deadline=None, derandomize=True, suppress_health_check=checks
    )


def never_run(place: Path, content: bytes) -> None:
    """Read an archive and an older file with a pickle: nothing is run, or imported."""
    path = zipped(place / "fuzzed.pth", {**MEMBERS, "archive/data.pkl": content})
    start = b"".join(pickle.dumps(one, 2) for one in (unpickling.MAGIC, unpickling.VERSION, {}))
    (place / "row.pth").write_bytes(start + content + pickle.dumps([], 2))
    for one in (path, place / "row.pth"):
        with Quiet(), suppress(BadInput):
            checkpoint_file.read(one)
    assert not (place / "mark").exists()


@fuzz(150)
@given(content=CHANGED)
def test_changed_pickles_are_inert(place, extension, content):
    never_run(place, content)


@fuzz(150)
@given(content=RANDOM)
def test_random_pickles_are_inert(place, extension, content):
    never_run(place, content)


@pytest.mark.slow
@fuzz(5_000)
@given(content=st.one_of(CHANGED, RANDOM, st.binary(max_size=60)))
def test_many_pickles_are_inert(place, extension, content):
    never_run(place, content)
