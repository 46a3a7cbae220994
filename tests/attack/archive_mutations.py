"""Damage to archives by their structure: zip directories, tar headers."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from functools import cache, lru_cache

from tests.attack.mutations import BYTES, EXTREMES, Mutation

NAMES = (
    *(
        "../outside",
        "/tmp/outside",
        "a/../../outside",
        "C:\\x",
        "a\\..\\b",
        "",
        ".",
        "..",
        "a//b",
        "a/",
    ),
    *(
        "x" * 300,
        "\x1b[31m/red",
        "a\nb/c",
        "é/ü.png",
        "a/" * 200 + "b",
        "con",
        "-rf",
        "a/b:c",
        "\u202e/x",
    ),
    *(
        "archive/data.pkl",
        "archive/data/0",
        "archive/code/x.py",
        "archive/version",
        "archive/byteorder",
    ),
)
"""Hostile names of members."""


def zip_directory(content: bytes, draw: random.Random) -> bytes:
    """A field of the central directory, of a local header or of its end is an extreme number."""
    places = [
        (start + at, size)
        for mark, fields in FIELDS.items()
        for start in _found(content, mark)
        for at, size in fields
    ]
    changed = bytearray(content)
    for _ in range(draw.randint(1, 3) if places else 0):
        place, size = draw.choice(places)
        if place + size <= len(changed):
            new = draw.choice((*EXTREMES, draw.randrange(len(content)), 8, 12, 14, 93, 99))
            changed[place : place + size] = (new % 256**size).to_bytes(size, "little")
    return bytes(changed)


FIELDS = {
    b"PK\3\4": ((4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)),
    b"PK\1\2": (
        (6, 2),
        (8, 2),
        (10, 2),
        (16, 4),
        (20, 4),
        (24, 4),
        (28, 2),
        (30, 2),
        (38, 4),
        (42, 4),
    ),
    b"PK\5\6": ((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)),
}
"""Numbers in the parts of a zip archive: their place and size."""


def _found(content: bytes, mark: bytes) -> list[int]:
    places, at = [], content.find(mark)
    while at >= 0:
        places.append(at)
        at = content.find(mark, at + 1)
    return places[:64]


def zip_members(inner: dict[str, tuple[Mutation, ...]]) -> Mutation:
    """Other members, with sound sums: damaged, renamed, twice, compressed, enormous, very many.

    Args:
        inner: mutations of members by the end of their names.
    """

    def zip_members_of(content: bytes, draw: random.Random) -> bytes:
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                infos = archive.infolist()
                if sum(info.file_size for info in infos) > 2**24:
                    return content
                members = [(info.filename, archive.read(info)) for info in infos]
        except Exception:
            return zip_directory(content, draw)
        draw.choice((_damaged, _damaged, _damaged, _renamed, _twice, _bomb, _many, _order))(
            members, draw, inner
        )
        return _zipped(members, draw)

    return zip_members_of


Members = list[tuple[str, bytes]]
Inner = dict[str, tuple[Mutation, ...]]


def _damaged(members: Members, draw: random.Random, inner: Inner) -> None:
    for _ in range(draw.randint(1, 2) if members else 0):
        place = draw.randrange(len(members))
        if inner and draw.random() < 0.5:  # rather than one of many storages
            own = [i for i, (name, _) in enumerate(members) if name.endswith(tuple(inner))]
            place = draw.choice(own) if own else place
        name, content = members[place]
        known = next((how for end, how in inner.items() if name.endswith(end)), BYTES)
        members[place] = (name, draw.choice(known)(content, draw))


def _renamed(members: Members, draw: random.Random, inner: Inner) -> None:
    if members:
        place = draw.randrange(len(members))
        members[place] = (draw.choice((*NAMES, members[0][0])), members[place][1])


def _twice(members: Members, draw: random.Random, inner: Inner) -> None:
    if members:
        name, content = draw.choice(members)
        members.append((name, draw.choice((content, b"", bytes(len(content))))))


def _bomb(members: Members, draw: random.Random, inner: Inner) -> None:
    place = draw.randint(0, len(members))
    zeros = bytes(draw.choice((2**16, 2**20, 2**24)))
    name = draw.choice((*NAMES, *(name for name, _ in members)))
    members[place : place + draw.randrange(2)] = [(name, zeros)]


def _many(members: Members, draw: random.Random, inner: Inner) -> None:
    members += [(f"archive/data/{number}", b"") for number in range(draw.choice((10, 100, 2000)))]


def _order(members: Members, draw: random.Random, inner: Inner) -> None:
    draw.shuffle(members)
    del members[draw.randint(0, len(members)) :]


METHODS = (zipfile.ZIP_STORED,) * 6 + (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def _zipped(members: Members, draw: random.Random) -> bytes:
    """A zip archive of any members, whose names may be anything."""
    method = draw.choice(METHODS)
    parts, directory, at = [], [], 0
    for name, content in members:
        own = zipfile.ZIP_DEFLATED if len(content) >= 2**16 else method
        packed, crc = _packed(content, own) if content.strip(b"\0") else _zeros(len(content), own)
        mode = draw.choice((0o120777, 0o020666, 0o010644, 0o040755)) if draw.random() < 0.01 else 0
        local, entry = zip_entry(name, own, crc, packed, len(content), at, mode)
        parts.append(local)
        directory.append(entry)
        at += len(local)
    return b"".join(parts) + _end(directory, at)


def zip_entry(
    name: str, method: int, crc: int, packed: bytes, size: int, at: int, mode: int = 0
) -> tuple[bytes, bytes]:
    """A member of a zip archive, and its entry in the directory."""
    called = name.encode("utf-8", "replace")[:60_000]
    utf8 = 0 if called.isascii() else 2048
    sums = struct.pack("<LLL", crc, len(packed), size)
    local = struct.pack("<4s5H", b"PK\3\4", 20, utf8, method, 0, 0x21) + sums
    local += struct.pack("<HH", len(called), 0) + called + packed
    entry = struct.pack("<4s6H", b"PK\1\2", 3 << 8 | 20, 20, utf8, method, 0, 0x21) + sums
    entry += struct.pack("<5HLL", len(called), 0, 0, 0, 0, mode << 16, at) + called
    return local, entry


def _end(directory: list[bytes], at: int) -> bytes:
    listed = b"".join(directory)
    count = min(len(directory), 65535)
    return listed + struct.pack("<4s4HLLH", b"PK\5\6", 0, 0, count, count, len(listed), at, 0)


@lru_cache(1000)  # members that are not damaged are the same in every input
def _packed(content: bytes, method: int) -> tuple[bytes, int]:
    """Content as a member of a zip archive stores it, and its CRC-32."""
    if method == zipfile.ZIP_DEFLATED:
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        return packer.compress(content) + packer.flush(), zlib.crc32(content)
    if method == zipfile.ZIP_STORED:
        return content, zlib.crc32(content)
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        info = zipfile.ZipInfo("x")
        info.compress_type = method
        archive.writestr(info, content)
    return buffer.getvalue()[31 : 31 + info.compress_size], zlib.crc32(content)


@cache
def _zeros(size: int, method: int) -> tuple[bytes, int]:
    return _packed(bytes(size), method)


def zip_overlaps(content: bytes, draw: random.Random) -> bytes:
    """Many entries of the directory are one member, which deflates to very much."""
    size = draw.choice((2**16, 2**20, 2**22))
    packed, crc = _zeros(size, zipfile.ZIP_DEFLATED)
    count = draw.choice((2, 50, 1000))
    known = ("archive/data.pkl", *(f"archive/data/{number}" for number in range(count - 1)))
    body = zip_entry(known[0], 8, crc, packed, size, 0)[0]
    return body + _end([zip_entry(name, 8, crc, packed, size, 0)[1] for name in known], len(body))


ZIP = (zip_directory, zip_directory, zip_overlaps)


def tar_headers(content: bytes, draw: random.Random) -> bytes:
    """A header of a tar archive with another name, size, kind or link, and a sound sum."""
    plain, packed = _unpacked(content)
    heads = [at for at in range(0, len(plain) - 511, 512) if plain[at + 257 : at + 262] == b"ustar"]
    changed = bytearray(plain)
    for _ in range(draw.randint(1, 2) if heads else 0):
        at = draw.choice(heads)
        what = draw.randrange(5)
        if what == 0:
            changed[at : at + 100] = draw.choice(NAMES).encode()[:100].ljust(100, b"\0")
        elif what == 1:
            size = draw.choice(
                (b"7" * 11, b"-1", b"0", b"17777777777", b"\x80" + b"\xff" * 10, b"abc")
            )
            changed[at + 124 : at + 136] = size[:11].ljust(11, b"\0") + b"\0"
        elif what == 2:
            changed[at + 156] = draw.choice(b"0123456789LKxgSDMNVAX\0\xff")
        elif what == 3:
            changed[at + 157 : at + 257] = draw.choice(NAMES).encode()[:100].ljust(100, b"\0")
        else:
            place = draw.randrange(512)
            changed[at + place] = draw.randrange(256)
        if draw.random() < 0.9:
            changed[at + 148 : at + 156] = b" " * 8
            changed[at + 148 : at + 156] = b"%06o\0 " % sum(changed[at : at + 512])
    return packed(bytes(changed))


def tar_again(content: bytes, draw: random.Random) -> bytes:
    """A tar archive compressed otherwise, twice, or followed by something."""
    plain, packed = _unpacked(content)
    plain += draw.choice((b"", bytes(2**18), plain))
    how = draw.choice((_gzip, bz2.compress, lzma.compress, bytes, packed))
    again = how(plain)
    return draw.choice((again, _gzip(again), again + again))


def _unpacked(content: bytes) -> tuple[bytes, Callable[[bytes], bytes]]:
    if content[:2] == b"\x1f\x8b":
        try:
            return gzip.decompress(content), lambda plain: _gzip(plain, 1)
        except Exception:
            return content, bytes
    return content, bytes


def _gzip(plain: bytes, level: int = 9) -> bytes:
    """Compressed without the time."""
    return gzip.compress(plain, level, mtime=0)


TAR = (tar_headers, tar_headers, tar_again)


def tarred(members: dict[str, bytes], pack: Callable[[bytes], bytes] = bytes) -> bytes:
    """A tar archive of some files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return pack(buffer.getvalue())


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip archive of some files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()
