"""MATLAB files of versions 5 to 7: which variables they hold, and the pixels of 8-bit ones.

Nothing but headers and 8-bit numbers is read, so that no file makes objects, or takes more memory
than the pixels that it announces. SciPy reads everything, by code that a damaged file can crash.

Reference: The MathWorks, MAT-File Format, version 7.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from mtd.utils import input_files, limits
from mtd.utils.errors import BadInput
from mtd.utils.limits import AboveLimit

START = 128
"""Bytes before the first variable."""

INT8, UINT8, INT32, UINT32, MATRIX, COMPRESSED = 1, 2, 5, 6, 14, 15
"""Types of elements."""

CLASSES: dict[int, str] = dict(
    enumerate(
        (
            *("cell", "struct", "object", "char", "sparse", "double", "single", "int8", "uint8"),
            *("int16", "uint16", "int32", "uint32", "int64", "uint64", "function", "opaque"),
        ),
        1,
    )
)
LOGICAL, COMPLEX = 0x200, 0x800
"""Flags of a variable."""

LONGEST = 4096
"""Bytes of a variable's sizes, or of its name."""

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Variable:
    """A variable of a file.

    Attributes:
        name: its name; empty for objects, which are stored in another way, and their data.
        shape: its sizes.
        kind: as MATLAB calls it.
        place: of its element in the file.
    """

    name: str
    shape: Shape
    kind: str
    place: int


def variables(path: Path) -> dict[str, Variable]:
    """The named variables of a file, without their values.

    Raises:
        BadInput: no regular file, no MATLAB file, one of another version, a damaged one, or one
            with more variables than the limit.
    """
    found: dict[str, Variable] = {}
    with _opened(path) as (file, order):
        end, place, count = os.fstat(file.fileno()).st_size, START, 0
        while place < end:
            count += 1
            limits.MAT_VARIABLES.check(count, "a MATLAB file")
            stream, after = _element(file, order, place, end)
            one = _header(stream, order, place)
            found[one.name], place = one, after
    return {name: one for name, one in found.items() if name}


def pixels(path: Path, variable: Variable) -> NDArray[np.uint8]:
    """The values of a variable of 8-bit numbers.

    Raises:
        BadInput: more than the limit, a damaged file, or one that has changed since.
    """
    size = prod(variable.shape)
    limits.DECODED_GIB.check(size / 2**30, f"{path}: {variable.name}")
    with _opened(path) as (file, order):
        end = os.fstat(file.fileno()).st_size
        stream, _ = _element(file, order, variable.place, end)
        if _header(stream, order, variable.place) != variable:
            raise BadInput("the file has changed")
        kind, length, few = _tag(stream, order)
        if (kind, length) != (UINT8, size):
            raise BadInput(f"{length} bytes of type {kind} for {size} pixels")
        values = np.frombuffer(few, np.uint8) if few else np.empty(size, np.uint8)
        if not few and _filled(stream, values.data) < size:
            raise BadInput("it ends within its pixels")
    return values.reshape(variable.shape, order="F")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[bytes], str]]:
    """A file, and the order of its bytes, as `struct` has it."""
    with input_files.opened(path) as file:
        start = file.read(START)
        order = {b"IM": "<", b"MI": ">"}.get(start[126:])
        if order is None and len(start) >= 4 and 0 in start[:4]:
            raise BadInput(f"{path}: not a MATLAB file that can be read (version 4, or damaged)")
        if order is None:
            raise BadInput(f"{path}: not a MATLAB file that can be read (no header of version 5)")
        if struct.unpack(f"{order}H", start[124:126])[0] >> 8 != 1:
            raise BadInput(f"{path}: MATLAB 7.3 file; save it in version 7 (save -v7)")
        try:
            yield file, order
        except AboveLimit as error:
            raise AboveLimit(f"{path}: {error}") from None
        except BadInput as error:
            raise BadInput(f"{path}: damaged MATLAB file: {error}") from None
        except (zlib.error, struct.error, OSError) as error:
            raise BadInput(f"{path}: damaged MATLAB file ({error})") from None


def _element(file: IO[bytes], order: str, place: int, end: int) -> tuple[IO[bytes], int]:
    """The content of a variable's element, and the place of the next one."""
    file.seek(place)
    kind, length, _ = _tag(file, order)
    after = place + 8 + length
    if after > end or kind not in (MATRIX, COMPRESSED):
        raise BadInput(f"no variable at byte {place}" if after <= end else "it is cut short")
    if kind == MATRIX:
        return file, after
    stream = io.BufferedReader(_Inflated(file, length))
    if _tag(stream, order)[0] != MATRIX:
        raise BadInput(f"no variable at byte {place}")
    return stream, after


def _header(stream: IO[bytes], order: str, place: int) -> Variable:
    """The header of a variable, behind the tag of its element."""
    kind, length, few = _tag(stream, order)
    flags = few or _content(stream, length)
    if kind != UINT32 or len(flags) < 8:
        raise BadInput(f"no variable at byte {place}")
    (word,) = struct.unpack_from(f"{order}I", flags)
    name = CLASSES.get(word & 0xFF, "of an unknown class")
    if name == "opaque":
        return Variable("", (), name, place)
    kind, length, few = _tag(stream, order)
    sizes = few or _content(stream, length)
    shape = struct.unpack(f"{order}{len(sizes) // 4}i", sizes)
    _, length, few = _tag(stream, order)
    called = (few or _content(stream, length)).decode("latin-1")
    if kind not in (INT32, UINT32) or len(shape) < 2 or min(shape) < 0:
        raise BadInput(f"the variable at byte {place} has no sizes")
    name = "logical" if word & LOGICAL else f"complex {name}" if word & COMPLEX else name
    return Variable(called, shape, name, place)


def _tag(stream: IO[bytes], order: str) -> tuple[int, int, bytes]:
    """Type and length of an element, and its content if that is in the tag."""
    tag = stream.read(8)
    kind, length = struct.unpack(f"{order}II", tag)
    if kind >> 16:  # at most four bytes
        return kind & 0xFFFF, kind >> 16, tag[4 : 4 + (kind >> 16)]
    return kind, length, b""


def _content(stream: IO[bytes], length: int) -> bytes:
    """The content of a short element, whose end is padded."""
    if length > LONGEST:
        raise BadInput(f"a header of {length} bytes")
    return stream.read(length + -length % 8)[:length]


def _filled(stream: IO[bytes], view: memoryview) -> int:
    """How much of some memory is filled by what is left of a stream."""
    place = 0
    while block := stream.read(min(len(view) - place, 2**20)):
        view[place : place + len(block)] = block
        place += len(block)
    return place


class _Inflated(io.RawIOBase):
    """What a compressed element holds, inflated as far as it is read."""

    def __init__(self, file: IO[bytes], length: int) -> None:
        self.file, self.left, self.inflate = file, length, zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, view: memoryview) -> int:  # type: ignore[override]
        while not self.inflate.eof:
            block = self.inflate.unconsumed_tail
            if not block:
                block = self.file.read(min(self.left, 2**16))
                self.left -= len(block)
                if not block:
                    break
            if inflated := self.inflate.decompress(block, len(view)):
                view[: len(inflated)] = inflated
                return len(inflated)
        return 0
