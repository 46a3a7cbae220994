"""The parts of PNG, JPEG and GIF files: chunks, segments and blocks, in one pass over the file.

Pillow keeps some of them, and takes longer to read one than an attacker to write it. They are
counted before it opens a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import IO

from mtd.utils import input_files, limits
from mtd.utils.limits import Limit

PNG, JPEG, GIF = b"\x89PNG\r\n\x1a\n", b"\xff\xd8", b"GIF8"
"""How the files begin."""

MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""A marker of JPEG; within pixels, 0xff is followed by 0, by another 0xff, or restarts them."""

START, END, SCAN = 0xD8, 0xD9, 0xDA
FRAME, EXTENSION = 0x2C, 0x21

BLOCK = 2**16
"""Bytes that are searched for a marker at once, at most."""


class Content:
    """The bytes of a file, of which few are read; not mapped, since the file may be cut short."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file

    def __getitem__(self, place: slice) -> bytes:
        self.file.seek(place.start)
        return self.file.read(place.stop - place.start)

    def marker(self, place: int) -> int | None:
        """Where the next marker of JPEG begins."""
        size = 2  # most follow at once
        while block := self[place : place + size]:
            if found := MARKER.search(block):
                return place + found.start()
            if len(block) < size:
                return None
            place, size = place + size - 1, min(max(2 * size, 64), BLOCK)
        return None


@contextmanager
def content(path: Path) -> Iterator[Content]:
    """The bytes of a file, read when they are needed.

    Raises:
        BadInput: no regular file.
    """
    with input_files.opened(path) as file:
        yield Content(file)


def check(path: Path, start: bytes) -> None:
    """Check that a file does not have more parts than the limits.

    Args:
        path: of the file.
        start: its first bytes; of other formats nothing is checked.

    Raises:
        BadInput: it has.
    """
    if start.startswith(PNG):
        with content(path) as file:
            names = (name for name, _, _ in chunks(file))
            _count((name for name in names if name not in (b"IDAT", b"fdAT")), limits.PARTS)
    elif start.startswith(JPEG):
        with content(path) as file:
            _count(takewhile(lambda kind: kind != SCAN, segments(file)), limits.PARTS)
    elif start.startswith(GIF):
        with content(path) as file:
            _count(blocks(file), limits.PARTS)
        with content(path) as file:
            _count((kind for kind in blocks(file) if kind == FRAME), limits.PAGES)


def _count(parts: Iterator[object], limit: Limit) -> None:
    most = limit.value
    for count, _ in enumerate(parts, 1):
        if count > most:
            limit.check(count, "an image file")


def chunks(content: Content) -> Iterator[tuple[bytes, int, int]]:
    """The chunks of a PNG file: name, place and length of what is in it."""
    place = len(PNG)
    while len(head := content[place : place + 8]) == 8 and head[4:] != b"IEND":
        length = int.from_bytes(head[:4], "big")
        yield head[4:], place + 8, length
        place += length + 12


def exif(path: Path) -> bytes | None:
    """The EXIF block of a PNG file, wherever it is; Pillow's header ends at the first pixels."""
    with content(path) as file:
        found = next((chunk for chunk in chunks(file) if chunk[0] == b"eXIf"), None)
        return found and file[found[1] : found[1] + found[2]]


def segments(content: Content) -> Iterator[int]:
    """The markers of a JPEG file, those of the images after the first one included."""
    place = 0
    while (marker := content.marker(place)) is not None:
        place = marker + 2
        (kind,) = content[marker + 1 : place]
        yield kind
        if kind not in (START, END):
            place += int.from_bytes(content[place : place + 2], "big")


def scans(path: Path, frame: int = 0) -> int:
    """The scans of a JPEG file up to the end of a frame; a progressive image has about ten.

    Each of them passes over the whole image. Thumbnails, which are in a segment, do not count.
    """
    found = ends = 0
    with content(path) as file:
        for kind in segments(file):
            found, ends = found + (kind == SCAN), ends + (kind == END)
            if ends > frame:
                break
    return found


def blocks(content: Content) -> Iterator[int]:
    """The kinds of the blocks of a GIF file: frames, extensions and what is neither."""
    screen = content[0:13]
    place = 13 + _colors(screen[10:])
    while kind := content[place : place + 1]:
        if kind == b";":
            return
        yield kind[0]
        if kind[0] == FRAME:
            place += 11 + _colors(content[place + 9 : place + 10])
        elif kind[0] == EXTENSION:
            place += 2
        else:
            place += 1
            continue
        while size := content[place : place + 1]:
            place += 1 + size[0]
            if not size[0]:
                break


def _colors(flags: bytes) -> int:
    """Bytes of a table of colors that flags announce."""
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 128 else 0
