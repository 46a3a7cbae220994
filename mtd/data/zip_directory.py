"""The directory of a ZIP file: how many members it has, and whether they lie apart.

Reading a directory makes an object for each entry, and members that overlap stand for far more
than the file holds; both are checked by arithmetic before anything is unpacked.
"""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from mtd.utils import input_files, limits
from mtd.utils.errors import BadInput

END, END64, LOCATOR = b"PK\5\6", b"PK\6\6", b"PK\6\7"
ENTRY = b"PK\1\2"
LONGEST = 22 + 2**16
"""Bytes of the record at the end, with its comment."""

LOCAL = 30
"""Bytes before the name and content of a member, at least."""


def check_count(path: Path) -> None:
    """Check that a file has no more members than the limit, before its directory is read.

    A file without a directory passes; whoever opens it notices.

    Raises:
        BadInput: no regular file, or more members than the limit.
    """
    with input_files.opened(path) as file:
        start, end = _place(file)
        count, most = 0, limits.ARCHIVE_MEMBERS.value
        while start < end and count <= most:
            file.seek(start)
            entry = file.read(46)
            if len(entry) < 46 or not entry.startswith(ENTRY):
                break
            start += 46 + sum(struct.unpack_from("<HHH", entry, 28))
            count += 1
    if count > most:
        limits.ARCHIVE_MEMBERS.check(count, "an archive")


def _place(file: IO[bytes]) -> tuple[int, int]:
    """Where the directory begins and ends."""
    length = file.seek(0, os.SEEK_END)
    before = max(0, length - LONGEST)
    file.seek(before)
    tail = file.read(LONGEST)
    found = tail.rfind(END)
    if found < 0 or len(tail) < found + 22:
        return 0, 0
    (size,) = struct.unpack_from("<I", tail, found + 12)
    end = before + found
    if end >= 76 and size == 2**32 - 1:
        file.seek(end - 76)
        record = file.read(76)
        if record.startswith(END64) and record[56:60] == LOCATOR:
            (size,) = struct.unpack_from("<Q", record, 40)
            end -= 76
    return max(0, end - size), end


def check_apart(entries: Sequence[zipfile.ZipInfo], path: Path) -> None:
    """Check that no bytes of a file belong to two members.

    Raises:
        BadInput: some do, or a member is not in the file.
    """
    end, last = 0, path.stat().st_size
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < end:
            raise BadInput(f"members that overlap ({entry.filename!r})")
        end = entry.header_offset + LOCAL + entry.compress_size
        if end > last:
            raise BadInput(f"a member that is not all in the file ({entry.filename!r})")
