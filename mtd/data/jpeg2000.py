"""JPEG 2000 files: which of them Pillow decodes exactly.

Colors of more than 8 bits it truncates to 8; other color spaces it takes for RGB.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path

from mtd.utils.errors import BadInput

CODESTREAM = b"\xff\x4f\xff\x51"
"""Start of the code stream, whose first segment gives the depth of each channel."""

SRGB, GRAY = 16, 17
"""Enumerated color spaces."""


def check(path: Path) -> None:
    """Check that a file holds gray or RGB in 8 bits, with or without alpha.

    Raises:
        BadInput: something else.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content.find(CODESTREAM)
        boxes = content[:start] if start >= 0 else b""
        count = struct.unpack(">H", content[start + 40 : start + 42])[0] if start >= 0 else 0
        channels = content[start + 42 : start + 42 + 3 * count]
    if not channels or len(channels) < 3 * count:
        raise BadInput("damaged image (no code stream)")
    if any(sign_and_depth != 7 for sign_and_depth in channels[::3]):
        depth = max(value & 0x7F for value in channels[::3]) + 1
        raise BadInput(f"JPEG 2000 of {depth} bits; convert it to PNG or TIFF first")
    if any(step != 1 for step in channels[1::3] + channels[2::3]) or not _plain(boxes):
        raise BadInput("JPEG 2000 with other colors than gray or RGB; convert it to RGB first")


def _plain(boxes: bytes) -> bool:
    """Whether the boxes before the code stream say that its channels are gray or RGB."""
    if b"pclr" in boxes:
        return False
    place = boxes.find(b"colr")
    if place < 0:
        return True  # a bare code stream, gray or RGB by convention
    method = boxes[place + 4]
    if method == 1:
        return int.from_bytes(boxes[place + 7 : place + 11], "big") in (SRGB, GRAY)
    return boxes[place + 7 + 16 : place + 7 + 20] in (b"RGB ", b"GRAY")
