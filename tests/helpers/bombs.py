"""Small image files that announce, or repeat, far more than they hold."""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image

from tests.helpers import pngs, tiffs

PIXEL = np.zeros((4, 4, 3), np.uint8)


def png(*chunks: pngs.Chunk) -> bytes:
    """An image of 4 x 4 with further chunks before its pixels."""
    return pngs.encode(PIXEL, 8, pngs.RGB, *chunks)


def animated_png(frames: int) -> bytes:
    """An animation that announces a number of frames."""
    return png((b"acTL", struct.pack(">II", frames, 0)))


def gif(*sizes: tuple[int, int]) -> bytes:
    """Frames of sizes (width, height) on a canvas of 4 x 4, each cleared after it was shown."""
    content = b"GIF89a" + struct.pack("<HHBBB", 4, 4, 0xF0, 0, 0) + bytes(3) + b"\xff" * 3
    for width, height in sizes:
        content += b"\x21\xf9\x04\x08\0\0\0\0\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0)
        content += b"\x02\x02\x4c\x01\0"
    return content + b";"


def webp(width: int, height: int) -> bytes:
    """An animation of one small frame on a canvas of a size."""
    stream = io.BytesIO()
    Image.new("RGB", (8, 8)).save(stream, "WEBP", lossless=True)
    sides = [(side - 1).to_bytes(3, "little") for side in (width, height)]
    frame = bytes(6) + (7).to_bytes(3, "little") * 2 + bytes(4) + stream.getvalue()[12:]
    content = b"WEBPVP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + b"".join(sides)
    content += b"ANIM" + struct.pack("<I", 6) + bytes(6)
    content += b"ANMF" + struct.pack("<I", len(frame)) + frame
    return b"RIFF" + struct.pack("<I", len(content)) + content


def jpeg(scans: int, side: int = 8) -> bytes:
    """A progressive photograph whose last scan is repeated, so that it has this number of them."""
    stream = io.BytesIO()
    Image.new("L", (side, side), 128).save(stream, "JPEG", progressive=True)
    content = stream.getvalue()
    last = content.rindex(b"\xff\xda")
    return content[:-2] + content[last:-2] * (scans - content.count(b"\xff\xda")) + b"\xff\xd9"


def tiff(pages: int, values: int) -> bytes:
    """Directories that share the values of one tag."""
    content, link = bytearray(b"II*\0" + bytes(4 + values)), 4
    for _ in range(pages):
        content[link : link + 4] = struct.pack("<L", len(content))
        content += struct.pack("<HHHLL4x", 1, 700, 1, values, 8)
        link = len(content) - 4
    return bytes(content)


def tiled_tiff(side: int) -> bytes:
    """An image of 4 x 4 in one tile that is said to be far larger."""
    content = bytearray(tiffs.encode((PIXEL, tiffs.Kind(tile=16))))
    for tag in (322, 323):
        place = content.index(struct.pack("<HHL", tag, 4, 1)) + 8
        content[place : place + 4] = struct.pack("<L", side)
    return bytes(content)


def exr(
    width: int,
    height: int,
    channels: int = 3,
    version: int = 2,
    tile: int | None = None,
) -> bytes:
    """The header of an EXR file, without pixels."""

    def attribute(name: str, kind: str, value: bytes) -> bytes:
        return f"{name}\0{kind}\0".encode() + struct.pack("<I", len(value)) + value

    names = [*"RGB", *(f"c{i}" for i in range(channels - 3))]
    kinds = b"".join(name.encode() + struct.pack("<BiIii", 0, 2, 0, 1, 1) for name in names)
    content = bytes([0x76, 0x2F, 0x31, 0x01]) + struct.pack("<I", version)
    content += attribute("channels", "chlist", kinds + b"\0")
    content += attribute("compression", "compression", b"\3")
    content += attribute("dataWindow", "box2i", struct.pack("<4i", 0, 0, width - 1, height - 1))
    if tile is not None:
        content += attribute("tiles", "tiledesc", struct.pack("<IIB", tile, tile, 0))
    return content + b"\0"
