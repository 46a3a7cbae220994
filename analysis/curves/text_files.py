"""The lines of a text file that a program is still writing, or was killed while it wrote."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path


def lines(path: Path) -> Iterator[str]:
    """All lines that have an end, since a value in another one may be cut; none of a binary file.

    Args:
        path: a text in UTF-8 or, with a byte-order mark, UTF-16.
    """
    return (line for line in _all_lines(path) if line.endswith("\n"))


def is_cut(path: Path) -> bool:
    """Whether the last line of a text has no end, so that `lines` leaves it out."""
    return any(line.strip() and not line.endswith("\n") for line in _all_lines(path))


def _all_lines(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        head = file.read(4096)
    wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if b"\0" in head and not wide:
        return
    encoding = "utf-16" if wide else "utf-8-sig"
    with path.open(encoding=encoding, errors="replace") as text:
        yield from text
