"""Netpbm files: PBM, PGM and PPM, plain and raw, of 1 to 16 bits.

Pillow reduces 16-bit PPM to 8 bits, and the libvips of pyvips cannot read the format.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mtd.utils.errors import BadInput

MARK = re.compile(rb"P[1-6][\s#]")
"""The first bytes of a file."""

BETWEEN = 64
"""Bytes after a raw image in which another one may begin, behind white space."""

BITMAP, GRAY = 1, 2
LARGEST = 65535


@dataclass(frozen=True)
class Raster:
    """One of the images of a file.

    Attributes:
        plain: whether its values are decimal digits.
        kind: 1 a bitmap, 2 gray, 3 RGB.
        height: in pixels.
        width: in pixels.
        top: the value of white.
        offset: of its first value in the file.
    """

    plain: bool
    kind: int
    height: int
    width: int
    top: int
    offset: int

    @property
    def depth(self) -> int:
        """Bits per channel once read, 8 or 16."""
        return 8 if self.top < 256 else 16

    @property
    def length(self) -> int:
        """Bytes of a raw raster."""
        if self.kind == BITMAP:
            return self.height * ((self.width + 7) // 8)
        return self.height * self.width * (1 if self.kind == GRAY else 3) * (self.depth // 8)


def rasters(path: Path) -> list[Raster]:
    """The images of a file; raw files may hold several.

    Raises:
        BadInput: a damaged header.
    """
    found: list[Raster] = []
    with path.open("rb") as file:
        end = file.seek(0, 2)
        file.seek(0)
        while not found or (not found[-1].plain and file.tell() < end):
            here, head = file.tell(), file.read(BETWEEN)
            start = head.lstrip()
            if found and not MARK.match(start):
                break
            file.seek(here + len(head) - len(start))
            found.append(_header(file))
            file.seek(found[-1].offset + found[-1].length)
    return found


def _header(file: BinaryIO) -> Raster:
    number = int(file.read(2)[1:])
    kind = (number - 1) % 3 + 1
    width, height, *white = (_word(file) for _ in range(2 if kind == BITMAP else 3))
    top = white[0] if white else 1
    if not (width and height and 0 < top <= LARGEST):
        raise BadInput("damaged header")
    return Raster(number < 4, kind, height, width, top, file.tell())


def _word(file: BinaryIO) -> int:
    """The next number of a header, and the one byte of white space behind it."""
    word = b""
    while True:
        byte = file.read(1)
        if byte == b"#":
            while byte not in (b"\n", b"\r", b""):
                byte = file.read(1)
        if byte.isdigit() and len(word) < 9:
            word += byte
        elif not byte.isspace():
            raise BadInput("damaged header")
        elif word:
            return int(word)


def pixels(path: Path, raster: Raster) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """(H, W, 1 or 3) of 8 or 16 bits; other depths are scaled, so that white is the largest value.

    Raises:
        BadInput: too few values, one above white, or a plain file that holds anything else.
    """
    with path.open("rb") as file:
        file.seek(raster.offset)
        content = file.read() if raster.plain else file.read(raster.length)
    values: NDArray[Any] = (_plain if raster.plain else _raw)(content, raster)
    channels = 3 if raster.kind == 3 else 1
    count = raster.height * raster.width * channels
    if len(values) < count:
        raise BadInput(f"damaged image ({len(values)} of {count} values)")
    values = values[:count].reshape(raster.height, raster.width, channels)
    if values.max() > raster.top:
        raise BadInput(f"damaged image (a value above {raster.top})")
    full = 2**raster.depth - 1
    if raster.top != full:
        values = (values.astype(np.int64) * full + raster.top // 2) // raster.top
    if raster.kind == BITMAP:
        values = full - values  # 1 is black
    return values.astype(np.uint8) if raster.depth == 8 else values.astype(np.uint16)


def _raw(content: bytes, raster: Raster) -> NDArray[Any]:
    """The numbers of a raw raster, as many as there are."""
    if raster.kind == BITMAP:  # each row is padded to whole bytes
        row = (raster.width + 7) // 8
        rows = np.frombuffer(content[: len(content) // row * row], np.uint8).reshape(-1, row)
        return np.unpackbits(rows, axis=1)[:, : raster.width].ravel()
    size = raster.depth // 8
    return np.frombuffer(content[: len(content) // size * size], f">u{size}")


def _plain(content: bytes, raster: Raster) -> NDArray[Any]:
    """The numbers of a plain raster, which is all of a file; a bitmap needs no space between them.

    Raises:
        BadInput: anything but numbers, comments and white space, or more numbers than pixels need.
    """
    content = re.sub(rb"#[^\r\n]*", b"", content)
    bitmap = raster.kind == BITMAP
    wrong = re.search(rb"[^01\s]" if bitmap else rb"\S*[^\d\s]\S*|\d{18,}", content)
    if wrong:
        shown = wrong[0][:20].decode("ascii", "replace")
        what = "0 or 1" if bitmap else f"whole numbers up to {raster.top}"
        raise BadInput(f"damaged image ({shown!r} in a plain file: expected {what})")
    words = re.findall(rb"\d", content) if bitmap else content.split()
    count = raster.height * raster.width * (3 if raster.kind == 3 else 1)
    if len(words) > count:
        raise BadInput(f"damaged image ({len(words)} values; its size needs {count})")
    return np.array([int(word) for word in words], np.int64)
