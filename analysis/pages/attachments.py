"""Files attached to a page: its appendix, and how they are read back."""

from __future__ import annotations

import base64
import gzip
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from bs4 import BeautifulSoup

from mtd.utils.errors import BadInput

LARGE = 64 * 1024
"""Attachments of more bytes are compressed."""

TYPES = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".png": "image/png",
    ".gz": "application/gzip",
}


@dataclass(frozen=True)
class Attachment:
    """A file embedded in a page: its name, such as `cka/cka.csv`, and its content."""

    name: str
    content: bytes


@dataclass(frozen=True)
class File:
    """A line of the appendix."""

    id: str
    name: str
    download: str
    address: str
    size: str


@dataclass(frozen=True)
class Folder:
    """A group of lines of the appendix."""

    name: str
    files: tuple[File, ...]


def appendix(
    attachments: Sequence[Attachment], new_id: Callable[[str], str]
) -> tuple[list[Folder], dict[str, str]]:
    """The files by folder, and the id of each by its name; `new_id` makes an id from a text."""
    groups: dict[str, list[File]] = {}
    anchors = {}
    for attachment in attachments:
        path = PurePosixPath(attachment.name)
        anchors[attachment.name] = new_id("data-" + re.sub(r"[/.]", "-", attachment.name))
        content, name, size = attachment.content, path.name, readable(len(attachment.content))
        if len(content) > LARGE:
            content, name = compressed(content), f"{name}.gz"
            size = f"{readable(len(content))}, {size} unpacked"
        kind = TYPES.get(PurePosixPath(name).suffix, "application/octet-stream")
        address = f"data:{kind};base64,{base64.b64encode(content).decode()}"
        group = "" if str(path.parent) == "." else str(path.parent)
        file = File(anchors[attachment.name], attachment.name, name, address, size)
        groups.setdefault(group, []).append(file)
    return [Folder(name, tuple(files)) for name, files in groups.items()], anchors


def attached(text: str) -> list[Attachment]:
    """The files embedded in a page, as they were given to `html`.

    Raises:
        BadInput: one of them is damaged.
    """
    soup = BeautifulSoup(text, "html.parser")
    attachments = []
    for link in soup.select(".appendix a[data-name][href^='data:']"):  # outputs have no such links
        name, (_, _, encoded) = str(link["data-name"]), str(link["href"]).partition(";base64,")
        try:
            content = base64.b64decode(encoded, validate=True)
            is_packed = str(link["download"]) == f"{PurePosixPath(name).name}.gz"
            attachments.append(Attachment(name, gzip.decompress(content) if is_packed else content))
        except (ValueError, OSError, EOFError, zlib.error):
            raise BadInput(f"{name}: damaged in the page; make the page again") from None
    return attachments


def compressed(content: bytes) -> bytes:
    """Content compressed by gzip; without time stamp and system, so always the same bytes."""
    packed = gzip.compress(content, 9, mtime=0)
    return packed[:9] + b"\xff" + packed[10:]


def readable(size: int) -> str:
    """A number of bytes.

    >>> readable(330), readable(75008)
    ('330 B', '73.2 KiB')
    """
    return f"{size} B" if size < 1024 else f"{size / 1024:.1f} KiB"
