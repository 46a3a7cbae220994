"""PNG files of any kind of pixels, written chunk by chunk."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

GRAY, RGB, PALETTE, GRAY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
"""Color types."""

Chunk = tuple[bytes, bytes]


def encode(
    samples: NDArray[np.generic],
    bits: int,
    color: int,
    *chunks: Chunk,
    late: tuple[Chunk, ...] = (),
) -> bytes:
    """A file of samples (H, W, C).

    Args:
        samples: as they are stored.
        bits: of a sample: 1, 2, 4, 8 or 16.
        color: color type.
        chunks: before the pixels.
        late: chunks after the pixels.
    """
    height, width = samples.shape[:2]
    rows = samples.reshape(height, -1)
    if bits < 8:
        digits = np.unpackbits(rows.astype(np.uint8)[..., None], axis=2)[..., -bits:]
        packed = np.packbits(digits.reshape(height, -1), axis=1)
    else:
        packed = rows.astype(f">u{bits // 8}")
    pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in packed))
    content = b"\x89PNG\r\n\x1a\n"
    for name, part in (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)),
        *chunks,
        (b"IDAT", pixels),
        *late,
        (b"IEND", b""),
    ):
        content += struct.pack(">I", len(part)) + name + part
        content += struct.pack(">I", zlib.crc32(name + part))
    return content
