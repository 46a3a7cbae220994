"""TIFF files of any kind of pixels, written byte by byte from the specification (TIFF 6.0)."""

from __future__ import annotations

import lzma
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8
"""Photometric interpretations."""

NONE, LZW, DEFLATE, PACKBITS, LZMA = 1, 5, 8, 32773, 34925
"""Compressions."""

SHORT, LONG = 3, 4


@dataclass(frozen=True)
class Kind:
    """How the pixels of a page are stored.

    Attributes:
        photometric: what the samples mean.
        bits: of a sample; 1, 2, 4, 8, 16 or 32.
        compression: of strips or tiles.
        planar: each channel in strips or tiles of its own.
        tile: side of a tile, a multiple of 16; 0 for strips of 16 rows.
        order: of bytes, `<` or `>`.
        sample_format: 1 whole numbers, 2 signed ones, 3 real numbers.
        extra: what the samples after the colors are; 2 is alpha, 1 premultiplied alpha.
        orientation: 1 to 8; 0 for no such tag.
        reduced: a smaller version of another page.
        below: other directories are below it.
        colormap: (2^bits, 3) of 16 bits, for a palette.
    """

    photometric: int = RGB
    bits: int = 8
    compression: int = NONE
    planar: bool = False
    tile: int = 0
    order: str = "<"
    sample_format: int = 1
    extra: tuple[int, ...] = ()
    orientation: int = 0
    reduced: bool = False
    below: bool = False
    colormap: NDArray[np.uint16] | None = None


def encode(*pages: tuple[NDArray[np.generic], Kind]) -> bytes:
    """A file of one or more pages, each of samples (H, W, C) and their kind."""
    order = pages[0][1].order
    mark = b"II" if order == "<" else b"MM"
    content = bytearray(mark + struct.pack(f"{order}HL", 42, 0))
    link = 4  # where the offset of the next directory belongs
    for samples, kind in pages:
        blocks = [_compressed(block, kind.compression) for block in _blocks(samples, kind)]
        places = []
        for block in blocks:
            places.append(len(content))
            content += block + b"\0" * (len(block) % 2)
        entries = _tags(samples, kind, places, [len(block) for block in blocks])
        link = _directory(content, entries, order, link)
    return bytes(content)


def _directory(
    content: bytearray, entries: dict[int, tuple[int, Sequence[int]]], order: str, link: int
) -> int:
    """Append a directory; the place of its link to the next one."""
    rows = b""
    for tag, (kind, values) in sorted(entries.items()):
        packed = struct.pack(f"{order}{len(values)}{'H' if kind == SHORT else 'L'}", *values)
        if len(packed) > 4:
            place = len(content)
            content += packed + b"\0" * (len(packed) % 2)
            packed = struct.pack(f"{order}L", place)
        rows += struct.pack(f"{order}HHL", tag, kind, len(values)) + packed.ljust(4, b"\0")
    content[link : link + 4] = struct.pack(f"{order}L", len(content))
    content += struct.pack(f"{order}H", len(entries)) + rows + b"\0\0\0\0"
    return len(content) - 4


def _tags(
    samples: NDArray[np.generic], kind: Kind, places: Sequence[int], lengths: Sequence[int]
) -> dict[int, tuple[int, Sequence[int]]]:
    height, width, channels = samples.shape
    tags: dict[int, tuple[int, Sequence[int]]] = {
        256: (LONG, [width]),
        257: (LONG, [height]),
        258: (SHORT, [kind.bits] * channels),
        259: (SHORT, [kind.compression]),
        262: (SHORT, [kind.photometric]),
        277: (SHORT, [channels]),
        284: (SHORT, [2 if kind.planar else 1]),
        339: (SHORT, [kind.sample_format] * channels),
    }
    if kind.tile:
        tags |= {322: (LONG, [kind.tile]), 323: (LONG, [kind.tile])}
        tags |= {324: (LONG, places), 325: (LONG, lengths)}
    else:
        tags |= {273: (LONG, places), 278: (LONG, [16]), 279: (LONG, lengths)}
    if kind.extra:
        tags[338] = (SHORT, kind.extra)
    if kind.reduced:
        tags[254] = (LONG, [1])
    if kind.below:
        tags[330] = (LONG, [8])
    if kind.orientation:
        tags[274] = (SHORT, [kind.orientation])
    if kind.colormap is not None:
        tags[320] = (SHORT, [int(value) for value in kind.colormap.T.ravel()])
    if kind.photometric == YCBCR:
        tags[530] = (SHORT, [1, 1])
    return tags


def _blocks(samples: NDArray[np.generic], kind: Kind) -> list[bytes]:
    """Strips or tiles, in the order of the file."""
    if kind.planar:
        one = replace(kind, planar=False)
        channels = range(samples.shape[2])
        return [block for c in channels for block in _blocks(samples[..., c : c + 1], one)]
    height, width = samples.shape[:2]
    if not kind.tile:
        return [_packed(samples[top : top + 16], kind) for top in range(0, height, 16)]
    side = kind.tile
    padded = np.pad(samples, ((0, -height % side), (0, -width % side), (0, 0)), mode="edge")
    return [
        _packed(padded[top : top + side, left : left + side], kind)
        for top in range(0, height, side)
        for left in range(0, width, side)
    ]


def _packed(samples: NDArray[np.generic], kind: Kind) -> bytes:
    """Rows of samples, each row padded to whole bytes."""
    if kind.sample_format == 3:
        return samples.astype(f"{kind.order}f{kind.bits // 8}").tobytes()
    if kind.bits >= 8:
        letter = "i" if kind.sample_format == 2 else "u"
        return samples.astype(f"{kind.order}{letter}{kind.bits // 8}").tobytes()
    rows = samples.reshape(samples.shape[0], -1).astype(np.uint8)
    digits = np.unpackbits(rows[..., None], axis=2)[..., -kind.bits :]
    return np.packbits(digits.reshape(rows.shape[0], -1), axis=1).tobytes()


def _compressed(block: bytes, compression: int) -> bytes:
    if compression == DEFLATE:
        return zlib.compress(block)
    if compression == LZMA:
        return lzma.compress(block)
    if compression == PACKBITS:  # runs of literal bytes
        parts = [block[i : i + 128] for i in range(0, len(block), 128)]
        return b"".join(bytes([len(part) - 1]) + part for part in parts)
    if compression == LZW:  # literal codes of 9 bits; the table is cleared before they grow
        codes = []
        for i in range(0, len(block), 200):
            codes += [256, *block[i : i + 200]]
        digits = np.unpackbits(np.array([*codes, 257], ">u2").view(np.uint8).reshape(-1, 2), axis=1)
        return np.packbits(digits[:, -9:]).tobytes()
    return block
