"""MATLAB files of version 5, element by element."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

UINT8 = 9
"""The class of 8-bit numbers."""


def header(order: str = "<", version: int = 0x0100) -> bytes:
    mark = b"IM" if order == "<" else b"MI"
    return b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack(f"{order}H", version) + mark


def element(kind: int, content: bytes, order: str = "<") -> bytes:
    padded = content + bytes(-len(content) % 8)
    return struct.pack(f"{order}II", kind, len(content)) + padded


def variable(
    name: str,
    shape: Sequence[int],
    content: bytes,
    *,
    order: str = "<",
    kind: int = UINT8,
    compressed: bool = False,
) -> bytes:
    """A variable; its content need not be as long as its shape says."""
    inner = element(6, struct.pack(f"{order}II", kind, 0), order)
    inner += element(5, struct.pack(f"{order}{len(shape)}i", *shape), order)
    inner += element(1, name.encode(), order) + element(2, content, order)
    whole = struct.pack(f"{order}II", 14, len(inner)) + inner
    if not compressed:
        return whole
    packed = zlib.compress(whole, 9)
    return struct.pack(f"{order}II", 15, len(packed)) + packed
