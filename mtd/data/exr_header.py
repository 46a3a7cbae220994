"""Headers of OpenEXR files: size and channels, and what decoding them takes.

OpenEXR allocates all channels of all parts, and a table of places that the header's size decides,
before it notices that the file is too short for them.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mtd.utils import input_files, limits
from mtd.utils.errors import BadInput

MAGIC = bytes([0x76, 0x2F, 0x31, 0x01])

DEEP, PARTS = 0x800, 0x1000
"""Flags of the version."""

BYTES = {0: 4, 1: 2, 2: 4}
"""Of a value by its type: whole numbers, half, float."""

ROWS = {3: 16, 4: 32, 5: 16, 6: 32, 7: 32, 8: 32, 9: 256}
"""Rows of a chunk by compression; 1 for the others."""

LONGEST = 2**24
"""Bytes of a header."""

TABLE = 8
"""Bytes of a chunk's place."""


@dataclass(frozen=True)
class Part:
    """One of the images of a file.

    Attributes:
        height: in pixels.
        width: in pixels.
        decoded: bytes of all channels.
        chunks: number of rows or tiles that are stored together, without smaller versions.
    """

    height: int
    width: int
    decoded: int
    chunks: int


def check(path: Path) -> None:
    """Check that a file can be opened without more memory than the limits.

    Raises:
        BadInput: no regular file, no OpenEXR file, a damaged header, values of variable number
            ("deep"), or an image above a limit.
    """
    with input_files.opened(path) as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise BadInput(f"{path}: not an EXR file")
        try:
            found = list(_parts(file))
        except BadInput as error:
            raise BadInput(f"{path}: {error}") from None
        except (struct.error, ValueError, LookupError):
            raise BadInput(f"{path}: damaged EXR file (its header cannot be read)") from None
        end = os.fstat(file.fileno()).st_size
    for part in found:
        size = f"{path}: {part.height} x {part.width} (height x width)"
        limits.MEGAPIXELS.check(part.height * part.width / 1e6, size)
    limits.DECODED_GIB.check(sum(part.decoded for part in found) / 2**30, f"{path}: all channels")
    if sum(part.chunks for part in found) * TABLE > end:
        raise BadInput(f"{path}: damaged EXR file (it is too short for its size)")


def _parts(file: IO[bytes]) -> Iterator[Part]:
    (version,) = struct.unpack("<I", file.read(4))
    if version & DEEP:
        raise BadInput("a deep EXR file; expected one value of each channel in a pixel")
    content = file.read(LONGEST)
    place = 0
    while True:
        attributes, place = _attributes(content, place)
        if not attributes:
            break
        yield _part(attributes)
        if not version & PARTS:
            break


def _attributes(content: bytes, place: int) -> tuple[dict[bytes, bytes], int]:
    """The attributes of a header by name, and the place behind it."""
    found: dict[bytes, bytes] = {}
    while name := _word(content, place):
        kind = _word(content, place := place + len(name) + 1)
        place += len(kind) + 1
        (size,) = struct.unpack_from("<I", content, place)
        found[name] = content[place + 4 : place + 4 + size]
        place += 4 + size
    return found, place + 1


def _word(content: bytes, place: int) -> bytes:
    """The text up to the next zero."""
    return content[place : content.index(b"\0", place)]


def _part(attributes: Mapping[bytes, bytes]) -> Part:
    left, top, right, bottom = struct.unpack("<4i", attributes[b"dataWindow"])
    height, width = bottom - top + 1, right - left + 1
    if min(height, width) < 1:
        raise BadInput("damaged EXR file (its size is not above 0)")
    if tiles := attributes.get(b"tiles"):
        across, down = struct.unpack_from("<II", tiles)
        chunks = -(-width // across) * -(-height // down) if across and down else 0
        limits.MEGAPIXELS.check(across * down / 1e6, f"tiles of {down} x {across}")
    else:
        chunks = -(-height // ROWS.get(attributes[b"compression"][0], 1))
    return Part(height, width, _decoded(attributes[b"channels"], height, width), chunks)


def _decoded(channels: bytes, height: int, width: int) -> int:
    """Bytes of the values of all channels."""
    total = place = 0
    while name := _word(channels, place):
        place += len(name) + 1
        kind, _, across, down = struct.unpack_from("<iIii", channels, place)
        if min(across, down) < 1:
            raise BadInput("damaged EXR file (a channel with no pixels)")
        total += -(-height // down) * -(-width // across) * BYTES[kind]
        place += 16
    return total
