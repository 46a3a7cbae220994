"""Files that hold more than tensors: nothing in them is imported or called, whatever they name."""

from __future__ import annotations

import collections
import os
import sys
from collections.abc import Callable

import pytest
import torch

from mtd.loading import checkpoint_file
from mtd.tensor_files import stand_ins, unpickling
from mtd.tensor_files.stand_ins import Named, Unread
from mtd.tensor_files.tensor_unpickler import TensorUnpickler
from mtd.utils.errors import BadInput
from tests.helpers.pickles import WEIGHTS, Quiet, beside, text

pytestmark = pytest.mark.usefixtures("one_thread")

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
        nested(b"\x85", 20_000),  # tuples in tuples
        b"}" + nested(b"\x85", 20_000) + b"Ns",
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
