"""TIFF directories: which pages a file has, and which of them can be read rightly, by what.

Pillow and libvips both read some kinds of TIFF wrongly without an error: Pillow truncates 16-bit
colors and leaves 16-bit white-is-zero inverted, libvips mixes up channels in separate planes and
takes YCbCr for RGB. Each kind is read by a library that reads it rightly, or refused.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO, Any, Literal

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from mtd.utils import input_files, limits
from mtd.utils.errors import BadInput

MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""The first bytes of a file."""

REDUCED = 0b101
"""Bits of a page's kind: a smaller version of another page, or a mask."""

TILE = 322, 323
"""The tags of the width and height of tiles."""

BELOW = 330
"""The tag of directories below a page."""

WHITE_IS_ZERO, RGB, PALETTE, YCBCR, JPEG = 0, 2, 3, 6, 7
COLORS = {0: 1, 1: 1, 2: 3, 3: 1, 6: 3}
"""Samples of a pixel by photometric interpretation, without alpha."""

REFUSED = {4: "a mask", 5: "CMYK", 8: "CIELab", 9: "ICCLab", 10: "ITULab", 32803: "raw sensor data"}

COMPRESSIONS = dict.fromkeys((33003, 33004, 33005, 34712), "JPEG 2000") | {
    6: "JPEG as TIFF 6.0 had it first",
    32809: "ThunderScan",
    34887: "LERC",
    34892: "lossy JPEG of DNG",
    34925: "LZMA",
    50000: "Zstandard",
    50002: "JPEG XL",
}
"""Names of compressions that not every library decodes, by the value of their tag."""

LZMA, ZSTANDARD, WEBP = 34925, 50000, 50001
BY_BOTH = frozenset({1, 2, 3, 4, 5, JPEG, 8, 32773, 32946})

Library = Literal["Pillow", "libvips"]

DECODED: dict[Library, frozenset[int]] = {
    "Pillow": BY_BOTH | {LZMA, ZSTANDARD},
    "libvips": BY_BOTH | {WEBP},
}
"""The compressions that the published builds of each library decode."""

SIZES = {1: 1, 2: 1, 6: 1, 7: 1, 3: 2, 8: 2, 4: 4, 9: 4, 11: 4, 13: 4, 5: 8, 10: 8, 12: 8, 16: 8}
"""Bytes of a value by its type."""


def directories(path: Path) -> list[ImageFileDirectory_v2]:
    """The tags of every directory of a file, in order.

    Raises:
        BadInput: a directory, or a value of its tags, is not complete; directories overlap, or
            share values; or there are more than the limit.
    """
    with input_files.opened(path) as file:
        start = file.read(16)
        start = start if b"+" in start[2:4] else start[:8]
        found: dict[int, ImageFileDirectory_v2] = {}
        offset, read = ImageFileDirectory_v2(start).next, 0
        while offset and offset not in found:
            limits.PAGES.check(len(found) + 1, "an image file")
            tags = ImageFileDirectory_v2(start)
            read = _check_complete(file, offset, start, read)
            file.seek(offset)
            tags.load(file)
            found[offset] = tags
            offset = tags.next
    return list(found.values())


def _check_complete(file: IO[bytes], offset: int, start: bytes, read: int) -> int:
    """Check that a directory and the values of its tags are in the file, without reading these.

    Pillow leaves out a tag that is not, with a warning, and with it perhaps the orientation. All
    directories together are not longer than the file, or some would be read again and again.

    Args:
        file: of the directory.
        offset: of the directory.
        start: the first bytes of the file.
        read: bytes of the directories before, with their values.

    Returns:
        The same with those of this directory.

    Raises:
        BadInput: a part of them is beyond its end, or they cannot all be parts of it.
    """
    order, big = "<" if start.startswith(b"I") else ">", b"+" in start[2:4]
    counts, entries, word = ("Q", "HHQQ", 8) if big else ("H", "HHLL", 4)
    end = file.seek(0, 2)
    file.seek(offset)
    head = file.read(struct.calcsize(f"{order}{counts}"))
    count = int.from_bytes(head, "little" if order == "<" else "big")
    length = struct.calcsize(f"{order}{entries}")
    read += count * length + word
    rest = file.read(count * length + word) if read <= end else b""
    if len(rest) < count * length + word:
        raise BadInput("damaged image (its directory is cut short)")
    for tag, kind, values, place in struct.iter_unpack(f"{order}{entries}", rest[:-word]):
        size = values * SIZES.get(kind, 0)
        if size > word:
            read += size
            if place + size > end or read > end:
                raise BadInput(f"damaged image (the values of tag {tag} are not all in the file)")
    return read


def pages(found: list[ImageFileDirectory_v2]) -> list[int]:
    """Which directories are images of their own, not smaller versions or masks of others.

    Raises:
        BadInput: none, since a camera's raw file keeps its image below a preview.
    """
    own = [i for i, tags in enumerate(found) if not int(tags.get(254, 0)) & REDUCED]
    if not own and any(BELOW in tags for tags in found):
        raise BadInput("previews of an image that cannot be read; convert it to RGB first")
    return own or list(range(len(found)))


def size(tags: ImageFileDirectory_v2) -> tuple[int, int]:
    """Height and width as stored.

    Raises:
        BadInput: they are missing.
    """
    if not (tags.get(256) and tags.get(257)):
        raise BadInput("damaged image (no size in its directory)")
    return int(tags[257]), int(tags[256])


def orientation(tags: ImageFileDirectory_v2) -> int:
    """1 to 8, as in EXIF; 1 if it is not recorded."""
    value = tags.get(274, 1)
    return int(value) if value in range(1, 9) else 1


def kind(tags: ImageFileDirectory_v2) -> tuple[int, Library]:
    """Bits per channel, 8 or 16, and the library that reads this kind of pixels rightly.

    Raises:
        BadInput: neither does, or what the samples mean is not known.
    """
    photometric, compression = int(tags.get(262, -1)), int(tags.get(259, 1))
    if photometric not in COLORS:
        what = REFUSED.get(photometric, f"photometric interpretation {photometric}")
        raise BadInput(f"{what}; convert it to RGB first")
    if photometric == YCBCR and compression != JPEG:
        raise BadInput("YCbCr without JPEG compression; convert it to RGB first")
    bits, decoders = _bits(tags, photometric), _decoders(compression)
    samples, extra = int(tags.get(277, 1)), tuple(tags.get(338, ()))
    alpha = samples - COLORS[photometric]
    planar, tiled = samples > 1 and tags.get(284, 1) == 2, 324 in tags
    if alpha not in (0, 1) or (alpha and (bits < 8 or photometric == PALETTE)):
        plural = "s" * (samples != 1)
        raise BadInput(f"{samples} channel{plural} of {bits} bits; convert it to gray or RGB first")
    if alpha and 1 in extra:
        raise BadInput("colors multiplied by alpha; convert it to straight alpha first")
    pillow = bits <= 8 and orientation(tags) == 1
    pillow &= not alpha or (extra == (2,) and photometric != WHITE_IS_ZERO)
    if planar and ((alpha and photometric != RGB) or compression == JPEG or (tiled and not pillow)):
        raise BadInput("channels in separate planes; store them pixel by pixel first")
    library: Library = "Pillow" if pillow and "Pillow" in decoders else "libvips"
    if library not in decoders:
        raise BadInput(
            f"{bits} bits compressed by {_compressed(compression)}, which cannot be read here; "
            "store it with Deflate or LZW first"
        )
    return (16 if bits == 16 else 8), library


def _decoders(compression: int) -> set[Library]:
    """The libraries that decode a compression.

    Raises:
        BadInput: none does.
    """
    found = {library for library, known in DECODED.items() if compression in known}
    if not found:
        raise BadInput(
            f"compressed by {_compressed(compression)}, which cannot be read here; store it with "
            "Deflate or LZW first"
        )
    return found


def _compressed(compression: int) -> str:
    return COMPRESSIONS.get(compression, f"an unknown method (TIFF tag 259 is {compression})")


def _bits(tags: ImageFileDirectory_v2, photometric: int) -> int:
    """Bits of a sample, the same for all: 8 or 16; 1, 2, 4 or 8 if there is one per pixel."""
    bits, forms = _values(tags, 258), _values(tags, 339)
    if forms != {1}:
        words = {2: "signed numbers", 3: "real numbers"}
        what = words.get(max(forms), "samples of an unknown form")
        raise BadInput(f"{max(bits)}-bit {what}; convert it to 8 or 16 bits first")
    allowed = {2: (8, 16), 3: (1, 2, 4, 8), 6: (8,)}.get(photometric, (1, 2, 4, 8, 16))
    if len(bits) > 1 or min(bits) not in allowed:
        shown = " and ".join(map(str, sorted(bits)))
        raise BadInput(f"{shown} bits per channel; convert it to 8 or 16 bits first")
    if photometric == PALETTE and max(tags.get(320, (0,))) < 256:
        raise BadInput("a palette without 16-bit values; convert it to RGB first")
    return int(min(bits))


def _values(tags: ImageFileDirectory_v2, tag: int) -> set[Any]:
    """The values of a tag that has one for each sample; 1 by default."""
    value = tags.get(tag, 1)
    return set(value) if isinstance(value, tuple) else {value}
