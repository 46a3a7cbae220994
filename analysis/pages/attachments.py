"""Files attached to a page: its appendix, and how they are read back."""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import unescape
from pathlib import PurePosixPath

from mtd.utils import folder_files, limits
from mtd.utils.errors import BadInput
from mtd.utils.unpacked import unpacked

LARGE = 64 * 1024
"""Attachments of more bytes are compressed."""

LINK = "<a "
"""How a link begins."""

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
        BadInput: one of them is damaged, too large, or has a name that leads out of a folder or is
            there twice.
    """
    attachments: list[Attachment] = []
    names: set[str] = set()
    total = 0
    for link in links(text):
        name, (_, _, encoded) = link["data-name"], link["href"].partition(";base64,")
        if not folder_files.is_inner(name):
            raise BadInput(f"{name!r}: not the name of a file of a report")
        if name.casefold() in names:
            raise BadInput(f"{name}: twice in the page; make the page again")
        names.add(name.casefold())
        try:
            content = base64.b64decode(encoded, validate=True)
            if link.get("download") == f"{PurePosixPath(name).name}.gz":
                content = unpacked(content, limits.UNPACKED, name, total)
        except ValueError as error:
            reason = str(error) if "when unpacked" in str(error) else ""
            raise BadInput(reason or f"{name}: damaged in the page; make the page again") from None
        total += len(content)
        attachments.append(Attachment(name, content))
    return attachments


def links(text: str) -> Iterator[dict[str, str]]:
    """The attributes of the links of a page's appendix that hold a file.

    A page may come from anybody, so it is not parsed as HTML, which can take very long, but
    searched once for the links as the template writes them. Outputs of notebooks have no such
    links.
    """
    place = text.find('class="appendix"')
    while place >= 0 and (start := text.find(LINK, place)) >= 0:
        end = text.find(">", start)
        if end < 0:
            return
        parts = text[start:end].split('"')  # names with `=` and values, by turns
        found = {
            key.split()[-1].removesuffix("="): unescape(value)
            for key, value in zip(parts[::2], parts[1::2], strict=False)
            if key.split()
        }
        if found.get("href", "").startswith("data:") and "data-name" in found:
            yield found
        place = end


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
