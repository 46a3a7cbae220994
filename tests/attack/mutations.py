"""Damage to bytes of any format: flips, lengths, cuts, splices, repeated blocks, extremes."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable, Sequence
from functools import cache

Mutation = Callable[[bytes, random.Random], bytes]
"""Makes a damaged or hostile version of a file's content."""

LARGEST = 256 * 1024
"""Bytes of the largest input that is made of a small seed."""

NUMBERS = (0, 1, 2, 3, 7, 8, 15, 16, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**24)
EXTREMES = (*NUMBERS, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1)


def bit_flips(content: bytes, draw: random.Random) -> bytes:
    """One to eight bits are other ones."""
    changed = bytearray(content)
    for _ in range(draw.randint(1, 8) if changed else 0):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def bytes_set(content: bytes, draw: random.Random) -> bytes:
    """Some bytes in a row are extreme ones, or any."""
    changed = bytearray(content)
    if changed:
        place = draw.randrange(len(changed))
        for at in range(place, min(len(changed), place + draw.randint(1, 16))):
            changed[at] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))
    return bytes(changed)


def number_field(content: bytes, draw: random.Random) -> bytes:
    """What may be a length or an offset, of 1, 2, 4 or 8 bytes, is an extreme number."""
    size = draw.choice((1, 2, 4, 4, 8))
    if len(content) < size:
        return content
    place = draw.randrange(len(content) - size + 1)
    order = draw.choice("<>")
    form = f"{order}{'BHLQ'[(1, 2, 4, 8).index(size)]}"
    old = int(struct.unpack_from(form, content, place)[0])
    near = (old + 1, old - 1, old * 2, old + 2**16, len(content), len(content) - place)
    new = draw.choice((*EXTREMES, *near)) % 2 ** (8 * size)
    return content[:place] + struct.pack(form, new) + content[place + size :]


def cut(content: bytes, draw: random.Random) -> bytes:
    """The end is missing, or the beginning."""
    place = draw.randint(0, len(content))
    return content[:place] if draw.random() < 0.8 else content[place:]


def removed(content: bytes, draw: random.Random) -> bytes:
    """A part in the middle is missing."""
    start = draw.randint(0, len(content))
    return content[:start] + content[start + draw.randint(1, 64) :]


def inserted(content: bytes, draw: random.Random) -> bytes:
    """Some bytes more, in the middle or at the end."""
    place = draw.choice((draw.randint(0, len(content)), len(content)))
    count = draw.choice((1, 2, 4, 16, 256, 4096))
    more = draw.choice((b"\0" * count, b"\xff" * count, draw.randbytes(count)))
    return content[:place] + more + content[place:]


def splice(content: bytes, draw: random.Random) -> bytes:
    """A part is in the place of another one."""
    source, target = draw.randint(0, len(content)), draw.randint(0, len(content))
    length = draw.choice((4, 16, 64, 512))
    return content[:target] + content[source : source + length] + content[target + length :]


def repeated(content: bytes, draw: random.Random) -> bytes:
    """A part is there many times."""
    start = draw.randint(0, len(content))
    block = content[start : start + draw.choice((1, 4, 16, 64, 512, 4096))]
    count = min(draw.choice((2, 16, 256, 4096, 65536)), LARGEST // max(1, len(block)))
    return content[:start] + block * count + content[start:]


BYTES = (bit_flips, bytes_set, number_field, cut, removed, inserted, splice, repeated)
"""Mutations of any file."""


@cache
def deflated_zeros(size: int) -> bytes:
    """What 2 to some power zeros deflate to; a block of them again and again, which is quick."""
    block = min(size, 2**20)
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    packed = packer.compress(bytes(block)) + packer.flush(zlib.Z_FULL_FLUSH)
    return packed * (size // block) + b"\3\0"


def weighted(own: Sequence[Mutation], share: float = 0.7) -> list[Mutation]:
    """Mutations of a format together with `BYTES`, which are the rest of all draws."""
    copies = max(1, round(len(BYTES) * share / (1 - share) / len(own)))
    return [*own] * copies + [*BYTES]
