"""The bytes of the tensors in a file of `torch.save`, and tensors as views of them.

A file since PyTorch 1.6 is a zip archive with one member for each storage. In an older one, the
bytes of all storages follow the pickles, each after its length.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, UntypedStorage

from mtd.tensor_files.archive import Archive

KINDS = {
    "Double": torch.double,
    "Float": torch.float,
    "Half": torch.half,
    "BFloat16": torch.bfloat16,
    "Long": torch.long,
    "Int": torch.int,
    "Short": torch.short,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
    "Untyped": torch.uint8,
    "ComplexDouble": torch.complex128,
    "ComplexFloat": torch.complex64,
    "QUInt8": torch.quint8,
    "QInt8": torch.qint8,
    "QInt32": torch.qint32,
    "QUInt4x2": torch.quint4x2,
    "QUInt2x4": torch.quint2x4,
}
"""Types of numbers by the names of classes of storages, without `Storage`."""

QUANTIZED = frozenset(dtype for name, dtype in KINDS.items() if name.startswith("Q"))
"""Types of quantized numbers, whose tensors are not read."""

LARGEST = 2**62
"""Numbers in a tensor, more than any memory has."""

DIMENSIONS = 64
"""Dimensions that PyTorch gives a tensor at most."""


@dataclass(frozen=True)
class StorageKind:
    """Takes the place of a class of storages."""

    dtype: torch.dtype


@dataclass(frozen=True)
class Storage:
    """Numbers of one type in memory.

    Attributes:
        memory: the bytes, which other storages may share.
        dtype: of the numbers.
        first: index of the first number.
        count: number of them.
    """

    memory: UntypedStorage
    dtype: torch.dtype
    first: int
    count: int

    def tensor(self, offset: Any, size: Any, stride: Any, dtype: Any = None) -> Tensor:
        """A view, checked against the bounds of the storage.

        Args:
            offset: index of its first number.
            size: of each dimension.
            stride: of each dimension.
            dtype: of its numbers, if it is not that of the storage.

        Raises:
            UnpicklingError: not whole numbers, or a view of more than the storage.
        """
        kind = self.dtype if dtype is None else dtype
        sizes, strides = _counts(size), _counts(stride)
        (start,) = _counts((offset,))
        if not isinstance(kind, torch.dtype) or len(sizes) != len(strides):
            raise UnpicklingError("a tensor of no type, or with other numbers of sizes and strides")
        last = sum((n - 1) * step for n, step in zip(sizes, strides, strict=True))
        first = self.first * self.dtype.itemsize // kind.itemsize + start
        count = self.count * self.dtype.itemsize // kind.itemsize
        if math.prod(sizes) and not start + last < count:
            raise UnpicklingError(f"a tensor of {start + last + 1} numbers in a storage of {count}")
        if math.prod(max(n, 1) for n in sizes) > LARGEST:
            raise UnpicklingError("a tensor larger than any memory")
        if not math.prod(sizes):
            return torch.empty(sizes, dtype=kind)
        return torch.empty(0, dtype=kind).set_(self.memory, first, sizes, strides)


def _counts(values: Any) -> tuple[int, ...]:
    """Whole numbers of 0 or more, of each dimension.

    Raises:
        UnpicklingError: anything else.
    """
    if not isinstance(values, tuple | list) or len(values) > DIMENSIONS:
        raise UnpicklingError(f"sizes that are not at most {DIMENSIONS} whole numbers")
    if not all(isinstance(one, int) and 0 <= one < LARGEST for one in values):
        raise UnpicklingError("sizes that are not whole numbers")
    return tuple(int(one) for one in values)


def _described(pid: Any, parts: Sequence[int]) -> tuple[Any, ...]:
    """A persistent id, which describes a storage."""
    if not isinstance(pid, tuple) or len(pid) not in parts or _text(pid[0]) != "storage":
        raise UnpicklingError("a persistent id that describes no storage")
    if not isinstance(pid[1], StorageKind):
        raise UnpicklingError("a storage of an unknown type")
    _counts((pid[4],))
    return pid


def _text(value: Any) -> str:
    """A word or number that a file gives as text.

    Raises:
        UnpicklingError: anything else, such as a tuple, whose text can be without end.
    """
    if not isinstance(value, str | bytes | int):
        raise UnpicklingError(f"a {type(value).__name__} in place of a name of a storage")
    return value[:80].decode("ascii", "replace") if isinstance(value, bytes) else str(value)[:80]


def memory_of(content: bytes | memoryview) -> UntypedStorage:
    """Memory that holds some bytes."""
    if not content:
        return UntypedStorage(0)
    return torch.frombuffer(bytearray(content), dtype=torch.uint8).untyped_storage()


class ZipStorages:
    """The storages of a zip archive, each read when it is first needed.

    Attributes:
        archive: that holds them.
        folder: of the archive's members.
    """

    def __init__(self, archive: Archive, folder: str) -> None:
        self.archive, self.folder = archive, folder
        self._held: dict[str, UntypedStorage] = {}
        place = f"{folder}byteorder"
        order = bytes(archive.read(place)) if place in archive else b"little"
        self.swapped = order.strip() != sys.byteorder.encode()

    def __call__(self, pid: Any) -> Storage:
        """The storage that a persistent id describes."""
        _, kind, key, _, count = _described(pid, (5,))
        name = f"data/{_text(key)}"
        if name not in self._held:
            memory = memory_of(self.archive.read(self.folder + name))
            if self.swapped and kind.dtype.itemsize > 1:
                memory.byteswap(kind.dtype)
            self._held[name] = memory
        memory = self._held[name]
        if memory.nbytes() < count * kind.dtype.itemsize:
            raise UnpicklingError(f"{name} has fewer bytes than its tensors")
        return Storage(memory, kind.dtype, 0, count)


class RowStorages:
    """The storages of a file before PyTorch 1.6, whose bytes are filled in after the object.

    Args:
        size: of the file, in which all storages are.
    """

    def __init__(self, size: int) -> None:
        self._left = size
        self._held: dict[str, tuple[UntypedStorage, int]] = {}

    def __call__(self, pid: Any) -> Any:
        """The storage that a persistent id describes; of a module, its class."""
        if isinstance(pid, tuple) and len(pid) > 1 and _text(pid[0]) == "module":
            return pid[1]
        _, kind, key, _, count, view = (*_described(pid, (5, 6)), None)[:6]
        size, name = kind.dtype.itemsize, _text(key)
        if name not in self._held:
            self._left -= count * size
            if self._left < 0:
                raise UnpicklingError("storages larger than the file")
            self._held[name] = UntypedStorage(count * size), size
        memory, first = self._held[name][0], 0
        if view is not None:
            if not isinstance(view, tuple | list) or len(view) != 3:
                raise UnpicklingError("a part of a storage that is not described")
            first, count = _counts(view[1:])
        if (first + count) * size > memory.nbytes():
            raise UnpicklingError(f"storage {name} has fewer bytes than its tensors")
        return Storage(memory, kind.dtype, first, count)

    def fill(self, stream: BytesIO, keys: Any) -> None:
        """Read the bytes of all storages.

        Args:
            stream: at the length of the first one.
            keys: of the storages, in order.

        Raises:
            UnpicklingError: one is missing, or of another length.
        """
        names = [_text(key) for key in keys] if isinstance(keys, list) else []
        if len(set(names)) < len(names) or not self._held.keys() <= set(names):
            raise UnpicklingError("bytes of storages are missing")
        for name in names:
            length = stream.read(8)
            if name not in self._held:
                raise UnpicklingError(f"storage {name} is not described")
            memory, size = self._held[name]
            content = stream.read(memory.nbytes())
            if (
                int.from_bytes(length, "little") * size != memory.nbytes()
                or len(content) < memory.nbytes()
            ):
                raise UnpicklingError(f"storage {name} is not as long as its tensors")
            if content:
                memory.copy_(memory_of(content))
