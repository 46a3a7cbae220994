"""Files of a folder that may come from anybody: inside it, regular, and no links.

The folder itself may be reached by a link. A link inside it may lead to any file of whoever reads
the folder, which would then be copied, or embedded in a page that is sent on.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from mtd.utils import input_files
from mtd.utils.errors import BadInput
from mtd.utils.limits import Limit

LONGEST = 200
"""Bytes of the longest part of a name."""


def is_inner(name: str) -> bool:
    """Whether a name is one of a file inside a folder, on every system.

    >>> [is_inner(name) for name in ("cka/cka.csv", "../x", "/etc/passwd", "a//b", "", "a\\\\b")]
    [True, False, False, False, False, False]
    """
    parts = name.split("/")
    plain = re.compile(r"[^\x00-\x1f\x7f\\:]+")
    return all(
        part not in ("", ".", "..")
        and plain.fullmatch(part) is not None
        and len(os.fsencode(part)) <= LONGEST
        for part in parts
    )


def path_of(folder: str | Path, name: str) -> Path:
    """The path of a file inside a folder, which need not be there.

    Args:
        folder: that holds it.
        name: its path in the folder, with slashes.

    Raises:
        BadInput: the name leads elsewhere, or is that of a link or of a file below a link.
    """
    place = Path(folder)
    parts = PurePosixPath(name).parts
    if not parts or "\0" in name or ".." in parts or parts[0].startswith("/"):
        raise BadInput(f"{place}: {name!r} is not the name of a file in this folder")
    for part in parts:
        place = place / part
        try:
            linked = place.is_symlink()
        except OSError as error:
            raise input_files.unreadable(place, error) from None
        if linked:
            raise BadInput(f"{place} is a link: expected the file itself; copy it there")
    return place


def holds(folder: str | Path, name: str) -> bool:
    """Whether a folder holds a file of a name.

    Raises:
        BadInput: see `path_of`; or it holds something else of this name, such as a FIFO.
    """
    place = path_of(folder, name)
    if not place.exists():
        return False
    input_files.check(place)
    return True


def content(folder: str | Path, name: str, limit: Limit) -> bytes:
    """The bytes of a file in a folder.

    Raises:
        BadInput: see `path_of` and `mtd.utils.input_files.content`.
    """
    return input_files.content(path_of(folder, name), limit)


def json(folder: str | Path, name: str) -> Any:
    """The value in a JSON file of a folder.

    Raises:
        BadInput: see `path_of` and `mtd.utils.input_files.json`.
    """
    return input_files.json(path_of(folder, name))


def below(folder: str | Path) -> Iterator[Path]:
    """The regular files in a folder and in the folders in it, in order; links are left out."""
    for place, folders, files in os.walk(folder):  # follows no links
        folders.sort()
        for name in sorted(files):
            path = Path(place) / name
            if path.is_file() and not path.is_symlink():
                yield path
