"""Netpbm files: PBM, PGM and PPM, plain and raw, of 1 to 16 bits.

Pillow reduces 16-bit PPM to 8 bits, and the libvips of pyvips cannot read the format.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from mtd.utils import input_files, limits
from mtd.utils.errors import BadInput

MARK = re.compile(rb"P[1-6][\s#]")
"""The first bytes of a file."""

BETWEEN = 64
"""Bytes after a raw image in which another one may begin, behind white space."""

HEADER = 2**20
"""Bytes of a header, comments included."""

DIGITS = 20
"""Bytes of a value of a plain file and the space behind it, on average; most have 4 to 6."""

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
    def count(self) -> int:
        """Number of values."""
        return self.height * self.width * (3 if self.kind == 3 else 1)

    @property
    def length(self) -> int:
        """Bytes of a raw raster."""
        if self.kind == BITMAP:
            return self.height * ((self.width + 7) // 8)
        return self.count * (self.depth // 8)


def rasters(path: Path) -> list[Raster]:
    """The images of a file; raw files may hold several.

    Raises:
        BadInput: a damaged header, or more images than the limit.
    """
    found: list[Raster] = []
    with input_files.opened(path) as file:
        end = file.seek(0, 2)
        file.seek(0)
        while not found or (not found[-1].plain and file.tell() < end):
            here, head = file.tell(), file.read(BETWEEN)
            start = head.lstrip()
            if found and not MARK.match(start):
                break
            limits.PAGES.check(len(found) + 1, "an image file")
            file.seek(here + len(head) - len(start))
            found.append(_header(file))
            file.seek(found[-1].offset + found[-1].length)
    return found


def _header(file: IO[bytes]) -> Raster:
    end = file.tell() + HEADER
    number = int(file.read(2)[1:])
    kind = (number - 1) % 3 + 1
    width, height, *white = (_word(file, end) for _ in range(2 if kind == BITMAP else 3))
    top = white[0] if white else 1
    if not (width and height and 0 < top <= LARGEST):
        raise BadInput("damaged header")
    return Raster(number < 4, kind, height, width, top, file.tell())


def _word(file: IO[bytes], end: int) -> int:
    """The next number of a header before a place, and the one byte of white space behind it."""
    word = b""
    while file.tell() < end:
        byte = file.read(1)
        if byte == b"#":
            while byte not in (b"\n", b"\r", b"") and file.tell() < end:
                byte = file.read(1)
        if byte.isdigit() and len(word) < 9:
            word += byte
        elif not byte.isspace():
            raise BadInput("damaged header")
        elif word:
            return int(word)
    raise BadInput(f"damaged header (more than {HEADER} bytes)")


def pixels(path: Path, raster: Raster) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """(H, W, 1 or 3) of 8 or 16 bits; other depths are scaled, so that white is the largest value.

    Raises:
        BadInput: too few values, one above white, or a plain file that holds anything else.
    """
    length = raster.count * DIGITS + HEADER if raster.plain else raster.length
    with input_files.opened(path) as file:
        file.seek(raster.offset)
        content = file.read(length)
        if raster.plain and file.read(1):
            raise BadInput(f"damaged image (more than {length} bytes for {raster.count} values)")
    values: NDArray[Any] = (_plain if raster.plain else _raw)(content, raster)
    if len(values) < raster.count:
        raise BadInput(f"damaged image ({len(values)} of {raster.count} values)")
    values = values[: raster.count].reshape(raster.height, raster.width, -1)
    if values.max() > raster.top:
        raise BadInput(f"damaged image (a value above {raster.top})")
    full = 2**raster.depth - 1
    if raster.top != full:
        scaled = (np.arange(raster.top + 1) * full + raster.top // 2) // raster.top
        scaled = full - scaled if raster.kind == BITMAP else scaled  # 1 is black
        values = scaled.astype(np.uint8 if raster.depth == 8 else np.uint16)[values]
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
    if content.translate(None, b"01 \t\n\r\f\v" if bitmap else b"0123456789 \t\n\r\f\v"):
        wrong = re.search(rb"[^01\s]" if bitmap else rb"\d{0,9}[^\d\s]\S*", content)
    else:
        wrong = None if bitmap else re.search(rb"\d{18,}", content)
    if wrong:
        shown = wrong[0][:20].decode("ascii", "replace")
        what = "0 or 1" if bitmap else f"whole numbers up to {raster.top}"
        raise BadInput(f"damaged image ({shown!r} in a plain file: expected {what})")
    if bitmap:
        digits = np.frombuffer(content, np.uint8)
        values = digits[digits >= ord("0")] - ord("0")
    else:
        text = content.decode("ascii").strip()
        values = np.fromstring(text, np.int64, sep=" ") if text else np.empty(0, np.int64)
    if len(values) > raster.count:
        raise BadInput(f"damaged image ({len(values)} values; its size needs {raster.count})")
    return values
