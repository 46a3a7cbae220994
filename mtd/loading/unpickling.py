"""Reading the pickled contents of a checkpoint file, whatever is stored beside its weights.

There is one way for all files: `mtd.loading.tensor_unpickler` makes tensors and plain data, and
inert stand-ins for everything else that a file names. Nothing is imported or called.
"""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from mtd.loading.stand_ins import Named, Unread, opened
from mtd.loading.storages import RowStorages, ZipStorages
from mtd.loading.tensor_unpickler import TensorUnpickler
from mtd.utils.errors import BadInput

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
"""The first two pickles of a file before PyTorch 1.6."""

LEAST = 2**20
"""Size in bytes up to which a part of a file may be larger than the file, such as packed zeros."""

MOST = 10**6
"""Mappings and lists in a file's contents, each counted as often as keys lead to it."""

DEEPEST = 60
"""Levels of a file's contents that are searched."""

LeftOut = dict[Named, int]


def contents(path: Path) -> tuple[Any, LeftOut]:
    """The contents of a pickled file, and what it holds beside tensors and plain data.

    Returns:
        The contents, in which an `Unread` takes the place of every object of a class; and the names
        of classes and functions with the number of objects of each.

    Raises:
        BadInput: a damaged file, or one that `torch.save` did not write.
    """
    if is_torchscript(path):
        raise BadInput(f"{path}: refused, it holds TorchScript that loading would run; {ALONE}")
    if tarfile.is_tarfile(path):
        raise BadInput(
            f"{path}: of a PyTorch before 0.1.10, whose format is not read here; if you trust it, "
            "load it with weights_only=False and save its state dict again"
        )
    try:
        content, left_out = _zipped(path) if zipfile.is_zipfile(path) else _in_a_row(path)
        _check_size(content)
    except BadInput:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        reason = str(error).strip().split("\n")[0][:120]
        known = isinstance(error, UnpicklingError | OSError)
        detail = f" ({reason})" if reason.isprintable() and reason and known else ""
        raise BadInput(f"{path}: damaged or not a PyTorch checkpoint{detail}") from None
    return opened(content), left_out


ALONE = (
    "save the state dict alone where it was made, torch.save(model.state_dict(), 'weights.pth'), "
    "and give --model package.module:factory --checkpoint weights.pth"
)
"""What to do with a file whose weights cannot be read."""


def is_torchscript(path: Path) -> bool:
    """Whether a file is an archive of `torch.jit.save`."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())


def _zipped(path: Path) -> tuple[Any, LeftOut]:
    """A file since PyTorch 1.6: one folder with a pickle, and a member for each storage."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        folders = [
            name.removesuffix("data.pkl")
            for name in names
            if name.endswith("data.pkl") and name.count("/") < 2
        ]
        first = [folder for folder in folders if names[0].startswith(folder)]
        if not folders:
            raise UnpicklingError("no data.pkl in the archive")
        most = max(path.stat().st_size, LEAST)
        storages = ZipStorages(archive, (first or folders)[0], most)
        unpickler = TensorUnpickler(BytesIO(storages.member("data.pkl")), storages)
        return unpickler.load(), unpickler.left_out


def _in_a_row(path: Path) -> tuple[Any, LeftOut]:
    """An older file: magic number, version, system, contents, keys of storages, their bytes."""
    content = path.read_bytes()
    stream, storages = BytesIO(content), RowStorages(len(content))
    start = TensorUnpickler(stream)
    magic = start.load()
    if isinstance(magic, Unread):
        raise UnpicklingError(f"a pickle of {magic.kind} that torch.save did not write")
    if magic != MAGIC or TensorUnpickler(stream).load() != VERSION:
        raise UnpicklingError("not written by torch.save")
    TensorUnpickler(stream).load()
    unpickler = TensorUnpickler(stream, storages)
    made = unpickler.load()
    storages.fill(stream, TensorUnpickler(stream).load())
    return made, unpickler.left_out


def _check_size(content: Any) -> None:
    """Check that a search of the contents ends, however often they refer to each other.

    Raises:
        UnpicklingError: it would take too long.
    """
    waiting: list[tuple[Any, int]] = [([content], 0)]
    count = 0
    while waiting:
        one, depth = waiting.pop()
        inside = one.values() if isinstance(one, Mapping) else one
        for each in inside if depth <= DEEPEST else ():
            held = opened(each) if isinstance(each, Unread) else each
            if isinstance(held, Mapping | list | tuple):
                waiting.append((held, depth + 1))
                count += 1
        if count > MOST:
            raise UnpicklingError("contents that refer to each other too often")
