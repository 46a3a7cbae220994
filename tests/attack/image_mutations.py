"""Damage to image files by their structure: PNG chunks, JPEG segments, TIFF tags, EXR, MAT."""

from __future__ import annotations

import random
import struct
import zlib

from tests.attack.mutations import (
    BYTES,
    EXTREMES,
    bit_flips,
    bytes_set,
    deflated_zeros,
    number_field,
)

SIDES = (0, 1, 2, 8, 255, 4096, 20_000, 65_500, 2**20, 2**31 - 1, 2**31, 2**32 - 1)


def png_chunks(content: bytes, draw: random.Random) -> bytes:
    """Chunks with sound sums: other sides and depths, damaged, twice, in other order, enormous."""
    chunks, at = [], 8
    while at + 12 <= len(content) and len(chunks) < 200:
        length = int.from_bytes(content[at : at + 4], "big")
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += length + 12
    if not chunks:
        return bit_flips(content, draw)
    for _ in range(draw.randint(1, 2)):
        place, what = draw.randrange(len(chunks)), draw.randrange(6)
        name, part = chunks[place]
        if what == 0:
            part = draw.choice(BYTES)(part, draw)
            chunks[place] = (name, part)
        elif what == 1 and len(chunks[0][1]) == 13:
            head = bytearray(chunks[0][1])
            if draw.random() < 0.6:
                struct.pack_into(">L", head, draw.choice((0, 4)), draw.choice(SIDES))
            else:
                head[draw.randint(8, 12)] = draw.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
            chunks[0] = (chunks[0][0], bytes(head))
        elif what == 2:
            chunks[place:place] = [chunks[place]] * draw.choice((1, 100))
        elif what == 3:
            chunks[place : place + 1] = []
        elif what == 4:
            packed = _zeros(draw.choice((2**12, 2**22, 2**26)))
            extra = (
                *((b"zTXt", b"x\0\0" + packed), (b"iCCP", b"x\0\0" + packed), (b"IDAT", packed)),
                *((b"eXIf", b"II*\0" + b"\xff" * 40), (b"tRNS", bytes(600)), (b"PLTE", bytes(770))),
                *(
                    (b"acTL", b"\0\0\xff\xff\0\0\0\0"),
                    (b"fcTL", bytes(26)),
                    (b"iTXt", b"x\0\1\0\0\0" + packed),
                ),
            )
            chunks[place:place] = [draw.choice(extra)]
        else:
            draw.shuffle(chunks)
        if not chunks:
            break
    joined = b"".join(
        struct.pack(">L", len(part)) + name + part + struct.pack(">L", zlib.crc32(name + part))
        for name, part in chunks
    )
    return content[:8] + joined


def _zeros(size: int) -> bytes:
    """Zeros as zlib packs them, with their Adler-32."""
    return b"x\x9c" + deflated_zeros(size) + struct.pack(">HH", size % 65521, 1)


def jpeg_segments(content: bytes, draw: random.Random) -> bytes:
    """Segments with other sizes, damaged, twice or missing; frames of other sides."""
    segments, at = [], 2
    while at + 4 <= len(content) and content[at] == 0xFF and content[at + 1] != 0xDA:
        length = int.from_bytes(content[at + 2 : at + 4], "big") + 2
        segments.append(content[at : at + length])
        at += max(2, length)
    if not segments:
        return bit_flips(content, draw)
    rest, place = content[at:], draw.randrange(len(segments))
    what = draw.randrange(6)
    if what == 0:
        segments[place] = segments[place][:4] + draw.choice(BYTES)(segments[place][4:], draw)
    elif what == 1:
        for number, one in enumerate(segments):
            if one[1] in (0xC0, 0xC1, 0xC2) and len(one) > 9:
                head = bytearray(one)
                struct.pack_into(">H", head, draw.choice((5, 7)), draw.choice(SIDES) % 65536)
                head[draw.choice((1, 4, 9, 11))] ^= draw.choice((0, 1, 2, 7))
                segments[number] = bytes(head)
    elif what == 2:
        segments[place:place] = [segments[place]] * draw.choice((1, 100))
    elif what == 3:
        del segments[place]
    elif what == 4:
        extra = (
            b"\xff\xe1" + struct.pack(">H", 60) + b"Exif\0\0II*\0\x08\0\0\0" + draw.randbytes(44)
        )
        segments[place:place] = [extra]
    else:
        rest = draw.choice((bit_flips, bytes_set))(rest, draw)
    return content[:2] + b"".join(segments) + rest


def tiff_tags(content: bytes, draw: random.Random) -> bytes:
    """Entries of a directory with other tags, types, counts and values; directories in a circle."""
    if len(content) < 16:
        return bit_flips(content, draw)
    order = "<" if content[:2] == b"II" else ">"
    changed = bytearray(content)
    (at,) = struct.unpack_from(f"{order}L", content, 4)
    if at + 2 > len(content):
        return bit_flips(content, draw)
    (count,) = struct.unpack_from(f"{order}H", content, at)
    if at + 2 + 12 * count + 4 > len(content) or not count:
        return number_field(content, draw)
    for _ in range(draw.randint(1, 3)):
        place, what = at + 2 + 12 * draw.randrange(count), draw.randrange(8)
        if what == 0:
            struct.pack_into(f"{order}H", changed, place, draw.choice(TAGS))
        elif what == 1:
            struct.pack_into(f"{order}H", changed, place + 2, draw.choice((*range(19), 65535)))
        elif what == 2:
            struct.pack_into(f"{order}L", changed, place + 4, draw.choice(EXTREMES) % 2**32)
        elif what in (3, 4):
            value = draw.choice((*EXTREMES, *SIDES, len(content), at, at - 4, place))
            struct.pack_into(f"{order}L", changed, place + 8, value % 2**32)
        elif what == 5:
            value = draw.choice((*range(10), 16, 32, 64, 32773, 34712, 34892, 50000, 34925, 32946))
            struct.pack_into(f"{order}HH", changed, place + 8, value, draw.choice((0, value)))
        elif what == 6:
            changed[place : place + 12] = content[at + 2 : at + 14]
        else:
            link = draw.choice((at, 8, 2, len(content), 2**32 - 1, at + 1))
            struct.pack_into(f"{order}L", changed, at + 2 + 12 * count, link)
    return bytes(changed)


TAGS = (
    *(
        254,
        255,
        256,
        257,
        258,
        259,
        262,
        266,
        273,
        274,
        277,
        278,
        279,
        284,
        317,
        320,
        322,
        323,
        324,
    ),
    *(
        325,
        330,
        332,
        338,
        339,
        347,
        512,
        513,
        530,
        532,
        34665,
        34675,
        33723,
        34377,
        700,
        42112,
        65535,
    ),
)


def exr_header(content: bytes, draw: random.Random) -> bytes:
    """Attributes of the header with other values, sizes and types; other places of lines."""
    found, at = [], 8
    while at < len(content) and content[at] and len(found) < 60:
        name_end = content.find(b"\0", at)
        kind_end = content.find(b"\0", name_end + 1)
        if name_end < 0 or kind_end < 0 or kind_end + 5 > len(content):
            break
        (size,) = struct.unpack_from("<l", content, kind_end + 1)
        found.append((at, name_end, kind_end, size))
        at = kind_end + 5 + max(0, size)
    if not found:
        return number_field(content, draw)
    changed = bytearray(content)
    for _ in range(draw.randint(1, 3)):
        start, name_end, kind_end, size = draw.choice(found)
        what = draw.randrange(6)
        if what == 0:
            struct.pack_into("<L", changed, kind_end + 1, draw.choice(EXTREMES) % 2**32)
        elif what in (1, 2) and size >= 4:
            place = kind_end + 5 + 4 * draw.randrange(size // 4)
            value = draw.choice((*EXTREMES, *SIDES, 2**32 - 2))
            if place + 4 <= len(changed):
                struct.pack_into("<L", changed, place, value % 2**32)
        elif what == 3 and size > 0 and kind_end + 5 < len(changed):
            changed[kind_end + 5] = draw.randrange(256)
        elif what == 4:
            changed[start] = draw.randrange(256)
        elif at + 9 <= len(changed):
            places = min(32, (len(changed) - at - 1) // 8)
            value = draw.choice((*EXTREMES, at, len(content)))
            struct.pack_into("<Q", changed, at + 1 + 8 * draw.randrange(places), value)
    if draw.random() < 0.1:
        changed[4:8] = draw.choice(
            (b"\2\2\0\0", b"\2\x10\0\0", b"\2\x08\0\0", b"\1\0\0\0", b"\2\4\0\0")
        )
    return bytes(changed)


def mat_elements(content: bytes, draw: random.Random) -> bytes:
    """Elements of a MATLAB file with other types, lengths and dimensions, packed again soundly."""
    head, body = content[:128], content[128:]
    if body[:1] == b"\x0f":
        try:
            inner = zlib.decompress(body[8:])
        except zlib.error:
            return number_field(content, draw)
        inner = _mat_numbers(inner, draw)
        packed = zlib.compress(inner)
        return head + struct.pack("<LL", 15, len(packed)) + packed
    return head + _mat_numbers(body, draw)


MAT_TYPES = (*range(20), 0x00010001, 0x00040002, 0x000F0001)


def _mat_numbers(inner: bytes, draw: random.Random) -> bytes:
    if len(inner) < 16:
        return bytes_set(inner, draw)
    changed = bytearray(inner)
    for _ in range(draw.randint(1, 3)):
        what = draw.randrange(5)
        place = 4 * draw.randrange(min(24, len(changed) // 4))  # types, flags, dimensions, name
        if what == 0:
            struct.pack_into("<L", changed, place, draw.choice(MAT_TYPES))
        elif what in (1, 2):
            struct.pack_into("<L", changed, place, draw.choice((*EXTREMES, *SIDES)) % 2**32)
        elif what == 3:
            changed[place] = draw.choice((1, 2, 3, 4, 5, 6, 9, 14, 15, 16, 17, 18))
        else:
            length = min(len(changed), 8 * draw.randint(1, 40))
            changed = bytearray(changed[:8] + bytes(changed[8 : 8 + length]) * draw.choice((2, 50)))
    return bytes(changed)


def mat_cells(content: bytes, draw: random.Random) -> bytes:
    """A MATLAB file of many objects: cells in cells, structs with fields without end."""
    count = draw.choice((4, 1000, 2**20, 2**31 - 1))
    kind = draw.choice((1, 2, 3, 4))
    flags = struct.pack("<LLLL", 6, 8, kind, 0)
    dimensions = struct.pack("<LLll", 5, 8, 1, count)
    name = struct.pack("<LL", 0x00010001, ord("x"))
    fields = b""
    if kind == 2:
        fields = struct.pack("<LLLL", 0x00040005, 8, 1, 8) + b"a\0\0\0\0\0\0\0"
    empty = struct.pack("<LL", 14, 0) * draw.choice((0, 1, 4, 1000, 20_000))
    inner = flags + dimensions + name + fields + empty
    element = struct.pack("<LL", 14, len(inner)) + inner
    packed = zlib.compress(element)
    return content[:128] + struct.pack("<LL", 15, len(packed)) + packed


def netpbm_header(content: bytes, draw: random.Random) -> bytes:
    """A header with other sides, levels, comments and spaces."""
    words = content[:40].split(None, 4)
    if len(words) < 4:
        return bit_flips(content, draw)
    place = draw.randrange(4)
    new = (
        b"0",
        b"-1",
        b"1",
        b"65536",
        b"65535",
        b"99999",
        b"9" * 5000,
        b"1e3",
        b"#",
        b"P6",
        b"P1",
        b"P7",
    )
    words[place] = draw.choice((*new, b"# " + b"x" * 60_000 + b"\n", b" " * 60_000 + b"4"))
    return b"\n".join(words[:4]) + b"\n" + content[-min(len(content), 200) :]


def box_sizes(content: bytes, draw: random.Random) -> bytes:
    """Big-endian numbers at the beginning, as in JPEG 2000, are sides or lengths of all sizes."""
    changed = bytearray(content)
    for _ in range(draw.randint(1, 3)):
        size = draw.choice((1, 2, 4))
        if len(changed) > 256 + size:
            place = draw.randrange(min(len(changed) - size, 256))
            new = draw.choice((*EXTREMES, *SIDES)) % 256**size
            changed[place : place + size] = new.to_bytes(size, "big")
    return bytes(changed)


def little_sides(content: bytes, draw: random.Random) -> bytes:
    """Little-endian numbers at the beginning, as in GIF, BMP and WebP, are sides of all sizes."""
    changed = bytearray(content)
    for _ in range(draw.randint(1, 3)):
        size = draw.choice((1, 2, 4))
        place = draw.randrange(max(1, min(len(changed) - size, 64)))
        new = draw.choice((*EXTREMES, *SIDES)) % 256**size
        changed[place : place + size] = new.to_bytes(size, "little")
    return bytes(changed)
