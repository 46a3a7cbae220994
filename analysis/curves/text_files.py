"""The lines of a text file that a program is still writing, or was killed while it wrote."""

from __future__ import annotations

import codecs
import io
import os
from collections.abc import Iterator
from pathlib import Path

from mtd.utils import input_files, limits
from mtd.utils.errors import BadInput


def lines(path: Path) -> Iterator[str]:
    """All lines that have an end, since a value in another one may be cut; none of a binary file.

    Args:
        path: a text in UTF-8 or, with a byte-order mark, UTF-16.

    Raises:
        BadInput: it cannot be read, or the file or a line is longer than its limit.
    """
    return (line for line in _all_lines(path) if line.endswith("\n"))


def is_cut(path: Path) -> bool:
    """Whether the last line of a text has no end, so that `lines` leaves it out."""
    return any(line.strip() and not line.endswith("\n") for line in _all_lines(path))


def _all_lines(path: Path) -> Iterator[str]:
    with input_files.opened(path) as file:
        limits.LOG.check(os.fstat(file.fileno()).st_size / input_files.MEGABYTE, str(path))
        head = file.read(4096)
        file.seek(0)
        wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        if b"\0" in head and not wide:
            return
        encoding = "utf-16" if wide else "utf-8-sig"
        text = io.TextIOWrapper(file, encoding=encoding, errors="replace")
        most = limits.LINE.value
        some = -1 if most == float("inf") else int(most) + 1
        try:
            for number in range(1, 2**63):
                line = text.readline(some)
                if len(line) > most:
                    limits.LINE.check(len(line), f"{path}: line {number} is too long")
                if not line:
                    return
                yield line
        except OSError as error:
            raise input_files.unreadable(path, error) from None
        except UnicodeError:
            raise BadInput(f"{path}: damaged; expected a text in UTF-8 or UTF-16") from None
