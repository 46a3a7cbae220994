"""Reading the pickled contents of a checkpoint file, whatever is stored beside its weights.

There is one way for all files: `tensor_unpickler` makes tensors and plain data, and inert
stand-ins for everything else that a file names. Nothing is imported or called.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from mtd.tensor_files.archive import LOCAL, Archive, is_archive
from mtd.tensor_files.budget import Budget
from mtd.tensor_files.stand_ins import HOLDERS, Named, Unread, opened
from mtd.tensor_files.storages import RowStorages, ZipStorages
from mtd.tensor_files.tensor_unpickler import TensorUnpickler
from mtd.utils import input_files, limits
from mtd.utils.errors import BadInput
from mtd.utils.input_files import MEGABYTE

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
"""The first two pickles of a file before PyTorch 1.6."""

TAR = slice(257, 262)
"""Where a file of a PyTorch before 0.1.10 says that it is a tar archive."""

DEEPEST = 60
"""Levels of a file's contents that are searched."""

LINE = 64
"""Characters of keys that are joined in the time that a value takes."""

LeftOut = dict[Named, int]


def contents(path: Path) -> tuple[Any, LeftOut]:
    """The contents of a pickled file; see `unpickled`."""
    return unpickled(input_files.content(path, limits.CHECKPOINT), path)


def unpickled(content: bytes, path: Path) -> tuple[Any, LeftOut]:
    """The contents of a pickled file, and what it holds beside tensors and plain data.

    Args:
        content: the bytes of the file.
        path: of the file, for messages.

    Returns:
        The contents, in which an `Unread` takes the place of every object of a class; and the names
        of classes and functions with the number of objects of each.

    Raises:
        BadInput: a damaged file, or one that `torch.save` did not write.
    """
    if content[TAR] == b"ustar":
        raise BadInput(
            f"{path}: of a PyTorch before 0.1.10, whose format is not read here; if you trust it, "
            "load it with weights_only=False and save its state dict again"
        )
    zipped = is_archive(content)
    if not zipped and content.startswith(LOCAL):
        raise BadInput(f"{path}: damaged, the end of the archive is missing")
    try:
        budget = Budget(len(content), path)
        read = _zipped if zipped else _in_a_row
        made, left_out = read(content, path, budget)
        _check_search(made, budget)
    except BadInput:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        reason = str(error).strip().split("\n")[0][:120]
        known = isinstance(error, UnpicklingError | OSError)
        detail = f" ({reason})" if reason.isprintable() and reason and known else ""
        raise BadInput(f"{path}: damaged or not a PyTorch checkpoint{detail}") from None
    return opened(made), left_out


ALONE = (
    "save the state dict alone where it was made, torch.save(model.state_dict(), 'weights.pth'), "
    "and give --model package.module:factory --checkpoint weights.pth"
)
"""What to do with a file whose weights cannot be read."""


def _zipped(content: bytes, path: Path, budget: Budget) -> tuple[Any, LeftOut]:
    """A file since PyTorch 1.6: one folder with a pickle, and a member for each storage."""
    archive = Archive(content, budget, path)
    if any("/code/" in name for name in archive.names):
        raise BadInput(f"{path}: refused, it holds TorchScript that loading would run; {ALONE}")
    archive.check()
    folders = [
        name.removesuffix("data.pkl")
        for name in archive.names
        if name.endswith("data.pkl") and name.count("/") < 2
    ]
    first = [folder for folder in folders if archive.names[0].startswith(folder)]
    if not folders:
        raise UnpicklingError("no data.pkl in the archive")
    folder = (first or folders)[0]
    pickled = archive.read(f"{folder}data.pkl")
    limits.PICKLE.check(len(pickled) / MEGABYTE, f"{path}: its data.pkl")
    unpickler = TensorUnpickler(BytesIO(pickled), budget, ZipStorages(archive, folder))
    return unpickler.load(), unpickler.left_out


def _in_a_row(content: bytes, path: Path, budget: Budget) -> tuple[Any, LeftOut]:
    """An older file: magic number, version, system, contents, keys of storages, their bytes."""
    most = int(min(limits.PICKLE.value * MEGABYTE, len(content)))
    stream, storages = BytesIO(content[:most]), RowStorages(len(content))
    try:
        magic = TensorUnpickler(stream, budget).load()
        if isinstance(magic, Unread):
            raise UnpicklingError(f"a pickle of {magic.kind} that torch.save did not write")
        if magic != MAGIC or TensorUnpickler(stream, budget).load() != VERSION:
            raise UnpicklingError("not written by torch.save")
        TensorUnpickler(stream, budget).load()
        unpickler = TensorUnpickler(stream, budget, storages)
        made = unpickler.load()
        keys = TensorUnpickler(stream, budget).load()
    except EOFError:
        if most < len(content):
            limits.PICKLE.check(len(content) / MEGABYTE, f"{path}: its pickles, perhaps all of it")
        raise
    rest = BytesIO(content)
    rest.seek(stream.tell())
    storages.fill(rest, keys)
    return made, unpickler.left_out


def _check_search(content: Any, budget: Budget) -> None:
    """Check that a search of the contents ends, however often they refer to each other.

    Every value counts as often as keys lead to it, and more with long keys, which are joined.

    Raises:
        AboveLimit: it would take too long.
    """
    waiting: list[tuple[Any, int, int]] = [([content], -1, 0)]
    while waiting:
        one, depth, length = waiting.pop()
        budget.spend(1 + len(one) * (1 + length // LINE))
        items = one.items() if isinstance(one, dict) else enumerate(one)
        for key, each in items if depth <= DEEPEST else ():
            if not isinstance(each, HOLDERS):
                continue
            held = opened(each)
            if isinstance(held, Unread):
                _ = held.holds_weights  # found out here, where a search without end is refused
            else:
                more = len(key) if isinstance(key, str) else 1
                waiting.append((held, depth + 1, length + more))
