"""Zip archives in memory, as `torch.save` writes them: checked before a member is unpacked.

Python's zipfile believes the sizes in an archive's directory, and that its members share no bytes.
Here, a member takes the place in the file and unpacks to the size that the directory says, or is
refused; few bytes cannot stand for many, or be unpacked many times.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from io import BytesIO
from pickle import UnpicklingError

from mtd.tensor_files.budget import Budget
from mtd.utils import limits

ENTRY, LOCAL = b"PK\x01\x02", b"PK\x03\x04"
"""The first bytes of an entry in the directory, and of the header before a member."""

HEADER = struct.Struct("<4s2xHH16xHH")
"""The header before a member: signature, flags, method, lengths of its name and of what follows."""

ENCRYPTED = 1
"""A flag of encrypted members."""


def is_archive(content: bytes) -> bool:
    """Whether the bytes of a file are those of a zip archive.

    >>> is_archive(b"PK")
    False
    """
    try:
        return zipfile.is_zipfile(BytesIO(content))
    except zipfile.BadZipFile:  # of several disks
        return True


class Archive:
    """The members of an archive.

    Args:
        content: the bytes of the file.
        budget: from which what all packed members unpack to is spent.
        name: of the file, for messages.

    Raises:
        AboveLimit: more members than the limit, or they unpack to much more than the file.
        UnpicklingError: members that share bytes, or are packed in another way than by deflate.
    """

    def __init__(self, content: bytes, budget: Budget, name: object = "archive") -> None:
        limits.MEMBERS.check(content.count(ENTRY), f"{name}: an archive")
        self._content = memoryview(content)
        self._places: dict[str, tuple[zipfile.ZipInfo, int]] = {}
        with zipfile.ZipFile(BytesIO(content)) as archive:
            entries, end = archive.infolist(), archive.start_dir
        self.names = [entry.filename for entry in entries]
        if len(set(self.names)) < len(self.names):
            raise UnpicklingError("two members of one name")
        size = sum(one.file_size for one in entries if one.compress_type != zipfile.ZIP_STORED)
        budget.spend(size, f"it unpacks to {size} bytes")
        free = 0
        for entry in sorted(entries, key=lambda entry: entry.header_offset):
            first = self._first(entry)
            if not free <= entry.header_offset or first + entry.compress_size > end:
                raise UnpicklingError(f"{_short(entry)} shares its bytes with another member")
            free = first + entry.compress_size
            self._places[entry.filename] = entry, first

    def _first(self, entry: zipfile.ZipInfo) -> int:
        """The place of a member's first byte, after its header.

        Raises:
            UnpicklingError: there is no such header, or it is packed in an unknown way.
        """
        start = entry.header_offset
        if not 0 <= start <= len(self._content) - HEADER.size:
            raise UnpicklingError(f"{_short(entry)} is not in the file")
        signature, flags, method, name, extra = HEADER.unpack_from(self._content, start)
        if signature != LOCAL or method != entry.compress_type:
            raise UnpicklingError(f"{_short(entry)} is not where the directory says")
        if (flags | entry.flag_bits) & ENCRYPTED:
            raise UnpicklingError(f"{_short(entry)} is encrypted")
        if method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UnpicklingError(f"{_short(entry)} is packed by method {method}")
        if method == zipfile.ZIP_STORED and entry.compress_size != entry.file_size:
            raise UnpicklingError(f"{_short(entry)} is not packed, but has two sizes")
        return int(start + HEADER.size + name + extra)

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def read(self, name: str) -> memoryview:
        """The bytes of a member.

        Raises:
            UnpicklingError: it is missing, or of another size or CRC-32 than the directory says.
        """
        if name not in self._places:
            raise UnpicklingError(f"{name[:80]} is missing")
        entry, first = self._places[name]
        content = self._content[first : first + entry.compress_size]
        if entry.compress_type == zipfile.ZIP_DEFLATED:
            size = entry.file_size
            content = memoryview(zlib.decompressobj(-15).decompress(content, size + 1))
            if len(content) != size:
                raise UnpicklingError(f"{_short(entry)} does not unpack to {size} bytes")
        if zlib.crc32(content) != entry.CRC:
            raise UnpicklingError(f"{_short(entry)} is not what was saved (CRC-32)")
        return content

    def check(self) -> None:
        """Check every member against its recorded CRC-32.

        Raises:
            UnpicklingError: see `read`.
        """
        for name in self.names:
            self.read(name)


def _short(entry: zipfile.ZipInfo) -> str:
    return entry.filename[:80]
