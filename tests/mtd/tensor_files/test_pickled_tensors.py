"""Tensors in pickles: those of trainers are read, those beyond their storage refused."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from mtd.loading import checkpoint_file
from mtd.tensor_files import unpickling
from mtd.utils.errors import BadInput
from tests.helpers.pickles import WEIGHTS, Quiet, beside, parts_of, tensor, zipped

pytestmark = pytest.mark.usefixtures("one_thread")


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
