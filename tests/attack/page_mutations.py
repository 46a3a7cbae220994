"""Damage to published pages: the files that are attached to them, their names and packing."""

from __future__ import annotations

import base64
import html
import random
import re
import struct
import zlib
from functools import cache

from tests.attack import text_mutations
from tests.attack.archive_mutations import NAMES
from tests.attack.mutations import deflated_zeros

LINK = re.compile(rb'(<a [^>]*data-name=")([^"]*)("[^>]*href="data:[^;]*;base64,)([^"]*)(")')


def attachments(content: bytes, draw: random.Random) -> bytes:
    """An attached file with other content, another name, or packed to very much."""
    found = list(LINK.finditer(content))
    if not found:
        return text_mutations.tokens(content, draw)
    one, what = draw.choice(found), draw.randrange(5)
    name, encoded = one[2], one[4]
    if what in (0, 1):
        try:
            inner = base64.b64decode(encoded)
        except ValueError:
            inner = b""
        kinds = text_mutations.JSON if name.endswith(b".json") else text_mutations.TABLE
        encoded = base64.b64encode(draw.choice(kinds)(inner, draw))
    elif what == 2:
        name = html.escape(draw.choice((*NAMES, "manifest.json", "run.json"))).encode()
    elif what == 3:
        encoded = base64.b64encode(bomb(draw.choice((20, 24, 28))) * draw.choice((1, 1, 3)))
        name += b".gz" if draw.random() < 0.2 else b""
    else:
        encoded = draw.choice(
            (b"", b"=", encoded[:-1], encoded + b"=", encoded + b"\xff", b"%41", b"A" * 10_001)
        )
    new = one[1] + name + one[3] + encoded + one[5]
    changed = content[: one.start()] + new + content[one.end() :]
    if what == 3:
        base = name.rpartition(b"/")[2]
        changed = changed.replace(new, new + b' download="' + base + b'.gz"', 1)
    return changed


@cache
def bomb(power: int) -> bytes:
    """A gzip file of 2 to some power zeros, 20 at least."""
    size, crc, block = 2**power, 0, bytes(2**20)
    for _ in range(size // len(block)):
        crc = zlib.crc32(block, crc)
    head = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
    return head + deflated_zeros(size) + struct.pack("<LL", crc, size)


def page(members: dict[str, bytes]) -> bytes:
    """A small page with attached files."""
    links = "".join(
        f'<li><a data-name="{html.escape(name)}" href="data:application/octet-stream;base64,'
        f'{base64.b64encode(content).decode()}" download="{name.rpartition("/")[2]}">x</a></li>'
        for name, content in members.items()
    )
    return f'<html><body><ul class="appendix">{links}</ul></body></html>'.encode()


def nesting(content: bytes, draw: random.Random) -> bytes:
    """Elements inside each other, or one of very many attributes or characters."""
    count = draw.choice((10, 2000, 30_000))
    more = draw.choice(
        (
            b"<div>" * count,
            b"<a " + b"x=1 " * count + b">",
            b"<" * count,
            b"&" * count,
            b"<!--" * count,
        )
    )
    place = draw.randint(0, len(content))
    return content[:place] + more + content[place:]


PAGE = (attachments, attachments, attachments, nesting)
