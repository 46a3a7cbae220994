"""Objects beside tensors in checkpoints are left out, and the warning about them."""

from __future__ import annotations

import argparse
import os

import pytest
import torch
from PIL import Image

import mtd
from mtd import denoise
from mtd.tensor_files import stand_ins, unpickling
from mtd.tensor_files.stand_ins import Named, Unread
from mtd.utils import messages
from tests.helpers import pickles
from tests.helpers.architectures import output, tiny
from tests.helpers.pickles import OBJECTS

pytestmark = pytest.mark.usefixtures("one_thread")


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
        f"{pickles.__name__}.Phase(fit)",
        f"{pickles.__name__}.Phase(test)",
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
    assert {"argparse.Namespace", "builtins.print", f"{pickles.__name__}.Config"} <= names
    assert not {"builtins.dict", "collections.defaultdict", "torch.device"} & names
    assert left_out[Named(pickles.__name__, "Config")] == 2


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
